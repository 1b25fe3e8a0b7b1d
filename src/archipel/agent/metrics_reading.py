# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures that are read where they are kept, at the moment they are asked for: entities, connections, libvirt, queues, database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from archipel.agent.hypervisor import Hypervisor
from archipel.protocol.rights import EntityKind
from archipel.xmpp.connection import ConnectionState


class AgentCollector(Collector):
    """Reads the figures of one agent."""

    def __init__(self, hypervisor: Hypervisor) -> None:
        self._hypervisor = hypervisor

    def describe(self) -> Iterator[Metric]:
        """Return nothing: so the registry reads no figures before there are any."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield the figures of this moment."""
        yield from self._entities()
        yield from self._server()
        yield from self._libvirt()
        yield from self._queues()

    def _entities(self) -> Iterator[Metric]:
        entities = GaugeMetricFamily(
            "archipel_entities", "Entities by what they are and how their connection stands.", labels=("kind", "state")
        )
        hypervisor, machines = self._hypervisor, self._hypervisor.machines.values()
        counted = Counter((str(entity.kind), entity.connection.state.value) for entity in (hypervisor, *machines))
        for kind in EntityKind:
            for state in ConnectionState:
                entities.add_metric((str(kind), state.value), counted[str(kind), state.value])
        yield entities
        sessions = GaugeMetricFamily("archipel_sessions", "Entities that take requests.")
        sessions.add_metric((), sum(entity.online.is_set() for entity in (hypervisor, *machines)))
        yield sessions

    def _server(self) -> Iterator[Metric]:
        server = self._hypervisor.services.server
        yield _counter("archipel_connections", "Sessions begun, resumed, broken off and not had.", "event", server.counts, _CONNECTIONS)
        up = GaugeMetricFamily("archipel_server_up", "Whether the last try reached the XMPP server.")
        up.add_metric((), server.up)
        yield up
        yield _counter("archipel_events", "Pushes by what became of them.", "result", self._hypervisor.services.metrics.events, _EVENTS)

    def _libvirt(self) -> Iterator[Metric]:
        connection, pool = self._hypervisor.services.libvirt, self._hypervisor.services.libvirt.pool
        for name, meaning, value in (
            ("connected", "Whether libvirt can be asked.", self._hypervisor.services.libvirt_connected),
            ("threads", "Threads for calls of libvirt.", pool.size),
            ("threads_busy", "Threads that are in a call.", pool.busy),
            ("threads_hanging", "Threads in calls that nobody waits for any more.", pool.hanging),
            ("queue", "Calls that wait for a thread.", pool.queued),
        ):
            gauge = GaugeMetricFamily(f"archipel_libvirt_{name}", meaning)
            gauge.add_metric((), value)
            yield gauge
        yield _counter("archipel_libvirt_calls", "Calls of libvirt by how they ended.", "result", connection.pool.counts, _CALLS)

    def _queues(self) -> Iterator[Metric]:
        services = self._hypervisor.services
        entities = (self._hypervisor, *self._hypervisor.machines.values())
        requests = GaugeMetricFamily("archipel_requests", "Requests that the agent has and has not answered yet.", labels=("state",))
        requests.add_metric(("under_way",), services.admission.gate.under_way)
        requests.add_metric(("waiting",), services.admission.gate.waiting)
        requests.add_metric(("waiting_for_own",), sum(entity.waiting for entity in entities))
        yield requests
        limited = CounterMetricFamily("archipel_requests_too_fast", "Requests that were refused because they came too fast.")
        limited.add_metric((), services.admission.refused)
        yield limited
        database = SummaryMetricFamily("archipel_database_seconds", "Transactions of the agent's database, and their time.")
        database.add_metric((), services.store.transactions, services.store.busy_seconds)
        yield database


_CONNECTIONS = ("login", "resumption", "reconnect", "conflict", "failure")
_EVENTS = ("published", "lost")
_CALLS = ("ok", "failed", "timeout", "busy")


def _counter(name: str, meaning: str, label: str, counts: Mapping[str, int], values: tuple[str, ...]) -> Metric:
    family = CounterMetricFamily(name, meaning, labels=(label,))
    for value in values:
        family.add_metric((value,), counts[value])
    return family
