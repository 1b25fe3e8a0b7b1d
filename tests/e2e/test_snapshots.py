# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of a real QEMU guest: what it wrote comes back as it was, or does not."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import tempfile
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import libvirt
import libvirt_qemu
import pytest
import pytest_asyncio

from archipel.client import VirtualMachine
from archipel.protocol.errors import CommandError, Condition, ErrorCode
from archipel.protocol.snapshots import DeleteSnapshot, GetCurrentSnapshot, GetSnapshots, RevertToSnapshot, Snapshot, TakeSnapshot
from testbed.demo.virtualization import connect
from testbed.guest import make_guest
from tests.integration.collection.platform import Platform

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

UUID = str(uuid.uuid4())
REVERTS_EXTERNAL = 9_009_000  # libvirt's version
BOOT_SECONDS = 120
DEFINITION = """<domain type='qemu'><name>keeper</name><uuid>{uuid}</uuid><memory unit='MiB'>128</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/></features><cpu mode='maximum'/><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{folder}/boot.qcow2'/><target dev='vda' bus='virtio'/></disk>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{folder}/data.qcow2'/><target dev='vdb' bus='virtio'/></disk>
<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel><serial type='pty'/>
<graphics type='vnc' port='-1' passwd='letmein'/><video><model type='vga'/></video></devices></domain>"""


@pytest.fixture(scope="module")
def images(root: Path, platform: Platform) -> Path:
    """The machine's folder, with a bootable disk and an empty one."""
    folder = platform.agent.machines / UUID
    folder.mkdir(parents=True)
    guest = make_guest(root / ".cache" / "guest")
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", guest.disk, folder / "boot.qcow2"], check=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", folder / "data.qcow2", "16M"], check=True)
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def machine(platform: Platform, images: Path) -> AsyncIterator[VirtualMachine]:
    """A machine that runs, with a guest agent that answers."""
    async with platform.hypervisor() as hypervisor:
        made = await hypervisor.alloc("keeper", uuid=UUID, domain=ET.fromstring(DEFINITION.format(uuid=UUID, folder=images)))
        await start(platform, made)
        await run(platform, "mke2fs -q /dev/vdb && mount -t ext4 /dev/vdb /mnt")
        yield made
        await hypervisor.free(UUID)


async def start(platform: Platform, machine: VirtualMachine) -> None:
    await machine.start()
    async with asyncio.timeout(BOOT_SECONDS):
        while not await asyncio.to_thread(answers, platform):  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.5)


def answers(platform: Platform) -> bool:
    try:
        return ask_guest(platform, "guest-ping") == {}
    except libvirt.libvirtError:
        return False


def ask_guest(platform: Platform, command: str, **arguments: object) -> Any:
    """Ask the guest agent, past the platform."""
    with connect(platform.uri) as connection:
        question = json.dumps({"execute": command, "arguments": arguments})
        return json.loads(libvirt_qemu.qemuAgentCommand(connection.lookupByUUIDString(UUID), question, 5, 0))["return"]


async def run(platform: Platform, script: str) -> str:
    """Run a script in the guest and return what it prints."""
    started = await asyncio.to_thread(ask_guest, platform, "guest-exec", path="/bin/sh", arg=["-c", script], **{"capture-output": True})
    async with asyncio.timeout(30):
        while not (done := await asyncio.to_thread(ask_guest, platform, "guest-exec-status", pid=started["pid"]))["exited"]:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.1)
    return base64.b64decode(done.get("out-data", "")).decode()


async def write(platform: Platform, word: str) -> None:
    """Have the guest write a word to its second disk, where its file system has nothing, and keep it in memory."""
    await run(platform, f"printf %-8s {word} | dd of=/dev/vdb conv=fsync,notrunc 2>/dev/null; echo {word} >/tmp/word")


async def read(platform: Platform) -> list[str]:
    """What the guest has on the disk and in memory."""
    return (await run(platform, "dd if=/dev/vdb bs=8 count=1 2>/dev/null; cat /tmp/word")).split()


def on_disk(file: Path) -> str:
    """What an image of the second disk begins with; nobody may have it open."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["qemu-img", "convert", "-U", "-O", "raw", file, f"{folder}/raw"], check=True)
        with Path(folder, "raw").open("rb") as raw:
            return raw.read(8).decode().strip("\0 ")


def files(platform: Platform) -> list[Path]:
    """Those of external snapshots."""
    return sorted((platform.agent.machines / UUID).glob("snapshot-*"))


async def names(machine: VirtualMachine) -> list[str]:
    return [snapshot.name for snapshot in await machine.ask(GetSnapshots())]


async def current(machine: VirtualMachine) -> Snapshot:
    found = await machine.ask(GetCurrentSnapshot())
    assert found is not None
    return found


def facts(platform: Platform) -> tuple[object, ...]:
    """All that going back could have changed: the process, both definitions, the snapshots with the current one, the files."""
    with connect(platform.uri) as connection:
        domain = connection.lookupByUUIDString(UUID)
        inactive = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        snapshots = sorted(snapshot.getXMLDesc(0) for snapshot in domain.listAllSnapshots(0))
        return domain.ID(), domain.XMLDesc(0), inactive, snapshots, domain.snapshotCurrent(0).getName(), files(platform)


def version(platform: Platform) -> int:
    with connect(platform.uri) as connection:
        return int(connection.getLibVersion())


async def test_a_running_guest_goes_on_from_where_it_was(platform: Platform, machine: VirtualMachine) -> None:
    await write(platform, "one")
    await machine.ask(TakeSnapshot(name="running"))
    taken = await current(machine)
    assert (taken.name, taken.state, taken.memory, taken.external) == ("running", "running", True, False)
    assert taken.domain is not None
    assert "letmein" not in ET.tostring(taken.domain, "unicode")
    await write(platform, "two")
    assert await read(platform) == ["two", "two"]
    await machine.ask(RevertToSnapshot(name="running"))
    assert await machine.state() == "running"
    assert await read(platform) == ["one", "one"]


async def test_no_external_snapshot_stands_on_an_internal_one(platform: Platform, machine: VirtualMachine) -> None:
    """libvirt would never delete it."""
    with pytest.raises(CommandError, match="delete 'running' first"):
        await machine.ask(TakeSnapshot(name="disks", external=True, memory=False))
    await machine.ask(DeleteSnapshot(name="running"))
    assert (await names(machine), files(platform)) == ([], [])


async def test_an_external_snapshot_of_the_disks_leaves_them_as_they_were(
    platform: Platform, machine: VirtualMachine, images: Path
) -> None:
    await write(platform, "three")
    await machine.ask(TakeSnapshot(name="disks", external=True, memory=False))
    taken = await current(machine)
    assert (taken.name, taken.state, taken.memory, taken.external) == ("disks", "disk-snapshot", False, True)
    assert len(files(platform)) == 2
    await write(platform, "four")
    assert await read(platform) == ["four", "four"]
    assert on_disk(images / "data.qcow2") == "three"
    definition = await machine.definition()
    assert definition is not None
    assert sorted(Path(disk.path or "") for disk in definition.disks) == files(platform)


async def test_the_guest_froze_its_file_system_meanwhile_and_thawed_it(platform: Platform) -> None:
    """Its agent is connected; what that calls then in the guest has noted it."""
    assert "/dev/vdb /mnt ext4" in await run(platform, "cat /proc/mounts")
    assert (await run(platform, "cat /run/freezes")).split() == ["freeze", "thaw"]
    assert await asyncio.to_thread(ask_guest, platform, "guest-fsfreeze-status") == "thawed"


async def test_a_libvirt_that_cannot_go_back_to_external_snapshots_says_so(platform: Platform, machine: VirtualMachine) -> None:
    if version(platform) >= REVERTS_EXTERNAL:
        await machine.ask(RevertToSnapshot(name="disks"))
        await start(platform, machine)
        assert (await read(platform))[0] == "three"
        return
    before = await asyncio.to_thread(facts, platform)
    with pytest.raises(CommandError, match=r"cannot go back to external snapshots; libvirt 9\.9\.0 can") as refused:
        await machine.ask(RevertToSnapshot(name="disks"))
    assert (refused.value.code, refused.value.condition) == (ErrorCode.REVERT_SNAPSHOT, Condition.FEATURE_NOT_IMPLEMENTED)
    assert await asyncio.to_thread(facts, platform) == before
    assert await read(platform) == ["four", "four"]


async def test_file_systems_are_not_frozen_where_nobody_wants_it(platform: Platform, machine: VirtualMachine) -> None:
    noted = await run(platform, "cat /run/freezes 2>/dev/null")
    await machine.ask(TakeSnapshot(name="hasty", external=True, memory=False, quiesce=False))
    assert await run(platform, "cat /run/freezes 2>/dev/null") == noted
    await machine.ask(DeleteSnapshot(name="hasty"))


async def test_an_external_snapshot_that_is_deleted_leaves_no_files(platform: Platform, machine: VirtualMachine) -> None:
    before = await read(platform)
    await machine.ask(DeleteSnapshot(name="disks"))
    assert await names(machine) == []
    assert await read(platform) == before
    definition = await machine.definition()
    assert definition is not None
    assert [file for file in files(platform) if str(file) not in {disk.path for disk in definition.disks}] == []


async def test_an_external_snapshot_may_have_the_memory(platform: Platform, machine: VirtualMachine) -> None:
    before = len(files(platform))
    await machine.ask(TakeSnapshot(name="all", external=True))
    taken = await current(machine)
    assert (taken.state, taken.memory, taken.external) == ("running", True, True)
    assert len(files(platform)) == before + 3
    await machine.ask(DeleteSnapshot(name="all"))
    assert len(files(platform)) == before


async def test_a_snapshot_of_a_machine_that_is_off_is_gone_back_to(platform: Platform, machine: VirtualMachine) -> None:
    await write(platform, "five")
    await machine.destroy()
    await machine.ask(TakeSnapshot(name="off"))
    assert (await current(machine)).state == "shutoff"
    await start(platform, machine)
    await write(platform, "six")
    await machine.ask(RevertToSnapshot(name="off"))
    assert await machine.state() == "off"
    await start(platform, machine)
    assert (await read(platform))[0] == "five"
    await machine.ask(DeleteSnapshot(name="off"))
    assert "off" not in await names(machine)


async def test_a_snapshot_that_fails_leaves_no_files(platform: Platform, machine: VirtualMachine, images: Path) -> None:
    """There is a third disk whose file is gone."""
    definition = await machine.definition(inactive=True)
    assert definition is not None
    await machine.destroy()
    before = files(platform)
    changed = ET.tostring(definition.element, "unicode")
    gone = (
        f"<disk type='file'><driver name='qemu' type='qcow2'/><source file='{images}/gone.qcow2'/><target dev='vdc' bus='virtio'/></disk>"
    )
    await machine.define(ET.fromstring(changed.replace("</devices>", f"{gone}</devices>")))
    with pytest.raises(CommandError):
        await machine.ask(TakeSnapshot(name="broken", external=True))
    assert "broken" not in await names(machine)
    assert files(platform) == before
