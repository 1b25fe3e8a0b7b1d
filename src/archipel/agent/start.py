# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where ``archipel-agent`` begins: what it needs may not be installed in this Python."""

from __future__ import annotations

import sys
from typing import Final

FROM_DEBIAN: Final = {"libvirt": "install Debian's python3-libvirt, and make the environment with --system-site-packages"}
FROM_PIP: Final = "install the distribution with [agent]"


def main() -> int:
    """Load the agent and run it; returns the exit status."""
    try:
        from archipel.agent.daemon import main as run
    except ModuleNotFoundError as error:
        todo = FROM_DEBIAN.get(error.name or "", FROM_PIP)
        sys.exit(f"archipel-agent: the Python module {error.name!r} is missing: {todo}, as docs/installation.md says")
    return run()
