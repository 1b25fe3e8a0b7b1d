# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drives of a machine, CD images and golden drives (namespace ``archipel:vm:disk``)."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final

from archipel.agent import drives, golden_images
from archipel.agent.dispatch import Caller, Chat, command
from archipel.agent.drive_checks import read_definitions, read_info
from archipel.agent.drive_replacement import settle_all
from archipel.agent.drive_work import DriveSettings, DriveWork, in_plain_words, work_on
from archipel.agent.hooks import in_background
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.virt.disk_files import Definitions, format_of, list_drives, list_goldens, list_isos
from archipel.agent.virt.qemu_img import QemuImgFailed
from archipel.agent.virt.unfinished_files import sweep
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import drives as wire
from archipel.protocol import golden_images as golden_wire
from archipel.protocol.drives import DriveCode
from archipel.protocol.errors import CommandError
from archipel.protocol.golden_images import GoldenCode
from archipel.protocol.rights import ON_HYPERVISOR, ON_VIRTUAL_MACHINE, EntityKind, Token

log = logging.getLogger(__name__)

HYPERVISOR, VM = EntityKind.HYPERVISOR, EntityKind.VIRTUAL_MACHINE
SETTINGS = DriveSettings
RETRY_INTERVAL: Final = 5.0  # seconds; something is left half done because libvirt or the disk failed just now

TOKENS = (
    Token("drives_create", "Make drives for the virtual machine", ON_VIRTUAL_MACHINE),
    Token("drives_delete", "Delete drives of the virtual machine", ON_VIRTUAL_MACHINE),
    Token("drives_get", "See the drives of the virtual machine", ON_VIRTUAL_MACHINE),
    Token("drives_getiso", "See the images for CD drives", ON_VIRTUAL_MACHINE),
    Token("drives_convert", "Change the format of drives", ON_VIRTUAL_MACHINE),
    Token("drives_rename", "Rename drives", ON_VIRTUAL_MACHINE),
    Token("drives_resize", "Change the size of drives", ON_VIRTUAL_MACHINE),
    Token("drives_getgolden", "See the golden drives", ON_VIRTUAL_MACHINE),
    Token("drives_setgolden", "Make golden drives, which every machine of the host may read", ON_VIRTUAL_MACHINE),
    Token("drives_create_golden", "Guards nothing: founding clients know it", ON_VIRTUAL_MACHINE),
    Token("golden_images", "See the golden images and what stands on them", ON_HYPERVISOR),
    Token("golden_imagedelete", "Delete golden images on which nothing stands", ON_HYPERVISOR),
)


def _done(_answer: object) -> str:
    return "Done."


def _say_drives(found: tuple[wire.Drive, ...]) -> str:
    return "\n".join(f"{Path(one.path).name}: {one.format}, {_say_size(one)}" for one in found) or "I have no drive in my folder."


def _say_size(one: wire.Drive) -> str:
    size = one.problem or f"{(one.virtual_size or 0) // wire.MEBIBYTE} MiB"
    return size + (f", on {one.backing_file}" if one.backing_file else "")


def _say_files(found: tuple[wire.IsoImage, ...] | tuple[wire.GoldenDrive, ...]) -> str:
    return "\n".join(one.name for one in found) or "There is none."


def _tell(machine: VirtualMachine, change: wire.DriveChange, text: str) -> None:
    machine.push(wire.TOPIC, change)
    machine.shout(text)


@command(
    wire.CreateDrive,
    on=VM,
    right="drives_create",
    failure=DriveCode.CREATE,
    chat=Chat(
        ("create drive {name} {size} {unit} {format} [golden]", "create a drive {name} {size} {unit} {format} [golden]"),
        _done,
        questions={
            "name": "What shall it be called?",
            "size": "What size (10G, 500M)?",
            "unit": "In M or G?",
            "format": "Which format (qcow2, raw)?",
        },
    ),
)
async def create(vm: VirtualMachine, request: wire.CreateDrive, caller: Caller) -> None:
    """Make a drive of so many M or G, empty or standing on a golden one."""
    with in_plain_words():
        file = await drives.create(vm, request)
    _tell(vm, wire.DriveChange.CREATED, f"{caller.bare} made the drive {file.name} of {vm.name}")


@command(
    wire.DeleteDrive,
    on=VM,
    right="drives_delete",
    failure=DriveCode.DELETE,
    chat=Chat(
        ("delete drive {name}", "delete a drive {name}"),
        _done,
        questions={"name": "Which drive (its file name)?"},
        confirm="What is on the drive is lost for ever.",
    ),
)
async def delete(vm: VirtualMachine, request: wire.DeleteDrive, caller: Caller) -> None:
    """Delete a drive that the definition does not name."""
    with in_plain_words():
        file = await drives.delete(vm, request, caller)
    _tell(vm, wire.DriveChange.DELETED, f"{caller.bare} deleted the drive {file.name} of {vm.name}")


@command(wire.GetDrives, on=VM, right="drives_get", failure=DriveCode.GET, chat=Chat(("drives",), _say_drives))
async def get(vm: VirtualMachine, _request: wire.GetDrives, _caller: Caller) -> tuple[wire.Drive, ...]:
    """The drives in this machine's folder."""
    work = work_on(vm.hypervisor)
    with in_plain_words():
        definitions = await read_definitions(vm)
        files = await asyncio.to_thread(list_drives, vm.folder, definitions)
        found = await asyncio.gather(*(_describe(work, file, definitions) for file in files))
    return tuple(one for one in found if one is not None)


async def _describe(work: DriveWork, file: Path, definitions: Definitions) -> wire.Drive | None:
    """Return what is known of a drive; ``None`` if it is gone by now."""
    image_format = await asyncio.to_thread(format_of, file, definitions)
    try:
        written = (await asyncio.to_thread(file.stat)).st_mtime
        info = await read_info(work.qemu_img, file, image_format)
    except FileNotFoundError:
        return None
    except (QemuImgFailed, CommandError, OSError) as error:
        told = await asyncio.to_thread(file.stat)
        size, written = told.st_blocks * 512, told.st_mtime
        return wire.Drive(name=file.stem, path=str(file), format=image_format, disk_size=size, problem=str(error), modified=written)
    return wire.Drive(
        name=file.stem,
        path=str(file),
        format=image_format,
        virtual_size=info.virtual_size,
        disk_size=info.disk_size,
        backing_file=info.backing,
        modified=written,
    )


@command(wire.GetIsoImages, on=VM, right="drives_getiso", failure=DriveCode.GET_ISO, chat=Chat(("isos",), _say_files))
async def get_isos(vm: VirtualMachine, _request: wire.GetIsoImages, _caller: Caller) -> tuple[wire.IsoImage, ...]:
    """Images for this machine's CD drives."""
    with in_plain_words():
        files = await asyncio.to_thread(list_isos, vm.folder, vm.services.settings.machines.iso_folders)
    return tuple(wire.IsoImage(name=file.name, path=str(file)) for file in files)


@command(wire.ConvertDrive, on=VM, right="drives_convert", failure=DriveCode.CONVERT, chat=Chat(("convert drive {path} {format}",), _done))
async def convert(vm: VirtualMachine, request: wire.ConvertDrive, caller: Caller) -> None:
    """Change the format of a drive."""
    with in_plain_words():
        file = await drives.convert(vm, request, caller)
    _tell(vm, wire.DriveChange.CONVERTED, f"{caller.bare} converted a drive of {vm.name} to {file.name}")


@command(wire.RenameDrive, on=VM, right="drives_rename", failure=DriveCode.RENAME, chat=Chat(("rename drive {path} {newname}",), _done))
async def rename(vm: VirtualMachine, request: wire.RenameDrive, caller: Caller) -> None:
    """Give a drive another name."""
    with in_plain_words():
        old, new = await drives.rename(vm, request, caller)
    _tell(vm, wire.DriveChange.RENAMED, f"{caller.bare} renamed the drive {old.name} of {vm.name} to {new.name}")


@command(wire.ResizeDrive, on=VM, right="drives_resize", failure=DriveCode.RESIZE, chat=Chat(("resize drive {path} {size} {unit}",), _done))
async def resize(vm: VirtualMachine, request: wire.ResizeDrive, caller: Caller) -> None:
    """Make a drive larger, to so many M or G."""
    with in_plain_words():
        file = await drives.resize(vm, request)
    _tell(vm, wire.DriveChange.RESIZED, f"{caller.bare} gave the drive {file.name} of {vm.name} {request.size} {request.unit}")


@command(wire.GetGoldenDrives, on=VM, right="drives_getgolden", failure=DriveCode.GET_GOLDEN, chat=Chat(("goldens",), _say_files))
async def get_goldens(vm: VirtualMachine, _request: wire.GetGoldenDrives, _caller: Caller) -> tuple[wire.GoldenDrive, ...]:
    """Golden drives, on which new ones may stand."""
    with in_plain_words():
        files = await asyncio.to_thread(list_goldens, vm.services.settings.machines.golden_folders)
    return tuple(wire.GoldenDrive(name=file.name, path=str(file)) for file in files)


@command(
    wire.SetGoldenDrive, on=VM, right="drives_setgolden", failure=DriveCode.SET_GOLDEN, chat=Chat(("make golden {path} {name}",), _done)
)
async def set_golden(vm: VirtualMachine, request: wire.SetGoldenDrive, caller: Caller) -> None:
    """Make a golden drive of a copy of a drive."""
    with in_plain_words():
        golden = await drives.set_golden(vm, request, caller)
    _tell(vm, wire.DriveChange.GOLDENED, f"{caller.bare} made the golden drive {golden.name} of a drive of {vm.name}")


def _say_golden_images(found: tuple[golden_wire.GoldenImage, ...]) -> str:
    return "\n".join(f"{one.name}: {one.problem or f'{len(one.users)} images stand on it'}" for one in found) or "There is none."


@command(
    golden_wire.ListGoldenImages,
    on=HYPERVISOR,
    right="golden_images",
    failure=GoldenCode.LIST,
    chat=Chat(("golden images",), _say_golden_images),
)
async def list_golden_images(
    hypervisor: Hypervisor, _request: golden_wire.ListGoldenImages, _caller: Caller
) -> tuple[golden_wire.GoldenImage, ...]:
    """The golden images of this host, and how many images stand on each."""
    with in_plain_words():
        return await golden_images.list_all(hypervisor)


@command(
    golden_wire.DeleteGoldenImage,
    on=HYPERVISOR,
    right="golden_imagedelete",
    failure=GoldenCode.DELETE,
    chat=Chat(("delete golden image {name}",), _done, confirm="It is lost for ever."),
)
async def delete_golden_image(hypervisor: Hypervisor, request: golden_wire.DeleteGoldenImage, caller: Caller) -> None:
    """Delete a golden image on which nothing stands."""
    with in_plain_words():
        file = await golden_images.delete(hypervisor, request.name)
    hypervisor.push(wire.TOPIC, wire.DriveChange.GOLDEN_DELETED)
    hypervisor.shout(f"{caller.bare} deleted the golden image {file.name}")


@in_background
async def keep_tidy(hypervisor: Hypervisor) -> None:
    """Make the folders for images, and finish or undo what a crash left half done, until nothing is."""
    work, machines = work_on(hypervisor), hypervisor.services.settings.machines
    for folder in (*machines.iso_folders, *machines.golden_folders):
        try:
            await asyncio.to_thread(folder.mkdir, mode=0o755, parents=True, exist_ok=True)
            await asyncio.to_thread(sweep, folder, work.host)
        except OSError as error:
            log.warning("the folder %s cannot be made or tidied up: %s", folder, error)
    while True:
        work.unsettled.clear()
        if await settle_all(work, hypervisor):
            await work.unsettled.wait()
        await asyncio.sleep(RETRY_INTERVAL)
