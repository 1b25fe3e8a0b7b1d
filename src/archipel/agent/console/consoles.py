# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The consoles that a machine has, and connecting to them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from archipel.agent.console.relay import Console, StreamConsole
from archipel.agent.virt.errors import DomainNotFound, VirtError
from archipel.agent.virt.graphics import Graphics, has_console, read_graphics
from archipel.agent.virt.text_console import TextConsole, open_stream
from archipel.protocol.console import ConsoleKind

if TYPE_CHECKING:
    from archipel.agent.virtual_machine import VirtualMachine

CONNECT_TIMEOUT: Final = 5.0  # seconds; QEMU listens on this host


class NoConsole(Exception):
    """There is nothing to look at, and why."""


async def find_display(machine: VirtualMachine) -> tuple[bool, Graphics | None]:
    """Return whether a machine runs, and its display if a VNC server listens there now. Raises :class:`VirtError`."""
    try:
        if not await machine.domain.is_active():
            return False, None
        graphics = read_graphics(await machine.domain.xml())
    except DomainNotFound:
        return False, None
    return True, graphics if graphics is not None and graphics.type == ConsoleKind.VNC and graphics.reachable else None


async def check_console(machine: VirtualMachine, kind: ConsoleKind) -> None:
    """Raise :class:`NoConsole` if there is no console of that kind now, and :class:`VirtError` if libvirt cannot tell."""
    running, display = await find_display(machine)
    if not running:
        raise NoConsole(f"{machine.name} does not run: start it first")
    if kind is ConsoleKind.VNC and display is None:
        raise NoConsole(f"{machine.name} has no VNC display: its definition needs <graphics type='vnc'/>")
    if kind is ConsoleKind.TEXT and not has_console(await machine.domain.xml()):
        raise NoConsole(f"{machine.name} has no serial console: its definition needs <serial type='pty'/>")


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
    _running, display = await find_display(machine)
    if display is None:
        raise NoConsole(f"{machine.name} has stopped")
    if display.socket is not None:
        return StreamConsole(*await asyncio.open_unix_connection(display.socket))
    return StreamConsole(*await asyncio.open_connection(display.address, display.port))
