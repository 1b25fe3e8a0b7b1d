# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two agents in one process, whose libvirts can move domains to each other, and either of which can die at any step."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest

from archipel.agent import departure, migrating
from archipel.agent.audit import AuditLog
from archipel.agent.config import parse_settings
from archipel.agent.dispatch import Caller, Registry, answer_iq
from archipel.agent.hand_over import let_peers_in
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.recovery import recover
from archipel.agent.rights import Rights
from archipel.agent.secret import Secret
from archipel.agent.services import Services
from archipel.agent.store import MachineRecord, Phase, Store
from archipel.agent.virt.connection import LibvirtConnection
from archipel.agent.virt.host import Host
from archipel.agent.virt.lifecycle import DomainState
from archipel.agent.virt.migration import Situation
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import read_error
from archipel.protocol.payload import Request
from archipel.protocol.rights import TokenCatalogue
from archipel.protocol.xml import child_named
from archipel.xmpp import stanzas
from archipel.xmpp.connection import Server
from archipel.xmpp.errors import NoAnswer
from tests.unit.agent.conftest import finish_work, go_online
from tests.unit.agent.fake_xmpp import FakeXmpp
from tests.unit.agent.fakes import SETTINGS, UUID, VM, FakeAudit, FakeDomain, FakeHost, FakeLibvirt, declared_settings, domain_xml

T = TypeVar("T")
Loaded = tuple[TokenCatalogue, Registry]
ACCOUNTS = ("hyp", "second")
OFF = frozenset({DomainState.SHUTOFF, DomainState.CRASHED})


def qemu_xml(**more: str) -> str:
    """Return a definition that QEMU would take."""
    return domain_xml(**more).replace("type='test'", "type='qemu'", 1)


class Killed(BaseException):
    """An agent dies here."""


@dataclass
class Fate:
    """Kills ``victim`` before its step number ``moment``; nothing of it works until it is brought back."""

    victim: str = ""
    moment: int = -1
    steps: int = 0
    dead: bool = False

    def meet(self, name: str) -> None:
        if name != self.victim:
            return
        self.steps += 1
        if self.dead or self.steps == self.moment:
            self.dead = True
            raise Killed

    @property
    def struck(self) -> bool:
        return self.moment >= 0 and self.steps >= self.moment


@dataclass
class MovingDomain(FakeDomain):
    """A domain that libvirt moves to ``elsewhere``, unless ``breaks``."""

    elsewhere: Callable[[], MovingDomain] | None = None
    breaks: Exception | None = None
    lies: bool = False
    aborted: int = 0
    capacity: int = 1 << 20
    meet: Callable[[], None] = lambda: None

    def _visit(self, call: str, *, needs_domain: bool = True) -> str:
        if call in {"define", "undefine, NVRAM kept", "destroy", "set autostart", "migrate", "start paused"}:
            self.meet()
        return super()._visit(call, needs_domain=needs_domain)

    async def read(self, call: str, _function: Callable[[Any], Any], _within: float = 0) -> Any:
        self._visit(call)
        if call == "situation":
            active = self.state_now not in OFF
            return Situation(active, self.persistent, self.state_now is DomainState.PAUSED, False, False)
        if call == "abort job":
            self.aborted += 1
        return {"progress": 42, "downtime": 231, "capacity": self.capacity, "what is kept beside the definition": []}.get(call)

    async def change(self, call: str, _function: Callable[[Any], Any], _within: float | None = None) -> None:
        self._visit(call)
        if call == "start paused":
            self.state_now = DomainState.PAUSED
            return
        assert call == "migrate"
        assert self.elsewhere is not None
        await asyncio.sleep(0)
        if self.breaks is not None and not self.lies:
            raise self.breaks
        there = self.elsewhere()
        there.stored, there.state_now, there.persistent = self.stored, self.state_now, True
        self.state_now = DomainState.SHUTOFF
        if self.breaks is not None:
            raise self.breaks


class MovingHost(FakeHost):
    """libvirt of one house."""

    def __init__(self, name: str, fate: Fate) -> None:
        super().__init__()
        self.name, self.fate = name, fate
        self.other: MovingHost | None = None

    def domain(self, uuid: str) -> MovingDomain:
        if uuid not in self.known:
            made = MovingDomain(uuid, meet=lambda: self.fate.meet(self.name))
            made.elsewhere = lambda: cast(MovingHost, self.other).domain(uuid)
            self.known[uuid] = made
        return cast(MovingDomain, self.known[uuid])


@dataclass
class House:
    """One agent, and its libvirt."""

    name: str
    host: MovingHost
    services: Services
    hypervisor: Hypervisor
    fate: Fate

    @property
    def domain(self) -> MovingDomain:
        return self.host.domain(UUID)

    async def phase(self) -> Phase | None:
        record = await self.services.store.machine(UUID)
        return None if record is None else record.phase

    async def rights(self) -> set[tuple[str, str]]:
        return {(grant.subject, grant.token) for grant in await self.services.store.grants(VM)}

    async def begin_again(self) -> None:
        """Start the agent anew: what was in memory is gone."""
        old = self.hypervisor
        for entity in (*old.machines.values(), *old.unfinished.values(), old):
            await entity.close()
        self.fate.victim = ""
        self.fate.dead = False
        rights = self.services.rights
        fresh = await Rights.load(self.services.store, rights.catalogue, self.services.settings.xmpp.root_admins)
        self.services = replace(self.services, rights=fresh)
        self.hypervisor = Hypervisor(self.services)
        for record in await self.services.store.machines(Phase.ACTIVE, Phase.MIGRATING):
            self.hypervisor.adopt_record(record)
        for entity in (self.hypervisor, *list(self.hypervisor.machines.values())):
            await go_online(entity)

    async def settle(self) -> None:
        """Do what housekeeping does."""
        await recover(self.hypervisor)
        await finish_work(self.hypervisor)


@dataclass
class Houses:
    """Both, and the machine that begins in the first."""

    first: House
    second: House
    xmpp: FakeXmpp
    fate: Fate
    said: list[str] = field(default_factory=list)

    @property
    def both(self) -> tuple[House, House]:
        return self.first, self.second

    @property
    def machine(self) -> VirtualMachine:
        return self.first.hypervisor.machines[UUID]

    async def ask(self, hypervisor: Hypervisor, to: str, request: Request[T]) -> T:
        """Stand in for the way over the server: dispatch, rights and XML are the real ones."""
        source = next(house for house in self.both if house.hypervisor is hypervisor)
        self.fate.meet(source.name)
        [target] = [house for house in self.both if house.hypervisor.full == to]
        iq = stanzas.command(request, to, "get" if request.reads else "set")
        iq.set("id", "1")
        iq.set("from", hypervisor.full)
        self.said.append(request.action)
        try:
            self.fate.meet(target.name)
            answer = await answer_iq(target.hypervisor, iq, Caller(hypervisor.full, hypervisor.bare))
            self.fate.meet(target.name)
        except Killed:
            if self.fate.victim == source.name:
                raise
            raise NoAnswer(f"{to} did not answer") from None
        if answer.get("type") == "error":
            raise read_error(answer)
        query = child_named(answer, "query")
        assert query is not None
        return type(request).read_answer(query)

    async def migrate(self) -> None:
        """Have the machine moved by its owner, and wait for what comes of it."""
        with contextlib.suppress(Killed):
            await migrating.begin(self.machine, "owner@lab.example", self.second.hypervisor.full)
        await finish_work(self.first.hypervisor, self.second.hypervisor)

    async def where(self) -> tuple[str, ...]:
        """Whether the machine is whole at the first house, at the second, or in between."""
        found = []
        for house in self.both:
            phase, stored = await house.phase(), house.domain.stored is not None
            online = house.hypervisor.machines.get(UUID)
            if (phase, stored) == (Phase.ACTIVE, True) and online is not None and not online.migrating:
                found.append(house.name)
            elif phase is not None or stored or online is not None:
                found.append(f"{house.name}: {phase}, {'a' if stored else 'no'} domain")
        return tuple(found)


def _settings(folder: Path, number: int, peers: str, more: str) -> Any:
    account = ACCOUNTS[number]
    text = SETTINGS.format(folder=folder, more=f"[MIGRATION]\nmigration_peers = {peers}\n{more}").replace("jid = hyp@", f"jid = {account}@")
    text = text.replace(f"{folder}/vm", str(folder.parent / "vm"))
    text = text.replace("libvirt_uri", f"migration_uri = qemu+tls://host{number}.lab.example/system\nlibvirt_uri")
    return parse_settings(text, hostname=f"host{number}", capabilities=declared_settings())


async def _open_house(folder: Path, database: Path, number: int, fate: Fate, loaded: Loaded, more: str) -> House:
    name, other = ACCOUNTS[number], ACCOUNTS[1 - number]
    settings = _settings(folder, number, f"{other}@lab.example", more)
    path = settings.state.database
    path.parent.mkdir(parents=True)
    shutil.copy(database, path)
    store = await Store.open(path)
    run = store.run

    async def run_or_die(work: Callable[..., Any]) -> Any:
        fate.meet(name)
        return await run(work)

    store.run = run_or_die
    catalogue, registry = loaded
    host = MovingHost(name, fate)
    services = Services(
        settings=settings,
        store=store,
        rights=await Rights.load(store, catalogue, settings.xmpp.root_admins),
        audit=cast(AuditLog, FakeAudit()),
        libvirt=cast(LibvirtConnection, FakeLibvirt()),
        host=cast(Host, host),
        server=Server([]),
        tls=None,
        registry=registry,
        driver="QEMU",
    )
    hypervisor = Hypervisor(services)
    await go_online(hypervisor)
    await let_peers_in(hypervisor)
    return House(name, host, services, hypervisor, fate)


@contextlib.asynccontextmanager
async def open_houses(
    folder: Path, database: Path, xmpp: FakeXmpp, monkeypatch: pytest.MonkeyPatch, loaded: Loaded, more: str = ""
) -> AsyncIterator[Houses]:
    """Open two houses with a machine in the first that is off; its owner has all rights. ``more`` stands in both configurations."""
    fate = Fate()
    xmpp.accounts |= {"hyp": "secret", "second": "secret"}
    first = await _open_house(folder / "a", database, 0, fate, loaded, more)
    second = await _open_house(folder / "b", database, 1, fate, loaded, more)
    first.host.other, second.host.other = second.host, first.host
    houses = Houses(first, second, xmpp, fate)
    for module in (departure, migrating):
        monkeypatch.setattr(module, "ask", houses.ask)
    monkeypatch.setattr(migrating, "LOOK_INTERVAL", 0.0)
    await first.services.store.add_machine(MachineRecord(uuid=UUID, name="web", password=Secret("machine"), phase=Phase.ACTIVE))
    record = await first.services.store.machine(UUID)
    assert record is not None
    first.domain.stored = qemu_xml()
    xmpp.accounts[UUID] = "machine"
    machine = first.hypervisor.adopt_record(record)
    await first.services.rights.make_owner(VM, "owner@lab.example")
    await go_online(machine)
    try:
        yield houses
    finally:
        for house in houses.both:
            house.fate.victim = ""
            for entity in (*house.hypervisor.machines.values(), *house.hypervisor.unfinished.values(), house.hypervisor):
                await entity.close()
            await house.services.store.close()
