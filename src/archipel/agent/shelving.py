# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parked machines in a shared folder: put there, and taken from it by whichever hypervisor wants them.

A machine is in one place. What is parked at a hypervisor is written into the folder, held by that hypervisor; its state becomes
``SHELVING``; the file is released, and all that is remembered here is forgotten. Who wants it holds the file first, then takes what it
says into the store, as ``TAKEN``; the file goes when the machine is managed or about to be deleted, and is released if it stays parked.
So after a crash it is clear from the file that is held, and from the store, what is to be done (:func:`settle`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import replace

from archipel.agent import arrival, migration_plan, parking_store
from archipel.agent.hand_over import pack
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.parking_store import ParkedRecord
from archipel.agent.parking_tables import ParkedState
from archipel.agent.shelf import Shelf, shelf_of
from archipel.agent.shelf_entry import Shelved
from archipel.agent.shelf_goods import StaysHere, list_files, mark_anew, refuse_elsewhere
from archipel.agent.stand_in import stand_in
from archipel.agent.store import StoreError
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import BadRequest, CommandError, Condition, Unavailable

log = logging.getLogger(__name__)


# -- seen ---------------------------------------------------------------------------------------------------------------


async def all_parked(hypervisor: Hypervisor) -> tuple[ParkedRecord, ...]:
    """Return the machines that are parked here or in the shared folder, by their names."""
    found, shelf = await parking_store.all_parked(hypervisor.services.store), shelf_of(hypervisor)
    if shelf is None:
        return found
    known = {parked.uuid for parked in found} | set(hypervisor.machines)
    return parking_store.sort_parked([*found, *(entry for entry in await shelf.entries() if entry.uuid not in known)])


async def find(hypervisor: Hypervisor, uuid: str) -> ParkedRecord | None:
    """Return the machine with that UUID if it is parked here or in the shared folder, and nobody has it in hand."""
    shelf, parked = shelf_of(hypervisor), await parking_store.find(hypervisor.services.store, uuid)
    if parked is not None or shelf is None or uuid in hypervisor.machines:
        return parked
    return await shelf.find(uuid)


async def refuse_unreachable(hypervisor: Hypervisor, parked: ParkedRecord) -> None:
    """Raise ``not-acceptable`` if a machine of the shared folder cannot be had here: its files are not here."""
    if isinstance(parked, Shelved):
        await refuse_elsewhere(hypervisor.services.settings.machines.base_path, parked)


# -- put there ----------------------------------------------------------------------------------------------------------


async def try_shelve(hypervisor: Hypervisor, uuid: str) -> str:
    """Put a machine that is parked here into the shared folder; return why it stays here, if it does.

    What cannot be done now is done later. Somebody must have the machine in hand (:meth:`Hypervisor.hold`).
    """
    shelf = shelf_of(hypervisor)
    if shelf is None:
        return ""
    try:
        await _shelve(hypervisor, shelf, uuid)
    except (CommandError, StoreError) as error:
        if not isinstance(error, (StaysHere, BadRequest)):
            hypervisor.untidy.set()
        reason = f"it stays on {hypervisor.name}, not in the shared folder: {error}"
    else:
        reason = ""
    shelf.note_trouble(uuid, reason)
    return reason


async def _shelve(hypervisor: Hypervisor, shelf: Shelf, uuid: str) -> None:
    store = hypervisor.services.store
    parked = await parking_store.find(store, uuid)
    if parked is None:
        return
    async with stand_in(hypervisor, parked.machine) as machine:
        files = await asyncio.to_thread(list_files, machine, parked)
        shelved = Shelved(
            **vars(parked),
            luggage=await pack(machine, parked.machine, autostart=parked.autostart),
            source=hypervisor.bare,
            base_folder=machine.folder.parent,
            mark=await mark_anew(machine),
            files=files,
        )
        await shelf.write_held(shelved)
        await parking_store.set_state(store, uuid, ParkedState.SHELVING)
        await _finish_shelving(shelf, machine)


async def _finish_shelving(shelf: Shelf, machine: VirtualMachine) -> None:
    await shelf.release(machine.uuid)
    await _forget(machine)


async def _forget(machine: VirtualMachine) -> None:
    """Forget all that is remembered of a machine which is in the shared folder."""
    await machine.services.registry.hooks.leave(machine)
    await machine.services.store.remove_machine(machine.uuid, machine.bare)
    await parking_store.remove(machine.services.store, machine.uuid)


# -- taken --------------------------------------------------------------------------------------------------------------


async def take(hypervisor: Hypervisor, shelved: Shelved) -> Shelved:
    """Take a machine from the shared folder, with the rights on it, and return it as it is there by now; an error leaves it there."""
    async with _claimed(hypervisor, shelved.uuid) as found:
        luggage = arrival.without_reserved(hypervisor, found.luggage)
        await parking_store.take(hypervisor.services.store, found, luggage)
        return found


async def delete(hypervisor: Hypervisor, parked: ParkedRecord) -> None:
    """Note that a parked machine is about to be deleted; from now on nobody else has it."""
    store = hypervisor.services.store
    if not isinstance(parked, Shelved):
        await parking_store.set_state(store, parked.uuid, ParkedState.DELETING)
        return
    async with _claimed(hypervisor, parked.uuid) as found:
        await parking_store.add(store, replace(found, state=ParkedState.DELETING))
    await discard(hypervisor, parked.uuid)


@contextlib.asynccontextmanager
async def _claimed(hypervisor: Hypervisor, uuid: str) -> AsyncIterator[Shelved]:
    """Hold a machine of the shared folder; an error releases it."""
    shelf = shelf_of(hypervisor)
    if shelf is None:
        raise CommandError("there is no shared folder", condition=Condition.ITEM_NOT_FOUND)
    try:
        await shelf.claim(uuid)
    except Unavailable:
        hypervisor.untidy.set()  # it may be claimed when the folder answers again
        raise
    try:
        found = await shelf.read_held(uuid)
        await refuse_unreachable(hypervisor, found)
        yield found
    except (CommandError, StoreError):
        await put_back(hypervisor, uuid)
        raise


async def put_back(hypervisor: Hypervisor, uuid: str) -> None:
    """Give a machine back that was taken and stays parked; what cannot be done now is done later."""
    try:
        await _put_back(hypervisor, uuid)
    except (CommandError, StoreError) as error:
        log.warning("%s: cannot be put back into the shared folder now, it will be later: %s", uuid, error)
        hypervisor.untidy.set()


async def _put_back(hypervisor: Hypervisor, uuid: str) -> None:
    parked = await parking_store.find(hypervisor.services.store, uuid, ParkedState.TAKEN)
    if parked is not None:
        async with stand_in(hypervisor, parked.machine) as machine:
            await _forget(machine)
    shelf = shelf_of(hypervisor)
    if shelf is not None:
        await shelf.release(uuid)


@contextlib.asynccontextmanager
async def at_hand(hypervisor: Hypervisor, parked: ParkedRecord) -> AsyncIterator[ParkedRecord]:
    """Have a parked machine here for a moment, with the rights on it, wherever it is parked."""
    if not isinstance(parked, Shelved):
        yield parked
        return
    found = await take(hypervisor, parked)
    try:
        yield found
    finally:
        await put_back(hypervisor, parked.uuid)


async def set_definition(hypervisor: Hypervisor, parked: ParkedRecord, definition: str) -> None:
    """Give a parked machine that is at hand another definition. Raises :class:`CommandError` if that cannot be had everywhere."""
    shelf = shelf_of(hypervisor)
    if not isinstance(parked, Shelved) or shelf is None:
        await parking_store.set_definition(hypervisor.services.store, parked.uuid, definition)
        return
    changed = replace(parked, definition=definition)
    async with stand_in(hypervisor, parked.machine) as machine:
        files = await asyncio.to_thread(list_files, machine, changed)
    await shelf.write_held(replace(changed, files=files))


# -- managed ------------------------------------------------------------------------------------------------------------


async def welcome(machine: VirtualMachine, parked: ParkedRecord) -> None:
    """Keep what a machine of the shared folder brought along beside the store, before it is managed."""
    if isinstance(parked, Shelved):
        await asyncio.to_thread(arrival.keep_files, machine.hypervisor, machine.uuid, machine.bare, parked.luggage)
        await machine.services.registry.hooks.arrive(machine)


async def clear(hypervisor: Hypervisor, parked: ParkedRecord) -> None:
    """Remove what the shared folder has of a machine that is managed by now; what cannot be removed now goes later."""
    if not isinstance(parked, Shelved):
        return
    await migration_plan.unmark_folder(hypervisor.services.settings.machines.base_path / parked.uuid, parked.mark)
    try:
        await discard(hypervisor, parked.uuid)
    except CommandError as error:
        log.warning("%s: what the shared folder has of it cannot be removed now, it will be later: %s", parked.uuid, error)
        hypervisor.untidy.set()


async def discard(hypervisor: Hypervisor, uuid: str) -> None:
    """Remove what this hypervisor holds of a machine in the shared folder, if anything."""
    shelf = shelf_of(hypervisor)
    if shelf is not None:
        await shelf.discard(uuid)


# -- after a crash ------------------------------------------------------------------------------------------------------


async def settle(hypervisor: Hypervisor) -> None:
    """Put what is parked into the shared folder, and end what was begun there; raises :class:`StoreError`."""
    shelf, states = shelf_of(hypervisor), await parking_store.states(hypervisor.services.store)
    if shelf is None:
        for uuid in [uuid for uuid, state in states.items() if state in {ParkedState.SHELVING, ParkedState.TAKEN}]:
            log.error("%s is in a shared folder that the configuration names no more ([VMPARKING] shared_folder)", uuid)
        return
    try:
        held = await shelf.tidy()
    except CommandError as error:
        hypervisor.untidy.set()
        shelf.note_trouble("", str(error))
        return
    shelf.note_trouble("", "")
    for uuid in {*held, *states}:
        if uuid not in hypervisor.in_hand:
            with hypervisor.hold(uuid):
                await _try_settle(hypervisor, shelf, uuid, held=uuid in held)


async def _try_settle(hypervisor: Hypervisor, shelf: Shelf, uuid: str, *, held: bool) -> None:
    try:
        await _settle(hypervisor, shelf, uuid, held=held)
    except (CommandError, StoreError) as error:
        hypervisor.untidy.set()
        shelf.note_trouble(uuid, f"what was begun in the shared folder cannot be ended now: {error}")


async def _settle(hypervisor: Hypervisor, shelf: Shelf, uuid: str, *, held: bool) -> None:
    store = hypervisor.services.store
    managed, state = await store.machine(uuid), (await parking_store.states(store)).get(uuid)
    if managed is not None:
        if state is None and held:
            await clear(hypervisor, await shelf.read_held(uuid))
    elif state is ParkedState.PARKED:
        await try_shelve(hypervisor, uuid)
    elif state is ParkedState.SHELVING:
        parked = await parking_store.find(store, uuid, ParkedState.SHELVING)
        if parked is not None:
            async with stand_in(hypervisor, parked.machine) as machine:
                await _finish_shelving(shelf, machine)
    elif state in {ParkedState.TAKEN, None}:
        await put_back(hypervisor, uuid)
