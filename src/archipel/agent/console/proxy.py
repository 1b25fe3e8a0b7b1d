# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent's console proxy: who may look at what, and what ends that."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from websockets.asyncio.server import Server, ServerConnection
from websockets.frames import CloseCode
from websockets.http11 import Request, Response

from archipel.agent.addresses import find_address
from archipel.agent.console import page
from archipel.agent.console.consoles import NoConsole, open_console
from archipel.agent.console.listener import listen, make_tls, offered_subprotocols, refuse_request, wants_websocket
from archipel.agent.console.relay import Relay
from archipel.agent.console.settings import ConsoleSettings
from archipel.agent.console.tickets import LIFETIME, Ticket, Tickets
from archipel.agent.one_each import one_per_hypervisor
from archipel.protocol import namespaces as ns
from archipel.protocol.console import ConsoleKind, ConsoleLink
from archipel.protocol.errors import CommandError, Unavailable

if TYPE_CHECKING:
    from archipel.agent.hypervisor import Hypervisor
    from archipel.agent.virtual_machine import VirtualMachine

log = logging.getLogger(__name__)

RIGHT: Final = "vnc_display"
TOKEN_PREFIX: Final = "archipel.token."  # noqa: S105 - of the subprotocol that carries it
LONGEST_REASON: Final = 120  # bytes of a close frame (RFC 6455, 5.5.1)


@dataclass(eq=False)
class Viewer:
    """Somebody at a console; ``ticket.viewer`` is empty for one of the founding time, whom nobody knows."""

    ticket: Ticket
    machine: VirtualMachine
    address: str
    relay: Relay | None = None
    started: float = field(default_factory=time.monotonic)


class ConsoleProxy:
    """One per hypervisor, see :func:`proxy_of`; :meth:`open` makes it listen."""

    def __init__(self, hypervisor: Hypervisor, settings: ConsoleSettings) -> None:
        self.settings = settings
        self.tickets = Tickets()
        self.tls: ssl.SSLContext | None = None
        self.trouble = "the console's listener is not up yet"
        self._hypervisor = hypervisor
        self._server: Server | None = None
        self._base = ""
        self._admitted: WeakKeyDictionary[ServerConnection, Viewer] = WeakKeyDictionary()
        self._viewers: set[Viewer] = set()

    # -- listening --------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Begin to listen; what hinders it is logged and told to whoever asks for a console."""
        self.trouble = self._read_certificate() or await self._listen()
        if self.trouble:
            log.error("%s", self.trouble)

    async def _listen(self) -> str:
        settings = self.settings
        try:
            await asyncio.to_thread(page.load_files)
            server = await listen(settings.listen, settings.port, self.tls, self._admit, self._attend)
            self._base = await self._find_base(server.sockets[0].getsockname()[1])
        except (OSError, CommandError) as error:
            return f"no console: its listener cannot be opened on {settings.listen}, port {settings.port}: {error}"
        self._server = server
        return ""

    def _read_certificate(self) -> str:
        """Take the certificate; return what is wrong with it, or that it is missing where it must not."""
        if self.settings.certificate is not None:
            try:
                self.tls = make_tls(self.settings.certificate)
            except OSError as error:
                return f"no console: {self.settings.certificate} holds no key with its certificate, in PEM ({error})"
        elif not self.settings.on_loopback:
            return f"no console: for others than the loopback ({self.settings.listen}) set vnc_certificate_file in [VNC]"
        return ""

    async def _find_base(self, port: int) -> str:
        """Return the address that links begin with."""
        if self.settings.url:
            return self.settings.url
        host = self.settings.listen
        if host in {"0.0.0.0", "::"}:  # noqa: S104 - an address that means all is none to go to
            host = await find_address(self._hypervisor.services.settings)
        return f"{'https' if self.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"

    async def close(self) -> None:
        """End everything."""
        server, self._server, self.trouble = self._server, None, "the agent stops"
        for viewer in self._viewers:
            if viewer.relay is not None:
                viewer.relay.end("the agent stops")
        if server is not None:
            server.close()
            await server.wait_closed()

    @functools.cached_property
    def origins(self) -> frozenset[str]:
        """The origins whose pages may open consoles; asked for when the listener is up."""
        parts = urlsplit(self._base.lower())
        return frozenset({f"{parts.scheme}://{parts.netloc}", *self.settings.origins})

    # -- links ------------------------------------------------------------------------------------------------------------

    def make_link(self, machine: VirtualMachine, viewer: str, kind: ConsoleKind) -> ConsoleLink:
        """Return a link that opens a console once. Raises :class:`Unavailable`."""
        if self._server is None:
            raise Unavailable(self.trouble)
        token = self.tickets.issue(viewer, machine.uuid, kind)
        return ConsoleLink(
            kind=kind,
            url=f"{self._base}/{page.PAGES[kind]}#{token}",
            websocket=f"{self._base.replace('http', 'ws', 1)}/{kind}",
            token=token,
            lifetime=LIFETIME,
        )

    # -- viewers ----------------------------------------------------------------------------------------------------------

    async def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Let a connection in that brings a token for what it asks for, from somebody who still may."""
        if not wants_websocket(request):
            return page.answer_path(request.path)
        return refuse_request(request, self.origins) or self._redeem(connection, request)

    def _redeem(self, connection: ServerConnection, request: Request) -> Response | None:
        token = next((word.removeprefix(TOKEN_PREFIX) for word in offered_subprotocols(request) if word.startswith(TOKEN_PREFIX)), "")
        ticket = self.tickets.redeem(token)
        if ticket is None or request.path != f"/{ticket.kind}":
            return page.refuse(HTTPStatus.FORBIDDEN, "this link was used, is older than a minute, or never was one: ask for a new one")
        machine = self._hypervisor.machines.get(ticket.uuid)
        objection = self.object_to(ticket)
        if machine is None or objection:
            if machine is not None:
                self._audit(Viewer(ticket, machine, ""), f"error: {objection}")
            return page.refuse(HTTPStatus.FORBIDDEN, objection or "this machine is not here any more")
        return self.let_in(connection, ticket, machine)

    def let_in(self, connection: ServerConnection, ticket: Ticket, machine: VirtualMachine) -> Response | None:
        """Take somebody in, if there is room."""
        if full := self._find_full(ticket):
            return page.refuse(HTTPStatus.SERVICE_UNAVAILABLE, full)
        viewer = Viewer(ticket, machine, str((connection.remote_address or ("",))[0]))
        self._admitted[connection] = viewer
        return None

    def _find_full(self, ticket: Ticket) -> str:
        """Return which limit is reached; empty if none is."""
        taken = [viewer.ticket for viewer in {*self._viewers, *self._admitted.values()}]
        if len(taken) >= self.settings.viewers:
            return "as many consoles are open as this host allows (console_viewers)"
        if sum(other.uuid == ticket.uuid for other in taken) >= self.settings.viewers_per_machine:
            return "as many consoles of this machine are open as this host allows (console_viewers_per_machine)"
        if ticket.viewer and sum(other.viewer == ticket.viewer for other in taken) >= self.settings.viewers_per_person:
            return "you have as many consoles open as this host allows (console_viewers_per_person)"
        return ""

    def object_to(self, ticket: Ticket) -> str:
        """Return why somebody may not look, or no more; empty if he may."""
        machine = self._hypervisor.machines.get(ticket.uuid)
        if machine is None or machine.freeing:
            return "this machine is not here any more"
        if ticket.viewer and not machine.decide(ticket.viewer, RIGHT).allowed:
            return f"{ticket.viewer} lacks the right '{RIGHT}' on {machine.name}"
        return ""

    async def _attend(self, connection: ServerConnection) -> None:
        """Serve one connection that was let in."""
        viewer = self._admitted.pop(connection)
        with self._keep(viewer):
            try:
                reason, code = await self._show(connection, viewer)
            except Exception:  # a fault of ours ends one console; the library would keep it to itself
                log.exception("%s: the %s console failed", viewer.machine.bare, viewer.ticket.kind)
                reason, code = "internal error", CloseCode.INTERNAL_ERROR
            await connection.close(code, reason.encode()[:LONGEST_REASON].decode(errors="ignore"))
            log.info("%s: the %s console of %s is closed: %s", viewer.machine.bare, viewer.ticket.kind, _name(viewer), reason)

    attend = _attend

    async def _show(self, connection: ServerConnection, viewer: Viewer) -> tuple[str, CloseCode]:
        """Connect a viewer with his console until one of them leaves; returns why it is over."""
        ticket = viewer.ticket
        try:
            console = await open_console(viewer.machine, ticket.kind)
        except NoConsole as error:
            self._audit(viewer, f"error: {error}")
            return str(error), CloseCode.INTERNAL_ERROR
        self._audit(viewer, "ok")
        viewer.relay = Relay(connection, console, idle_timeout=self.settings.idle_timeout, objection=lambda: self.object_to(ticket))
        return await viewer.relay.run(), CloseCode.NORMAL_CLOSURE

    @contextlib.contextmanager
    def _keep(self, viewer: Viewer) -> Iterator[None]:
        self._viewers.add(viewer)
        try:
            yield
        finally:
            self._viewers.discard(viewer)

    def end_machine(self, uuid: str, reason: str, *kinds: ConsoleKind) -> None:
        """Send everybody away who looks at such a console of a machine, and let nobody in with an old link."""
        self.tickets.drop_machine(uuid, *kinds)
        for viewer in self._viewers:
            if viewer.ticket.uuid == uuid and viewer.ticket.kind in kinds and viewer.relay is not None:
                viewer.relay.end(reason)

    def _audit(self, viewer: Viewer, outcome: str) -> None:
        """Write down who opened what."""
        ticket, machine = viewer.ticket, viewer.machine
        rule = machine.decide(ticket.viewer, RIGHT).rule if ticket.viewer else "founding port"
        machine.services.audit.record(
            caller=ticket.viewer,
            entity=machine.bare,
            namespace=ns.VM_CONSOLE,
            action="open",
            arguments={"kind": str(ticket.kind), "address": viewer.address},
            rule=rule,
            outcome=outcome,
            seconds=time.monotonic() - viewer.started,
        )


def _name(viewer: Viewer) -> str:
    return viewer.ticket.viewer or viewer.address


@one_per_hypervisor
def proxy_of(hypervisor: Hypervisor) -> ConsoleProxy:
    """Return the proxy of this hypervisor."""
    return ConsoleProxy(hypervisor, hypervisor.services.settings.capabilities["vnc"])
