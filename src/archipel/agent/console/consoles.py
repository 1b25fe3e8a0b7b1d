# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The consoles that a machine has, and connecting to them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from archipel.agent.console.relay import Console, StreamConsole
from archipel.agent.virt.errors import DomainNotFound, VirtError
from archipel.agent.virt.graphics import Graphics, read_graphics
from archipel.agent.virt.text_console import TextConsole, open_stream
from archipel.protocol.console import ConsoleKind

if TYPE_CHECKING:
    from archipel.agent.virtual_machine import VirtualMachine

CONNECT_TIMEOUT: Final = 5.0  # seconds; QEMU listens on this host


class NoConsole(Exception):
    """There is nothing to look at, and why."""


async def find_display(machine: VirtualMachine) -> Graphics | None:
    """Return the display of a machine that runs, where a VNC server listens. Raises :class:`VirtError`."""
    try:
        if not await machine.domain.is_active():
            return None
        graphics = read_graphics(await machine.domain.xml())
    except DomainNotFound:
        return None
    return graphics if graphics is not None and graphics.type == ConsoleKind.VNC and graphics.reachable else None


async def check_console(machine: VirtualMachine, kind: ConsoleKind) -> None:
    """Raise :class:`NoConsole` if there is no console of that kind now, and :class:`VirtError` if libvirt cannot tell."""
    try:
        if not await machine.domain.is_active():
            raise NoConsole(f"{machine.name} does not run: start it first")
    except DomainNotFound:
        raise NoConsole(f"{machine.name} has no definition: define it first") from None
    if kind is ConsoleKind.VNC and await find_display(machine) is None:
        raise NoConsole(f"{machine.name} has no VNC display: its definition needs <graphics type='vnc'/>")


async def open_console(machine: VirtualMachine, kind: ConsoleKind) -> Console:
    """Connect to a console. Raises :class:`NoConsole`."""
    try:
        await check_console(machine, kind)
        if kind is ConsoleKind.TEXT:
            return await TextConsole.start(await machine.domain.read("open console", open_stream))
        async with asyncio.timeout(CONNECT_TIMEOUT):
            return await _connect(machine)
    except (VirtError, OSError, TimeoutError) as error:
        raise NoConsole(f"the console of {machine.name} cannot be opened: {error}") from error


async def _connect(machine: VirtualMachine) -> Console:
    display = await find_display(machine)
    if display is None:
        raise NoConsole(f"{machine.name} has stopped")
    if display.socket is not None:
        return StreamConsole(*await asyncio.open_unix_connection(display.socket))
    return StreamConsole(*await asyncio.open_connection(display.address, display.port))
