# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How likely the kernel ends a machine when its host runs out of memory (namespace ``archipel:vm:oom``)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, TypeVar

from archipel.agent.dispatch import Caller, command
from archipel.agent.hooks import after_event, in_background, when_arrived
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.oom_setting import read_setting, write_setting
from archipel.agent.virt.errors import DomainNotFound, VirtError
from archipel.agent.virt.lifecycle import DomainEvent, LifecycleEvent
from archipel.agent.virt.qemu_process import ProcessNotFound, QemuProcess
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import oom as wire
from archipel.protocol.errors import CommandError, Condition
from archipel.protocol.rights import ON_VIRTUAL_MACHINE, EntityKind, Token

log = logging.getLogger(__name__)
T = TypeVar("T")

TOKENS = (
    Token("oom_getadjust", "See how likely the kernel ends the virtual machine when memory runs out", ON_VIRTUAL_MACHINE),
    Token("oom_setadjust", "Change how likely the kernel ends the virtual machine when memory runs out", ON_VIRTUAL_MACHINE),
)
VM = EntityKind.VIRTUAL_MACHINE
QEMU: Final = "QEMU"  # the driver whose machines are processes of this host


@command(wire.GetAdjust, on=VM, right="oom_getadjust", failure=wire.FAILURE)
async def get_adjust(vm: VirtualMachine, _request: wire.GetAdjust, _caller: Caller) -> wire.Oom:
    """How likely the kernel ends this machine when memory runs out."""
    if await _runs(vm):
        adjust, score = await _at_process(vm, lambda process: (process.oom_score_adj, process.oom_score))
    else:
        adjust, score = await _kept(vm) or 0, 0
    return wire.Oom(adjust=wire.from_kernel(adjust), score=score, kernel=adjust)


@command(wire.SetAdjust, on=VM, right="oom_setadjust", failure=wire.FAILURE)
async def set_adjust(vm: VirtualMachine, request: wire.SetAdjust, _caller: Caller) -> None:
    """Adjust how likely the kernel ends this machine, now and at each start."""
    wanted = wire.to_kernel(request.adjust)
    async with vm.changing:
        before = await _kept(vm)
        await _keep(vm, wanted)
        try:
            if await _runs(vm):
                await _at_process(vm, lambda process: _adjust(process, wanted))
        except (CommandError, VirtError):
            await _keep(vm, before)
            raise
    for topic in wire.TOPICS:
        vm.push(topic, wire.OomChange.ADJUSTED)


@after_event
async def adjust_after_start(vm: VirtualMachine, event: DomainEvent) -> None:
    """Give a machine that was started what is kept for it."""
    if event.event is LifecycleEvent.STARTED:
        await apply(vm)


@in_background
async def adjust_all(hypervisor: Hypervisor) -> None:
    """Give machines that were started while no agent ran what is kept for them."""
    await hypervisor.services.libvirt.wait_connected(None)
    for machine in list(hypervisor.machines.values()):
        await apply(machine)


@when_arrived
async def adjust_arrived(vm: VirtualMachine) -> None:
    """Give a machine that came from another host, running, what is kept for it."""
    await apply(vm)


async def apply(vm: VirtualMachine) -> None:
    """Give a machine's process what is kept for it, if anything is and it runs; trouble is for the log."""
    try:
        wanted = await _kept(vm)
        if wanted is not None and await _runs(vm):
            await _at_process(vm, lambda process: _adjust(process, wanted))
    except (CommandError, VirtError) as error:
        log.error("%s: the kernel's choice when memory runs out is not adjusted: %s", vm.bare, error)


def _adjust(process: QemuProcess, wanted: int) -> None:
    """Set a value; what is the same is not set again, which would take a right of the kernel's."""
    if process.oom_score_adj != wanted:
        process.oom_score_adj = wanted


async def _runs(vm: VirtualMachine) -> bool:
    try:
        return await vm.domain.is_active()
    except DomainNotFound:
        return False


async def _kept(vm: VirtualMachine) -> int | None:
    try:
        return await asyncio.to_thread(read_setting, vm.folder)
    except OSError as error:
        raise CommandError(f"the value that is kept cannot be read: {error}", condition=Condition.INTERNAL_SERVER_ERROR) from error


async def _keep(vm: VirtualMachine, score_adj: int | None) -> None:
    try:
        await asyncio.to_thread(write_setting, vm.folder, score_adj)
    except OSError as error:
        raise CommandError(f"the value cannot be kept: {error}", condition=Condition.INTERNAL_SERVER_ERROR) from error


async def _at_process(vm: VirtualMachine, work: Callable[[QemuProcess], T]) -> T:
    """Do something with the process of a machine that runs."""
    driver = vm.services.driver
    if driver != QEMU:
        text = (
            f"{vm.name} runs under libvirt's driver {driver}, which gives it no process of its own; switch it off to set what counts later"
        )
        raise CommandError(text, condition=Condition.FEATURE_NOT_IMPLEMENTED)
    name = await vm.domain.name()
    try:
        return await asyncio.to_thread(_visit, vm.uuid, name, work)
    except ProcessNotFound as error:
        raise CommandError(f"the process of {vm.name} is not found: {error}", condition=Condition.ITEM_NOT_FOUND) from error
    except PermissionError as error:
        text = f"the kernel does not let this agent adjust {vm.name} ({error.strerror}): it takes root with CAP_SYS_RESOURCE"
        raise CommandError(text, condition=Condition.NOT_ALLOWED) from error
    except OSError as error:
        raise CommandError(f"the process of {vm.name} cannot be adjusted: {error}", condition=Condition.INTERNAL_SERVER_ERROR) from error


def _visit(uuid: str, name: str, work: Callable[[QemuProcess], T]) -> T:
    with QemuProcess.open(uuid, name) as process:
        return work(process)
