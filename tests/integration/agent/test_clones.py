# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of machines on the wire, with real images (refused and malformed: test_every_action.py)."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import pytest_asyncio

from testbed.certificates import Authority
from tests.integration.agent.test_storage import SLOW_PROGRAM, Drives, image, info, is_over
from tests.wire.matching import assert_refused, child, show
from tests.wire.person import Person
from tests.wire.platform import ADMIN, CONTROL, DEFINITION, HOST, Machine, Platform, open_platform
from tests.wire.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

SEATS = 10
CARD = "<interface type='network'><mac address='52:54:00:0a:0b:0c'/><source network='default'/></interface>"


@pytest_asyncio.fixture(loop_scope="session")
async def drives(platform: Platform, admin: Person, machine: Machine) -> Drives:
    return Drives(platform, admin, machine)


async def ask(platform: Platform, person: Person, machine: Machine, **attributes: str) -> ET.Element:
    written = " ".join(f"{name}='{value}'" for name, value in {"jid": machine.bare, **attributes}.items())
    return await person.command(platform.host, HOST, f"<archipel action='clone' {written}/>")


async def clone(platform: Platform, person: Person, machine: Machine, **attributes: str) -> str:
    """Have a copy made, wait until it is whole, and return its UUID."""
    since = len(person.received)
    answer = await ask(platform, person, machine, **attributes)
    assert answer.get("type") == "result", show(answer)
    uuid = child(child(answer, "query"), "virtualmachine").get("jid", "").partition("@")[0]
    await person.expect_push(platform.hypervisor, "hypervisor", "clone", since)
    return uuid


def write(path: Path, text: bytes) -> None:
    subprocess.run(["qemu-io", "-c", f"write -P {text[0]} 0 64k", str(path)], check=True, capture_output=True)


def holds(path: Path, text: bytes) -> bool:
    told = subprocess.run(["qemu-io", "-r", "-U", "-c", f"read -P {text[0]} 0 64k", str(path)], check=False, capture_output=True, text=True)
    return "Pattern verification failed" not in told.stdout + told.stderr and told.returncode == 0


async def test_a_copy_is_the_same_machine_with_an_identity_of_its_own(platform: Platform, admin: Person, drives: Drives):
    disk = await drives.make()
    write(disk, b"A")
    await drives.attach(disk)
    definition = ET.fromstring(platform.definition_in_libvirt(drives.machine.uuid) or "")
    devices = definition.find("devices")
    assert devices is not None
    devices.append(ET.fromstring(CARD))
    request = f"<archipel action='define'>{ET.tostring(definition, 'unicode')}</archipel>"
    assert (await admin.command(drives.machine.full, DEFINITION, request)).get("type") == "result"

    uuid = await clone(platform, admin, drives.machine, name=f"copy-{drives.machine.uuid[:8]}")

    copy = ET.fromstring(platform.definition_in_libvirt(uuid) or "")
    assert (copy.findtext("uuid"), copy.findtext("name")) == (uuid, f"copy-{drives.machine.uuid[:8]}")
    assert copy.findtext("memory") == definition.findtext("memory")
    source = copy.find("devices/disk[@device='disk']/source")
    assert source is not None
    target = platform.agent.machines / uuid / "data.qcow2"
    assert source.get("file") == str(target)
    mac = copy.find("devices/interface/mac")
    assert mac is not None
    assert mac.get("address") != "52:54:00:0a:0b:0c"
    assert holds(target, b"A")
    assert "backing-filename" not in info(target)
    write(target, b"B")
    assert holds(disk, b"A"), "the copy writes into its source"
    await admin.expect_shown(f"{uuid}@{platform.domain}", "xa", "Off")


async def test_a_linked_copy_goes_on_standing_on_the_golden_drive(platform: Platform, admin: Person, drives: Drives):
    golden = image(drives.goldens / f"base-{drives.machine.uuid[:8]}.qcow2")
    write(golden, b"G")
    disk = await drives.make(golden=golden.name)
    await drives.attach(disk)
    uuid = await clone(platform, admin, drives.machine, linked="1")
    target = platform.agent.machines / uuid / "data.qcow2"
    assert info(target)["full-backing-filename"] == str(golden)
    assert holds(target, b"G")


async def test_what_stands_on_no_golden_drive_is_not_linked(platform: Platform, admin: Person, drives: Drives):
    await drives.attach(await drives.make())
    machines = platform.rows("SELECT count(*) FROM virtual_machines")
    answer = await ask(platform, admin, drives.machine, linked="1")
    assert answer.get("type") == "error", show(answer)
    assert "linked: data.qcow2 stands on no golden drive" in show(answer)
    assert platform.rows("SELECT count(*) FROM virtual_machines") == machines


async def test_a_running_machine_is_not_copied(platform: Platform, admin: Person, machine: Machine):
    await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
    answer = await ask(platform, admin, machine)
    assert answer.get("type") == "error"
    assert "is running: shut it down first" in show(answer)


async def test_a_class_of_seats_is_copied_at_once(platform: Platform, admin: Person, drives: Drives):
    await drives.attach(await drives.make())
    since = len(admin.received)
    answers = await asyncio.gather(*(ask(platform, admin, drives.machine) for _ in range(SEATS)))
    assert [answer.get("type") for answer in answers] == ["result"] * SEATS, show(answers[0])
    uuids = {child(child(answer, "query"), "virtualmachine").get("jid", "").partition("@")[0] for answer in answers}
    assert len(uuids) == SEATS

    done = ("hypervisor", "clone")
    await admin.until(lambda: [push.what for push in admin.pushes(platform.hypervisor, since)].count(done) == SEATS, "all copies")
    assert all((platform.agent.machines / uuid / "data.qcow2").exists() for uuid in uuids)
    names = {ET.fromstring(platform.definition_in_libvirt(uuid) or "").findtext("name") for uuid in uuids}
    assert len(names) == SEATS
    answer = await admin.command(drives.machine.full, CONTROL, "<archipel action='create'/>")
    assert answer.get("type") == "result", "the source may start again"


async def test_a_drive_that_is_no_image_is_not_copied(platform: Platform, admin: Person, drives: Drives):
    disk = await drives.make()
    await drives.attach(disk)
    disk.write_bytes(b"no image at all")
    answer = await ask(platform, admin, drives.machine, name=f"lost-{drives.machine.uuid[:8]}")
    assert answer.get("type") == "error"
    assert "cannot be read as an image of format qcow2" in show(answer)
    assert_nothing_of(platform, f"lost-{drives.machine.uuid[:8]}")


# -- what takes long ----------------------------------------------------------------------------------------------------


def assert_nothing_of(platform: Platform, name: str) -> None:
    assert platform.rows("SELECT count(*) FROM virtual_machines WHERE name = ?", name) == [(0,)]
    with platform.libvirt() as connection:
        assert name not in [domain.name() for domain in connection.listAllDomains()]


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def slow(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> AsyncIterator[Drives]:
    """A machine on a platform where copying a drive never ends."""
    folder = tmp_path_factory.mktemp("slow")
    program = folder / "qemu-img"
    program.write_text(SLOW_PROGRAM.format(folder=folder))
    program.chmod(0o755)
    async with open_platform(
        folder / "platform", authority, "clones.localhost", {("STORAGE", "qemu_img_bin_path"): str(program)}
    ) as platform:
        admin = await platform.enter(ADMIN)
        await platform.meet_hypervisor(admin)
        await admin.subscribe_to_events(platform.hypervisor, platform.pubsub)
        drives = Drives(platform, admin, await platform.make_machine(admin))
        await drives.attach(await drives.make())
        yield drives


async def begin_copy(slow: Drives, name: str) -> tuple[str, Path]:
    """Begin a copy that does not end; return its UUID and the file that tells the process."""
    answer = await ask(slow.platform, slow.person, slow.machine, name=name)
    uuid = child(child(answer, "query"), "virtualmachine").get("jid", "").partition("@")[0]
    note = slow.platform.agent.folder.parent.parent / "pid"
    await eventually(note.exists, "a process that copies")
    await slow.person.expect_shown(slow.machine.bare, "dnd", f"Cloning to {name}")
    return uuid, note


@pytest.mark.parametrize("command", ["create", "destroy"])
async def test_a_machine_that_is_copied_stays_as_it_is(slow: Drives, command: str):
    uuid, note = await begin_copy(slow, f"kept-{command}")
    answer = await slow.person.command(slow.machine.full, CONTROL, f"<archipel action='{command}'/>")
    assert "is being cloned: wait until that is done" in show(answer)
    answer = await slow.person.command(slow.platform.host, HOST, f"<archipel action='free' jid='{slow.machine.bare}'/>")
    assert "is being cloned: wait until that is done" in show(answer)
    answer = await slow.person.command(slow.machine.full, CONTROL, "<archipel action='info'/>")
    assert answer.get("type") == "result", "who only looks may"
    since = len(slow.person.received)
    os.kill(int(note.read_text()), signal.SIGKILL)
    note.unlink()
    await slow.person.expect_push(slow.platform.hypervisor, "hypervisor", "cloneerror", since)
    await slow.person.expect_shown(slow.machine.bare, "xa", "Off")
    assert_nothing_of(slow.platform, f"kept-{command}")
    assert not (slow.platform.agent.machines / uuid).exists()


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_a_copy_that_was_cut_short_leaves_nothing(slow: Drives, end: str):
    uuid, note = await begin_copy(slow, f"cut-{end}")
    process = int(note.read_text())
    note.unlink()
    await asyncio.to_thread(getattr(slow.platform.agent, end))
    await eventually(lambda: is_over(process), "the end of the process")
    await asyncio.to_thread(slow.platform.agent.start)
    await slow.person.expect_shown(slow.machine.bare, "xa", "Off")
    await eventually(lambda: slow.platform.rows("SELECT count(*) FROM virtual_machines") == [(1,)], "nothing half made")
    assert_nothing_of(slow.platform, f"cut-{end}")
    assert not (slow.platform.agent.machines / uuid).exists()


@pytest.mark.parametrize("held", [(), ("xmldesc",), ("drives_get",), ("info", "create", "shutdown")])
async def test_who_may_not_read_a_machine_copies_nothing_of_it(
    platform: Platform, admin: Person, student: Person, machine: Machine, held: tuple[str, ...]
):
    await platform.grant(admin, platform.host, student, "clone")
    await platform.grant(admin, machine.full, student, *held)
    answer = await ask(platform, student, machine, name="mine-now")
    assert_refused(answer, "drives_get" if "xmldesc" in held else "xmldesc")


async def test_who_may_read_a_machine_may_copy_it(platform: Platform, admin: Person, student: Person, drives: Drives):
    await platform.grant(admin, platform.host, student, "clone")
    await platform.grant(admin, drives.machine.full, student, "xmldesc", "drives_get")
    await student.subscribe_to_events(platform.hypervisor, platform.pubsub)
    assert (await ask(platform, student, drives.machine)).get("type") == "result"
