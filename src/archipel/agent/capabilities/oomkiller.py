# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How likely the kernel ends a machine when its host runs out of memory (namespace ``archipel:vm:oom``)."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from archipel.agent.dispatch import Caller, Chat, command
from archipel.agent.hooks import after_event, in_background, when_arrived
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.oom_setting import read_setting, write_setting
from archipel.agent.virt.errors import DomainNotFound, VirtError
from archipel.agent.virt.lifecycle import DomainEvent, LifecycleEvent
from archipel.agent.virt.oom_adjustment import AdjustmentRefused, OomQuestion, OomState, settle
from archipel.agent.virt.qemu_process import ProcessNotFound
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import oom as wire
from archipel.protocol.errors import CommandError, Condition
from archipel.protocol.rights import ON_VIRTUAL_MACHINE, EntityKind, Token

log = logging.getLogger(__name__)

TOKENS = (
    Token("oom_getadjust", "See how likely the kernel ends the virtual machine when memory runs out", ON_VIRTUAL_MACHINE),
    Token("oom_setadjust", "Change how likely the kernel ends the virtual machine when memory runs out", ON_VIRTUAL_MACHINE),
)
VM = EntityKind.VIRTUAL_MACHINE
QEMU: Final = "QEMU"  # the driver whose machines are processes of this host


def _say(found: wire.Oom) -> str:
    score = f" My score is {found.score} now." if found.score else ""
    return f"oom_score_adj is {found.kernel}, on the older scale {found.adjust}.{score}"


@command(wire.GetAdjust, on=VM, right="oom_getadjust", failure=wire.FAILURE, chat=Chat(("oom", "oom getadjust"), _say))
async def get_adjust(vm: VirtualMachine, _request: wire.GetAdjust, _caller: Caller) -> wire.Oom:
    """How likely the kernel ends this machine when memory runs out."""
    if await _runs(vm):
        found = await _at_process(vm)
        adjust, score = found.adjust, found.score
    else:
        adjust, score = await _kept(vm) or 0, 0
    return wire.Oom(adjust=wire.from_kernel(adjust), score=score, kernel=adjust)


@command(
    wire.SetAdjust,
    on=VM,
    right="oom_setadjust",
    failure=wire.FAILURE,
    chat=Chat(("oom adjust {adjust}", "oom setadjust {adjust}", "oom kernel {kernel}"), lambda _: "Done."),
)
async def set_adjust(vm: VirtualMachine, request: wire.SetAdjust, _caller: Caller) -> None:
    """Adjust how likely the kernel ends this machine, now and at each start."""
    wanted = request.score_adj
    async with vm.changing:
        runs = await _runs(vm)
        if runs:
            _refuse_without_process(vm)
        await _keep(vm, wanted)
        for topic in wire.TOPICS:
            vm.push(topic, wire.OomChange.ADJUSTED)
        if runs:
            await _put_in_force(vm, wanted)


async def _put_in_force(vm: VirtualMachine, wanted: int) -> None:
    """Give the process what is kept; where that fails it is kept for the next start, and that is said."""
    try:
        await _at_process(vm, wanted)
    except CommandError as error:
        text = f"kept for the next start of {vm.name}, and not in force: {error}"
        raise CommandError(text, condition=error.condition) from error


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
            await _at_process(vm, wanted)
    except (CommandError, VirtError) as error:
        log.error("%s: the kernel's choice when memory runs out is not adjusted: %s", vm.bare, error)


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


def _refuse_without_process(vm: VirtualMachine) -> None:
    driver = vm.services.driver
    if driver != QEMU:
        text = (
            f"{vm.name} runs under libvirt's driver {driver}, which gives it no process of its own; switch it off to set what counts later"
        )
        raise CommandError(text, condition=Condition.FEATURE_NOT_IMPLEMENTED)


async def _at_process(vm: VirtualMachine, wanted: int | None = None) -> OomState:
    """Read what the kernel has of a machine that runs, adjusted before if a value is given."""
    _refuse_without_process(vm)
    try:
        return await settle(OomQuestion(vm.uuid, await vm.domain.name(), wanted))
    except ProcessNotFound as error:
        raise CommandError(f"the process of {vm.name} is not found: {error}", condition=Condition.ITEM_NOT_FOUND) from error
    except AdjustmentRefused as error:
        raise CommandError(f"the process of {vm.name} may not be adjusted: {error}", condition=Condition.NOT_ALLOWED) from error
    except OSError as error:  # a time-out has no text
        text = f"the process of {vm.name} cannot be adjusted: {str(error) or 'archipel-oom.socket does not answer'}"
        raise CommandError(text, condition=Condition.INTERNAL_SERVER_ERROR) from error
