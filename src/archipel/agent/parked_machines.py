# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines while they are parked: listed, made, changed, deleted."""

from __future__ import annotations

import asyncio
import logging
from typing import Final
from xml.etree import ElementTree as ET

from archipel.agent import allocation, parking_store, shelving
from archipel.agent.definition import read_domain, read_stored, restore_passwords, strip_founding_description, strip_secrets
from archipel.agent.dispatch import Caller
from archipel.agent.domain_rules import refuse_forbidden
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.parking import in_hand
from archipel.agent.parking_store import ParkedRecord
from archipel.agent.parking_tables import ParkedState
from archipel.agent.removal import leave_server, remove_folder
from archipel.agent.secret import make_password
from archipel.agent.shelf import refuse_shelved
from archipel.agent.stand_in import stand_in
from archipel.agent.store import MachineRecord, StoreError
from archipel.agent.unparking import find_parked, refuse_hindered
from archipel.agent.virt.errors import VirtError
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import parking as wire
from archipel.protocol.domain.domain import Domain
from archipel.protocol.errors import BadRequest, CommandError, Condition
from archipel.xmpp.errors import WireError

log = logging.getLogger(__name__)

MOST_BYTES: Final = 200_000
"""Of the definitions in one answer: the server ends a session that sends a stanza of more than 256 KiB."""
DATE_FORMAT: Final = "%Y-%m-%d %H:%M:%S"


# -- seen ---------------------------------------------------------------------------------------------------------------


def show_page(found: tuple[ParkedRecord, ...], page: int, name_part: str) -> tuple[wire.ParkedMachine, ...]:
    """Return a page of the machines in whose names ``name_part`` stands, as a list shows them."""
    fitting = [parked for parked in found if name_part.casefold() in parked.name.casefold()]
    room, shown = MOST_BYTES, []
    for parked in fitting[page * wire.PAGE_SIZE : (page + 1) * wire.PAGE_SIZE]:
        domain: ET.Element | None = read_stored(parked.definition).element
        if domain is not None:
            strip_secrets(domain)
            size = len(ET.tostring(domain))
            domain, room = (domain, room - size) if size <= room else (None, room)
        shown.append(_show(parked, domain))
    return tuple(shown)


def _show(parked: ParkedRecord, domain: ET.Element | None) -> wire.ParkedMachine:
    date = parked.parked_at.astimezone().strftime(DATE_FORMAT)
    return wire.ParkedMachine(uuid=parked.uuid, parker=parked.parker, date=date, name=parked.name, domain=domain)


# -- changed ------------------------------------------------------------------------------------------------------------


async def change_definition(hypervisor: Hypervisor, caller: Caller, uuid: str, element: ET.Element) -> None:
    """Give a parked machine another definition, of its UUID and name; the domain policy is what it is for managed ones."""
    wanted = read_domain(element)
    with in_hand(hypervisor, uuid):
        parked = await find_parked(hypervisor, uuid)
        _check_identity(parked, wanted)
        async with shelving.at_hand(hypervisor, parked) as present:
            await _judge_change(hypervisor, caller, present, wanted)
            await shelving.set_definition(hypervisor, present, wanted.to_text())
        await shelving.try_shelve(hypervisor, uuid)


async def _judge_change(hypervisor: Hypervisor, caller: Caller, parked: ParkedRecord, wanted: Domain) -> None:
    """Raise what hinders a change of a definition, and make the new one whole."""
    stored = read_stored(parked.definition)
    shown = read_stored(parked.definition)
    strip_secrets(shown.element)
    async with stand_in(hypervisor, parked.machine) as machine:
        await refuse_forbidden(machine, wanted, shown, caller)
    restore_passwords(wanted, stored)
    strip_founding_description(wanted.element)


def _check_identity(parked: ParkedRecord, wanted: Domain) -> None:
    if (wanted.uuid or "").strip().lower() != parked.uuid:
        raise BadRequest(f"domain: its uuid is {wanted.uuid or 'missing'}, it must stay {parked.uuid}")
    if (wanted.name or "").strip().lower() != parked.name.lower():
        raise BadRequest(f"domain: its name is {wanted.name or 'missing'}, it must stay {parked.name}")
    wanted.uuid, wanted.name = parked.uuid, parked.name


# -- made ---------------------------------------------------------------------------------------------------------------


async def create(hypervisor: Hypervisor, caller: Caller, uuid: str, element: ET.Element) -> None:
    """Make a machine that is parked from the beginning: with account, folder and owner, unknown to libvirt. An error undoes all."""
    wanted = read_domain(element)
    if (wanted.uuid or uuid).strip().lower() != uuid:
        raise BadRequest(f"domain: its uuid is {wanted.uuid}, the item's is {uuid}")
    name = allocation.proper_name(hypervisor, (wanted.name or "").strip(), "domain: name")
    wanted.uuid, wanted.name = uuid, name
    strip_founding_description(wanted.element)
    async with hypervisor.naming:
        with in_hand(hypervisor, uuid):
            parked = await _plan(hypervisor, caller, wanted)
            async with stand_in(hypervisor, parked.machine) as machine:
                await refuse_forbidden(machine, wanted, None, caller)
                await _make(hypervisor, machine, parked, caller)
            await shelving.try_shelve(hypervisor, uuid)


async def _plan(hypervisor: Hypervisor, caller: Caller, wanted: Domain) -> ParkedRecord:
    uuid, name = wanted.uuid or "", wanted.name or ""
    if uuid in hypervisor.machines or await hypervisor.services.store.machine(uuid) is not None:
        raise CommandError(f"a machine with the UUID {uuid} is managed already", condition=Condition.CONFLICT)
    await parking_store.refuse_parked(hypervisor.services.store, uuid)
    await refuse_shelved(hypervisor, uuid)
    keeps_folder = await allocation.find_folder(hypervisor, caller, uuid, adopt=False)
    password = make_password(hypervisor.services.settings.machines.password_size)
    record = MachineRecord(uuid=uuid, name=name, password=password, organisation=hypervisor.organisation)
    parked = ParkedRecord(
        machine=record, definition=wanted.to_text(), parker=caller.bare, state=ParkedState.CREATING, keeps_folder=keeps_folder
    )
    await refuse_hindered(hypervisor, parked)
    return parked


async def _make(hypervisor: Hypervisor, machine: VirtualMachine, parked: ParkedRecord, caller: Caller) -> None:
    store = hypervisor.services.store
    await parking_store.add(store, parked)
    try:
        await allocation.make_account(hypervisor, machine)
        await asyncio.to_thread(machine.folder.mkdir, mode=0o755, parents=True, exist_ok=True)
        await hypervisor.services.rights.make_owner(machine.bare, caller.bare)
        await parking_store.set_state(store, parked.uuid, ParkedState.PARKED)
    except (CommandError, WireError, StoreError, OSError) as error:
        await _take_back(hypervisor, parked)
        if isinstance(error, OSError):
            raise CommandError(f"cannot make the machine's folder: {error}") from error
        raise


async def _take_back(hypervisor: Hypervisor, parked: ParkedRecord) -> None:
    try:
        await remove(hypervisor, parked)
    except (CommandError, WireError, StoreError) as error:
        log.warning("%s: what was made of it cannot be removed now, it will be later: %s", parked.uuid, error)
        hypervisor.untidy.set()


# -- deleted ------------------------------------------------------------------------------------------------------------


async def run_deletion(hypervisor: Hypervisor, who: str, uuid: str) -> None:
    """Delete a parked machine and tell what came of it; for work after the answer."""
    try:
        with in_hand(hypervisor, uuid):
            parked = await find_parked(hypervisor, uuid)
            await refuse_in_libvirt(hypervisor, uuid)
            await shelving.delete(hypervisor, parked)
            await remove(hypervisor, parked)
    except (CommandError, VirtError, WireError, StoreError) as error:
        log.error("%s: cannot be deleted now: %s", uuid, error)
        hypervisor.untidy.set()
        hypervisor.push(wire.TOPIC, wire.Change.CANNOT_DELETE)
        hypervisor.shout(f"The parked machine {uuid} cannot be deleted now: {error}")
    else:
        hypervisor.push(wire.TOPIC, wire.Change.DELETED)
        hypervisor.shout(f"{who} deleted the parked machine {parked.name}")


async def refuse_in_libvirt(hypervisor: Hypervisor, uuid: str) -> None:
    """Raise ``conflict`` if libvirt has a domain with the UUID of a parked machine: it may use the disks."""
    if any(entry.uuid == uuid for entry in await hypervisor.services.host.domains()):
        text = f"libvirt has a domain with the UUID {uuid}, which may use its disks: an administrator must undefine it first"
        raise CommandError(text, condition=Condition.CONFLICT)


async def remove(hypervisor: Hypervisor, parked: ParkedRecord) -> None:
    """Remove folder, account, rights and record of a parked machine; what is gone is removed already.

    The folder of an adopted machine, and one that was there before a machine that was not made after all, stays.
    """
    machine = VirtualMachine(hypervisor.services, hypervisor, parked.machine)
    if not parked.adopted_or_kept:
        await remove_folder(machine.folder)
    await leave_server(hypervisor, machine)
    await hypervisor.services.registry.hooks.leave(machine)
    await hypervisor.services.store.remove_machine(parked.uuid, machine.bare)
    await parking_store.remove(hypervisor.services.store, parked.uuid)
