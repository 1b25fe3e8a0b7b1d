# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which machines' displays can be reached now: what is pushed of that, and the ports that founding clients know."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from websockets.asyncio.server import Server, ServerConnection
from websockets.http11 import Request, Response

from archipel.agent.console import page
from archipel.agent.console.consoles import find_display
from archipel.agent.console.listener import listen, refuse_request, wants_websocket
from archipel.agent.console.proxy import ConsoleProxy
from archipel.agent.console.tickets import Ticket
from archipel.agent.virt.errors import VirtError
from archipel.agent.virt.graphics import Graphics
from archipel.protocol.console import NO_PORT, TOPIC, ConsoleKind, DisplayChange

if TYPE_CHECKING:
    from archipel.agent.hypervisor import Hypervisor
    from archipel.agent.virtual_machine import VirtualMachine

log = logging.getLogger(__name__)

PORT_OFFSET: Final = 1000  # from a display's port to that of its WebSocket
LOOK_INTERVAL: Final = 2.0  # seconds between looks at whether libvirt came back, whose events were missed meanwhile


@dataclass
class _Display:
    """What is known of one machine's display."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    reachable: bool = False
    port: int = NO_PORT
    listener: Server | None = None


class Displays:
    """The displays of a hypervisor's machines, behind ``proxy``."""

    def __init__(self, hypervisor: Hypervisor, proxy: ConsoleProxy) -> None:
        self._hypervisor = hypervisor
        self._proxy = proxy
        self._known: dict[str, _Display] = {}

    def port_of(self, machine: VirtualMachine) -> int:
        """Return the port where founding clients reach the machine's display now, or -1."""
        found = self._known.get(machine.uuid)
        return NO_PORT if found is None or found.listener is None else found.port

    async def watch(self) -> None:
        """Follow all machines when libvirt is there, and again whenever it comes back; for ever."""
        connected = False
        while True:
            was, connected = connected, self._hypervisor.services.libvirt_connected
            if connected and not was:
                await asyncio.gather(*(self.follow(machine) for machine in list(self._hypervisor.machines.values())))
            await asyncio.sleep(LOOK_INTERVAL)

    async def follow(self, machine: VirtualMachine) -> None:
        """Read whether a machine's display can be reached now, and act on it."""
        known = self._known.setdefault(machine.uuid, _Display())
        async with known.turn:
            try:
                running, display = await find_display(machine)
            except VirtError as error:
                log.debug("%s: its display is not known: %s", machine.bare, error)
                return
            if self._hypervisor.machines.get(machine.uuid) is machine:
                await self._show(machine, known, display)
                self._end_lost(machine, display, running=running)

    def _end_lost(self, machine: VirtualMachine, display: Graphics | None, *, running: bool) -> None:
        """End the consoles that are no more: all of a machine that is off, the screen of one that has none now."""
        if not running:
            self._proxy.end_machine(machine.uuid, "the machine has stopped", *ConsoleKind)
        elif display is None:
            self._proxy.end_machine(machine.uuid, "the machine has no display now", ConsoleKind.VNC)

    async def _show(self, machine: VirtualMachine, known: _Display, display: Graphics | None) -> None:
        await self._serve(machine, known, display)
        reachable = display is not None and not self._proxy.trouble
        if reachable != known.reachable:
            known.reachable = reachable
            machine.push(TOPIC, DisplayChange.SERVED if reachable else DisplayChange.NOT_SERVED)

    async def forget(self, machine: VirtualMachine) -> None:
        """Stop serving a machine that leaves."""
        known = self._known.pop(machine.uuid, None)
        self._proxy.end_machine(machine.uuid, "the machine leaves", *ConsoleKind)
        if known is not None:
            async with known.turn:
                await _stop(known)

    async def close(self) -> None:
        """Stop serving."""
        for known in self._known.values():
            await _stop(known)

    async def _serve(self, machine: VirtualMachine, known: _Display, display: Graphics | None) -> None:
        """Bring the machine's own port into line with its display, where the settings let founding clients in."""
        port = display.port if display is not None and self._proxy.settings.founding_ports and not self._proxy.trouble else None
        wanted = NO_PORT if port is None or port + PORT_OFFSET > 65535 else port + PORT_OFFSET
        if wanted != known.port or (wanted != NO_PORT and known.listener is None):
            await _stop(known)
            known.port = wanted
            if wanted != NO_PORT:
                known.listener = await self._listen(machine, wanted)

    async def _listen(self, machine: VirtualMachine, port: int) -> Server | None:
        proxy = self._proxy

        async def admit(connection: ServerConnection, request: Request) -> Response | None:
            if not wants_websocket(request):
                return page.answer_path("")
            ticket = Ticket("", machine.uuid, ConsoleKind.VNC, 0)
            return refuse_request(request, proxy.origins) or proxy.let_in(connection, ticket, machine)

        try:
            return await listen(proxy.settings.listen, port, proxy.tls, admit, proxy.attend)
        except OSError as error:
            log.error("%s: its display is not served on port %d: %s", machine.bare, port, error)
            return None


async def _stop(known: _Display) -> None:
    if known.listener is not None:
        known.listener.close()
        await known.listener.wait_closed()
    known.listener, known.port = None, NO_PORT
