# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many domains in one visit: what is seen, and what one that hangs costs the others."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace

import pytest

from archipel.agent.virt import sights
from archipel.agent.virt.connection import LibvirtConnection
from archipel.agent.virt.domain import Domain, DomainInfo
from archipel.agent.virt.errors import DomainNotFound, LibvirtBusy, LibvirtError, LibvirtTimeout, LibvirtUnavailable
from archipel.agent.virt.host import Host
from archipel.agent.virt.session import Session
from archipel.agent.virt.sights import Sight, Wanted

Until = Callable[[Callable[[], bool]], Awaitable[None]]
SNAPSHOT = "<domainsnapshot><name>before</name></domainsnapshot>"


@pytest.fixture
async def three(host: Host, domain_xml: Callable[..., str]) -> AsyncIterator[list[Domain]]:
    """Domains that are off."""
    domains = [await host.define(domain_xml(name=f"s-{number}-{uuid.uuid4().hex[:6]}")) for number in range(3)]
    yield domains
    for domain in domains:
        if await domain.is_active():
            await domain.destroy()
        await domain.undefine()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What the look at the second domain waits for; open at the end, so that no thread outlives its test."""
    gate = threading.Event()
    yield gate
    gate.set()


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch, three: list[Domain], gate: threading.Event) -> threading.Event:
    """Let the second domain hang; set when a thread is at it."""
    look, begun = sights._look, threading.Event()

    def look_or_hang(session: Session, item: Wanted, with_snapshots: frozenset[str] | None) -> Sight:
        if item.domain is three[1]:
            begun.set()
            gate.wait()
        return look(session, item, with_snapshots)

    monkeypatch.setattr(sights, "_look", look_or_hang)
    monkeypatch.setattr(sights, "READ_TIMEOUT", 0.2)
    return begun


def without_time(info: DomainInfo) -> DomainInfo:
    return replace(info, cpu_time=0)


async def test_a_visit_sees_what_single_questions_see(host: Host, three: list[Domain]) -> None:
    first, second, _third = three
    await second.create()
    await second.set_autostart(True)
    await first.change("snapshot", lambda domain: domain.snapshotCreateXML(SNAPSHOT, 0))
    found = await host.look_at([Wanted(domain, definitions=True, snapshots=True) for domain in three])
    for domain in three:
        sight = found[domain.uuid]
        assert isinstance(sight, Sight)
        assert without_time(sight.info) == without_time(await domain.info())
        assert sight.stored == await domain.xml(inactive=True)
        assert sight.running == (await domain.xml() if domain is second else None)
        assert sight.has_snapshots == (domain is first)
    await first.change("snapshot", lambda domain: domain.snapshotLookupByName("before").delete(0))


async def test_what_is_not_asked_for_is_not_read(host: Host, domain: Domain) -> None:
    found = (await host.look_at([Wanted(domain)]))[domain.uuid]
    assert isinstance(found, Sight)
    assert (found.stored, found.running, found.has_snapshots) == (None, None, None)


async def test_no_domains_are_no_call(host: Host, connection: LibvirtConnection) -> None:
    before = dict(connection.pool.counts)
    assert await host.look_at([]) == {}
    assert dict(connection.pool.counts) == before


async def test_one_that_is_gone_does_not_hide_the_others(host: Host, three: list[Domain]) -> None:
    gone = host.domain(str(uuid.uuid4()))
    found = await host.look_at([Wanted(three[0]), Wanted(gone), Wanted(three[2])])
    assert isinstance(found[gone.uuid], DomainNotFound)
    assert [isinstance(found[domain.uuid], Sight) for domain in (three[0], three[2])] == [True, True]


async def test_one_that_hangs_is_told_and_the_others_are_not_lost(
    host: Host, connection: LibvirtConnection, three: list[Domain], hanging: threading.Event, gate: threading.Event, until: Until
) -> None:
    first, second, third = three
    found = await host.look_at([Wanted(domain) for domain in three])
    assert isinstance(found[first.uuid], Sight)
    assert isinstance(found[second.uuid], LibvirtTimeout)
    assert second.uuid in str(found[second.uuid])
    assert third.uuid not in found
    # Whoever looks again does not wait for it, nor does it take another thread; its neighbours are free.
    again = await host.look_at([Wanted(domain) for domain in three])
    assert isinstance(again[second.uuid], LibvirtBusy)
    assert f"look at domain {second.uuid}" in str(again[second.uuid])
    assert [isinstance(again[domain.uuid], Sight) for domain in (first, third)] == [True, True]
    assert connection.pool.hanging == 1
    gate.set()
    await until(lambda: not second.reads.busy and connection.pool.hanging == 0)
    assert isinstance((await host.look_at([Wanted(second)]))[second.uuid], Sight)


async def test_a_visit_that_is_given_up_leaves_every_turn(
    host: Host, three: list[Domain], hanging: threading.Event, gate: threading.Event, until: Until
) -> None:
    visit = asyncio.create_task(host.look_at([Wanted(domain) for domain in three]))
    await until(hanging.is_set)
    visit.cancel()
    with pytest.raises(asyncio.CancelledError):
        await visit
    assert [domain.reads.busy for domain in three] == [False, True, False]
    gate.set()
    await until(lambda: not three[1].reads.busy)


async def test_a_visit_that_was_never_begun_leaves_every_turn(
    host: Host, connection: LibvirtConnection, three: list[Domain], gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sights, "READ_TIMEOUT", 0.1)
    others = [asyncio.create_task(connection.call("other", lambda _session: gate.wait(), within=60)) for _ in range(connection.pool.size)]
    await asyncio.sleep(0)
    found = await host.look_at([Wanted(domain) for domain in three])
    assert all(isinstance(outcome, LibvirtBusy) for outcome in found.values())
    assert len(found) == 3
    assert not any(domain.reads.busy for domain in three)
    gate.set()
    await asyncio.gather(*others)


async def test_a_domain_that_is_being_read_is_waited_for(host: Host, three: list[Domain], gate: threading.Event, until: Until) -> None:
    begun = threading.Event()

    def read(_domain: object) -> None:
        begun.set()
        gate.wait()

    other = asyncio.create_task(three[0].read("slow", read))
    await until(begun.is_set)
    visit = asyncio.create_task(host.look_at([Wanted(domain) for domain in three]))
    await until(lambda: not three[2].reads.busy)
    gate.set()
    assert all(isinstance(outcome, Sight) for outcome in (await visit).values())
    await other


async def test_without_a_connection_all_are_told(remote: LibvirtConnection, libvirtd: object) -> None:
    host = Host(remote)
    entries = await host.domains()
    libvirtd.kill()  # type: ignore[attr-defined] # a daemon of the tests
    wanted = [Wanted(host.domain(entry.uuid), definitions=True) for entry in entries]
    for _ in range(2):
        found = await host.look_at(wanted)
        assert len(found) == len(entries) > 0
        assert all(isinstance(outcome, LibvirtUnavailable | LibvirtError) for outcome in found.values())
