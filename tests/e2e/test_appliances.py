# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Appliances of real QEMU guests: a package, a plain image and an OVA come through the own feed into machines that boot."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from archipel.client import Hypervisor, VirtualMachine
from archipel.protocol import appliances as wire
from testbed.certificates import Authority
from testbed.demo.virtualization import PrivateLibvirt, connect
from testbed.guest import make_guest
from testbed.ports import choose_free_ports
from tests.integration.collection.platform import Platform, open_platform
from tests.unit.agent.feed_house import pack
from tests.unit.agent.ova_house import descriptor, disk_item, item, manifest

MOMENTS = 600  # looks at work under way, a tenth of a second each
NETWORK = "<network><name>{name}</name></network>"
DOMAIN = """<domain type='qemu'><name>origin</name><uuid>{uuid}</uuid><memory unit='MiB'>128</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/></features>
<devices><disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{disk}'/><target dev='vda' bus='virtio'/></disk>
<serial type='pty'/></devices></domain>"""
HARDWARE = (
    item(3, 1, VirtualQuantity=1)
    + item(4, 2, VirtualQuantity=128, AllocationUnits="byte * 2^20")
    + item(20, 3, ResourceSubType="AHCI")
    + disk_item(1, 4)
    + item(10, 5, ResourceSubType="E1000", Connection="VM Network")
)


@pytest.fixture(scope="module")
def platform(daemon: PrivateLibvirt, authority: Authority) -> Iterator[Platform]:
    """A platform whose libvirt runs QEMU, in namespaces of its own, and whose agent serves its feed; that takes root."""
    folder = Path(tempfile.mkdtemp(prefix="archipel-appliances-", dir="/tmp"))
    folder.chmod(0o755)
    (port,) = choose_free_ports(1)
    options = {
        "own_vmcast_listen": f"127.0.0.1:{port}",
        "own_vmcast_url": f"http://127.0.0.1:{port}/vmcasts/",
        "own_vmcast_refresh_interval": "1",
        "import_network": "lab",
        "import_domain_type": "qemu",
        "import_memory": "128",
    }
    with connect(daemon.uri) as connection:
        connection.networkDefineXML(NETWORK.format(name="lab")).create()
    with open_platform(folder, authority, daemon.uri, {("VMCASTING", name): value for name, value in options.items()}) as platform:
        yield platform
        platform.clear()
    shutil.rmtree(folder)


def with_hypervisor(platform: Platform, work: Callable[[Hypervisor], Awaitable[None]]) -> None:
    async def run() -> None:
        async with platform.hypervisor() as hypervisor:
            await work(hypervisor)

    asyncio.run(run())


async def until(found: Callable[[], Awaitable[bool]], what: str) -> None:
    """Look again and again until it is so."""
    for _ in range(MOMENTS):
        if await found():
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{what} is still not so")


def make_ova(disk: Path, folder: Path) -> bytes:
    command = ["qemu-img", "convert", "-f", "qcow2", "-O", "vmdk", "-o", "subformat=streamOptimized", str(disk), str(folder / "disk.vmdk")]
    subprocess.run(command, check=True, capture_output=True)
    files = {"other.ovf": descriptor("disk.vmdk", items=HARDWARE), "disk.vmdk": (folder / "disk.vmdk").read_bytes()}
    return pack({"other.ovf": files["other.ovf"], "other.mf": manifest(files), "disk.vmdk": files["disk.vmdk"]})


async def offer(hypervisor: Hypervisor, platform: Platform, disk: Path, folder: Path) -> None:
    """Make a package of a machine, and lay an image and an OVA beside it."""
    origin = await hypervisor.alloc("origin")
    drive = platform.agent.machines / origin.uuid / "system.qcow2"
    shutil.copy(disk, drive)
    await origin.define(ET.fromstring(DOMAIN.format(uuid=origin.uuid, disk=drive)))
    await origin.ask(wire.PackageMachine(name="packed"))
    casts = platform.agent.folder / "vm" / "vmcasts"
    shutil.copy(disk, casts / "plain.qcow2")
    (casts / "other.ova").write_bytes(make_ova(disk, folder))

    async def is_packed() -> bool:
        return (casts / "packed.xvm2").exists()

    await until(is_packed, "the package")


async def download_all(hypervisor: Hypervisor, url: str) -> dict[str, str]:
    """Subscribe, download everything, and return UUIDs by names."""
    await hypervisor.ask(wire.RegisterFeed(url=url))

    async def are_offered() -> bool:
        (feed,) = await hypervisor.ask(wire.GetFeeds())
        return len(feed.appliances) == 3

    await until(are_offered, "the feed")
    (feed,) = await hypervisor.ask(wire.GetFeeds())
    found = {one.name: one.uuid for one in feed.appliances}
    for uuid in found.values():
        await hypervisor.ask(wire.DownloadAppliance(uuid=uuid))

    async def are_downloaded() -> bool:
        return len(await hypervisor.ask(wire.GetInstalledAppliances())) == 3

    await until(are_downloaded, "the downloads")
    return found


async def install_and_start(hypervisor: Hypervisor, name: str, uuid: str) -> VirtualMachine:
    machine = await hypervisor.alloc(f"from-{name}")
    await machine.ask(wire.AttachAppliance(uuid=uuid))

    async def is_installed() -> bool:
        return any(one.uuid == uuid and one.status == "installed" for one in await machine.ask(wire.GetInstallable()))

    await until(is_installed, f"the installation of {name}")
    await machine.start()
    return machine


def read_until_ready(platform: Platform, name: str) -> None:
    with connect(platform.uri) as connection:
        stream, heard = connection.newStream(), ""
        connection.lookupByName(name).openConsole(None, stream, 0)
        while "READY" not in heard:
            got = stream.recv(4096)
            assert got, f"the guest is gone; last it said:\n{heard[-2000:]}"
            heard += got.decode(errors="replace")


def test_a_package_an_image_and_an_ova_boot_in_fresh_machines(platform: Platform, root: Path, tmp_path: Path) -> None:
    disk = make_guest(root / ".cache" / "guest").disk
    found: dict[str, str] = {}

    async def bring(hypervisor: Hypervisor) -> None:
        await offer(hypervisor, platform, disk, tmp_path)
        settings = (platform.agent.folder / "archipel.conf").read_text()
        (url,) = [line.partition("=")[2].strip() for line in settings.splitlines() if line.startswith("own_vmcast_url")]
        found.update(await download_all(hypervisor, f"{url}rss.xml"))

    with_hypervisor(platform, bring)
    assert sorted(found) == ["other", "packed", "plain"]
    for name, uuid in found.items():

        async def start(hypervisor: Hypervisor, name: str = name, uuid: str = uuid) -> None:
            await install_and_start(hypervisor, name, uuid)

        async def stop(hypervisor: Hypervisor, name: str = name) -> None:
            await (await hypervisor.machine(f"from-{name}")).destroy()

        with_hypervisor(platform, start)
        read_until_ready(platform, f"from-{name}")
        with_hypervisor(platform, stop)
