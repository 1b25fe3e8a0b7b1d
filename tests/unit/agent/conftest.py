# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import cast
from xml.etree import ElementTree as ET

import pytest

from archipel.agent import entity as entity_module
from archipel.agent import plugins
from archipel.agent.audit import AuditLog
from archipel.agent.dispatch import Caller, Registry, answer_iq
from archipel.agent.download import RESERVE
from archipel.agent.entity import Entity
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.rights import Rights
from archipel.agent.secret import Secret
from archipel.agent.services import Services
from archipel.agent.settings import Settings
from archipel.agent.store import MachineRecord, Phase, Store
from archipel.agent.virt.connection import LibvirtConnection
from archipel.agent.virt.host import Host
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import read_error
from archipel.protocol.rights import TokenCatalogue
from archipel.xmpp.connection import Server
from tests.unit.agent.fake_xmpp import FakeStream, FakeXmpp, parse_stanza
from tests.unit.agent.fakes import HYP, OWNER, UUID, VM, Calendar, FakeAudit, FakeHost, FakeLibvirt, command_iq, make_settings


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables, made once: running the migrations takes longer than most tests."""
    path = tmp_path_factory.mktemp("database") / "archipel.sqlite3"

    async def make() -> None:
        await (await Store.open(path)).close()

    asyncio.run(make())
    return path


@pytest.fixture(scope="session")
def capabilities() -> tuple[TokenCatalogue, Registry]:
    """The rights and commands of all built-in capabilities; whoever changes them makes his own."""
    return plugins.load(make_settings(Path("/nowhere")))


@pytest.fixture
def xmpp(monkeypatch: pytest.MonkeyPatch) -> FakeXmpp:
    """The server that all entities of the test talk to."""
    server = FakeXmpp()
    monkeypatch.setattr(entity_module, "Stream", server.open_stream)
    return server


@pytest.fixture
def libvirt() -> FakeLibvirt:
    return FakeLibvirt()


@pytest.fixture
def host() -> FakeHost:
    return FakeHost()


@pytest.fixture
def calendar() -> Calendar:
    return Calendar()


@pytest.fixture
def audit() -> FakeAudit:
    return FakeAudit()


@pytest.fixture
def agent_folder() -> Iterator[Path]:
    """A folder in memory, where there is enough: each change of the database would wait for the disk."""
    memory = Path("/dev/shm")
    is_usable = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2 * RESERVE
    with tempfile.TemporaryDirectory(dir=memory if is_usable else None) as folder:
        yield Path(folder)


@pytest.fixture
def agent_settings(agent_folder: Path) -> Settings:
    return make_settings(agent_folder)


@pytest.fixture
async def services(
    agent_settings: Settings,
    empty_database: Path,
    capabilities: tuple[TokenCatalogue, Registry],
    xmpp: FakeXmpp,
    libvirt: FakeLibvirt,
    host: FakeHost,
    audit: FakeAudit,
    calendar: Calendar,
) -> AsyncIterator[Services]:
    async with open_services(agent_settings, empty_database, capabilities, libvirt, host, audit, calendar) as services:
        yield services


@contextlib.asynccontextmanager
async def open_services(
    settings: Settings,
    empty_database: Path,
    capabilities: tuple[TokenCatalogue, Registry],
    libvirt: FakeLibvirt,
    host: FakeHost,
    audit: FakeAudit,
    calendar: Calendar,
) -> AsyncIterator[Services]:
    """The parts of an agent that nobody has used yet."""
    path = settings.state.database
    path.parent.mkdir(parents=True)
    shutil.copy(empty_database, path)
    store = await Store.open(path)
    catalogue, registry = capabilities
    yield Services(
        settings=settings,
        store=store,
        rights=await Rights.load(store, catalogue, settings.xmpp.root_admins, clock=calendar),
        audit=cast(AuditLog, audit),
        libvirt=cast(LibvirtConnection, libvirt),
        host=cast(Host, host),
        server=Server([]),
        tls=None,
        registry=registry,
        driver="TEST",
    )
    await store.close()


@pytest.fixture
async def hypervisor(services: Services) -> AsyncIterator[Hypervisor]:
    """A hypervisor that is not connected yet."""
    hypervisor = Hypervisor(services)
    yield hypervisor
    for entity in (*hypervisor.machines.values(), hypervisor):
        await entity.close()


@pytest.fixture
async def online(hypervisor: Hypervisor) -> Hypervisor:
    """The hypervisor, connected."""
    await go_online(hypervisor)
    return hypervisor


@pytest.fixture
async def machine(hypervisor: Hypervisor, host: FakeHost, xmpp: FakeXmpp) -> VirtualMachine:
    """A managed machine that is off, not connected yet; its owner has all rights."""
    return await manage_machine(hypervisor, host, xmpp)


@pytest.fixture
async def stream(machine: VirtualMachine) -> FakeStream:
    """The stream of the machine, which is online; what it sent for that is forgotten."""
    stream = await go_online(machine)
    stream.sent.clear()
    return stream


async def manage_machine(hypervisor: Hypervisor, host: FakeHost, xmpp: FakeXmpp) -> VirtualMachine:
    """Take in a machine that is off; its owner has all rights on it."""
    record = MachineRecord(uuid=UUID, name="web", password=Secret("machine"), phase=Phase.ACTIVE)
    await hypervisor.services.store.add_machine(record)
    host.add(UUID, "web")
    xmpp.accounts[UUID] = "machine"
    machine = hypervisor.adopt_record(record)
    await hypervisor.services.rights.grant(VM, OWNER.bare, "all", granted_by=HYP)
    return machine


async def go_online(entity: Entity) -> FakeStream:
    """Connect an entity, and return its stream when all that a login begins is done."""
    entity.start()
    async with asyncio.timeout(30):
        await entity.online.wait()
    await finish_work(entity)
    return cast(FakeStream, entity.stream)


async def finish_work(*entities: Entity) -> None:
    """Wait until nothing is under way that the entities began."""
    for entity in entities:
        while entity._tasks:
            await asyncio.wait(set(entity._tasks))


async def ask(entity: Entity, namespace: str, archipel: str, caller: Caller = OWNER) -> ET.Element:
    """Have a command asked for, wait for all that it began, and return the query of its answer, or raise its error."""
    answer = await answer_iq(entity, parse_stanza(command_iq(namespace, archipel, caller)), caller)
    await finish_work(entity)
    if answer.get("type") == "error":
        raise read_error(answer)
    return answer[0]
