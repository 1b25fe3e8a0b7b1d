# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine that moves to another hypervisor, followed to where it is in the end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from archipel.client import migration
from archipel.client.errors import NotOnline, WaitTimedOut
from archipel.client.hypervisor import Hypervisor
from archipel.client.long_work import WorkFailed
from archipel.client.session import Session
from archipel.client.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import CommandError
from tests.unit.client.scripted_stream import HYPERVISOR, HYPERVISOR_FULL, MACHINE, MACHINE_FULL, ScriptedStream, command, error, no_right
from tests.unit.client.test_long_work import push, query, script_events

SECOND = "second@example.org"
THERE = f"{MACHINE}/second"
MIGRATE = command("set", MACHINE_FULL, ns.VM_CONTROL, f"<archipel hypervisorjid='{SECOND}/host2' action='migrate'/>")
AWAY = error("service-unavailable")


def ask_info(jid: str) -> str:
    return command("get", jid, ns.VM_CONTROL, "<archipel action='info'/>")


def info(hypervisor: str) -> str:
    return query(ns.VM_CONTROL, f"<info state='1' maxMem='1' memory='1' nrVirtCpu='1' hypervisor='{hypervisor}' autostart='0'/>")


def presence(text: str) -> str:
    return f"<presence from='{MACHINE_FULL}'><status>{text}</status></presence>"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration, "LOOK_AGAIN", 0.001)


@pytest.fixture
def second(session: Session) -> Hypervisor:
    return session.hypervisor(f"{SECOND}/host2")


@pytest.fixture
def begun(stream: ScriptedStream) -> Callable[..., str]:
    """Script a move that begins with these stanzas; where the machine will be, these answers come. Returns its events node."""

    def script(*stanzas: str, there: tuple[str, ...] = (AWAY,)) -> str:
        stream.answer(ask_info(MACHINE_FULL), info(HYPERVISOR_FULL))
        node = script_events(stream, MACHINE)
        script_events(stream, HYPERVISOR)
        stream.answer(MIGRATE, query(ns.VM_CONTROL))
        stream.answer(ask_info(THERE), *there)

        def deliver(text: str) -> None:
            if "migrate" in text:
                for one in stanzas:
                    stream.deliver_soon(one)

        stream.when_asked = deliver
        return node

    return script


@pytest.mark.parametrize("answer", [info(f"{SECOND}/host2"), no_right("info")])
async def test_it_has_moved_when_it_answers_at_the_other_hypervisor(
    machine: VirtualMachine, second: Hypervisor, begun: Callable[..., str], answer: str
) -> None:
    told: list[str] = []
    begun(presence("Migrating - 0%"), presence("Migrating - 42%"), there=(AWAY, AWAY, AWAY, AWAY, answer))
    assert await machine.migration.begin(second, wait=30, tell=told.append) == THERE
    assert told == ["Migrating - 0%", "Migrating - 42%"]


async def test_who_does_not_wait_is_told_where_it_will_be(machine: VirtualMachine, second: Hypervisor, stream: ScriptedStream) -> None:
    stream.answer(MIGRATE, query(ns.VM_CONTROL))
    assert await machine.migration.begin(second) == THERE


async def test_why_it_stays_is_what_its_hypervisor_says(machine: VirtualMachine, second: Hypervisor, begun: Callable[..., str]) -> None:
    machine.name = "web"
    said = "<message type='headline' from='{}'><body>The machine {} that alice wanted on second stays: {}</body></message>"
    node = f"/archipel/{MACHINE}/events"
    begun(
        said.format(HYPERVISOR_FULL, "web", "no certificates"), said.format(HYPERVISOR_FULL, "db", "no network"), push(node, "migrateerror")
    )
    with pytest.raises(WorkFailed, match="stays where it is: no certificates"):
        await machine.migration.begin(second, wait=30)


@pytest.mark.parametrize("shown", ["Can't migrate.", "Migration aborted"])
async def test_what_it_shows_afterwards_is_enough(
    machine: VirtualMachine, second: Hypervisor, begun: Callable[..., str], shown: str
) -> None:
    begun(presence("Migrating - 3%"), presence(shown))
    with pytest.raises(WorkFailed, match="headlines and its log say why"):
        await machine.migration.begin(second, wait=30)


async def test_what_it_shows_of_an_attempt_before_is_no_failure(
    machine: VirtualMachine, second: Hypervisor, begun: Callable[..., str]
) -> None:
    begun(presence("Can't migrate."), there=(AWAY, AWAY, AWAY, info(f"{SECOND}/host2")))
    assert await machine.migration.begin(second, wait=30) == THERE


async def test_who_waits_in_vain_is_told_that_it_goes_on(machine: VirtualMachine, second: Hypervisor, begun: Callable[..., str]) -> None:
    begun()
    with pytest.raises(WaitTimedOut, match=f"{MACHINE}: not at {SECOND} within 0.05 s; it goes on"):
        await machine.migration.begin(second, wait=0.05)


async def test_a_refusal_is_one_at_once(
    machine: VirtualMachine, second: Hypervisor, begun: Callable[..., str], stream: ScriptedStream
) -> None:
    begun()
    stream.replace(MIGRATE, no_right("migrate"))
    with pytest.raises(CommandError, match="You lack the right migrate"):
        await machine.migration.begin(second, wait=30)


async def test_a_hypervisor_that_is_not_there_is_told(machine: VirtualMachine, second: Hypervisor, stream: ScriptedStream) -> None:
    stream.answer(MIGRATE, AWAY)
    with pytest.raises(NotOnline):
        await machine.migration.begin(second)


async def test_a_machine_is_asked_to_stay(machine: VirtualMachine, stream: ScriptedStream) -> None:
    asked = command("set", MACHINE_FULL, "archipel:vm:migration", "<archipel action='cancel'/>")
    stream.answer(asked, query("archipel:vm:migration"))
    await machine.migration.cancel()
    assert len(stream.asked) == 1
