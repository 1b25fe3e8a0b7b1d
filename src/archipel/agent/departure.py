# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a machine that was to move leaves, or stays: from what is found out, whoever died meanwhile.

The former hypervisor leads. It asks libvirt and the other hypervisor where the domain is, writes down what that means, and does
the next step; each step can be done again. The account is served here until the other hypervisor holds the machine, by nobody
until that is told that nobody does, and there from then on. The definition goes last.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from archipel.agent import migration_store
from archipel.agent.hand_over import ask, pack, settings_of
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.migration_plan import unmark_folder
from archipel.agent.migration_store import Outgoing
from archipel.agent.migration_tables import Leaving
from archipel.agent.store import MachineRecord, Phase, StoreError
from archipel.agent.virt.errors import DomainNotFound, VirtError
from archipel.agent.virt.migration import Situation, give_up, read_progress, read_situation
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.changes import ControlChange
from archipel.protocol.errors import BadRequest, CommandError, Condition, Unavailable
from archipel.protocol.events import Topic
from archipel.protocol.migration import Arrival, Forget, GetArrival, Mode, Serve, SoftAlloc, Standing
from archipel.protocol.presence import Journey, Status
from archipel.xmpp.errors import WireError

log = logging.getLogger(__name__)

_BROKEN_OFF: Final = "it was broken off"
FAILURES = (CommandError, VirtError, WireError, StoreError)


async def settle_all(hypervisor: Hypervisor) -> None:
    """Go on with every machine that was to leave and that nobody is at work on, and with what is to be forgotten elsewhere."""
    try:
        for outgoing in await migration_store.all_outgoing(hypervisor.services.store):
            if outgoing.state is Leaving.STAYING:  # whatever the machine does since
                await try_settle(hypervisor, outgoing)
            elif outgoing.uuid not in hypervisor.in_hand:
                await _settle_one(hypervisor, outgoing)
    except StoreError as error:
        hypervisor.untidy.set()
        log.error("which machines were to leave cannot be found out now: %s", error)


async def _settle_one(hypervisor: Hypervisor, outgoing: Outgoing) -> None:
    with hypervisor.hold(outgoing.uuid):
        current = await migration_store.find_outgoing(hypervisor.services.store, outgoing.attempt)
        if current is not None:
            await try_settle(hypervisor, current)


async def try_settle(hypervisor: Hypervisor, outgoing: Outgoing) -> None:
    """Do what can be done now; the rest is tried again until it is done."""
    await _try(hypervisor, outgoing, settle(hypervisor, outgoing))


async def call_off(hypervisor: Hypervisor, outgoing: Outgoing) -> None:
    """Let a machine be that did not move yet, and the other hypervisor forget it; who asked for the move is told why."""
    await _try(hypervisor, outgoing, _call_off(hypervisor, outgoing))


async def _try(hypervisor: Hypervisor, outgoing: Outgoing, work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except FAILURES as error:
        log.warning("%s: its migration to %s cannot be settled now: %s", outgoing.uuid, outgoing.destination, error)
        hypervisor.untidy.set()


async def settle(hypervisor: Hypervisor, outgoing: Outgoing) -> None:
    """Bring a machine to where it belongs."""
    if outgoing.state is Leaving.MOVING:
        outgoing = await _find_out(hypervisor, outgoing)
    if outgoing.state is Leaving.HANDING:
        outgoing = await _hand_over(hypervisor, outgoing)
    if outgoing.state is Leaving.LETTING:
        await _let_go(hypervisor, outgoing)
    else:
        await _have_forgotten(hypervisor, outgoing)


# -- where it is --------------------------------------------------------------------------------------------------------


async def _find_out(hypervisor: Hypervisor, outgoing: Outgoing) -> Outgoing:
    """Return the attempt in the state that follows from where the domain is."""
    domain = hypervisor.services.host.domain(outgoing.uuid)
    here = await read_situation(domain)
    if here is not None and here.busy:
        await _follow(hypervisor, outgoing)
        raise Unavailable("libvirt is still at work on it")
    if outgoing.mode is not Mode.PLAIN and not (outgoing.mode is Mode.LIVE and _runs_here(here)):
        arrival = await ask(hypervisor, outgoing.destination, GetArrival(**_words(outgoing)))
        if arrival.domain:
            if here is not None and here.active:
                await domain.destroy()  # what is left of it here stands still: the other host has the machine
            return await _write(hypervisor, outgoing, Leaving.HANDING)
        await _take_back(hypervisor, outgoing, here)
    return await _stay(hypervisor, outgoing)


def _runs_here(here: Situation | None) -> bool:
    return here is not None and here.active and not here.stopped_midway


async def _follow(hypervisor: Hypervisor, outgoing: Outgoing) -> None:
    """Show how far libvirt is that works on although the agent died; what takes too long is given up."""
    domain, machine = hypervisor.services.host.domain(outgoing.uuid), hypervisor.machines.get(outgoing.uuid)
    if (datetime.now(UTC) - outgoing.began_at).total_seconds() > settings_of(hypervisor).timeout:
        await give_up(domain)
    if machine is not None:
        machine.tell_journey(Status(machine.status.show, Journey.UNDER_WAY.format(percent=await read_progress(domain) or 0)))


async def _take_back(hypervisor: Hypervisor, outgoing: Outgoing, here: Situation | None) -> None:
    """Bring back the state that a domain had: on, or, if it was started for its way only, off."""
    domain = hypervisor.services.host.domain(outgoing.uuid)
    if here is None or not here.active:
        return
    if outgoing.mode is Mode.PAUSED:
        await domain.destroy()
    elif here.stopped_midway:
        await domain.resume()


async def _write(hypervisor: Hypervisor, outgoing: Outgoing, state: Leaving) -> Outgoing:
    changed = replace(outgoing, state=state)
    await migration_store.keep(hypervisor.services.store, changed)
    return changed


def _words(outgoing: Outgoing) -> dict[str, str]:
    return {"attempt": outgoing.attempt, "uuid": outgoing.uuid}


# -- it leaves ----------------------------------------------------------------------------------------------------------


async def _hand_over(hypervisor: Hypervisor, outgoing: Outgoing) -> Outgoing:
    """Have the other hypervisor hold the machine; the password goes to it alone, in a stanza on an encrypted stream."""
    machine = _machine_of(hypervisor, outgoing)
    machine.tell_journey(Status(machine.status.show, Journey.UNDER_WAY.format(percent=100)))
    await machine.close_luggage()
    record = await hypervisor.services.store.machine(outgoing.uuid)
    if record is None:
        raise CommandError("it is not managed any more", condition=Condition.ITEM_NOT_FOUND)
    try:
        package = (await pack(machine, record, autostart=outgoing.autostart)).pack()
    except BadRequest:
        machine.packed = False  # it was too much from the first, so nothing was sent: somebody must make it less
        raise
    request = SoftAlloc(**_words(outgoing), mode=outgoing.mode, password=record.password.reveal(), package=package)
    try:
        await ask(hypervisor, outgoing.destination, request)
    except CommandError as error:
        if outgoing.mode is not Mode.PLAIN or (await _ask_standing(hypervisor, outgoing)) in {Standing.HELD, Standing.SERVED}:
            raise
        return await _stay(hypervisor, replace(outgoing, reason=str(error)))
    return await _write(hypervisor, outgoing, Leaving.LETTING)


async def _ask_standing(hypervisor: Hypervisor, outgoing: Outgoing) -> Standing:
    arrival: Arrival = await ask(hypervisor, outgoing.destination, GetArrival(**_words(outgoing)))
    return Standing(arrival.standing)


def _machine_of(hypervisor: Hypervisor, outgoing: Outgoing) -> VirtualMachine:
    machine = hypervisor.machines.get(outgoing.uuid) or hypervisor.unfinished.get(outgoing.uuid)
    if machine is None:
        raise CommandError("it is not managed any more", condition=Condition.ITEM_NOT_FOUND)
    return machine


async def _let_go(hypervisor: Hypervisor, outgoing: Outgoing) -> None:
    """End the entity here, let the other hypervisor begin with it, and remove what is left."""
    record = await hypervisor.services.store.machine(outgoing.uuid)
    if record is None or record.phase is not Phase.LEAVING:  # it left, and may have come back since
        await migration_store.finish(hypervisor.services.store, outgoing)
        return
    if outgoing.uuid not in hypervisor.unfinished:
        await _end_entity(hypervisor, hypervisor.machines.get(outgoing.uuid) or _unknown_machine(hypervisor, record))
    machine = hypervisor.unfinished[outgoing.uuid]
    await ask(hypervisor, outgoing.destination, Serve(**_words(outgoing)))
    await _remove_rest(hypervisor, machine, outgoing)
    hypervisor.unfinished.pop(outgoing.uuid, None)
    log.info("%s (%s) has moved to %s", machine.name, outgoing.uuid, outgoing.destination)
    hypervisor.shout(f"The machine {machine.name} has moved to {outgoing.destination}")


def _unknown_machine(hypervisor: Hypervisor, record: MachineRecord) -> VirtualMachine:
    """Return an entity for a machine that left when the agent died: the store alone knows it."""
    machine = VirtualMachine(hypervisor.services, hypervisor, record)
    machine.freeing = True
    return machine


async def _end_entity(hypervisor: Hypervisor, machine: VirtualMachine) -> None:
    """Log a machine out for good.

    Where there is no connection to do that over, the server may still keep a session, of this agent's former life too: who wrote
    to the machine would write into it until it is over.
    """
    hypervisor.forget(machine)
    with contextlib.suppress(CommandError, WireError):
        await hypervisor.publish_tags(machine.bare, ())
        # A publisher may not replace another one's item: the next hypervisor could not show the machine's tags.
        await hypervisor.retract_tags(machine.bare)
    connected = machine.stream.online
    await machine.close()
    if not connected:
        try:
            await machine.connection.end_former()
        except WireError as error:
            log.warning("%s: its session here may go on for a while: %s", machine.bare, error)
    hypervisor.unfinished[machine.uuid] = machine


async def _remove_rest(hypervisor: Hypervisor, machine: VirtualMachine, outgoing: Outgoing) -> None:
    """Remove the definition, the files that went along, and the record: the other hypervisor serves the machine."""
    here = await read_situation(machine.domain)
    if here is not None and here.active:
        raise CommandError("its domain runs here again, although the other hypervisor has it: an administrator must stop one of them")
    with contextlib.suppress(DomainNotFound):
        await machine.domain.undefine(keep_nvram=True)
    await unmark_folder(machine.folder, outgoing.attempt)
    left = [] if outgoing.shared else await asyncio.to_thread(_remove_files, machine.folder, outgoing)
    if left:
        log.warning("%s: %s stay in %s: they were not part of the machine", machine.bare, ", ".join(left), machine.folder)
        hypervisor.shout(f"Files of {machine.name} stay on {hypervisor.name} that were not part of it: {', '.join(left)}")
    await hypervisor.services.registry.hooks.leave(machine)
    await migration_store.finish_left(hypervisor.services.store, outgoing, machine.bare, keeps_folder=bool(left))


def _remove_files(folder: Path, outgoing: Outgoing) -> list[str]:
    """Remove the files whose contents went along, and the folder with the agent's own files; return the names of what stays."""
    for path in map(Path, outgoing.copied):
        if path.parent == folder:
            path.unlink(missing_ok=True)
    left = [found for found in folder.iterdir() if not _is_own(found)] if folder.is_dir() else []
    if not left and folder.is_dir():
        for found in folder.iterdir():
            found.unlink(missing_ok=True)
        folder.rmdir()
    return sorted(found.name for found in left)


def _is_own(path: Path) -> bool:
    """Whether a file is the agent's or a display's own, which the other host has or makes."""
    return path.is_socket() or (path.is_file() and path.name.startswith((".archipel-migration-", "oomkiller_flag")))


# -- it stays -----------------------------------------------------------------------------------------------------------


async def _call_off(hypervisor: Hypervisor, outgoing: Outgoing) -> None:
    await _have_forgotten(hypervisor, await _stay(hypervisor, replace(outgoing, autostart=False), told=True))


async def _stay(hypervisor: Hypervisor, outgoing: Outgoing, *, told: bool = False) -> Outgoing:
    """Let a machine be what it was; ``told``: who asked for the move knows why already.

    That is written last: from then on the machine may be moved again, and this attempt is none of its business any more.
    """
    machine = hypervisor.machines.get(outgoing.uuid)
    if machine is not None:
        await unmark_folder(machine.folder, outgoing.attempt)
        await _restore_autostart(machine, outgoing)
    staying = await _write(hypervisor, outgoing, Leaving.STAYING)
    if machine is not None:
        machine.migrating = machine.packed = False
        machine.tell_journey(None)
        await machine.refresh()
        if not told:
            _tell_failure(hypervisor, machine, outgoing)
    return staying


async def _restore_autostart(machine: VirtualMachine, outgoing: Outgoing) -> None:
    if outgoing.autostart:
        with contextlib.suppress(DomainNotFound):
            await machine.domain.set_autostart(True)


def _tell_failure(hypervisor: Hypervisor, machine: VirtualMachine, outgoing: Outgoing) -> None:
    """Let people know that a machine stays, and why."""
    reason, level = outgoing.reason or _BROKEN_OFF, logging.INFO if outgoing.cancelled else logging.ERROR
    log.log(level, "%s: its migration to %s failed: %s", machine.bare, outgoing.destination, reason)
    machine.show(Status(machine.status.show, Journey.ABORTED if outgoing.cancelled else Journey.FAILED))
    machine.push(Topic.VM_CONTROL, ControlChange.MIGRATE_ERROR)
    hypervisor.shout(f"The machine {machine.name} that {outgoing.mover} wanted on {outgoing.destination} stays: {reason}")


async def _have_forgotten(hypervisor: Hypervisor, outgoing: Outgoing) -> None:
    """Have the other hypervisor forget a machine that stays here."""
    await ask(hypervisor, outgoing.destination, Forget(**_words(outgoing)))
    await migration_store.finish(hypervisor.services.store, outgoing)
