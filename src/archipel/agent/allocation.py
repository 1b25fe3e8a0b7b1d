# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How machines come and go: allocated, adopted, freed, let go.

Each way is a row of intents: the store is written before the first step, so that a crash at any moment is undone or finished
at the next start (:func:`recover`). An error leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import shutil
import string
import uuid as uuids
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from archipel.agent import definition
from archipel.agent.dispatch import Caller
from archipel.agent.hypervisor import Hypervisor, parse_machine_uuid
from archipel.agent.names import InvalidName, is_free, make_name, normalise_name
from archipel.agent.secret import Secret
from archipel.agent.store import MachineRecord, Phase, StoreError
from archipel.agent.virt.errors import DomainNotFound, VirtError
from archipel.agent.virt.host import DomainSummary
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import BadRequest, CommandError, Condition
from archipel.protocol.events import Topic
from archipel.protocol.rights import ALL
from archipel.protocol.vcard import Organisation
from archipel.protocol.xml import child_named
from archipel.xmpp.errors import WireError

log = logging.getLogger(__name__)

LOGIN_WAIT: Final = 20.0  # seconds that the answer to alloc waits for the new entity; it logs in in some milliseconds
PASSWORD_LETTERS: Final = string.ascii_letters + string.digits
KEEP_DISKS: Final = "disks"


@dataclass(frozen=True)
class Wish:
    """What somebody wants to have made; an empty name is chosen here, an empty UUID too."""

    name: str = ""
    organisation: Organisation = field(default_factory=Organisation)
    uuid: str | None = None
    domain: ET.Element | None = None
    adopt: bool = False


async def allocate(hypervisor: Hypervisor, caller: Caller, wish: Wish) -> VirtualMachine:
    """Make a machine and return it when it can be talked to.

    The definition is applied before this returns; an error undoes everything.
    """
    hypervisor.begin("Allocating vm...")
    try:
        async with contextlib.AsyncExitStack() as undo:
            machine = await _reserve(hypervisor, wish, undo)
            await _make_account(hypervisor, machine, undo)
            if not wish.adopt:
                await _make_folder(machine, undo)
            await hypervisor.services.rights.grant(machine.bare, caller.bare, ALL, granted_by=caller.bare)
            if wish.domain is not None:
                undo.push_async_callback(_undefine_again, machine)
                await definition.define(machine, wish.domain, caller, name=machine.name)
            await hypervisor.services.store.set_phase(machine.uuid, Phase.ACTIVE)
            undo.pop_all()
    finally:
        hypervisor.end("Allocating vm...")
    await _introduce(hypervisor, machine, caller)
    return machine


async def _reserve(hypervisor: Hypervisor, wish: Wish, undo: contextlib.AsyncExitStack) -> VirtualMachine:
    """Take name and UUID for the new machine, in the store and in memory."""
    async with hypervisor.naming:
        entries = await hypervisor.services.host.domains()
        uuid = _choose_uuid(hypervisor, wish, entries)
        name = _choose_name(hypervisor, wish, uuid, entries)
        folder = hypervisor.services.settings.machines.base_path / uuid
        record = MachineRecord(
            uuid=uuid,
            name=name,
            password=new_password(hypervisor),
            intent={"keep_disks": await asyncio.to_thread(folder.exists)},
            adopted=wish.adopt,
            organisation=_organisation(hypervisor, wish),
        )
        await hypervisor.services.store.add_machine(record)
        machine = hypervisor.adopt_record(record)
        undo.push_async_callback(_take_back, hypervisor, machine)
        return machine


def _choose_uuid(hypervisor: Hypervisor, wish: Wish, entries: list[DomainSummary]) -> str:
    uuid = parse_machine_uuid(wish.uuid) if wish.uuid else str(uuids.uuid4())
    if uuid in hypervisor.machines:
        raise CommandError(f"a machine with the UUID {uuid} is managed already", condition=Condition.CONFLICT)
    if not wish.adopt and any(entry.uuid == uuid for entry in entries):
        raise CommandError(f"libvirt has a domain with the UUID {uuid}: adopt it with manage", condition=Condition.CONFLICT)
    return uuid


def _choose_name(hypervisor: Hypervisor, wish: Wish, uuid: str, entries: list[DomainSummary]) -> str:
    taken = {vm.name for vm in hypervisor.machines.values()} | {entry.name for entry in entries if entry.uuid != uuid}
    wanted = wish.name or _name_of(wish.domain)
    if not wanted:
        return make_name(taken)
    name = wanted if wish.adopt else proper_name(hypervisor, wanted)
    refuse_taken_name(hypervisor, name, uuid, entries)
    return name


def proper_name(hypervisor: Hypervisor, name: str) -> str:
    """Return ``name`` as a machine may bear it, or raise what is wrong with it."""
    try:
        return normalise_name(name, allow_blank_space=hypervisor.services.settings.machines.allow_blank_space)
    except InvalidName as error:
        raise CommandError(f"name: {error}", condition=Condition.BAD_REQUEST) from error


def refuse_taken_name(hypervisor: Hypervisor, name: str, uuid: str, entries: list[DomainSummary]) -> None:
    """Raise ``conflict`` if another managed machine (in any spelling) or another domain has this name."""
    managed = [vm.name for vm in hypervisor.machines.values() if vm.uuid != uuid]
    if not is_free(name, managed) or any(entry.uuid != uuid and entry.name == name for entry in entries):
        raise CommandError(f"name: {name!r} is taken on {hypervisor.name}: choose another", condition=Condition.CONFLICT)


def _name_of(domain: ET.Element | None) -> str:
    found = None if domain is None else child_named(domain, "name")
    return "" if found is None else (found.text or "").strip()


def _organisation(hypervisor: Hypervisor, wish: Wish) -> Organisation:
    """Fill what was left empty with the hypervisor's own."""
    mine, given = hypervisor.organisation, wish.organisation
    fields = ("orgname", "orgunit", "locality", "userid", "categories")
    return Organisation(**{name: getattr(given, name) or getattr(mine, name) for name in fields})


def new_password(hypervisor: Hypervisor) -> Secret:
    """Return a password for a machine's account."""
    return Secret("".join(secrets.choice(PASSWORD_LETTERS) for _ in range(hypervisor.services.settings.machines.password_size)))


async def _make_account(hypervisor: Hypervisor, machine: VirtualMachine, undo: contextlib.AsyncExitStack) -> None:
    machine.has_account = True  # as far as we know: when the answer is lost there is one
    try:
        await hypervisor.make_account(machine.uuid, machine.password)
    except CommandError as error:
        machine.has_account = False
        if error.condition == Condition.CONFLICT:
            text = f"the account {machine.bare} exists and is not this agent's: remove it on the server, or take another UUID"
            raise CommandError(text, condition=Condition.CONFLICT) from error
        raise CommandError(f"the server does not make the account {machine.bare}: {error.text}", condition=error.condition) from error


async def _take_back(hypervisor: Hypervisor, machine: VirtualMachine) -> None:
    """Remove account, rights and record of a machine that was not made after all.

    If the server cannot be asked now, the record stays, as an intent, for the next start.
    """
    hypervisor.forget(machine)
    try:
        if machine.has_account:
            await hypervisor.remove_account(machine.uuid, machine.password)
    except (CommandError, WireError) as error:
        log.warning("%s: its account cannot be removed now, it will be later: %s", machine.bare, error)
        return
    await hypervisor.services.store.remove_machine(machine.uuid, machine.bare)
    hypervisor.services.rights.detach(machine.bare)


async def _make_folder(machine: VirtualMachine, undo: contextlib.AsyncExitStack) -> None:
    try:
        await asyncio.to_thread(machine.folder.mkdir, mode=0o755, parents=True)
    except FileExistsError:
        return  # somebody prepared it: it is his, and stays if the rest fails
    except OSError as error:
        raise CommandError(f"cannot make the machine's folder: {error}") from error
    undo.push_async_callback(_remove_folder, machine.folder)


async def _remove_folder(folder: Path) -> None:
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _undefine_again(machine: VirtualMachine) -> None:
    with contextlib.suppress(VirtError):  # it is not there, or the next start removes it
        await machine.domain.undefine()


async def _introduce(hypervisor: Hypervisor, machine: VirtualMachine, caller: Caller) -> None:
    """Bring the new entity online, make it known to its maker and to everybody."""
    machine.start()
    try:
        async with asyncio.timeout(LOGIN_WAIT):
            await machine.online.wait()
        await machine.add_contact(caller.bare)
    except (TimeoutError, CommandError, WireError) as error:  # the machine is made, whatever comes of this
        log.warning("%s: %s is not in its roster: %s", machine.bare, caller.bare, error or "it does not log in")
    hypervisor.push(Topic.HYPERVISOR, "alloc")
    hypervisor.shout(f"{caller.bare} made the machine {machine.name}")


# -- adoption -----------------------------------------------------------------------------------------------------------


async def adopt(hypervisor: Hypervisor, caller: Caller, references: list[str]) -> None:
    """Take existing domains in as they are.

    Each is tried; the error afterwards names those that could not be taken, the others stay.
    """
    failed: dict[str, str] = {}
    for reference in references:
        try:
            await _adopt_one(hypervisor, caller, reference)
        except (CommandError, VirtError, WireError, StoreError) as error:
            failed[reference] = str(error)
    if len(failed) < len(references):
        hypervisor.push(Topic.HYPERVISOR, "manage")
    _raise_failed("manage", failed)


async def _adopt_one(hypervisor: Hypervisor, caller: Caller, reference: str) -> None:
    uuid = parse_machine_uuid(reference)
    entry = next((entry for entry in await hypervisor.services.host.domains() if entry.uuid == uuid), None)
    if entry is None:
        raise CommandError(f"libvirt has no domain with the UUID {uuid}", condition=Condition.ITEM_NOT_FOUND)
    await allocate(hypervisor, caller, Wish(name=entry.name, uuid=uuid, adopt=True))


async def let_go(hypervisor: Hypervisor, references: list[str]) -> None:
    """End the management of machines; their domains stay as they are, running ones go on running."""
    failed: dict[str, str] = {}
    for reference in references:
        try:
            machine = hypervisor.find(reference)
            _refuse_freed(machine)
            await _retire(hypervisor, machine, Phase.UNMANAGING)
        except (CommandError, StoreError) as error:
            failed[reference] = str(error)
    if len(failed) < len(references):
        hypervisor.push(Topic.HYPERVISOR, "unmanage")
    _raise_failed("unmanage", failed)


def _raise_failed(action: str, failed: dict[str, str]) -> None:
    if failed:
        raise CommandError(f"{action} failed for " + "; ".join(f"{name}: {text}" for name, text in failed.items()))


# -- the end ------------------------------------------------------------------------------------------------------------


def keeps_disks(keep: str) -> bool:
    """Return what the field ``keep`` of a request to free a machine says; a word that nobody knows must not cost the disks."""
    if keep not in {"", KEEP_DISKS}:
        raise BadRequest(f"keep: must be {KEEP_DISKS!r} or left out, not {keep!r}")
    return keep == KEEP_DISKS


async def destroy(machine: VirtualMachine, *, keep_disks: bool) -> None:
    """Stop a machine, undefine its domain and remove its folder; its entity lives on until :func:`finish_free`.

    An error (libvirt refuses) leaves the machine managed as it was.
    """
    _refuse_freed(machine)
    store = machine.services.store
    machine.freeing = True
    try:
        await store.set_phase(machine.uuid, Phase.FREEING, {"keep_disks": keep_disks})
        await _remove_domain(machine)
    except (CommandError, VirtError, StoreError):
        machine.freeing = False
        await store.set_phase(machine.uuid, Phase.ACTIVE)
        raise
    if not keep_disks and not machine.adopted:
        await _remove_folder(machine.folder)


def _refuse_freed(machine: VirtualMachine) -> None:
    if machine.freeing:
        raise CommandError(f"{machine.name} is being freed already", condition=Condition.UNEXPECTED_REQUEST)


async def _remove_domain(machine: VirtualMachine) -> None:
    with contextlib.suppress(DomainNotFound):
        async with machine.changing:
            if await machine.domain.is_active():
                await machine.domain.destroy()
            if await machine.domain.is_persistent():
                await machine.domain.undefine()


async def finish_free(hypervisor: Hypervisor, machine: VirtualMachine, who: str) -> None:
    """Remove what is left of a destroyed machine: nodes, contacts, account, rights, record."""
    await _retire(hypervisor, machine, None)
    hypervisor.push(Topic.HYPERVISOR, "free")
    hypervisor.shout(f"{who} freed the machine {machine.name}")


async def _retire(hypervisor: Hypervisor, machine: VirtualMachine, phase: Phase | None) -> None:
    """Take a machine's entity off the platform, as far as the server allows it now; a restart finishes the rest."""
    store = hypervisor.services.store
    if phase is not None:
        machine.freeing = True
        await store.set_phase(machine.uuid, phase)
    hypervisor.leaving.add(machine.uuid)
    try:
        hypervisor.forget(machine)
        await _leave_server(hypervisor, machine)
        await store.remove_machine(machine.uuid, machine.bare)
    except (CommandError, WireError) as error:
        log.warning("%s: its account cannot be removed now, it will be later: %s", machine.bare, error)
    finally:
        hypervisor.leaving.discard(machine.uuid)


async def _leave_server(hypervisor: Hypervisor, machine: VirtualMachine) -> None:
    """Remove nodes, roster items and the account; the last makes the server forget the rest too."""
    if machine.online.is_set():
        with contextlib.suppress(CommandError, WireError):
            await machine.events.remove()
            for contact in list(machine.contacts):
                await machine.contacts.remove(contact)
    with contextlib.suppress(CommandError, WireError):
        await hypervisor.publish_tags(machine.bare, ())
    await machine.close()
    await hypervisor.remove_account(machine.uuid, machine.password)


# -- after a crash ------------------------------------------------------------------------------------------------------


async def recover(hypervisor: Hypervisor) -> None:
    """Undo what was half made and finish what was half removed when the agent last ended, or the server was away.

    Needs libvirt and the server; a machine that cannot be dealt with now stays for the next time.
    """
    async with hypervisor.recovering:
        for record in await hypervisor.services.store.machines(Phase.ALLOCATING, Phase.FREEING, Phase.UNMANAGING):
            if record.uuid not in hypervisor.machines and record.uuid not in hypervisor.leaving:
                await _recover_one(hypervisor, record)


async def _recover_one(hypervisor: Hypervisor, record: MachineRecord) -> None:
    machine = VirtualMachine(hypervisor.services, hypervisor, record)
    machine.freeing = True
    try:
        if record.phase is Phase.FREEING or (record.phase is Phase.ALLOCATING and not record.adopted):
            await _remove_domain(machine)
            if not record.adopted and not record.intent.get("keep_disks"):
                await _remove_folder(machine.folder)
        await _leave_server(hypervisor, machine)
        await hypervisor.services.store.remove_machine(record.uuid, machine.bare)
    except (CommandError, WireError, VirtError) as error:
        log.error("%s (%s) was left half %s and cannot be cleaned up now: %s", record.name, record.uuid, record.phase, error)
    else:
        log.warning("%s (%s) was left half %s: it is cleaned up", record.name, record.uuid, record.phase)
