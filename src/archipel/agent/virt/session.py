# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One opened connection to libvirt, from open to loss."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

from archipel.agent.virt import binding, network_binding
from archipel.agent.virt.binding import VirConnect, VirDomain, VirFailure
from archipel.agent.virt.errors import LibvirtUnavailable
from archipel.agent.virt.lifecycle import DomainEvent, LifecycleEvent
from archipel.agent.virt.network_binding import VirNetwork
from archipel.agent.virt.network_events import NetworkEvent

KEEPALIVE_INTERVAL = 5  # seconds; a host that is gone is noticed after 5 * (3 + 1) s
KEEPALIVE_COUNT = 3  # unanswered ones until libvirt closes the connection

_CHANGES_PERSISTENCE = frozenset({LifecycleEvent.DEFINED, LifecycleEvent.UNDEFINED, LifecycleEvent.STOPPED})

T = TypeVar("T")


class Session:
    """What the threads of the pool work with; it never comes back once it is lost.

    ``lost``, ``lose`` and ``capabilities`` aside, everything is for those threads.
    """

    def __init__(
        self,
        uri: str,
        on_event: Callable[[DomainEvent], None],
        on_lost: Callable[[Session], None],
        on_network_event: Callable[[NetworkEvent], None] = lambda _event: None,
    ) -> None:
        self._uri = uri
        self._on_event = on_event
        self._on_network_event = on_network_event
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._connect: VirConnect | None = None
        self._callback: int | None = None
        self._network_callback: int | None = None
        self._domains: dict[str, VirDomain] = {}
        self._persistent: dict[str, bool] = {}
        self._changes = 0
        self.capabilities: str | None = None
        self.lost: asyncio.Future[str] = self._loop.create_future()

    @property
    def connect(self) -> VirConnect:
        """The connection; raises :class:`LibvirtUnavailable` before it is open and after it is closed."""
        if self._connect is None:
            raise LibvirtUnavailable("there is no connection to libvirt")
        return self._connect

    def open(self) -> None:
        """Connect, watch over the connection and register for events; raises :data:`VirFailure`."""
        connect = self._connect = binding.open_connect(self._uri)
        try:
            self._keep_alive(connect)
            with contextlib.suppress(VirFailure):
                connect.registerCloseCallback(self._take_close, None)
            self._callback = binding.register_lifecycle(connect, self._take_lifecycle)
            with contextlib.suppress(VirFailure):  # a driver without networks
                self._network_callback = network_binding.register_lifecycle(connect, self._take_network)
        except VirFailure:
            self.close()
            raise
        if self.lost.done():  # given up while libvirt took its time
            self.close()

    def _keep_alive(self, connect: VirConnect) -> None:
        """Have libvirt watch over connections to other hosts.

        A local daemon that ends closes its socket; one that hangs is what time-outs are for. Keep-alive would make that
        worse: when it closes a connection with two calls under way, libvirt 9.0 wakes only one of them, and the other
        runs into freed memory.
        """
        if urlsplit(self._uri).hostname:
            with contextlib.suppress(VirFailure):  # a driver or daemon that does not know it
                connect.setKeepAlive(KEEPALIVE_INTERVAL, KEEPALIVE_COUNT)

    def close(self) -> None:
        """End the connection as soon as no thread uses it any more.

        Closing it explicitly would free it under the calls of other threads; so it only loses its references here. Its
        callbacks are references, too, and must go even if it is lost already.
        """
        connect, self._connect = self._connect, None
        self._domains.clear()
        if connect is None:
            return
        with contextlib.suppress(VirFailure):
            if self._callback is not None:
                connect.domainEventDeregisterAny(self._callback)
        with contextlib.suppress(VirFailure):
            if self._network_callback is not None:
                network_binding.networks_of(connect).networkEventDeregisterAny(self._network_callback)
        with contextlib.suppress(VirFailure):
            connect.unregisterCloseCallback()

    def is_alive(self) -> bool:
        """Whether the connection is open, as far as this end knows; asks nobody."""
        try:
            return self._connect is not None and self._connect.isAlive() == 1
        except VirFailure:
            return False

    def domain(self, uuid: str) -> VirDomain:
        """Return the domain, looked up once: later calls go by its UUID. Raises :data:`VirFailure`."""
        domain = self._domains.get(uuid)
        if domain is None:
            domain = self._domains[uuid] = self.connect.lookupByUUIDString(uuid)
        return domain

    def is_persistent(self, uuid: str) -> bool:
        """Return whether the domain is persistent, as read after the last event that could have changed it.

        Remembered because ``info``, which is asked all the time, would otherwise pay a third round trip for it.
        """
        known = self._persistent.get(uuid)
        if known is not None:
            return known
        before = self._changes
        persistent = self.domain(uuid).isPersistent() == 1
        if self._changes == before:
            self._persistent[uuid] = persistent
        return persistent

    def visit(self, uuid: str, function: Callable[[VirDomain], T]) -> T:
        """Run ``function`` on the domain. After a failure it is looked up anew: it may be gone. Raises :data:`VirFailure`."""
        try:
            return function(self.domain(uuid))
        except VirFailure:
            self.forget(uuid)
            raise

    def define(self, xml: str, flags: int) -> str:
        """Define a domain and return its UUID; raises :data:`VirFailure`."""
        uuid = self.connect.defineXMLFlags(xml, flags).UUIDString()
        self.forget(uuid)
        return uuid

    def forget(self, uuid: str) -> None:
        """Forget what was remembered of a domain: it was changed, renamed, or is gone."""
        self._changes += 1
        self._persistent.pop(uuid, None)
        self._domains.pop(uuid, None)

    def lose(self, reason: str) -> None:
        """Mark the connection as lost and say so at once; only the first reason counts."""
        if not self.lost.done():
            self.lost.set_result(reason)
            self._on_lost(self)

    def report_lost(self, reason: str) -> None:
        """Do :meth:`lose` from another thread."""
        self._hand_over(lambda: self.lose(reason))

    def _take_close(self, _connect: VirConnect, reason: int, _opaque: None) -> None:
        self.report_lost(binding.name_close_reason(reason))

    def _take_lifecycle(self, _connect: VirConnect, domain: VirDomain, event: int, detail: int, _opaque: None) -> None:
        decoded = DomainEvent.decode(domain.UUIDString(), domain.name(), event, detail)
        self._hand_over(lambda: self._take_event(decoded))

    def _take_network(self, _connect: VirConnect, network: VirNetwork, event: int, _detail: int, _opaque: None) -> None:
        decoded = NetworkEvent.decode(network.name(), event)
        self._hand_over(lambda: self.lost.done() or self._on_network_event(decoded))

    def _take_event(self, event: DomainEvent) -> None:
        if event.event in _CHANGES_PERSISTENCE:
            self.forget(event.uuid)
        if not self.lost.done():
            self._on_event(event)

    def _hand_over(self, run: Callable[[], object]) -> None:
        # A closed loop belongs to an agent that has stopped.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(run)
