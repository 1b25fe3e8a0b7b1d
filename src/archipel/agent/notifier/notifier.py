# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The notifier of one hypervisor: its routes, what comes in, what goes out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from prometheus_client import Counter

from archipel.agent.notifier.occurrences import Occurrence
from archipel.agent.notifier.outbox import DROPPED, FAILED, SENT, Outbox
from archipel.agent.notifier.routes import Mail, Message, Route, Webhook
from archipel.agent.notifier.ways import DeliveryFailed, Letter, send_mail, send_webhook
from archipel.xmpp import stanzas

if TYPE_CHECKING:
    from archipel.agent.hypervisor import Hypervisor

ONLINE_WAIT: Final = 30.0  # seconds for the hypervisor's own session to stand


class Notifier:
    """Everything that leaves by the routes of the configuration."""

    def __init__(self, hypervisor: Hypervisor, routes: tuple[Route, ...]) -> None:
        self._hypervisor = hypervisor
        self._series = Counter(
            "archipel_notifications",
            "Events for the notifier's routes, by what became of them.",
            ("route", "result"),
            registry=hypervisor.services.metrics.registry,
        )
        self.outboxes = {route.name: self._open(route) for route in routes}

    def _open(self, route: Route) -> Outbox:
        series = {result: self._series.labels(route.name, result) for result in (SENT, FAILED, DROPPED)}
        host = self._hypervisor.services.settings.hostname
        return Outbox(route, host, lambda letter: self._send(route, letter), count=lambda result, number: series[result].inc(number))

    def tell(self, what: Occurrence) -> None:
        """Take in what happened, for the routes that are told of it."""
        for outbox in self.outboxes.values():
            if outbox.route.takes(what):
                outbox.offer(what)

    async def run(self) -> None:
        """Send, for ever."""
        async with asyncio.TaskGroup() as group:
            for outbox in self.outboxes.values():
                group.create_task(outbox.run())

    async def _send(self, route: Route, letter: Letter) -> None:
        match route.way:
            case Mail():
                await send_mail(route.way, letter)
            case Webhook():
                await send_webhook(route.way, letter)
            case Message():
                await self._write(route.way, letter)

    async def _write(self, way: Message, letter: Letter) -> None:
        """Write to accounts, in the hypervisor's name; the server keeps it for who is away."""
        try:
            async with asyncio.timeout(ONLINE_WAIT):
                await self._hypervisor.online.wait()
        except TimeoutError:
            raise DeliveryFailed("the hypervisor is offline") from None
        for jid in way.to:
            self._hypervisor.stream.transmit(stanzas.chat(jid, letter.text))
