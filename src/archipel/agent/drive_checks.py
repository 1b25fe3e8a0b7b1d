# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be so before a drive is touched: that it is one, that nobody uses it, that its image names nothing foreign."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from archipel.agent import image_users
from archipel.agent.definition import read_stored
from archipel.agent.virt import binding, disk_files
from archipel.agent.virt.confined_paths import PathRefused
from archipel.agent.virt.disk_files import Definitions
from archipel.agent.virt.errors import DomainNotFound, LibvirtError
from archipel.agent.virt.image_chain import FORMATS, follow_chain, read_image
from archipel.agent.virt.image_header import read_header
from archipel.agent.virt.qemu_img import ImageInfo, QemuImg, QemuImgFailed
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import BadRequest, CommandError, Condition

T = TypeVar("T")
_MOST_NAMED = 5  # images that an error lists


@dataclass(frozen=True)
class Drive:
    """A drive as it was looked at: ``file`` is where links end, ``mark`` changes with every write."""

    file: Path
    format: str
    definitions: Definitions
    mark: tuple[int, ...]

    @property
    def attached(self) -> bool:
        """Whether the definition for the next start names it."""
        return bool(self.definitions.stored_disks(self.file))

    @property
    def running(self) -> bool:
        """Whether the running machine has it."""
        return bool(self.definitions.running_disks(self.file))


async def read_definitions(machine: VirtualMachine) -> Definitions:
    """Return what libvirt has of the machine now."""
    try:
        stored = read_stored(await machine.domain.xml(secure=True, inactive=True))
        running = read_stored(await machine.domain.xml()) if await machine.domain.is_active() else None
    except DomainNotFound:
        return Definitions()
    return Definitions(stored, running)


async def look_up(machine: VirtualMachine, told: str, field: str) -> Drive:
    """Return the drive that somebody means by its path or file name, ``field`` of his request."""
    definitions = await read_definitions(machine)

    def look() -> Drive:
        file = disk_files.find_drive(machine.folder, told, definitions)
        found = file.stat()
        mark = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        return Drive(file, disk_files.format_of(file, definitions), definitions, mark)

    return await naming(field, told, look)


async def naming(field: str, told: str, look: Callable[[], T]) -> T:
    """Return what ``look`` finds (in a thread); what it refuses is told with the field and what stood there."""
    try:
        return await asyncio.to_thread(look)
    except PathRefused as error:
        raise BadRequest(f"{field}: {told[:200]!r} {error}") from error
    except FileNotFoundError as error:
        raise CommandError(f"{field}: {error}", condition=Condition.ITEM_NOT_FOUND) from error


def refuse_running(drive: Drive, machine: VirtualMachine) -> None:
    """Raise if the running machine has the drive."""
    if drive.running:
        text = f"{drive.file.name} is attached to {machine.name}, which runs: shut it down first"
        raise CommandError(text, condition=Condition.UNEXPECTED_REQUEST)


async def refuse_saved(drive: Drive, machine: VirtualMachine) -> None:
    """Raise if a saved state of the machine waits for this drive just as it is."""
    if drive.attached and await _is_saved(machine):
        text = f"{machine.name} was saved to disk and goes on with {drive.file.name} as it is: start it and shut it down first"
        raise CommandError(text, condition=Condition.UNEXPECTED_REQUEST)


async def _is_saved(machine: VirtualMachine) -> bool:
    try:
        return await machine.domain.read("has managed save", lambda domain: domain.hasManagedSaveImage(0) == 1)
    except LibvirtError as error:
        if error.code in binding.REFUSED_FLAGS:  # a driver that saves nothing
            return False
        raise


async def refuse_used_by_others(machine: VirtualMachine, file: Path) -> None:
    """Raise ``conflict`` if an image of this host stands on the file, or another machine has it."""
    sources = await image_users.read_sources_of_all(machine.services.host)
    users = [f"a disk of {name}" for (uuid, name), files in sources.named.items() if file in files and uuid != machine.uuid]
    users += [path.name for path in await image_users.find_images_on(machine.services, file, sources)]
    if users:
        more = f" and {len(users) - _MOST_NAMED} more" if len(users) > _MOST_NAMED else ""
        text = f"{file.name} is in use: {', '.join(users[:_MOST_NAMED])}{more}; whoever reads through it would lose what is there"
        raise CommandError(text, condition=Condition.CONFLICT)


async def find_images_on(machine: VirtualMachine, file: Path) -> list[Path]:
    """Return the images of all machines and folders of this host that stand on a file."""
    return await image_users.find_images_on(machine.services, file, await image_users.read_sources_of_all(machine.services.host))


async def refuse_foreign_contents(qemu_img: QemuImg, drive_file: Path, image_format: str, folders: Collection[Path]) -> None:
    """Raise if reading the whole image would open anything outside of ``folders``, or what nothing here can follow."""
    if image_format in FORMATS:
        try:
            await asyncio.to_thread(follow_chain, str(drive_file), image_format, tuple(folders), read_image)
        except PathRefused as error:
            raise CommandError(f"{drive_file.name} {error}", condition=Condition.NOT_ACCEPTABLE) from error
    elif image_format == "vmdk":
        await asyncio.to_thread(_refuse_split_vmdk, drive_file)
        await _refuse_backing(qemu_img, drive_file, image_format)
    elif image_format == "qcow":
        await _refuse_backing(qemu_img, drive_file, image_format)
    else:
        raise CommandError(f"{drive_file.name} is of format {image_format[:40]!r}: no drive of that is read here")


def _refuse_split_vmdk(file: Path) -> None:
    """Refuse a VMDK that is, or refers to, a description: that may name any file of the host (QEMU, block/vmdk.c)."""
    with file.open("rb") as opened:
        header = opened.read(20)
    if not header.startswith(b"KDMV") or header[12:20] in {b"", b"\0" * 8}:
        text = f"{file.name} is no VMDK of a single file: convert it where it was made (qemu-img convert -O qcow2)"
        raise CommandError(text, condition=Condition.NOT_ACCEPTABLE)


async def _refuse_backing(qemu_img: QemuImg, file: Path, image_format: str) -> None:
    if (await qemu_img.info(file, image_format)).backing is not None:
        text = f"{file.name} stands on another image, which is not followed in a {image_format}: convert it where it was made"
        raise CommandError(text, condition=Condition.NOT_ACCEPTABLE)


async def read_info(qemu_img: QemuImg, file: Path, image_format: str) -> ImageInfo:
    """Read an image without opening what it names; a raw one is what its size says. Raises :class:`QemuImgFailed`, OSError."""
    if image_format == "raw":
        found = await asyncio.to_thread(file.stat)
        return ImageInfo("raw", found.st_size, found.st_blocks * 512, None, 0, {})
    if image_format == "vmdk":
        await asyncio.to_thread(_refuse_split_vmdk, file)
    elif (header := await asyncio.to_thread(read_header, file)) is not None and header.data_file is not None:
        raise QemuImgFailed("keeps its data in another file; convert it with qemu-img convert")
    return await qemu_img.info(file, image_format)


async def refuse_snapshots(qemu_img: QemuImg, drive: Drive, why: str) -> None:
    """Raise if there are snapshots in the image, and say ``why`` that matters."""
    if drive.format == "qcow2" and (count := (await read_info(qemu_img, drive.file, drive.format)).snapshots):
        raise CommandError(f"{drive.file.name} holds {count} snapshots, {why}: delete them first", condition=Condition.CONFLICT)
