# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the command begins: what it needs takes a moment to load, in which Ctrl-C is no defect either."""

from __future__ import annotations

import sys

INTERRUPTED = 130  # what shells report for a program ended by SIGINT


def main() -> None:
    """Load the command and run it."""
    try:
        from archipel.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
