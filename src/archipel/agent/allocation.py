# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How machines come and go: allocated, adopted, freed, let go.

Each way is a row of intents: the store is written before the first step, so that a crash at any moment is undone or finished
soon or at the next start (:mod:`archipel.agent.recovery`). An error leaves nothing behind: what cannot be removed at once is
removed as soon as that is possible.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import uuid as uuids
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from archipel.agent import definition
from archipel.agent.dispatch import Caller
from archipel.agent.hypervisor import Hypervisor, parse_machine_uuid
from archipel.agent.names import InvalidName, is_free, make_name, normalise_name
from archipel.agent.parking_store import refuse_parked
from archipel.agent.removal import leave_server, remove_domain, remove_folder, remove_new_domain, remove_record
from archipel.agent.secret import make_password
from archipel.agent.shelf import refuse_shelved
from archipel.agent.store import MachineRecord, Phase, StoreError
from archipel.agent.virt.errors import VirtError
from archipel.agent.virt.host import DomainSummary
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.changes import HypervisorChange
from archipel.protocol.domain.domain import Domain
from archipel.protocol.errors import BadRequest, CommandError, Condition
from archipel.protocol.events import Topic
from archipel.protocol.presence import HostWork
from archipel.protocol.rights import DOMAIN_POLICY_BYPASS
from archipel.protocol.vcard import Organisation
from archipel.protocol.xml import child_named
from archipel.xmpp.errors import WireError

log = logging.getLogger(__name__)

LOGIN_WAIT: Final = 20.0  # seconds that the answer to alloc waits for the new entity; it logs in in some milliseconds
KEEP_DISKS: Final = "disks"


@dataclass(frozen=True)
class Wish:
    """What somebody wants to have made; an empty name is chosen here, an empty UUID too.

    ``like`` is a name that the chosen one is made from. ``prepare`` fills the new machine's folder and returns its definition,
    instead of ``domain``.
    """

    name: str = ""
    organisation: Organisation = field(default_factory=Organisation)
    uuid: str | None = None
    domain: ET.Element | None = None
    adopt: bool = False
    like: str = ""
    prepare: Callable[[VirtualMachine], Awaitable[Domain]] | None = None


async def allocate(hypervisor: Hypervisor, caller: Caller, wish: Wish) -> VirtualMachine:
    """Make a machine and return it when it can be talked to.

    The definition is applied before this returns; an error undoes everything.
    """
    hypervisor.begin(HostWork.ALLOCATING)
    try:
        async with contextlib.AsyncExitStack() as undo:
            machine = await _reserve(hypervisor, caller, wish, undo)
            await make_account(hypervisor, machine)
            if not wish.adopt:
                await _make_folder(hypervisor, machine, undo)
            await hypervisor.services.rights.make_owner(machine.bare, caller.bare)
            domain = wish.domain if wish.prepare is None else (await wish.prepare(machine)).element
            if domain is not None:
                undo.push_async_callback(_undefine_again, hypervisor, machine)
                await definition.define(machine, domain, caller, name=machine.name)
            await hypervisor.services.store.set_phase(machine.uuid, Phase.ACTIVE)
            undo.pop_all()
    finally:
        hypervisor.end(HostWork.ALLOCATING)
    await _introduce(hypervisor, machine, caller)
    return machine


async def _reserve(hypervisor: Hypervisor, caller: Caller, wish: Wish, undo: contextlib.AsyncExitStack) -> VirtualMachine:
    """Take name and UUID for the new machine, in the store and in memory."""
    async with hypervisor.naming:
        entries = await hypervisor.services.host.domains()
        uuid = _choose_uuid(hypervisor, wish, entries)
        await refuse_parked(hypervisor.services.store, uuid)
        if wish.uuid:
            await refuse_shelved(hypervisor, uuid)
        name = _choose_name(hypervisor, wish, uuid, entries)
        record = MachineRecord(
            uuid=uuid,
            name=name,
            password=make_password(hypervisor.services.settings.machines.password_size),
            intent={"keep_disks": await find_folder(hypervisor, caller, uuid, adopt=wish.adopt)},
            adopted=wish.adopt,
            organisation=_organisation(hypervisor, wish),
        )
        with hypervisor.hold(uuid):
            await hypervisor.services.store.add_machine(record)
            machine = hypervisor.adopt_record(record)
        undo.push_async_callback(_take_back, hypervisor, machine)
        return machine


def _choose_uuid(hypervisor: Hypervisor, wish: Wish, entries: list[DomainSummary]) -> str:
    uuid = parse_machine_uuid(wish.uuid, "uuid") if wish.uuid else str(uuids.uuid4())
    if uuid in hypervisor.machines:
        raise CommandError(f"a machine with the UUID {uuid} is managed already", condition=Condition.CONFLICT)
    if not wish.adopt and any(entry.uuid == uuid for entry in entries):
        raise CommandError(f"libvirt has a domain with the UUID {uuid}: adopt it with manage", condition=Condition.CONFLICT)
    return uuid


async def find_folder(hypervisor: Hypervisor, caller: Caller, uuid: str, *, adopt: bool) -> bool:
    """Return whether the machine's folder is there already; raise ``conflict`` if somebody else's files are in it.

    UUIDs are no secret: disks that were kept, or prepared by hand, must not be had by whoever names theirs. A domain that
    is taken in has its files already.
    """
    folder = hypervisor.services.settings.machines.base_path / uuid
    there = await asyncio.to_thread(folder.exists)
    if there and not adopt and not await _may_take(hypervisor, caller, folder):
        text = f"uuid: the folder of {uuid} holds files, kept for administrators and those who had all rights on its last machine"
        raise CommandError(f"{text}: leave the UUID out, or ask an administrator to make this machine", condition=Condition.CONFLICT)
    return there


async def _may_take(hypervisor: Hypervisor, caller: Caller, folder: Path) -> bool:
    """Whether the caller's new machine may have what is in a folder; an empty one is for everybody."""
    if hypervisor.decide(caller.bare, DOMAIN_POLICY_BYPASS).allowed:
        return True
    try:
        empty = await asyncio.to_thread(lambda: not any(folder.iterdir()))
    except OSError as error:
        raise CommandError(f"uuid: the machine's folder cannot be read: {error}") from error
    return empty or caller.bare in await hypervisor.services.store.folder_owners(folder.name)


def _choose_name(hypervisor: Hypervisor, wish: Wish, uuid: str, entries: list[DomainSummary]) -> str:
    taken = {vm.name for vm in hypervisor.machines.values()} | {entry.name for entry in entries if entry.uuid != uuid}
    wanted = wish.name or _name_of(wish.domain)
    if not wanted:
        return next(name for name in _names_like(wish.like) if is_free(name, taken)) if wish.like else make_name(taken)
    name = wanted if wish.adopt else proper_name(hypervisor, wanted)
    # A domain that is taken in has its name already, whatever other domains are called.
    refuse_taken_name(hypervisor, name, uuid, [] if wish.adopt else entries)
    return name


def _names_like(name: str) -> Iterator[str]:
    """Yield names for copies."""
    yield f"{name}-clone"
    yield from (f"{name}-clone-{number}" for number in itertools.count(2))


def proper_name(hypervisor: Hypervisor, name: str, field: str = "name") -> str:
    """Return ``name`` as a machine may bear it, or raise what is wrong with it; ``field`` is where it stood."""
    try:
        return normalise_name(name, allow_blank_space=hypervisor.services.settings.machines.allow_blank_space)
    except InvalidName as error:
        raise CommandError(f"{field}: {error}", condition=Condition.BAD_REQUEST) from error


def refuse_taken_name(hypervisor: Hypervisor, name: str, uuid: str, entries: list[DomainSummary]) -> None:
    """Raise ``conflict`` if another managed machine or another domain has this name, in any spelling."""
    managed = [vm.name for vm in hypervisor.machines.values() if vm.uuid != uuid]
    if not is_free(name, [*managed, *(entry.name for entry in entries if entry.uuid != uuid)]):
        raise CommandError(f"name: {name!r} is taken on {hypervisor.name}: choose another", condition=Condition.CONFLICT)


def _name_of(domain: ET.Element | None) -> str:
    found = None if domain is None else child_named(domain, "name")
    return "" if found is None else (found.text or "").strip()


def _organisation(hypervisor: Hypervisor, wish: Wish) -> Organisation:
    """Fill what was left empty with the hypervisor's own."""
    mine, given = hypervisor.organisation, wish.organisation
    fields = ("orgname", "orgunit", "locality", "userid", "categories")
    return Organisation(**{name: getattr(given, name) or getattr(mine, name) for name in fields})


async def make_account(hypervisor: Hypervisor, machine: VirtualMachine) -> None:
    """Make a machine's account; raises ``conflict`` if there is one that is not this agent's."""
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

    If that cannot be done now, or its domain could not be removed, the record stays, as an intent (:mod:`.recovery`).
    """
    with hypervisor.hold(machine.uuid), _leaving_unfinished(hypervisor, machine):
        hypervisor.forget(machine)
        if machine.uuid in hypervisor.unfinished:
            return
        if machine.has_account:
            await hypervisor.remove_account(machine.uuid, machine.password)
        await remove_record(machine)
        hypervisor.services.rights.detach(machine.bare)


@contextlib.contextmanager
def _leaving_unfinished(hypervisor: Hypervisor, machine: VirtualMachine) -> Iterator[None]:
    """Leave to recovery what server or store cannot do now."""
    try:
        yield
    except (CommandError, WireError, StoreError) as error:
        log.warning("%s: account or record cannot be removed now, they will be later: %s", machine.bare, error)
        hypervisor.leave_unfinished(machine)


async def _make_folder(hypervisor: Hypervisor, machine: VirtualMachine, undo: contextlib.AsyncExitStack) -> None:
    try:
        await asyncio.to_thread(machine.folder.mkdir, mode=0o755, parents=True)
    except FileExistsError:
        return  # somebody prepared it: it is his, and stays if the rest fails
    except OSError as error:
        raise CommandError(f"cannot make the machine's folder: {error}") from error
    undo.push_async_callback(_remove_folder_again, hypervisor, machine)


async def _remove_folder_again(hypervisor: Hypervisor, machine: VirtualMachine) -> None:
    if machine.uuid not in hypervisor.unfinished:  # else it goes after the domain, which may use it
        await remove_folder(machine.folder)


async def _undefine_again(hypervisor: Hypervisor, machine: VirtualMachine) -> None:
    try:
        await remove_new_domain(machine)
    except VirtError as error:
        log.warning("%s: its domain cannot be removed now, it will be later: %s", machine.bare, error)
        hypervisor.leave_unfinished(machine)


async def _introduce(hypervisor: Hypervisor, machine: VirtualMachine, caller: Caller) -> None:
    """Bring the new entity online, make it known to its maker and to everybody."""
    machine.start()
    try:
        async with asyncio.timeout(LOGIN_WAIT):
            await machine.online.wait()
        await machine.add_contact(caller.bare)
    except (TimeoutError, CommandError, WireError) as error:  # the machine is made, whatever comes of this
        log.warning("%s: %s is not in its roster: %s", machine.bare, caller.bare, error or "it does not log in")
    hypervisor.push(Topic.HYPERVISOR, HypervisorChange.ALLOC)
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
        hypervisor.push(Topic.HYPERVISOR, HypervisorChange.MANAGE)
    _raise_failed("manage", failed)


async def _adopt_one(hypervisor: Hypervisor, caller: Caller, reference: str) -> None:
    uuid = parse_machine_uuid(reference, "jid")
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
        hypervisor.push(Topic.HYPERVISOR, HypervisorChange.UNMANAGE)
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

    An error (libvirt refuses) leaves the machine managed as it was. The folder goes whole, also what was in it when the machine
    was made: that was the maker's, or he an administrator. With ``keep_disks``, and of an adopted machine, it stays, for
    administrators and those who had ``all`` on the machine: they alone make a machine of that UUID again.
    """
    _refuse_freed(machine)
    store = machine.services.store
    machine.freeing = True
    try:
        await store.set_phase(machine.uuid, Phase.FREEING, {"keep_disks": keep_disks})
        await remove_domain(machine)
    except (CommandError, VirtError, StoreError):
        machine.freeing = False
        try:
            await store.set_phase(machine.uuid, Phase.ACTIVE)
        except StoreError as error:
            log.error("%s: that it was not freed after all cannot be written now, it will be later: %s", machine.bare, error)
            machine.hypervisor.untidy.set()
        raise
    if not keep_disks and not machine.adopted:
        await remove_folder(machine.folder)


def _refuse_freed(machine: VirtualMachine) -> None:
    if machine.freeing:
        raise CommandError(f"{machine.name} is being freed already", condition=Condition.UNEXPECTED_REQUEST)
    machine.refuse_copied()


async def finish_free(hypervisor: Hypervisor, machine: VirtualMachine, who: str) -> None:
    """Remove what is left of a destroyed machine: nodes, contacts, account, rights, record."""
    await _retire(hypervisor, machine, None)
    hypervisor.push(Topic.HYPERVISOR, HypervisorChange.FREE)
    hypervisor.shout(f"{who} freed the machine {machine.name}")


async def _retire(hypervisor: Hypervisor, machine: VirtualMachine, phase: Phase | None) -> None:
    """Take a machine's entity off the platform, as far as server and store allow it now; the rest is finished later."""
    if phase is not None:
        machine.freeing = True
        try:
            await hypervisor.services.store.set_phase(machine.uuid, phase)
        except StoreError:
            machine.freeing = False
            raise
    with hypervisor.hold(machine.uuid), _leaving_unfinished(hypervisor, machine):
        hypervisor.forget(machine)
        await leave_server(hypervisor, machine)
        await remove_record(machine)
