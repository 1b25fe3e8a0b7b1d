# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where ``archipel-agent`` and ``archipel-agent-init`` begin: what they need may not be installed in this Python."""

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
        sys.exit(_say_missing("archipel-agent", error))
    return run()


def install() -> int:
    """Load the program that installs the agent and run it; returns the exit status."""
    try:
        from archipel.agent.installation.program import main as run
    except ModuleNotFoundError as error:
        sys.exit(_say_missing("archipel-agent-init", error))
    return run()


def _say_missing(program: str, error: ModuleNotFoundError) -> str:
    todo = FROM_DEBIAN.get(error.name or "", FROM_PIP)
    return f"{program}: the Python module {error.name!r} is missing: {todo}, as docs/installation.md says"
