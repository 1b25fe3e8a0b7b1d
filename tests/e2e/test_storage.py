# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drives of a real QEMU guest: one that stands on a golden drive boots, grows while it runs, and boots again when converted."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import libvirt
import pytest

from archipel.client import VirtualMachine
from archipel.protocol import drives, storage_pools
from archipel.protocol.errors import CommandError
from testbed.demo.virtualization import connect
from testbed.guest import make_guest
from tests.integration.collection.platform import Platform

MACHINE, GOLDEN = "drives", "guest.qcow2"
DISK = "<disk type='file' device='disk'><driver name='qemu' type='{format}'/><source file='{path}'/><target dev='{target}' bus='virtio'/></disk>"


def with_machine(platform: Platform, work: Callable[[VirtualMachine], Awaitable[None]]) -> None:
    """Do something with the machine, which is made if there is none."""

    async def run() -> None:
        async with platform.hypervisor() as hypervisor:
            names = {entry.name for entry in await hypervisor.machines() if entry.managed}
            await work(await hypervisor.machine(MACHINE) if MACHINE in names else await hypervisor.alloc(MACHINE))

    asyncio.run(run())


def define(uuid: str, *disks: str) -> ET.Element:
    return ET.fromstring(
        f"<domain type='qemu'><name>{MACHINE}</name><uuid>{uuid}</uuid><memory unit='MiB'>128</memory><vcpu>1</vcpu>"
        f"<os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/></features>"
        f"<devices>{''.join(disks)}<serial type='pty'/></devices></domain>"
    )


class Console:
    """The serial port of the running guest, where a shell listens."""

    def __init__(self, connection: libvirt.virConnect) -> None:
        self._stream = connection.newStream()
        connection.lookupByName(MACHINE).openConsole(None, self._stream, 0)
        self._heard = ""

    def read_until(self, wanted: str) -> str:
        """Wait until the guest says ``wanted`` and return what came before."""
        while wanted not in self._heard:
            got = self._stream.recv(4096)
            assert got, f"the guest is gone; last it said:\n{self._heard[-2000:]}"
            self._heard += got.decode(errors="replace")
        before, _, self._heard = self._heard.partition(wanted)
        return before

    def sectors(self, disk: str) -> int:
        """Ask the guest how large a disk is, in sectors of 512 bytes; the marks tell the answer from the echo of the question."""
        self._stream.send(f"echo siz''e=$(cat /sys/block/{disk}/size)=\n".encode())
        self.read_until("size=")
        return int(self.read_until("="))


@contextlib.contextmanager
def console(platform: Platform) -> Iterator[Console]:
    with connect(platform.uri) as connection:
        yield Console(connection)


def test_a_drive_on_a_golden_one_boots_grows_and_is_converted(platform: Platform, root: Path) -> None:
    guest, folder = make_guest(root / ".cache" / "guest"), platform.agent.machines

    async def prepare(machine: VirtualMachine) -> None:
        shutil.copy(guest.disk, folder / machine.uuid / "origin.qcow2")
        await machine.ask(drives.SetGoldenDrive(path="origin.qcow2", name=GOLDEN))
        await machine.ask(drives.DeleteDrive(name="origin.qcow2"))
        await machine.ask(drives.CreateDrive(name="system", size=1, unit="G", format="qcow2", golden=GOLDEN))
        await machine.ask(drives.CreateDrive(name="data", size=16, unit="M", format="raw"))
        disks = {"vda": ("qcow2", "system.qcow2"), "vdb": ("raw", "data.raw")}
        written = [DISK.format(format=kind, path=folder / machine.uuid / name, target=target) for target, (kind, name) in disks.items()]
        await machine.define(define(machine.uuid, *written))
        await machine.start()

    async def grow(machine: VirtualMachine) -> None:
        await machine.ask(drives.ResizeDrive(path="data.raw", size=24, unit="M"))
        await machine.ask(drives.ResizeDrive(path="system.qcow2", size=2, unit="G"))
        with pytest.raises(CommandError, match="to make it smaller, shut"):
            await machine.ask(drives.ResizeDrive(path="data.raw", size=8, unit="M", shrink=True))
        with pytest.raises(CommandError, match="shut it down first"):
            await machine.ask(drives.ConvertDrive(path="data.raw", format="qcow2"))
        sizes = {drive.name: drive.virtual_size for drive in await machine.ask(drives.GetDrives())}
        assert sizes == {"data": 24 << 20, "system": 2 << 30}

    async def convert_and_start(machine: VirtualMachine) -> None:
        await machine.destroy()
        await machine.ask(drives.ConvertDrive(path="data.raw", format="qcow2"))
        await machine.ask(drives.RenameDrive(path="system.qcow2", newname="root"))
        await machine.start()

    with_machine(platform, prepare)
    with console(platform) as serial:
        serial.read_until("READY")
        assert serial.sectors("vdb") == 16 << 11
        with_machine(platform, grow)
        assert (serial.sectors("vdb"), serial.sectors("vda")) == (24 << 11, 2 << 21)
    with_machine(platform, convert_and_start)
    with console(platform) as serial:
        serial.read_until("READY")
        assert (serial.sectors("vdb"), serial.sectors("vda")) == (24 << 11, 2 << 21)


def test_a_running_machine_keeps_its_image_from_being_copied_by_another_name(platform: Platform) -> None:
    """The definition behind the running machine names another drive: QEMU's lock holds all the same."""

    async def convert(machine: VirtualMachine) -> None:
        (drive,) = [found for found in await machine.ask(drives.GetDrives()) if found.name == "data"]
        os.link(drive.path, f"{drive.path.removesuffix('.qcow2')}-link.qcow2")
        with pytest.raises(CommandError, match="a program uses the image"):
            await machine.ask(drives.ConvertDrive(path="data-link.qcow2", format="raw"))
        await machine.destroy()

    with_machine(platform, convert)


def test_a_pool_and_its_volumes_are_made_resized_and_removed(platform: Platform) -> None:
    folder = platform.agent.folder / "vm" / "pools" / "volumes"
    definition = f"<pool type='dir'><name>volumes</name><target><path>{folder}</path></target></pool>"

    async def run() -> None:
        async with platform.hypervisor() as hypervisor:
            await hypervisor.ask(storage_pools.DefinePool(pool=ET.fromstring(definition)))
            await hypervisor.ask(storage_pools.CreatePool(name="volumes", build=True))
            await hypervisor.ask(storage_pools.CreateVolume(pool="volumes", name="data.qcow2", size=8, unit="M", format="qcow2"))
            await hypervisor.ask(storage_pools.ResizeVolume(pool="volumes", name="data.qcow2", size=16, unit="M"))
            (volume,) = await hypervisor.ask(storage_pools.GetVolumes(pool="volumes"))
            assert (volume.path, volume.format, volume.capacity) == (f"{folder}/data.qcow2", "qcow2", 16 << 20)
            with pytest.raises(CommandError, match="shrink"):
                await hypervisor.ask(storage_pools.ResizeVolume(pool="volumes", name="data.qcow2", size=4, unit="M"))
            await hypervisor.ask(storage_pools.DeleteVolume(pool="volumes", name="data.qcow2"))
            await hypervisor.ask(storage_pools.RefreshPool(name="volumes"))
            (pool,) = [one for one in await hypervisor.ask(storage_pools.GetPools()) if one.name == "volumes"]
            assert (pool.active, pool.available > 0) == (True, True)
            await hypervisor.ask(storage_pools.DestroyPool(name="volumes"))
            await hypervisor.ask(storage_pools.UndefinePool(name="volumes"))

    asyncio.run(run())
    assert list(folder.iterdir()) == []
