# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to the drives of a machine: made, deleted, converted, renamed, resized, made golden.

What takes long (a copy) is done without the machine's ``changing``; then the drive is looked at again, and what was done is thrown
away if the drive changed meanwhile. QEMU's own locks keep a machine from starting with a drive that is being copied.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import shutil
from pathlib import Path
from typing import Final

from archipel.agent.dispatch import Caller
from archipel.agent.drive_checks import (
    Drive,
    find_images_on,
    look_up,
    naming,
    read_info,
    refuse_foreign_contents,
    refuse_running,
    refuse_saved,
    refuse_snapshots,
    refuse_used_by_others,
)
from archipel.agent.drive_replacement import replace, take_out
from archipel.agent.drive_work import DriveWork, work_on
from archipel.agent.slow_work import in_slow_thread
from archipel.agent.virt import binding
from archipel.agent.virt.binding import VirDomain
from archipel.agent.virt.disk_files import find_golden
from archipel.agent.virt.image_chain import FORMATS
from archipel.agent.virt.unfinished_files import make_durable, put_in_place, unfinished_file
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import drives as wire
from archipel.protocol.errors import BadRequest, CommandError, Condition, PermissionDenied
from archipel.protocol.presence import Work
from archipel.protocol.rights import DOMAIN_POLICY_BYPASS

GOLDEN_MODE: Final = 0o444  # nobody writes to it again, root aside


async def create(machine: VirtualMachine, request: wire.CreateDrive) -> Path:
    """Make a drive and return it."""
    work = work_on(machine.hypervisor)
    size = _size_of(request.size, request.unit)
    file = machine.folder / f"{wire.file_name_of(request.name)}.{request.format}"
    backing = await _choose_golden(work, machine, request, size)
    preallocate = request.preallocation == "metadata" and request.format == "qcow2" and work.settings.preallocate_metadata
    with work.take(file):
        async with machine.at_work(Work.CREATING_DRIVE):
            machine.refuse_leaving()
            await asyncio.to_thread(machine.folder.mkdir, mode=0o755, parents=True, exist_ok=True)
            await _refuse_existing(file, "name")
            with unfinished_file(machine.folder, work.host) as made:
                await work.qemu_img.create(made, request.format, size, preallocate=preallocate, backing=backing)
                async with machine.changing:
                    machine.refuse_leaving()
                    await in_slow_thread(put_in_place, made, file)
    return file


async def _choose_golden(work: DriveWork, machine: VirtualMachine, request: wire.CreateDrive, size: int) -> Path | None:
    """Return the golden drive that the new one shall stand on, if any; it must not be smaller than that."""
    name = request.golden
    if name is None:
        return None
    if request.format != "qcow2" or request.preallocation == "metadata":
        raise BadRequest("golden: a drive that stands on another is a qcow2 without preallocation")
    folders = machine.services.settings.machines.golden_folders
    golden = await naming("golden", name, lambda: find_golden(name, folders))
    await refuse_foreign_contents(work.qemu_img, golden, "qcow2", folders)
    least = (await read_info(work.qemu_img, golden, "qcow2")).virtual_size
    if size < least:
        raise BadRequest(f"size: the golden drive {name} has {least} bytes, and what stands on it no fewer: make it larger")
    return golden


async def delete(machine: VirtualMachine, request: wire.DeleteDrive, caller: Caller) -> Path:
    """Delete a drive, out of the definition first, and return what it was."""
    work = work_on(machine.hypervisor)
    async with machine.changing:
        machine.refuse_leaving()
        drive = await look_up(machine, request.name, "name")
        with work.take(drive.file):
            refuse_running(drive, machine)
            await refuse_used_by_others(machine, drive.file)
            if drive.attached:
                if not request.undefine:
                    text = f"{drive.file.name} is in the definition of {machine.name}: say undefine='yes' to take it out there as well"
                    raise CommandError(text, condition=Condition.CONFLICT)
                await refuse_saved(drive, machine)
                await take_out(machine, drive, caller)
            await asyncio.to_thread(drive.file.unlink)
    return drive.file


async def convert(machine: VirtualMachine, request: wire.ConvertDrive, caller: Caller) -> Path:
    """Change the format of a drive and return what it is now; the definition follows."""
    work = work_on(machine.hypervisor)
    drive = await look_up(machine, request.path, "path")
    target = drive.file.with_suffix(f".{request.format}")
    with work.take(drive.file, target):
        async with machine.at_work(Work.CONVERTING_DRIVE):
            async with machine.changing:
                drive = await _look_before_conversion(work, machine, request)
            with unfinished_file(drive.file.parent, work.host) as made:
                await work.qemu_img.convert(drive.file, drive.format, made, request.format)
                await asyncio.to_thread(_take_owner, made, drive.file)
                async with machine.changing:
                    machine.refuse_leaving()
                    _refuse_changed(drive, await _look_before_conversion(work, machine, request))
                    await replace(work, machine, drive, target, request.format, caller, lambda: put_in_place(made, target))
    return target


async def _look_before_conversion(work: DriveWork, machine: VirtualMachine, request: wire.ConvertDrive) -> Drive:
    """Return the drive if it can be converted now."""
    drive = await look_up(machine, request.path, "path")
    if drive.format == request.format:
        raise CommandError(f"format: {drive.file.name} is {drive.format} already", condition=Condition.CONFLICT)
    await _refuse_existing(drive.file.with_suffix(f".{request.format}"), "path")
    refuse_running(drive, machine)
    if drive.attached and request.format not in FORMATS:
        text = f"format: {drive.file.name} is in the definition of {machine.name}, which starts with {' or '.join(FORMATS)} only"
        raise CommandError(text, condition=Condition.NOT_ACCEPTABLE)
    await refuse_saved(drive, machine)
    await refuse_used_by_others(machine, drive.file)
    await refuse_foreign_contents(work.qemu_img, drive.file, drive.format, _readable_folders(machine))
    await refuse_snapshots(work.qemu_img, drive, "which a conversion would lose")
    return drive


def _refuse_changed(before: Drive, now: Drive) -> None:
    if (before.mark, before.attached, before.format) != (now.mark, now.attached, now.format):
        raise CommandError(
            f"{before.file.name} was changed meanwhile, and the copy is thrown away: ask again", condition=Condition.CONFLICT
        )


def _take_owner(made: Path, source: Path) -> None:
    """Let a new file belong to whom the old one did, with its mode, and be on the disk before anybody has to wait for that."""
    found = source.stat()
    shutil.copymode(source, made)
    with contextlib.suppress(PermissionError):  # who is not root gives nothing away; QEMU reaches it by the folder's group
        os.chown(made, found.st_uid, found.st_gid)
    make_durable(made)


async def rename(machine: VirtualMachine, request: wire.RenameDrive, caller: Caller) -> tuple[Path, Path]:
    """Give a drive another name, and return the old and the new one; the definition follows."""
    work = work_on(machine.hypervisor)
    async with machine.changing:
        machine.refuse_leaving()
        drive = await look_up(machine, request.path, "path")
        new = drive.file.with_name(wire.file_name_of(request.newname) + drive.file.suffix)
        with work.take(drive.file, new):
            await _refuse_existing(new, "newname")
            refuse_running(drive, machine)
            await refuse_saved(drive, machine)
            await refuse_used_by_others(machine, drive.file)
            if drive.attached:
                await refuse_snapshots(work.qemu_img, drive, "which know it by its name")
            await replace(work, machine, drive, new, drive.format, caller, lambda: _link(drive.file, new))
    return drive.file, new


def _link(old: Path, new: Path) -> None:
    os.link(old, new)
    make_durable(new)


async def resize(machine: VirtualMachine, request: wire.ResizeDrive) -> Path:
    """Give a drive another size and return it; a running machine sees at once that it has grown."""
    work = work_on(machine.hypervisor)
    size = _size_of(request.size, request.unit)
    async with machine.changing:
        machine.refuse_leaving()
        drive = await look_up(machine, request.path, "path")
        with work.take(drive.file):
            if drive.format not in FORMATS:
                text = f"path: a drive of format {drive.format} cannot be resized: convert it to {' or '.join(FORMATS)}"
                raise CommandError(text, condition=Condition.NOT_ACCEPTABLE)
            await refuse_used_by_others(machine, drive.file)
            if drive.running:
                await _grow_running(machine, drive, size)
            else:
                await _resize_file(work, machine, drive, size, shrink=request.shrink)
    return drive.file


async def _grow_running(machine: VirtualMachine, drive: Drive, size: int) -> None:
    targets = [disk.target or "" for disk in drive.definitions.running_disks(drive.file)]

    def grow(domain: VirDomain) -> int:
        if domain.blockInfo(targets[0], 0)[0] < size:
            domain.blockResize(targets[0], size, binding.BLOCK_RESIZE_BYTES)
        return domain.blockInfo(targets[0], 0)[0]

    found = await machine.domain.change("resize disk", grow)
    if found > size:
        text = f"size: {drive.file.name} has {found} bytes; to make it smaller, shut {machine.name} down and say shrink='1'"
        raise CommandError(text, condition=Condition.NOT_ACCEPTABLE)
    if found < size:
        raise CommandError(f"{drive.file.name} has {found} bytes after all, although libvirt took {size}")


async def _resize_file(work: DriveWork, machine: VirtualMachine, drive: Drive, size: int, *, shrink: bool) -> None:
    await refuse_saved(drive, machine)
    await refuse_foreign_contents(work.qemu_img, drive.file, drive.format, _readable_folders(machine))
    found = (await read_info(work.qemu_img, drive.file, drive.format)).virtual_size
    if found > size and not shrink:
        text = f"size: {drive.file.name} has {found} bytes; shrink='1' makes it smaller, and cuts off what is at its end"
        raise CommandError(text, condition=Condition.NOT_ACCEPTABLE)
    if found != size:
        async with machine.at_work(Work.RESIZING_DRIVE):
            await work.qemu_img.resize(drive.file, drive.format, size, shrink=found > size)
            await in_slow_thread(make_durable, drive.file)


async def set_golden(machine: VirtualMachine, request: wire.SetGoldenDrive, caller: Caller) -> Path:
    """Make a golden drive of a copy of a drive, and return it.

    The drive stays: a definition may name it, and a golden drive that its machine goes on writing would spoil all that stand on it.
    """
    work = work_on(machine.hypervisor)
    folder = _golden_folder(machine)
    golden = folder / request.name
    if request.replace and not machine.decide(caller.bare, DOMAIN_POLICY_BYPASS).allowed:
        raise PermissionDenied("replace: golden drives are for all machines of the host", DOMAIN_POLICY_BYPASS)
    drive = await look_up(machine, request.path, "path")
    with work.take(drive.file, golden):
        async with machine.at_work(Work.MAKING_GOLDEN):
            await asyncio.to_thread(folder.mkdir, mode=0o755, parents=True, exist_ok=True)
            await _refuse_golden(machine, golden, request)
            async with machine.changing:
                drive = await _look_before_copy(work, machine, request)
            with unfinished_file(folder, work.host) as made:
                await work.qemu_img.convert(drive.file, drive.format, made, "qcow2")
                await asyncio.to_thread(_protect, made)
                async with machine.changing:
                    now = await _look_before_copy(work, machine, request)
                    _refuse_changed(drive, dataclasses.replace(now, definitions=drive.definitions))
                    await _refuse_golden(machine, golden, request)
                    await in_slow_thread(put_in_place, made, golden)
    return golden


def _protect(made: Path) -> None:
    made.chmod(GOLDEN_MODE)
    make_durable(made)


def _golden_folder(machine: VirtualMachine) -> Path:
    folders = machine.services.settings.machines.golden_folders
    if not folders:
        raise CommandError("there is no folder for golden drives on this host: set golden_drives_dir of [STORAGE]")
    return folders[0]


async def _look_before_copy(work: DriveWork, machine: VirtualMachine, request: wire.SetGoldenDrive) -> Drive:
    drive = await look_up(machine, request.path, "path")
    refuse_running(drive, machine)
    await refuse_foreign_contents(work.qemu_img, drive.file, drive.format, _readable_folders(machine))
    return drive


async def _refuse_golden(machine: VirtualMachine, golden: Path, request: wire.SetGoldenDrive) -> None:
    """Raise ``conflict`` if there is a golden drive of that name and it must stay."""
    folders = machine.services.settings.machines.golden_folders
    there = await asyncio.to_thread(lambda: [folder for folder in folders if os.path.lexists(folder / golden.name)])
    if there and not (request.replace and there == [golden.parent]):
        raise CommandError(f"name: there is a golden drive {golden.name} already: choose another name", condition=Condition.CONFLICT)
    standing = await find_images_on(machine, golden) if there else []
    if standing:
        text = f"name: {len(standing)} images stand on {golden.name}, such as {standing[0].name}: they would be spoilt"
        raise CommandError(text, condition=Condition.CONFLICT)


def _readable_folders(machine: VirtualMachine) -> tuple[Path, ...]:
    """Return where all must lie that an image of the machine stands on."""
    settings = machine.services.settings.machines
    return (machine.folder, *settings.iso_folders, *settings.golden_folders)


async def _refuse_existing(file: Path, field: str) -> None:
    """Raise ``conflict`` if there is a file of that name."""
    if await asyncio.to_thread(os.path.lexists, file):
        raise CommandError(f"{field}: {file.name} is there already: choose another name", condition=Condition.CONFLICT)


def _size_of(size: int, unit: str) -> int:
    if size >= wire.LIMITS[unit]:
        raise BadRequest(f"size: must be less than {wire.LIMITS[unit]} {unit}, not {size}")
    return wire.size_in_bytes(size, unit)
