# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What capabilities do of their own accord: at each occasion, and without harm to anything else."""

from __future__ import annotations

import dataclasses
from types import ModuleType

import pytest

from archipel.agent import hooks
from archipel.agent.dispatch import Registry
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.removal import remove_record
from archipel.agent.store import StoreError
from archipel.agent.virt.lifecycle import DomainEvent, LifecycleEvent
from archipel.agent.virtual_machine import VirtualMachine
from tests.unit.agent.conftest import finish_work, go_online
from tests.unit.agent.fakes import UUID


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
