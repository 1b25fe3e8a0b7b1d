# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of machines: whole ones, or ones that go on standing on the golden drive that their source stands on.

The caller gets his answer when the new machine has its account and folder; copying drives takes what it takes. A copy that
fails, or that a crash cut short, leaves nothing behind: until it is whole it is a machine half allocated.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from archipel.agent import allocation
from archipel.agent.definition import read_stored
from archipel.agent.dispatch import Caller
from archipel.agent.domain_rules import refuse_changed_images
from archipel.agent.drive_checks import refuse_foreign_contents
from archipel.agent.drive_work import DriveWork, in_plain_words, work_on
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.store import StoreError
from archipel.agent.virt.confined_paths import PathRefused
from archipel.agent.virt.disk_files import Definitions, format_of
from archipel.agent.virt.errors import DomainNotFound, VirtError
from archipel.agent.virt.image_chain import follow_chain, read_image
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.changes import HypervisorChange
from archipel.protocol.domain.copying import define_copy
from archipel.protocol.domain.devices import Disk
from archipel.protocol.domain.domain import Domain
from archipel.protocol.errors import BadRequest, CommandError, Condition
from archipel.protocol.events import Topic
from archipel.protocol.presence import Work
from archipel.xmpp.errors import WireError

log = logging.getLogger(__name__)

REMOVABLE = frozenset({"cdrom", "floppy"})


@dataclass(frozen=True)
class DriveCopy:
    """A file to copy, in its format; the copy stands on ``backing`` if that is given, else on nothing."""

    source: Path
    target: Path
    format: str
    backing: Path | None = None


async def clone(hypervisor: Hypervisor, source: VirtualMachine, name: str, caller: Caller, *, linked: bool) -> VirtualMachine:
    """Begin to copy a machine that is off, and return the copy as soon as it has its place.

    Raises :class:`CommandError` for all that can be known until then; what goes wrong afterwards is pushed and shouted.
    """
    definition = await _read_source(source)
    wish = allocation.Wish(name=name, like=source.name, organisation=source.organisation)
    begun: asyncio.Future[VirtualMachine] = asyncio.get_running_loop().create_future()

    async def prepare(machine: VirtualMachine) -> Domain:
        with in_plain_words():
            copies = await asyncio.to_thread(_plan, source, definition, machine, linked=linked)
        begun.set_result(machine)
        return await _copy(work_on(hypervisor), source, definition, machine, copies)

    source.copies += 1
    hypervisor.spawn(_run(hypervisor, source, caller, replace(wish, prepare=prepare), begun))
    return await begun


async def _read_source(source: VirtualMachine) -> Domain:
    """Return the definition of a machine that may be copied now."""
    async with source.changing:
        source.refuse_leaving()
        try:
            state = await source.domain.state()
            definition = read_stored(await source.domain.xml(secure=True, inactive=True))
        except DomainNotFound:
            text = f"jid: {source.name} has no definition: there is nothing to copy"
            raise CommandError(text, condition=Condition.ITEM_NOT_FOUND) from None
        if not state.is_off:
            text = f"jid: {source.name} is running: shut it down first, its drives change under the copy"
            raise CommandError(text, condition=Condition.UNEXPECTED_REQUEST)
        await refuse_changed_images(source, definition)
    return definition


async def _run(
    hypervisor: Hypervisor, source: VirtualMachine, caller: Caller, wish: allocation.Wish, begun: asyncio.Future[VirtualMachine]
) -> None:
    """Make the copy; its failure is the answer, or is told when that is given."""
    try:
        copy = await allocation.allocate(hypervisor, caller, wish)
    except (CommandError, VirtError, WireError, StoreError) as error:
        if not begun.done():
            begun.set_exception(error)
            return
        log.error("%s: cannot be cloned: %s", source.bare, error)
        hypervisor.push(Topic.HYPERVISOR, HypervisorChange.CLONE_ERROR)
        hypervisor.shout(f"The copy of {source.name} that {caller.bare} wanted was not made: {error}")
    else:
        hypervisor.push(Topic.HYPERVISOR, HypervisorChange.CLONE)
        hypervisor.shout(f"{caller.bare} cloned {source.name}: {copy.name}")
    finally:
        source.copies -= 1
        if not begun.done():  # a fault of ours, which is logged as one: the request must be answered all the same
            begun.set_exception(CommandError("the copy was not made: the agent's log says why", condition=Condition.INTERNAL_SERVER_ERROR))


def _plan(source: VirtualMachine, definition: Domain, copy: VirtualMachine, *, linked: bool) -> list[DriveCopy]:
    """Return what is to be copied, or raise why that cannot be; this reads files."""
    copies = [found for disk in definition.disks if (found := _plan_disk(source, definition, disk, copy, linked=linked))]
    if len({found.target.name for found in copies}) < len(copies):
        text = f"{source.name} has drives of one name in several folders: rename one of them"
        raise CommandError(text, condition=Condition.NOT_ACCEPTABLE)
    nvram = definition.operating_system.nvram
    if nvram and Path(nvram).is_file():
        copies.append(DriveCopy(Path(nvram), copy.folder / f"{copy.uuid}_VARS{Path(nvram).suffix}", ""))
    return copies


def _plan_disk(source: VirtualMachine, definition: Domain, disk: Disk, copy: VirtualMachine, *, linked: bool) -> DriveCopy | None:
    """Return how a disk is copied; ``None`` for what both machines may have: a CD image for everybody, an empty drive."""
    path = Path(disk.path or "")
    if disk.device in REMOVABLE:
        if not disk.path or not path.resolve().is_relative_to(source.folder.resolve()):
            return None
        return DriveCopy(path, copy.folder / path.name, "raw")
    if disk.type != "file" or not disk.path:
        text = f"jid: the drive {disk.target} of {source.name} is no file: only files are copied"
        raise CommandError(text, condition=Condition.NOT_ACCEPTABLE)
    image_format = format_of(path, Definitions(definition))
    backing = _golden_of(source, path, image_format) if linked else None
    return DriveCopy(path, copy.folder / path.name, image_format, backing)


def _golden_of(source: VirtualMachine, path: Path, image_format: str) -> Path:
    """Return the golden drive that a drive stands on directly."""
    try:
        chain = follow_chain(str(path), image_format, source.services.settings.machines.golden_folders, read_image)
    except PathRefused as error:
        raise BadRequest(f"linked: {path.name} {error}") from error
    if not chain:
        raise BadRequest(f"linked: {path.name} stands on no golden drive; make one of it first (setgolden), or leave linked out")
    return chain[0]


async def _copy(work: DriveWork, source: VirtualMachine, definition: Domain, copy: VirtualMachine, copies: list[DriveCopy]) -> Domain:
    """Copy the drives, and return the definition of the copy."""
    async with source.at_work(Work.CLONING.format(name=copy.name)):
        with work.share(*(found.source for found in copies)), in_plain_words():
            for found in copies:
                await _copy_drive(work, source, found)
    moved = {str(found.source): str(found.target) for found in copies}
    return define_copy(definition, copy.uuid, copy.name, moved)


async def _copy_drive(work: DriveWork, source: VirtualMachine, found: DriveCopy) -> None:
    if not found.format:
        await asyncio.to_thread(shutil.copyfile, found.source, found.target)
        return
    machines = source.services.settings.machines
    folders = (found.source.parent, source.folder, *machines.golden_folders)
    await refuse_foreign_contents(work.qemu_img, found.source, found.format, folders)
    await work.qemu_img.convert(found.source, found.format, found.target, found.format, backing=found.backing)
