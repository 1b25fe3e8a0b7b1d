# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a crash, or a failure of libvirt, server or disk, left between managed and parked goes on, or back."""

from __future__ import annotations

import logging

from archipel.agent import parking, parking_store, shelving, unparking
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.parked_machines import refuse_in_libvirt, remove
from archipel.agent.parking_store import ParkedRecord
from archipel.agent.parking_tables import ParkedState
from archipel.agent.removal import stop_domain
from archipel.agent.store import MachineRecord, Phase, StoreError
from archipel.agent.virt.errors import VirtError
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import CommandError
from archipel.protocol.parking import TOPIC, Change
from archipel.xmpp.errors import WireError

log = logging.getLogger(__name__)


async def settle(hypervisor: Hypervisor) -> None:
    """Settle all that nobody is at work on; raises :class:`StoreError` if that cannot be found out."""
    store = hypervisor.services.store
    for record in await store.machines(Phase.PARKING, Phase.UNPARKING):
        await _settle_machine(hypervisor, record.uuid)
    for parked in await parking_store.half_made(store):
        if parked.uuid not in hypervisor.in_hand:
            await _remove(hypervisor, parked)
    await shelving.settle(hypervisor)


async def _settle_machine(hypervisor: Hypervisor, uuid: str) -> None:
    record = await hypervisor.services.store.machine(uuid)
    # Looked at in one breath, as in recovery.py.
    if record is None or record.phase not in {Phase.PARKING, Phase.UNPARKING} or uuid in hypervisor.in_hand:
        return
    present, known = hypervisor.machines.get(uuid), hypervisor.unfinished.get(uuid)
    if present is not None and known is None:
        if record.phase is Phase.PARKING and not present.freeing:  # libvirt refused, and the store could not take it back then
            await parking_store.undo_park(hypervisor.services.store, uuid)
        return  # somebody is at work on it
    try:
        with hypervisor.hold(uuid):
            await _finish(hypervisor, record, known or VirtualMachine(hypervisor.services, hypervisor, record))
    except (CommandError, WireError, VirtError, StoreError) as error:
        hypervisor.untidy.set()
        level = logging.ERROR if known is None else logging.DEBUG  # it was told, and will be tried again and again
        log.log(level, "%s (%s) was left half parked and cannot be settled now: %s", record.name, uuid, error)
    else:
        log.warning("%s (%s) was left half %s: it is parked", record.name, uuid, record.phase)


async def _finish(hypervisor: Hypervisor, record: MachineRecord, machine: VirtualMachine) -> None:
    """Bring a machine to rest as a parked one; its definition is in the store whichever way it went."""
    machine.freeing = True
    hypervisor.unfinished[record.uuid] = machine
    await stop_domain(machine)
    if record.phase is Phase.PARKING:
        await parking.undefine(machine)
        await parking.leave(hypervisor, machine)
        hypervisor.push(TOPIC, Change.PARKED)
    else:
        await unparking.undo(hypervisor, machine)


async def _remove(hypervisor: Hypervisor, parked: ParkedRecord) -> None:
    try:
        with hypervisor.hold(parked.uuid):
            await refuse_in_libvirt(hypervisor, parked.uuid)
            await shelving.discard(hypervisor, parked.uuid)
            await remove(hypervisor, parked)
            if parked.state is ParkedState.DELETING:
                hypervisor.push(TOPIC, Change.DELETED)
    except (CommandError, WireError, VirtError, StoreError) as error:
        hypervisor.untidy.set()
        log.warning("%s (%s) was left half %s and cannot be removed now: %s", parked.name, parked.uuid, parked.state, error)
    else:
        log.warning("%s (%s) was left half %s: it is removed", parked.name, parked.uuid, parked.state)
