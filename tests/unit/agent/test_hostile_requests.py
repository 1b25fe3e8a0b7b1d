# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every action of both kinds of entities, asked with hostile arguments: one answer each, and nothing touched that is not the agent's."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archipel.agent import entity as entity_module
from archipel.agent.dispatch import Caller, Registry, answer_iq
from archipel.agent.entity import Entity
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import Condition, read_error
from archipel.protocol.rights import EntityKind, TokenCatalogue
from archipel.xmpp.serial import serialize
from tests.unit.agent.conftest import finish_work, manage_machine, open_services
from tests.unit.agent.fake_xmpp import FakeXmpp, parse_stanza
from tests.unit.agent.fakes import (
    HYP,
    OTHER_UUID,
    OWNER,
    STRANGER,
    STUDENT,
    UUID,
    VM,
    Calendar,
    FakeAudit,
    FakeDomain,
    FakeHost,
    FakeLibvirt,
    domain_xml,
    failure,
    make_settings,
)
from tests.unit.agent.hostile_requests import requests
from tests.wire.action import HYPERVISOR, Action
from tests.wire.actions import ACTIONS

ROWS = [pytest.param(row, id=str(row)) for row in ACTIONS]
WORDS = {
    "jid": VM,
    "full": f"{VM}/hyp",
    "uuid": UUID,
    "other": f"{OTHER_UUID}@lab.example",
    "person": "student@lab.example",
    "host": f"{HYP}/host1",
    "pools": "/nowhere/pools",
    "definition": domain_xml(),
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
CHANGING = {"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.chmod", "os.chown", "os.truncate"}
PROGRAMS = {"setpriv", "prlimit", "ovs-vsctl"}  # the last where the host has it, to ask for its bridges
LARGEST_ANSWER = 150_000
NOTES = Path.cwd() / ".hypothesis"  # hypothesis's own, written when it first runs in a checkout
EXAMPLES = int(os.environ.get("ARCHIPEL_HOSTILE_EXAMPLES", "3"))  # of each action of each kind of entity; hundreds: make test-hostile
FORBIDDEN = -1


class Watch:
    """What this process does to files, programs and the net, as Python's own audit events tell; asked for in one place at a time."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.wrong: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.folder is None:
            return
        if (event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING) or event in CHANGING:
            self._check_place(event, arguments[0])
        elif event in {"subprocess.Popen", "os.exec", "os.posix_spawn"} and Path(os.fsdecode(arguments[0])).name not in PROGRAMS:
            self.wrong.append(f"{event} {arguments[0]!r}")
        elif event == "socket.connect" and arguments[0].family != socket.AF_UNIX:
            self.wrong.append(f"{event} {arguments[1]!r}")

    def _check_place(self, event: str, place: object) -> None:
        if isinstance(place, str | bytes | os.PathLike) and self.folder is not None:
            path = os.path.realpath(os.fsdecode(place))
            if path != os.devnull and not any(Path(path).is_relative_to(folder) for folder in (self.folder, NOTES.resolve())):
                self.wrong.append(f"{event} {path}")


_watch: list[Watch] = []


@pytest.fixture
def watch(agent_folder: Path) -> Iterator[Watch]:
    """Whoever changes what does not lie in the agent's folder, starts a program or connects to somebody, is noted."""
    if not _watch:
        _watch.append(Watch())  # a hook stays for good
    watch = _watch[0]
    watch.wrong.clear()
    watch.folder = agent_folder.resolve()
    yield watch
    watch.folder = None


class Refusing:
    """Refuses, as libvirt does, whatever is asked that the fakes do not know."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)

        async def refuse(*_arguments: object, **_options: object) -> None:
            raise failure(f"{name} is refused")

        return refuse


class RefusingDomain(FakeDomain, Refusing):
    pass


class RefusingNetworks(Refusing):
    def __init__(self) -> None:
        self.changing = asyncio.Lock()


class RefusingHost(FakeHost, Refusing):
    def __init__(self) -> None:
        super().__init__()
        self.networks = RefusingNetworks()

    def domain(self, uuid: str) -> FakeDomain:
        return self.known.setdefault(uuid, RefusingDomain(uuid))


class RefusingLibvirt(FakeLibvirt, Refusing):
    pass


def test_every_action_has_a_row_to_begin_with(capabilities: tuple[TokenCatalogue, Registry]) -> None:
    kinds = (EntityKind.HYPERVISOR, EntityKind.VIRTUAL_MACHINE)
    known = {(kind.value, one.request.namespace, one.request.action) for kind in kinds for one in capabilities[1].commands(kind)}
    assert known <= {row.key for row in ACTIONS}


@dataclass
class House:
    """An agent that nobody has asked yet: its hypervisor, a machine, what libvirt has."""

    hypervisor: Hypervisor
    machine: VirtualMachine
    host: FakeHost


OpenHouse = Callable[[], AbstractAsyncContextManager[House]]


@pytest.fixture
def open_house(
    agent_folder: Path, empty_database: Path, capabilities: tuple[TokenCatalogue, Registry], monkeypatch: pytest.MonkeyPatch
) -> OpenHouse:
    """Makes another agent, in a folder of its own, for each example: none finds what the one before made of it."""

    @contextlib.asynccontextmanager
    async def open_one() -> AsyncIterator[House]:
        xmpp, host = FakeXmpp(), RefusingHost()
        monkeypatch.setattr(entity_module, "Stream", xmpp.open_stream)
        folder = Path(tempfile.mkdtemp(dir=agent_folder))
        parts = make_settings(folder), empty_database, capabilities, RefusingLibvirt(), host, FakeAudit(), Calendar()
        async with open_services(*parts) as services:
            hypervisor = Hypervisor(services)
            yield House(hypervisor, await manage_machine(hypervisor, host, xmpp), host)
            for entity in (*hypervisor.machines.values(), hypervisor):
                await entity.close()

    return open_one


async def draw_caller(data: st.DataObject, entity: Entity, right: str | None) -> tuple[Caller, bool]:
    """Return who asks, and whether he may: the owner of all, somebody with some rights, perhaps with the one that is needed, or nobody."""
    rights = entity.services.rights
    caller = data.draw(st.sampled_from([OWNER, OWNER, STUDENT, STUDENT, STRANGER]))
    if caller is OWNER:
        await rights.grant(entity.bare, OWNER.bare, "all", granted_by=HYP)
        return caller, True
    if caller is STRANGER:
        return caller, False
    names = sorted({token.name for token in rights.catalogue.tokens(entity.kind)} - {"all", "domain_policy_bypass"})
    held = {"message", *data.draw(st.sets(st.sampled_from(names), max_size=5))} | ({right} if right and data.draw(st.booleans()) else set())
    await rights.grant(entity.bare, STUDENT.bare, *held, granted_by=HYP)
    return caller, right is None or right in held


@pytest.mark.parametrize("row", ROWS)
@settings(max_examples=EXAMPLES, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
async def test_hostile_arguments_get_one_answer_and_reach_nothing(
    open_house: OpenHouse, watch: Watch, caplog: pytest.LogCaptureFixture, row: Action, data: st.DataObject
) -> None:
    """Asked by anybody, but nobody who may pass the domain policy; who lacks the right is refused before his arguments are looked at."""
    caplog.clear()
    async with open_house() as house:
        entity: Entity = house.hypervisor if row.kind == HYPERVISOR else house.machine
        caller, may = await draw_caller(data, entity, row.right)
        before = {uuid: domain.stored for uuid, domain in house.host.known.items()}
        iq = parse_stanza(f"<iq type='set' id='1' from='{caller.full}' to='{entity.full}'><query xmlns='{row.namespace}'/></iq>")
        iq[0].append(data.draw(requests(row, WORDS)))
        answer = await answer_iq(entity, iq, caller)
        await finish_work(entity)
        check_answer(answer, caller)
        if not may:
            assert (read_error(answer).code, read_error(answer).condition) == (FORBIDDEN, Condition.FORBIDDEN)
            assert {uuid: domain.stored for uuid, domain in house.host.known.items()} == before
    assert watch.wrong == []
    assert [record.getMessage() for record in caplog.records if record.exc_info or record.levelno >= logging.CRITICAL] == []


def check_answer(answer: ET.Element, caller: Caller) -> None:
    """One answer to who asked, of a size that the server lets through; an error with number and condition."""
    assert (answer.get("id"), answer.get("to"), answer.get("type") in {"result", "error"}) == ("1", caller.full, True)
    assert len(serialize(answer).encode()) < LARGEST_ANSWER
    if answer.get("type") == "error":
        assert read_error(answer).condition in Condition
        assert read_error(answer).code is not None
