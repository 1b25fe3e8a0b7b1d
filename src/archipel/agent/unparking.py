# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bringing parked machines back: defined and managed as they were, or still parked if anything fails."""

from __future__ import annotations

import asyncio
import logging

from archipel.agent import parking_store, shelving
from archipel.agent.allocation import LOGIN_WAIT, refuse_taken_name
from archipel.agent.definition import read_stored
from archipel.agent.dispatch import Caller
from archipel.agent.domain_rules import refuse_changed_images, refuse_forbidden
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.parking import in_hand, undefine, wait_finished
from archipel.agent.parking_store import ParkedRecord
from archipel.agent.shelf_entry import Shelved
from archipel.agent.store import StoreError
from archipel.agent.virt.errors import VirtError
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import CommandError, Condition
from archipel.protocol.parking import TOPIC, Change
from archipel.xmpp.errors import WireError

log = logging.getLogger(__name__)


async def run(hypervisor: Hypervisor, caller: Caller, uuid: str, *, start: bool) -> None:
    """Bring a machine back and tell what came of it; for work after the answer."""
    try:
        with in_hand(hypervisor, uuid):
            machine = await unpark(hypervisor, caller, uuid)
    except (CommandError, VirtError, WireError, StoreError) as error:
        log.error("%s: cannot be unparked: %s", uuid, error)
        hypervisor.push(TOPIC, Change.CANNOT_UNPARK)
        hypervisor.shout(f"The machine {uuid} that {caller.bare} wanted back stays parked: {error}")
        return
    await _introduce(hypervisor, machine, caller, start=start)
    hypervisor.push(TOPIC, Change.UNPARKED)
    hypervisor.shout(f"{caller.bare} unparked the machine {machine.name}")


async def unpark(hypervisor: Hypervisor, caller: Caller, uuid: str) -> VirtualMachine:
    """Define a parked machine and take it in; an error leaves it parked."""
    async with hypervisor.naming:
        parked = await find_parked(hypervisor, uuid)
        await refuse_hindered(hypervisor, parked)
        if isinstance(parked, Shelved):
            parked = await shelving.take(hypervisor, parked)
        machine = await _begin(hypervisor, parked)
    try:
        await hypervisor.services.rights.recall(machine.bare)
        await shelving.welcome(machine, parked)
        await _define(machine, parked, caller)
        await parking_store.finish_unpark(hypervisor.services.store, uuid)
    except (CommandError, VirtError, StoreError):
        hypervisor.forget(machine)
        await _park_again(hypervisor, machine, parked)
        raise
    await shelving.clear(hypervisor, parked)
    return machine


async def _begin(hypervisor: Hypervisor, parked: ParkedRecord) -> VirtualMachine:
    try:
        return hypervisor.adopt_record(await parking_store.begin_unpark(hypervisor.services.store, parked))
    except StoreError:
        if isinstance(parked, Shelved):
            await shelving.put_back(hypervisor, parked.uuid)
        raise


async def find_parked(hypervisor: Hypervisor, uuid: str) -> ParkedRecord:
    """Return a machine that is parked and at rest, or raise ``item-not-found``."""
    await wait_finished(hypervisor)
    parked = await shelving.find(hypervisor, uuid)
    if parked is None:
        raise CommandError(f"no machine with the UUID {uuid} is parked on {hypervisor.name}", condition=Condition.ITEM_NOT_FOUND)
    return parked


async def refuse_hindered(hypervisor: Hypervisor, parked: ParkedRecord) -> None:
    """Raise ``conflict`` if somebody has the UUID or the name of a parked machine by now."""
    entries = await hypervisor.services.host.domains()
    if any(entry.uuid == parked.uuid for entry in entries):
        text = f"libvirt has a domain with the UUID {parked.uuid}, which nobody manages: an administrator must undefine it"
        raise CommandError(text, condition=Condition.CONFLICT)
    refuse_taken_name(hypervisor, parked.name, parked.uuid, entries)


async def _define(machine: VirtualMachine, parked: ParkedRecord, caller: Caller) -> None:
    wanted = read_stored(parked.definition)
    await refuse_forbidden(machine, wanted, None, caller)
    await refuse_changed_images(machine, wanted)
    await machine.domain.define(wanted.to_text())
    if parked.autostart:
        await machine.domain.set_autostart(True)


async def _park_again(hypervisor: Hypervisor, machine: VirtualMachine, parked: ParkedRecord) -> None:
    try:
        await undo(hypervisor, machine)
        if isinstance(parked, Shelved):
            await shelving.put_back(hypervisor, parked.uuid)
    except (VirtError, StoreError) as error:
        log.warning("%s: what was begun to unpark it cannot be undone now, it will be later: %s", machine.bare, error)
        hypervisor.leave_unfinished(machine)


async def undo(hypervisor: Hypervisor, machine: VirtualMachine) -> None:
    """Take the domain of a machine that was not unparked after all from libvirt again, and forget it."""
    await undefine(machine)
    await machine.close()
    await parking_store.undo_unpark(hypervisor.services.store, machine.uuid)
    hypervisor.unfinished.pop(machine.uuid, None)


async def _introduce(hypervisor: Hypervisor, machine: VirtualMachine, caller: Caller, *, start: bool) -> None:
    """Bring the entity online and start the machine; it is managed, whatever comes of this."""
    machine.start()
    try:
        async with asyncio.timeout(LOGIN_WAIT):
            await machine.online.wait()
        if not list(machine.contacts):
            await machine.add_contact(caller.bare)
        record = await machine.services.store.machine(machine.uuid)
        if record is not None and record.tags:
            await hypervisor.publish_tags(machine.bare, record.tags)
    except (TimeoutError, CommandError, WireError, StoreError) as error:
        log.warning("%s: its contacts or tags are not shown: %s", machine.bare, error or "it does not log in")
    if start:
        await _start(hypervisor, machine)


async def _start(hypervisor: Hypervisor, machine: VirtualMachine) -> None:
    try:
        async with machine.changing:
            machine.refuse_leaving()
            await machine.domain.create()
    except (CommandError, VirtError) as error:
        log.error("%s: is unparked, but cannot be started: %s", machine.bare, error)
        hypervisor.shout(f"The machine {machine.name} is unparked, but cannot be started: {error}")
