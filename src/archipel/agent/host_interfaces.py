# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network interfaces and bridges of the host, as the kernel and Open vSwitch tell them."""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

KERNEL: Final = Path("/sys/class/net")
OPEN_VSWITCH: Final = "ovs-vsctl"
OPEN_VSWITCH_SECONDS: Final = 5  # it waits for ever for a database that does not run


def list_interfaces() -> list[str]:
    """Return the names of all network interfaces, sorted."""
    return sorted(name for _index, name in socket.if_nameindex())


def list_kernel_bridges(folder: Path = KERNEL) -> list[str]:
    """Return the names of the kernel's bridges, sorted; an interface that is a bridge has a folder of that name."""
    return sorted(found.parent.name for found in folder.glob("*/bridge"))


async def list_open_vswitch_bridges(program: str = OPEN_VSWITCH) -> list[str]:
    """Return the names of Open vSwitch's bridges, sorted; none where it is not installed or does not run."""
    path = shutil.which(program)
    if path is None:
        return []
    try:
        process = await asyncio.create_subprocess_exec(
            path,
            f"--timeout={OPEN_VSWITCH_SECONDS}",
            "list-br",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
    except OSError as error:
        log.warning("%s cannot be run: %s", path, error)
        return []
    if process.returncode:
        log.warning("Open vSwitch does not tell its bridges: %s", errors.decode(errors="replace").strip())
        return []
    return sorted(output.decode(errors="replace").split())
