# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the command begins: what it needs takes a moment to load, in which Ctrl-C is no defect either."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

INTERRUPTED = 130  # what shells report for a program ended by SIGINT


def main() -> None:
    """Load the command and run it."""
    try:
        _load()()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _load() -> Callable[[], object]:
    """Return the command. Where the distribution stands without what the command needs, as on hypervisors, say so and end."""
    try:
        from archipel.cli.main import main as run
    except ModuleNotFoundError as error:
        sys.exit(f"archipel: the Python module {error.name!r} is missing: install the distribution with [cli], as docs/cli.md says")
    return run
