# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many domains read in one visit: to hand each question to a thread and back takes longer than libvirt does."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from archipel.agent.virt import binding
from archipel.agent.virt.binding import VirFailure
from archipel.agent.virt.connection import LibvirtConnection
from archipel.agent.virt.domain import Domain, DomainInfo
from archipel.agent.virt.errors import LibvirtTimeout, VirtError
from archipel.agent.virt.interfaces import HostsWord, Leases, ask_host
from archipel.agent.virt.lifecycle import DomainState
from archipel.agent.virt.pool import READ_TIMEOUT
from archipel.agent.virt.session import Session

_WITHOUT_RUNNING_HALF: Final = frozenset({DomainState.SHUTOFF, DomainState.CRASHED})


@dataclass(frozen=True, slots=True)
class Wanted:
    """A domain, and what is wanted of it beside its state; ``leases``, if its addresses are wanted, are those of all networks."""

    domain: Domain
    definitions: bool = False
    snapshots: bool = False
    leases: Leases | None = None


@dataclass(frozen=True, slots=True)
class Sight:
    """A domain as it was seen.

    ``stored`` is the definition of the next start and ``running`` the one in force while it runs, without secrets; ``has_snapshots``
    whether there are any; ``addresses`` is what the host knows of them. ``None``: not asked for.
    """

    info: DomainInfo
    stored: str | None = None
    running: str | None = None
    has_snapshots: bool | None = None
    addresses: HostsWord | None = None

    @property
    def runs(self) -> bool:
        """Whether there is a guest in it."""
        return self.info.state not in _WITHOUT_RUNNING_HALF


Outcome = Sight | VirtError


async def look_at(connection: LibvirtConnection, wanted: Sequence[Wanted]) -> dict[str, Outcome]:
    """Return what was seen of each domain (UUID), or what went wrong with it.

    One that hangs costs one thread, however often it is asked; those after it in ``wanted`` are missing in what is returned then:
    they are to be asked again. Each domain takes its turn with the other reads of it.
    """
    visit = _Visit(wanted)
    busy = [item for item in wanted if not await item.domain.reads.take(visit)]
    visit.wanted = [item for item in wanted if item not in busy]
    async with asyncio.TaskGroup() as others:
        alone = {item.domain.uuid: others.create_task(_look_alone(connection, item)) for item in busy}
        found = await visit.make(connection)  # not in a task: one that is cancelled before it begins would keep the turns
    return found | {uuid: task.result() for uuid, task in alone.items()}


async def _look_alone(connection: LibvirtConnection, item: Wanted) -> Outcome:
    """Wait for the turn of a domain that somebody else reads now, or that hangs."""
    call = _name(item)
    try:
        return await connection.call(call, lambda session: _look(session, item, None), within=READ_TIMEOUT, lane=item.domain.reads)
    except VirtError as error:
        return error


class _Visit:
    """The turns of several domains, in one call; whoever waits for one of them is told that it is this that has it."""

    def __init__(self, wanted: Sequence[Wanted]) -> None:
        self.wanted = list(wanted)
        self.overdue = False
        self._found: dict[str, Outcome] = {}
        self._loop = asyncio.get_running_loop()
        self._turn = threading.Lock()
        self._current: Wanted | None = None
        self._stopped = False

    def __str__(self) -> str:
        return "a look at many domains" if self._current is None else _name(self._current)

    async def make(self, connection: LibvirtConnection) -> dict[str, Outcome]:
        """Look at the domains in a thread, and give their turns back; that of one that hangs when the thread comes back."""
        hanging: Wanted | None = None
        failure: VirtError | None = None
        try:
            if self.wanted:
                await connection.call(f"look at {len(self.wanted)} domains", self._run, within=READ_TIMEOUT)
        except VirtError as error:
            failure = error
        finally:
            hanging = self._stop()
            for item in self.wanted:
                if item is not hanging:
                    item.domain.reads.leave()
        if failure is not None:
            self._blame(failure, hanging)
        return self._found

    def _blame(self, failure: VirtError, hanging: Wanted | None) -> None:
        """Say of the one that hangs that it does; without any, the failure is that of all that were not seen."""
        if hanging is not None:
            self._found[hanging.domain.uuid] = LibvirtTimeout(_name(hanging), READ_TIMEOUT)
        else:
            self._found |= {item.domain.uuid: failure for item in self.wanted if item.domain.uuid not in self._found}

    def _stop(self) -> Wanted | None:
        """Begin with no further domain; return the one that the thread is at."""
        with self._turn:
            self._stopped = True
            self.overdue = self._current is not None
            return self._current

    def _run(self, session: Session) -> None:
        """Look at one after the other; a failure is that of its domain, unless the connection is gone. Raises :data:`VirFailure`."""
        with_snapshots = _find_with_snapshots(session) if any(item.snapshots for item in self.wanted) else None
        for item in self.wanted:
            if not self._begin(item):
                return
            outcome: Outcome | None = None
            try:
                outcome = _look(session, item, with_snapshots)
            except VirFailure as failure:
                if not session.is_alive():
                    raise
                outcome = binding.describe(failure)
            finally:
                self._end(item, outcome)

    def _begin(self, item: Wanted) -> bool:
        with self._turn:
            if not self._stopped:
                self._current = item
            return not self._stopped

    def _end(self, item: Wanted, outcome: Outcome | None) -> None:
        """Take in what was seen; if the visit was given up meanwhile, just give the turn back that it still has."""
        with self._turn:
            self._current = None
            if not self._stopped:
                if outcome is not None:
                    self._found[item.domain.uuid] = outcome
                return
        with contextlib.suppress(RuntimeError):  # a closed loop has nobody left who waits
            self._loop.call_soon_threadsafe(item.domain.reads.leave)


def _look(session: Session, item: Wanted, with_snapshots: frozenset[str] | None) -> Sight:
    """Look at one domain; raises :data:`VirFailure`."""
    uuid, info = item.domain.uuid, item.domain.read_info(session)
    if item.snapshots and with_snapshots is None:
        with_snapshots = _find_with_snapshots(session)
    has_snapshots = None if with_snapshots is None or not item.snapshots else uuid in with_snapshots
    if not item.definitions and item.leases is None:
        return Sight(info, has_snapshots=has_snapshots)
    stored = session.visit(uuid, lambda domain: domain.XMLDesc(binding.XML_INACTIVE)) if item.definitions else None
    running = None if info.state in _WITHOUT_RUNNING_HALF else session.visit(uuid, lambda domain: domain.XMLDesc(0))
    addresses = None if item.leases is None else _find_addresses(session, uuid, running, item.leases)
    return Sight(info, stored, running if item.definitions else None, has_snapshots, addresses)


def _find_addresses(session: Session, uuid: str, running: str | None, leases: Leases) -> HostsWord:
    return HostsWord() if running is None else session.visit(uuid, lambda domain: ask_host(domain, running, leases))


def _find_with_snapshots(session: Session) -> frozenset[str] | None:
    """Return which domains have snapshots; ``None`` if the driver cannot tell. One question instead of two to each."""
    try:
        return frozenset(domain.UUIDString() for domain in session.connect.listAllDomains(binding.LIST_HAS_SNAPSHOT))
    except VirFailure:
        if not session.is_alive():
            raise
        return None


def _name(item: Wanted) -> str:
    return f"look at domain {item.domain.uuid}"
