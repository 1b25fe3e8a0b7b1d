# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a real guest uses is what its entity tells: libvirt's test driver counts nothing."""

from __future__ import annotations

import asyncio
import math
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from archipel.client.virtual_machine import VirtualMachine
from archipel.protocol.health import GetMachineHealth, GetMachineHistory, MachineStat
from testbed.demo.virtualization import connect
from testbed.guest import make_guest
from tests.integration.collection.platform import Platform
from tests.wire.waiting import eventually

DOMAIN = """<domain type='qemu'><name>measured</name><memory unit='MiB'>128</memory><vcpu>1</vcpu>
<os><type>hvm</type></os><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{disk}'/><target dev='vda' bus='virtio'/></disk>
<interface type='user'><model type='virtio'/></interface></devices></domain>"""


@pytest.fixture(scope="module")
def disk(root: Path) -> Iterator[Path]:
    """A bootable disk, where QEMU's user can go too."""
    folder = Path(tempfile.mkdtemp(prefix="archipel-measured-", dir="/tmp"))
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", make_guest(root / ".cache" / "guest").disk, folder / "boot.qcow2"], check=True)
    folder.chmod(0o755)
    (folder / "boot.qcow2").chmod(0o666)
    yield folder / "boot.qcow2"
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def platform(platform: Platform) -> Platform:
    """A platform whose agent measures every second."""
    configuration = platform.agent.configuration
    configuration.write_text(f"{configuration.read_text()}\n[HEALTH]\nmachines_interval = 1\n")
    platform.agent.stop()
    platform.agent.start()
    return platform


async def test_a_guest_that_boots_uses_what_its_entity_tells(platform: Platform, disk: Path) -> None:
    with connect(platform.uri) as connection:
        domain = connection.defineXML(DOMAIN.format(disk=disk))
        uuid = domain.UUIDString()
    async with platform.hypervisor() as hypervisor:
        await hypervisor.manage(uuid)
        vm = await hypervisor.machine(uuid)
        await vm.start()
        history = await eventually(lambda: read_boot(vm), "a guest that has read its disk", 110)
        newest = await vm.ask(GetMachineHealth())
        assert newest is not None
        assert newest.memory == 128 * 1024
        assert 0 < (newest.resident or 0) < 1024 * 1024
        assert max(stat.cpu or 0 for stat in history) > 0
        assert all(0.5 < stat.seconds < 60 for stat in history)
        await vm.destroy()
        await eventually(lambda: is_silent(vm))


async def read_boot(vm: VirtualMachine) -> tuple[MachineStat, ...]:
    """Return the history when all that can be counted was: the disk and the network are used in a boot."""
    history = await vm.ask(GetMachineHistory(limit=100))
    read = sum(stat.disk_read or 0 for stat in history)
    counted = all(None not in (stat.cpu, stat.disk_written, stat.resident) and not math.isnan(stat.seconds) for stat in history)
    return history if read > 100_000 and counted else ()


async def is_silent(vm: VirtualMachine) -> bool:
    await asyncio.sleep(0)
    return await vm.ask(GetMachineHealth()) is None
