# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How all running domains fare, in one visit to libvirt (virConnectGetAllDomainStats)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from archipel.agent.virt import binding
from archipel.agent.virt.connection import LibvirtConnection
from archipel.agent.virt.pool import Lane
from archipel.agent.virt.session import Session

STATS_TIMEOUT: Final = 30.0  # seconds; a daemon asks each machine's monitor in turn
NANOSECONDS: Final = 1e9


@dataclass(frozen=True, slots=True)
class Counters:
    """What a domain has used since it was started; None is what its driver does not count.

    ``cpu_time`` in ns, memories in KiB as they are now, the rest in bytes. ``run`` is libvirt's identifier, new with each start.
    """

    run: int
    cpu_time: int | None = None
    memory: int | None = None
    resident: int | None = None
    disk_read: int | None = None
    disk_written: int | None = None
    received: int | None = None
    sent: int | None = None


COUNTED: Final = tuple(field.name for field in fields(Counters) if field.name not in {"run", "memory", "resident"})


class FigureReader:
    """Asks a connection; one question at a time."""

    def __init__(self, connection: LibvirtConnection) -> None:
        self._connection = connection
        self._lane = Lane()

    async def read(self) -> dict[str, Counters]:
        """Return the counters of all running domains by their UUIDs. Raises what :meth:`LibvirtConnection.call` raises."""
        return await self._connection.call("domain stats", _read_all, within=STATS_TIMEOUT, lane=self._lane)


def _read_all(session: Session) -> dict[str, Counters]:
    found = session.connect.getAllDomainStats(binding.STATS, binding.STATS_OF_ACTIVE)
    return {domain.UUIDString(): read_counters(domain.ID(), stats) for domain, stats in found}


def read_counters(run: int, stats: Mapping[str, Any]) -> Counters:
    """Return the counters from libvirt's typed parameters; several disks, or cards, are added up."""
    return Counters(
        run=run,
        cpu_time=stats.get("cpu.time"),
        memory=stats.get("balloon.current"),
        resident=stats.get("balloon.rss"),
        disk_read=_add_up(stats, "block", "rd.bytes"),
        disk_written=_add_up(stats, "block", "wr.bytes"),
        received=_add_up(stats, "net", "rx.bytes"),
        sent=_add_up(stats, "net", "tx.bytes"),
    )


def _add_up(stats: Mapping[str, Any], group: str, counter: str) -> int | None:
    count = stats.get(f"{group}.count")
    return None if count is None else sum(stats.get(f"{group}.{number}.{counter}", 0) for number in range(count))
