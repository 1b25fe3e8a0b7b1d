# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An entity that asks back: for what a command lacks, and whether somebody means what destroys."""

from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archipel.agent.capabilities import control
from archipel.agent.chat import reply
from archipel.agent.dialogues import MOST, MOST_TRIES, PATIENCE, Dialogue, Dialogues
from archipel.agent.dispatch import Caller, Chat, Registry, command
from archipel.agent.virt.lifecycle import DomainState
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.payload import Request, at_least, attribute, payload
from archipel.protocol.rights import EntityKind
from tests.unit.agent.fakes import OWNER, STUDENT, UUID, VM, FakeAudit, FakeHost
from tests.unit.protocol.hostile import TEXTS

NO_SENSE = "I do not understand. Say help to see what I can do for you."
SURE = "Say yes if you mean it. (Or say cancel.)"


@payload
class MakeDrive(Request[None], namespace="archipel:test:drives", action="create"):
    name: str = attribute()
    size: int = attribute(at_least(1))
    kind: str = attribute(name="format")


@payload
class MakeSized(Request[None], namespace="archipel:test:drives", action="size"):
    size: int = attribute(at_least(1))
    unit: str = attribute()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def made() -> list[MakeDrive]:
    return []


@pytest.fixture
def sized() -> list[MakeSized]:
    return []


@pytest.fixture
async def vm(machine: VirtualMachine, clock: Clock, made: list[MakeDrive], sized: list[MakeSized]) -> VirtualMachine:
    """The machine, with a command that needs three values; the student may talk and start, no more."""

    @command(
        MakeDrive,
        on=EntityKind.VIRTUAL_MACHINE,
        right="create",
        failure=-1,
        chat=Chat(
            ("create a drive {name} {size} {format}",), lambda _: "Made.", questions={"size": "What size?", "format": "Which format?"}
        ),
    )
    async def make_drive(_vm: VirtualMachine, request: MakeDrive, _caller: Caller) -> None:
        """Make a drive."""
        made.append(request)

    @command(
        MakeSized,
        on=EntityKind.VIRTUAL_MACHINE,
        right="create",
        failure=-1,
        chat=Chat(("create a sized drive {size} {unit}",), lambda _: "Made."),
    )
    async def make_sized(_vm: VirtualMachine, request: MakeSized, _caller: Caller) -> None:
        """Make a drive of a size."""
        sized.append(request)

    drives, registry = ModuleType("drives"), Registry()
    drives.make_drive, drives.make_sized = make_drive, make_sized
    for module in (drives, control):
        registry.add(module)
    machine.services.registry = registry
    machine.dialogues = Dialogues(clock)
    for right in ("message", "create"):
        await machine.services.rights.grant(VM, STUDENT.bare, right, granted_by=OWNER.bare)
    return machine


async def talk(vm: VirtualMachine, *said: str, caller: Caller = OWNER) -> list[str]:
    return [await reply(vm, body, caller) for body in said]


# -- what is missing ----------------------------------------------------------------------------------------------------


async def test_what_a_phrase_lacks_is_asked_for_value_by_value(vm: VirtualMachine, made: list[MakeDrive], audit: FakeAudit) -> None:
    answers = await talk(vm, "Create a drive", "data", "10", "qcow2")
    assert answers == ["Which name? (Or say cancel.)", "What size? (Or say cancel.)", "Which format? (Or say cancel.)", "Made."]
    assert made == [MakeDrive(name="data", size=10, kind="qcow2")]
    assert [entry["phrase"] for entry in audit.entries] == ["Create a drive data 10 qcow2"]


@pytest.mark.parametrize("said,size,unit", [("10G", 10, "G"), ("500 m", 500, "M"), ("7GB", 7, "G")])
async def test_a_size_may_be_said_with_its_unit(vm: VirtualMachine, sized: list[MakeSized], said: str, size: int, unit: str) -> None:
    assert await talk(vm, "create a sized drive", said) == ["Which size? (Or say cancel.)", "Made."]
    assert sized == [MakeSized(size=size, unit=unit)]


async def test_what_was_said_at_once_is_not_asked_for(vm: VirtualMachine, made: list[MakeDrive]) -> None:
    assert await talk(vm, "create a drive data 10", "raw") == ["Which format? (Or say cancel.)", "Made."]
    assert await talk(vm, "create a drive more 1 raw") == ["Made."]
    assert [drive.name for drive in made] == ["data", "more"]


async def test_a_wrong_value_is_asked_for_again_and_not_for_ever(vm: VirtualMachine, made: list[MakeDrive]) -> None:
    await talk(vm, "create a drive data")
    wrong = "size: must be a whole number, not 'big'."
    assert await talk(vm, *["big"] * MOST_TRIES) == [f"{wrong} What size? (Or say cancel.)"] * (MOST_TRIES - 1) + [
        f"{wrong} I forget what you asked for."
    ]
    assert await talk(vm, "10") == [NO_SENSE]
    assert made == []


@pytest.mark.parametrize("word", ["cancel", "Cancel!", "never mind", "forget it"])
async def test_a_dialogue_can_be_cancelled(vm: VirtualMachine, made: list[MakeDrive], word: str) -> None:
    assert await talk(vm, "create a drive", word, "data") == ["Which name? (Or say cancel.)", "All right, I forget it.", NO_SENSE]
    assert made == []


async def test_a_question_waits_only_for_a_while(vm: VirtualMachine, clock: Clock) -> None:
    await talk(vm, "memory")
    clock.now = PATIENCE + 1
    assert await talk(vm, "40000") == [NO_SENSE]


async def test_help_repeats_the_question(vm: VirtualMachine) -> None:
    question = "How much memory, in KiB? (Or say cancel.)"
    assert await talk(vm, "memory", "help") == [question, question]


async def test_a_person_may_go_on_from_another_client(vm: VirtualMachine) -> None:
    """The command line is a new one each time."""
    other = Caller(f"{OWNER.bare}/phone", OWNER.bare)
    await talk(vm, "memory")
    assert await talk(vm, "40000", caller=other) == ["Done."]


async def test_each_person_has_a_dialogue_of_his_own(vm: VirtualMachine) -> None:
    await talk(vm, "memory")
    assert await talk(vm, "40000", caller=STUDENT) == [NO_SENSE]
    assert await talk(vm, "40000") == ["Done."]


async def test_who_may_not_is_told_before_he_is_asked(vm: VirtualMachine, audit: FakeAudit) -> None:
    (answer,) = await talk(vm, "memory", caller=STUDENT)
    assert "lacks the right 'memory'" in answer
    assert [entry["outcome"].partition(":")[0] for entry in audit.entries] == ["error"]


async def test_a_right_that_is_lost_meanwhile_counts(vm: VirtualMachine, made: list[MakeDrive]) -> None:
    await talk(vm, "create a drive data 10", caller=STUDENT)
    await vm.services.rights.revoke(VM, STUDENT.bare, "create")
    (answer,) = await talk(vm, "raw", caller=STUDENT)
    assert "lacks the right 'create'" in answer
    assert made == []


# -- what destroys ------------------------------------------------------------------------------------------------------


@pytest.fixture
def running(host: FakeHost) -> FakeHost:
    host.domain(UUID).state_now = DomainState.RUNNING
    return host


async def test_what_destroys_is_done_when_its_asker_means_it(vm: VirtualMachine, running: FakeHost) -> None:
    question, done = await talk(vm, "destroy", "Yes!")
    assert question == f"This switches me off as by pulling the plug: what my guest has not saved is lost. {SURE}"
    assert done == "I am off."
    assert running.domain(UUID).state_now is DomainState.SHUTOFF


@pytest.mark.parametrize("said,answer", [("no", "All right, I leave it."), ("cancel", "All right, I forget it."), ("what?", NO_SENSE)])
async def test_what_destroys_is_not_done_without_a_yes(vm: VirtualMachine, running: FakeHost, said: str, answer: str) -> None:
    assert (await talk(vm, "destroy", said, "yes"))[1:] == [answer, NO_SENSE]
    assert running.domain(UUID).state_now is DomainState.RUNNING


async def test_another_command_instead_of_a_yes_is_obeyed(vm: VirtualMachine, running: FakeHost) -> None:
    assert await talk(vm, "destroy", "memory 40000", "yes") == [
        f"This switches me off as by pulling the plug: what my guest has not saved is lost. {SURE}",
        "Done.",
        NO_SENSE,
    ]
    assert running.domain(UUID).state_now is DomainState.RUNNING


async def test_somebody_elses_yes_means_nothing(vm: VirtualMachine, running: FakeHost) -> None:
    await talk(vm, "destroy")
    assert await talk(vm, "yes", caller=STUDENT) == [NO_SENSE]
    assert running.domain(UUID).state_now is DomainState.RUNNING


async def test_a_yes_that_nobody_asked_for_means_nothing(vm: VirtualMachine) -> None:
    assert await talk(vm, "yes") == [NO_SENSE]


# -- hostile --------------------------------------------------------------------------------------------------------------


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(TEXTS, st.sampled_from(["create a drive", "destroy", "10", "memory"])), max_size=6))
async def test_whatever_is_said_there_is_an_answer_and_nothing_is_destroyed(vm: VirtualMachine, host: FakeHost, said: list[str]) -> None:
    host.domain(UUID).state_now = DomainState.RUNNING
    for body in said:
        if body.strip().lower().rstrip("?!. ") not in {"yes", "y", "sure", "oui", "i do", "yes please"}:
            assert await reply(vm, body, OWNER)
    assert host.domain(UUID).state_now is DomainState.RUNNING


def test_no_crowd_makes_an_entity_remember_more_than_it_should(clock: Clock, vm: VirtualMachine) -> None:
    dialogues, found = Dialogues(clock), next(iter(vm.services.registry.commands(EntityKind.VIRTUAL_MACHINE)))
    for number in range(MOST + 10):
        dialogues.keep(f"eve@lab.example/{number}", Dialogue(found, {}))
    assert dialogues.take("eve@lab.example/0") is None
    assert dialogues.take(f"eve@lab.example/{MOST + 9}") is not None
    assert len(dialogues._open) == MOST - 1
