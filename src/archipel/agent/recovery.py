# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a crash, or a time without libvirt, server or room on the disk: what was begun is undone or finished.

This runs when the agent starts, when libvirt or the server is back, and in between (:mod:`archipel.agent.daemon`).
"""

from __future__ import annotations

import logging
from typing import Final

from archipel.agent import departure, parking_recovery
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.removal import leave_server, remove_domain, remove_folder, remove_new_domain, remove_record
from archipel.agent.store import MachineRecord, Phase, StoreError
from archipel.agent.virt.errors import VirtError
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import CommandError
from archipel.xmpp.errors import WireError

log = logging.getLogger(__name__)

HALFWAY: Final = (Phase.ALLOCATING, Phase.FREEING, Phase.UNMANAGING)


async def recover(hypervisor: Hypervisor) -> None:
    """Undo what was half made, finish what was half removed, and follow the names that domains have.

    Needs libvirt and the server; what cannot be dealt with now stays for the next time.
    """
    async with hypervisor.recovering:
        hypervisor.untidy.clear()
        try:
            for record in await hypervisor.services.store.machines(*HALFWAY):
                await _settle(hypervisor, record.uuid)
            await parking_recovery.settle(hypervisor)
        except StoreError as error:
            hypervisor.untidy.set()
            log.error("what was left half done cannot be found out now: %s", error)
        await _follow_names(hypervisor)
        await departure.settle_all(hypervisor)


async def _settle(hypervisor: Hypervisor, uuid: str) -> None:
    """End the phase of a machine that nobody is at work on."""
    record = await hypervisor.services.store.machine(uuid)
    # Looked at in one breath: whoever makes or removes a machine has it in memory, or in hand, whenever its phase says so.
    if record is None or record.phase not in HALFWAY:
        return
    machine = hypervisor.machines.get(uuid)
    if machine is None:
        if uuid not in hypervisor.in_hand:
            await _recover_one(hypervisor, record)
    elif record.phase is not Phase.ALLOCATING and not machine.freeing:
        # It could not be freed, and the store could not take that back then.
        await hypervisor.services.store.set_phase(record.uuid, Phase.ACTIVE)


async def _recover_one(hypervisor: Hypervisor, record: MachineRecord) -> None:
    known = hypervisor.unfinished.get(record.uuid)
    machine = known or VirtualMachine(hypervisor.services, hypervisor, record)
    machine.freeing = True
    try:
        await _remove_resources(machine, record)
        await leave_server(hypervisor, machine)
        await remove_record(machine)
    except (CommandError, WireError, VirtError, StoreError) as error:
        hypervisor.leave_unfinished(machine)
        level = logging.ERROR if known is None else logging.DEBUG  # it was told, and will be tried again and again
        log.log(level, "%s (%s) was left half %s and cannot be cleaned up now: %s", record.name, record.uuid, record.phase, error)
    else:
        hypervisor.unfinished.pop(record.uuid, None)
        log.warning("%s (%s) was left half %s: it is cleaned up", record.name, record.uuid, record.phase)


async def _remove_resources(machine: VirtualMachine, record: MachineRecord) -> None:
    """Remove domain and folder, as far as the phase says that they go."""
    if record.phase is Phase.ALLOCATING and not record.adopted:
        await remove_new_domain(machine)
    elif record.phase is Phase.FREEING:
        await remove_domain(machine)
    if record.phase is not Phase.UNMANAGING and not record.adopted and not record.intent.get("keep_disks"):
        await remove_folder(machine.folder)


async def _follow_names(hypervisor: Hypervisor) -> None:
    """Let machines bear the names of their domains, where a crash came between the two, or an event was missed."""
    try:
        entries = await hypervisor.services.host.domains()
    except VirtError as error:
        log.debug("the names of the domains cannot be read now: %s", error)
        return
    for entry in entries:
        machine = hypervisor.machines.get(entry.uuid)
        if machine is not None and machine.name != entry.name:
            await machine.follow_domain()
