# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine made from an appliance, and an appliance made from a machine.

The caller gets his answer when the work begins; how it ends is pushed and shouted. Work that fails leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary
from xml.etree import ElementTree as ET

from archipel.agent.appliance_import import open_appliance
from archipel.agent.appliance_package import Package, PackageRefused, place_drives
from archipel.agent.appliance_repository import Repository, repository_of
from archipel.agent.appliance_shelf import ApplianceRecord
from archipel.agent.definition import MOST_BYTES, read_current
from archipel.agent.dispatch import Caller
from archipel.agent.domain_rules import refuse_forbidden
from archipel.agent.download import digest_of
from archipel.agent.drive_checks import refuse_foreign_contents
from archipel.agent.drive_work import in_plain_words, work_on
from archipel.agent.slow_work import in_slow_thread
from archipel.agent.store import StoreError
from archipel.agent.virt.disk_files import ENDINGS
from archipel.agent.virt.errors import DomainNotFound, VirtError
from archipel.agent.virt.qemu_img import QemuImgFailed
from archipel.agent.virt.unfinished_files import make_durable
from archipel.agent.virtual_machine import VirtualMachine
from archipel.agent.web_fetch import FetchFailed, Progress
from archipel.protocol.appliances import TOPIC, ApplianceChange, InstallableAppliance
from archipel.protocol.domain.copying import define_copy
from archipel.protocol.domain.domain import Domain
from archipel.protocol.errors import CommandError, Condition
from archipel.protocol.presence import Work

log = logging.getLogger(__name__)

MARK: Final = "current.package"  # the file in a machine's folder that holds the UUID of its appliance
FAILURES: Final = (CommandError, VirtError, StoreError, PackageRefused, FetchFailed, QemuImgFailed, OSError)
_installing: Final[WeakKeyDictionary[VirtualMachine, str]] = WeakKeyDictionary()


async def list_installable(machine: VirtualMachine) -> tuple[InstallableAppliance, ...]:
    """Return what is downloaded on the machine's host, and what this machine has of it."""
    repository = repository_of(machine.hypervisor)
    current = await asyncio.to_thread(_read_mark, machine)
    return tuple(
        InstallableAppliance(
            path=str(repository.file_of(record.uuid)),
            name=record.name,
            description=record.description,
            uuid=record.uuid,
            status=_status_of(machine, record, current),
        )
        for record in await repository.installed()
    )


def _status_of(machine: VirtualMachine, record: ApplianceRecord, current: str) -> str:
    if _installing.get(machine) == record.uuid:
        return "installing"
    return "installed" if current == record.uuid else "none"


def _read_mark(machine: VirtualMachine) -> str:
    """Return the UUID of the appliance that the machine was made of; empty if there is none."""
    try:
        return (machine.folder / MARK).read_text(errors="replace").strip()
    except FileNotFoundError:
        return ""


async def detach(machine: VirtualMachine) -> None:
    """Forget which appliance the machine was made of; its drives and definition stay."""
    with in_plain_words():
        if not await asyncio.to_thread(_read_mark, machine):
            raise CommandError(f"{machine.name} was made of no appliance", condition=Condition.ITEM_NOT_FOUND)
        await asyncio.to_thread((machine.folder / MARK).unlink)


# -- installing -------------------------------------------------------------------------------------------------------------


async def attach(machine: VirtualMachine, uuid: str, caller: Caller) -> None:
    """Begin to make the machine from an appliance."""
    repository = repository_of(machine.hypervisor)
    record = await repository.find_installed(uuid)
    await refuse_on(machine, "its drives and its definition are about to be made")
    with in_plain_words():
        current = await asyncio.to_thread(_read_mark, machine)
    if current:
        raise CommandError(f"uuid: {machine.name} was made of the appliance {current}: detach that first", condition=Condition.CONFLICT)
    if machine in _installing:
        raise CommandError(f"uuid: an appliance is being installed in {machine.name} already", condition=Condition.CONFLICT)
    machine.refuse_copied()
    _installing[machine] = uuid
    machine.push(TOPIC, ApplianceChange.INSTALLING)
    machine.spawn(_attach(machine, repository, record, caller))


async def refuse_on(machine: VirtualMachine, why: str) -> None:
    """Raise if the machine is on."""
    try:
        state = await machine.domain.state()
    except DomainNotFound:
        return
    if not state.is_off:
        raise CommandError(f"{machine.name} is on: shut it down first, {why}", condition=Condition.UNEXPECTED_REQUEST)


async def _attach(machine: VirtualMachine, repository: Repository, record: ApplianceRecord, caller: Caller) -> None:
    try:
        async with machine.at_work(Work.INSTALLING):
            with repository.use(record.uuid) as file, in_plain_words():
                async with temporary_folder(repository) as folder:
                    package = await _read_package(machine, repository, record, file, folder)
                    await _refuse_foreign_images(machine, package, folder)
                    await _install(machine, package, record.uuid, caller)
    except FAILURES as error:
        log.warning("%s: the appliance %s was not installed: %s", machine.bare, record.uuid, error)
        machine.push(TOPIC, ApplianceChange.ERROR)
        machine.shout(f"The appliance {record.name} was not installed: {error}")
    else:
        warnings = "".join(f"; {warning}" for warning in package.warnings)
        log.info("%s: the appliance %s was installed%s", machine.bare, record.uuid, warnings)
        machine.push(TOPIC, ApplianceChange.INSTALLED, *map(_warning, package.warnings))
        machine.shout(f"{caller.bare} made {machine.name} from the appliance {record.name}{warnings}")
    finally:
        _installing.pop(machine, None)


def _warning(text: str) -> ET.Element:
    element = ET.Element("warning")
    element.text = text
    return element


def temporary_prefix(host: str) -> str:
    """Return how the names of a host's temporary folders begin: several hosts may share what they lie in."""
    return "archipel+" + "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in host) + "+"


@contextlib.asynccontextmanager
async def temporary_folder(repository: Repository) -> AsyncIterator[Path]:
    """Yield a folder of one's own that is gone afterwards."""
    parent = repository.settings.temporary
    await asyncio.to_thread(parent.mkdir, mode=0o755, parents=True, exist_ok=True)
    prefix = temporary_prefix(repository.hypervisor.services.settings.hostname)
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix=prefix, dir=parent))
    try:
        yield folder
    finally:
        await asyncio.shield(in_slow_thread(shutil.rmtree, folder, ignore_errors=True))


async def _read_package(machine: VirtualMachine, repository: Repository, record: ApplianceRecord, file: Path, folder: Path) -> Package:
    """Unpack an appliance, if its file is still what was downloaded."""
    progress = Progress(lambda: False)
    if record.recorded and await in_slow_thread(digest_of, file, progress) != record.recorded:
        raise PackageRefused(f"{file.name} is not what was downloaded: delete it and download it again")
    return await open_appliance(machine, repository.settings, file, folder)


async def _refuse_foreign_images(machine: VirtualMachine, package: Package, folder: Path) -> None:
    """Raise if a drive of the package names files outside of the package."""
    formats = {Path(disk.path).name.removesuffix(".gz"): disk.format or "raw" for disk in package.definition.disks if disk.path}
    for name, file in package.drives.items():
        image_format = formats.get(name) or ENDINGS.get(file.suffix.lower(), "raw")
        await refuse_foreign_contents(work_on(machine.hypervisor).qemu_img, file, image_format, (folder,))


async def _install(machine: VirtualMachine, package: Package, uuid: str, caller: Caller) -> None:
    """Give the machine the drives and the definition, both or neither."""
    moved = place_drives(package, machine.folder)
    wanted = rewrite(package.definition, machine, moved)
    targets = [machine.folder / name for name in package.drives]
    async with machine.changing:
        machine.refuse_leaving()
        machine.refuse_copied()
        await refuse_on(machine, "its drives and its definition are about to be made")
        current = await read_current(machine)
        await refuse_forbidden(machine, wanted, current, caller)
        with work_on(machine.hypervisor).take(*targets), contextlib.ExitStack() as undo:
            await in_slow_thread(_move_in, machine, package, uuid, undo)
            await machine.domain.define(wanted.to_text())
            undo.pop_all()


def rewrite(definition: Domain, machine: VirtualMachine, moved: dict[str, str]) -> Domain:
    """Return the definition of an appliance as that of the machine: with an identity, drives and MAC addresses of its own."""
    wanted = define_copy(definition, machine.uuid, machine.name, moved)
    root = wanted.element
    for place, name in ((root, "description"), (root.find("os"), "nvram"), (root.find("devices"), "emulator")):
        for element in place.findall(name) if place is not None else ():
            place.remove(element)  # type: ignore[union-attr] # there is one
    if len(wanted.to_text().encode()) > MOST_BYTES:
        raise PackageRefused(f"its definition has more than {MOST_BYTES} bytes")
    return wanted


def _move_in(machine: VirtualMachine, package: Package, uuid: str, undo: contextlib.ExitStack) -> None:
    """Put the drives, and the note whose they are, into the machine's folder; nothing that is there is overwritten."""
    machine.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    for name in package.drives:
        if os.path.lexists(machine.folder / name):
            text = f"there is a drive {name} already: delete or rename it first"
            raise CommandError(text, condition=Condition.CONFLICT)
    for name, file in package.drives.items():
        undo.callback((machine.folder / name).unlink, missing_ok=True)
        shutil.move(file, machine.folder / name)
        make_durable(machine.folder / name)
    mark = machine.folder / MARK
    undo.callback(mark.unlink, missing_ok=True)
    mark.write_text(uuid)
    make_durable(mark)


def drives_of(definition: Domain, *, include_iso: bool) -> Iterator[tuple[str, Path, str]]:
    """Yield target, file and format of the drives that go into a package."""
    for disk in definition.disks:
        if disk.device in {"cdrom", "floppy"}:
            if disk.path and include_iso:
                yield disk.target or "", Path(disk.path), "raw"
        elif disk.type != "file" or not disk.path:
            text = f"the drive {disk.target} is no file: only files are packaged"
            raise CommandError(text, condition=Condition.NOT_ACCEPTABLE)
        else:
            yield disk.target or "", Path(disk.path), disk.format or "raw"
