# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What capabilities do of their own accord: at each occasion, and without harm to anything else."""

from __future__ import annotations

import dataclasses
from types import ModuleType
from xml.etree import ElementTree as ET

import pytest

from archipel.agent import hooks
from archipel.agent.capabilities import control
from archipel.agent.dispatch import Registry
from archipel.agent.entity import Entity
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.removal import remove_record
from archipel.agent.store import StoreError
from archipel.agent.virt.lifecycle import DomainEvent, LifecycleEvent
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import CommandError
from tests.unit.agent.conftest import ask, finish_work, go_online
from tests.unit.agent.fake_xmpp import FakeXmpp
from tests.unit.agent.fakes import OWNER, STRANGER, UUID

CONTROL = "archipel:vm:control"


class Capability(ModuleType):
    """A module that notes what it was called for; ``trouble`` is raised at each occasion."""

    def __init__(self) -> None:
        super().__init__("somebody_elses")
        self.called: list[object] = []
        self.trouble: Exception | None = None

        async def note(*arguments: object) -> None:
            self.called.append(arguments[-1])
            if self.trouble is not None:
                raise self.trouble

        @hooks.in_background
        async def run(hypervisor: Hypervisor) -> None:
            await note(hypervisor)

        @hooks.after_event
        async def follow(machine: VirtualMachine, event: DomainEvent) -> None:
            await note(machine, event)

        @hooks.when_leaving
        async def forget(machine: VirtualMachine) -> None:
            await note(machine)

        self.run, self.follow, self.forget, self.again = run, follow, forget, forget


@pytest.fixture
def capability(hypervisor: Hypervisor) -> Capability:
    capability, registry = Capability(), Registry()
    registry.add(capability)
    hypervisor.services = dataclasses.replace(hypervisor.services, registry=registry)
    return capability


@pytest.fixture
def vm(machine: VirtualMachine, hypervisor: Hypervisor, capability: Capability) -> VirtualMachine:
    machine.services = hypervisor.services
    return machine


EVENT = DomainEvent(uuid=UUID, name="web1", event=LifecycleEvent.STARTED, detail=0)


async def test_what_runs_in_the_background_gets_the_hypervisor(hypervisor: Hypervisor, capability: Capability) -> None:
    for work in hypervisor.services.registry.hooks.background(hypervisor):
        await work
    assert capability.called == [hypervisor]


async def test_an_event_of_a_domain_is_handed_on_after_it_was_shown(vm: VirtualMachine, capability: Capability) -> None:
    await go_online(vm)
    vm.take_event(EVENT)
    await finish_work(vm)
    assert capability.called == [EVENT]


async def test_a_machine_that_leaves_is_announced_once_before_its_record_goes(vm: VirtualMachine, capability: Capability) -> None:
    await remove_record(vm)
    assert capability.called == [vm]
    assert await vm.services.store.machine(vm.uuid) is None


async def test_a_fault_of_a_capability_keeps_nobody_from_leaving(
    vm: VirtualMachine, capability: Capability, caplog: pytest.LogCaptureFixture
) -> None:
    capability.trouble = ZeroDivisionError("theirs")
    await remove_record(vm)
    assert await vm.services.store.machine(vm.uuid) is None
    assert "forget failed" in caplog.text


async def test_what_could_not_be_stored_keeps_the_record_so_that_it_is_tried_again(vm: VirtualMachine, capability: Capability) -> None:
    capability.trouble = StoreError("disk full")
    with pytest.raises(StoreError):
        await remove_record(vm)
    assert await vm.services.store.machine(vm.uuid) is not None


class Listener(ModuleType):
    """A module that notes commands, pushes and shouts; ``tells``: it tells the shouts itself."""

    def __init__(self, *, tells: bool = False, broken: bool = False) -> None:
        super().__init__("somebody_elses")
        self.noted: list[tuple[object, ...]] = []

        def note(*what: object) -> bool:
            self.noted.append(what)
            if broken:
                raise ZeroDivisionError("theirs")
            return tells

        @hooks.after_command
        def note_answer(answered: hooks.Answered) -> None:
            note(answered.action, answered.caller.bare, str(answered.result), answered.stranger)

        @hooks.after_push
        def note_push(entity: Entity, topic: str, change: str, details: tuple[ET.Element, ...]) -> None:
            note(entity.name, topic, change, len(details))

        @hooks.instead_of_shout
        def note_shout(entity: Entity, text: str) -> bool:
            return note(entity.name, text)

        self.note_answer, self.note_push, self.note_shout = note_answer, note_push, note_shout


def listen(vm: VirtualMachine, listener: Listener) -> None:
    registry = Registry()
    registry.add(control)
    registry.add(listener)
    vm.services = dataclasses.replace(vm.services, registry=registry)


async def test_commands_that_change_or_fail_are_noted_and_questions_are_not(machine: VirtualMachine) -> None:
    listen(machine, listener := Listener())
    await ask(machine, CONTROL, "<archipel action='info'/>", OWNER)
    await ask(machine, CONTROL, "<archipel action='autostart' value='1'/>", OWNER)
    for caller in (STRANGER, OWNER):
        with pytest.raises(CommandError):
            await ask(machine, CONTROL, "<archipel action='memory' value='x'/>", caller)
    assert listener.noted == [
        ("autostart", OWNER.bare, "ok", False),
        ("memory", STRANGER.bare, "refused", True),
        ("memory", OWNER.bare, "malformed", False),
    ]


async def test_pushes_and_shouts_are_noted(machine: VirtualMachine, xmpp: FakeXmpp) -> None:
    xmpp.rosters[machine.bare] = {OWNER.bare: "both"}
    listen(machine, listener := Listener(tells=True))
    stream = await go_online(machine)
    machine.push("example", "changed", ET.Element("x"))
    machine.shout("news")
    assert listener.noted == [("web", "example", "changed", 1), ("web", "news")]
    assert stream.took("news") == []


async def test_a_fault_of_who_notes_touches_nothing(machine: VirtualMachine, xmpp: FakeXmpp, caplog: pytest.LogCaptureFixture) -> None:
    xmpp.rosters[machine.bare] = {OWNER.bare: "both"}
    listen(machine, Listener(broken=True))
    stream = await go_online(machine)
    await ask(machine, CONTROL, "<archipel action='autostart' value='1'/>", OWNER)
    machine.push("example", "changed")
    machine.shout("news")
    await finish_work(machine)
    assert stream.took("headline", "news")
    assert ("example", "changed") in xmpp.pushes(machine.bare)
    assert caplog.text.count("failed") >= 3
