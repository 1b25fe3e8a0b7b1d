# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Appliances that are no packages of this platform: a plain qcow2 image, or an OVA; what a package would hold is made of them."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from archipel.agent.appliance_ova import Ova, is_ova, unpack_ova
from archipel.agent.appliance_package import Package, PackageRefused, refuse_filling, unpack
from archipel.agent.appliance_settings import ApplianceSettings, Runner
from archipel.agent.drive_work import work_on
from archipel.agent.slow_work import in_slow_thread
from archipel.agent.virt.image_chain import ImageUnreadable, read_image
from archipel.agent.virt.qemu_img import QemuImg
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.domain.declaration import DiskDeclaration, DomainDeclaration, NetworkDeclaration
from archipel.protocol.domain.domain import Domain
from archipel.protocol.domain.options import DeclarationError
from archipel.protocol.domain.rendering import render

SYSTEM: Final = "system.qcow2"  # the drive that a plain image becomes
NAME: Final = "imported"  # until the machine gives its own
CARDS: Final = 16  # more than that no board of QEMU's has room for
_QCOW2: Final = b"QFI\xfb"
_ARCHITECTURE: Final = "x86_64"


async def open_appliance(machine: VirtualMachine, settings: ApplianceSettings, file: Path, folder: Path) -> Package:
    """Return what an appliance holds, whichever of the formats it is in, unpacked into ``folder``, which is empty.

    Raises :class:`PackageRefused`, :class:`~archipel.agent.virt.qemu_img.QemuImgFailed`, OSError.
    """
    if await asyncio.to_thread(_is_qcow2, file):
        return await _import_image(machine, settings, file, folder)
    if await asyncio.to_thread(is_ova, file):
        return await _import_ova(machine, settings, file, folder)
    return await in_slow_thread(unpack, file, folder, settings.endings, settings.most_bytes)


def _is_qcow2(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(_QCOW2)) == _QCOW2


async def _import_image(machine: VirtualMachine, settings: ApplianceSettings, file: Path, folder: Path) -> Package:
    """A machine around one disk: what it is made of the settings say."""
    drive = folder / SYSTEM
    await in_slow_thread(_copy_whole, file, drive)
    declaration = DomainDeclaration(
        name=NAME,
        memory=settings.import_memory,
        vcpus=settings.import_vcpus,
        disks=(DiskDeclaration(path=str(drive), format="qcow2", bus="virtio"),),
        networks=_plug_in(settings, ("virtio",)),
    )
    return Package(await _render(machine, settings, declaration), {SYSTEM: drive})


def _copy_whole(file: Path, target: Path) -> None:
    """Copy an image that holds all of its data as it is: what is compressed stays so. Raises :class:`PackageRefused`, OSError."""
    try:
        facts = read_image(file, "qcow2")
    except ImageUnreadable as error:
        raise PackageRefused(f"it is a qcow2 image that {error}") from error
    if facts.data_file is not None or facts.backing is not None:
        raise PackageRefused("it is a qcow2 image that stands on another file: make it whole with qemu-img convert")
    refuse_filling(target.parent, file.stat().st_size)
    shutil.copyfile(file, target)


async def _import_ova(machine: VirtualMachine, settings: ApplianceSettings, file: Path, folder: Path) -> Package:
    """The machine that an OVA describes, as near as this host can come to it."""
    unpacked = folder / "unpacked"
    await asyncio.to_thread(unpacked.mkdir)
    ova = await in_slow_thread(unpack_ova, file, unpacked, settings.most_bytes)
    drives = await _convert_disks(work_on(machine.hypervisor).qemu_img, ova, folder, settings.most_bytes)
    found = ova.machine
    try:
        declaration = DomainDeclaration(
            name=NAME,
            memory=found.memory // 1024,
            vcpus=found.vcpus,
            firmware="uefi" if found.efi else None,
            disks=(
                *(DiskDeclaration(path=str(drive), format="qcow2", bus="sata") for drive in drives),
                *(DiskDeclaration(device="cdrom", bus="sata") for _ in range(found.optical_drives)),
            ),
            networks=_plug_in(settings, found.cards),
        )
        definition = await _render(machine, settings, declaration)
    except DeclarationError as error:
        raise PackageRefused(f"its machine cannot be made here: {error}") from error
    return Package(definition, {drive.name: drive for drive in drives}, ova.warnings)


async def _convert_disks(qemu_img: QemuImg, ova: Ova, folder: Path, most: int) -> list[Path]:
    """Return the disks as qcow2 images in ``folder``, in their order; what they were made of is gone."""
    drives, left = [], most
    for number, disk in enumerate(ova.machine.disks, 1):
        drive = folder / f"disk{number}.qcow2"
        if disk.file is None:
            await qemu_img.create(drive, "qcow2", disk.capacity)
        else:
            source = ova.files[disk.file]
            left -= (await qemu_img.info(source, "vmdk")).virtual_size  # a footer may say otherwise than the header did
            if left < 0:
                raise PackageRefused(f"its disks are of more than {most} bytes (largest_appliance of [VMCASTING])")
            refuse_filling(folder, await qemu_img.measure(source, "vmdk", "qcow2"))
            await qemu_img.convert(source, "vmdk", drive, "qcow2")
            with contextlib.suppress(FileNotFoundError):
                await asyncio.to_thread(source.unlink)
        drives.append(drive)
    return drives


def _plug_in(settings: ApplianceSettings, cards: tuple[str, ...]) -> tuple[NetworkDeclaration, ...]:
    if len(cards) > CARDS:
        raise PackageRefused(f"its machine has {len(cards)} network cards; at most {CARDS} are taken")
    return tuple(NetworkDeclaration(network=settings.import_network, model=model) for model in cards)


async def _render(machine: VirtualMachine, settings: ApplianceSettings, declaration: DomainDeclaration) -> Domain:
    return render(declaration, type=await _find_type(machine, settings))


async def _find_type(machine: VirtualMachine, settings: ApplianceSettings) -> str:
    """Return what runs a machine of a PC's kind on this host: KVM where there is any."""
    if machine.services.driver == "TEST":
        return "test"
    capabilities = ET.fromstring(await machine.services.host.capabilities())  # noqa: S314 - libvirt's own
    found = {domain.get("type") for domain in capabilities.iterfind(f"guest/arch[@name='{_ARCHITECTURE}']/domain")}
    for wanted in Runner:
        if wanted in found and settings.import_runner in {None, wanted}:
            return wanted
    by = f" by {settings.import_runner}" if settings.import_runner else ""
    raise PackageRefused(f"it is a machine for {_ARCHITECTURE}, which this host does not run{by}")
