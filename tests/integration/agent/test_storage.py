# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""archipel:vm:disk on the wire, with real images (refused and malformed: test_every_action.py)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import pytest_asyncio

from testbed.certificates import Authority
from tests.documentation import read_steps
from tests.wire.actions.storage import DISK
from tests.wire.matching import assert_error, assert_payload, child, show
from tests.wire.person import Person
from tests.wire.platform import ADMIN, CONTROL, DEFINITION, Machine, Platform, open_platform
from tests.wire.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

CREATES = 20
SLOW_PROGRAM = """#!/bin/sh
case "$1" in
convert) echo $$ > {folder}/pid; exec sleep 600 ;;
*) exec qemu-img "$@" ;;
esac
"""


class Drives:
    """The drives of one machine, as somebody asks for them, and as they are on the disk."""

    def __init__(self, platform: Platform, person: Person, machine: Machine) -> None:
        self.platform, self.person, self.machine = platform, person, machine
        self.folder = platform.agent.machines / machine.uuid
        self.goldens = platform.agent.folder / "vm" / "goldens"

    async def ask(self, action: str, **attributes: object) -> ET.Element:
        written = " ".join(f"{name}='{value}'" for name, value in attributes.items())
        return await self.person.command(self.machine.full, DISK, f"<archipel action='{action}' {written}/>")

    async def do(self, action: str, **attributes: object) -> None:
        assert_payload(await self.ask(action, **attributes), DISK, "")

    async def make(self, name: str = "data", size: int = 4, image_format: str = "qcow2", **more: str) -> Path:
        await self.do("create", name=name, size=size, unit="M", format=image_format, **more)
        return self.folder / f"{name}.{image_format}"

    async def attach(self, file: Path, image_format: str = "qcow2") -> None:
        """Define the machine with the drive, and an empty CD drive."""
        disk = (
            f"<devices><disk type='file' device='cdrom'><target dev='hdc' bus='ide'/><readonly/></disk>"
            f"<disk type='file' device='disk'><driver name='qemu' type='{image_format}'/><source file='{file}'/>"
            f"<target dev='vda' bus='virtio'/></disk></devices>"
        )
        request = f"<archipel action='define'>{self.machine.definition(more=disk)}</archipel>"
        assert_payload(await self.person.command(self.machine.full, DEFINITION, request), DEFINITION, "")

    async def start(self) -> None:
        answer = await self.person.command(self.machine.full, CONTROL, "<archipel action='create'/>")
        assert answer.get("type") == "result", show(answer)

    async def listed(self, action: str = "get") -> list[dict[str, str]]:
        answer = await self.ask(action)
        assert answer.get("type") == "result", show(answer)
        return [dict(part.attrib) for part in child(answer, "query")]

    def attached(self) -> list[tuple[str | None, str | None]]:
        """Source and format of the disks that the definition has."""
        definition = ET.fromstring(self.platform.definition_in_libvirt(self.machine.uuid) or "<domain/>")
        disks = definition.iterfind("devices/disk[@device='disk']")
        return [(disk.find("source").get("file"), disk.find("driver").get("type")) for disk in disks]

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


def info(path: Path) -> dict[str, Any]:
    told = subprocess.run(["qemu-img", "info", "-U", "--output=json", path], capture_output=True, check=True)
    found: dict[str, Any] = json.loads(told.stdout)
    return found


def image(path: Path, *options: str) -> Path:
    """Make an image behind the agent's back; what it names is not looked at."""
    subprocess.run(["qemu-img", "create", "-q", "-u", "-f", "qcow2", *options, path, "4M"], check=True)
    return path


@pytest_asyncio.fixture(loop_scope="session")
async def drives(platform: Platform, admin: Person, machine: Machine) -> Drives:
    return Drives(platform, admin, machine)


# -- made and listed ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("image_format", ["qcow2", "raw", "qcow", "vmdk"])
async def test_a_drive_is_made_in_each_format_and_listed_as_it_is(drives: Drives, image_format: str):
    await drives.do("create", name=" my/..drive ", size=4, unit="M", format=image_format, preallocation="metadata")
    made = drives.folder / f"my__drive.{image_format}"
    assert info(made)["virtual-size"] == 4 << 20
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    [listed] = await drives.listed()
    assert (listed["name"], listed["path"], listed["format"]) == ("my__drive", str(made), image_format)
    assert (int(listed["virtualSize"]), int(listed["diskSize"])) == (4 << 20, made.stat().st_blocks * 512)


@pytest.mark.usefixtures("usual_news")
async def test_the_roster_hears_what_becomes_of_drives(platform: Platform, admin: Person, drives: Drives):
    bare = drives.machine.bare
    await admin.subscribe_to_events(bare, platform.pubsub)
    await drives.make()
    await drives.do("convert", path="data.qcow2", format="raw")
    await drives.do("rename", path="data.raw", newname="other")
    await drives.do("resize", path="other.raw", size=8, unit="M")
    await drives.do("convert", path=f"{drives.folder}/other.raw", format="qcow2")
    await drives.do("setgolden", path="other.qcow2", name=f"{drives.machine.uuid}.qcow2")
    await drives.do("delete", name="other.qcow2")
    await admin.expect_push(bare, "disk", "deleted")
    changes = [push.change for push in admin.pushes(bare) if push.what[0] == "disk"]
    assert changes == ["created", "converted", "renamed", "resized", "converted", "goldened", "deleted"]
    shouts = [message for message in admin.heard(bare, kind="headline") if message.findtext("{jabber:client}body")]
    assert len(shouts) == len(changes), show(shouts)
    assert drives.files == []


async def test_other_files_of_the_folder_are_no_drives(drives: Drives):
    for name in ("notes.txt", "web_VARS.fd", ".hidden.qcow2", "oomkiller_flag", "cd.iso"):
        (drives.folder / name).write_bytes(b"precious")
    (drives.folder / "link.qcow2").symlink_to("/etc/hostname")
    before = drives.files
    assert await drives.listed() == []
    assert next(one["name"] for one in await drives.listed("getiso")) == "cd.iso"
    for name in before:
        assert_error(await drives.ask("delete", name=name), code=-3002, condition="bad-request", mentions="name")
    assert drives.files == before


async def test_an_nvram_called_like_a_drive_is_none(drives: Drives):
    file = image(drives.folder / "vars.qcow2")
    firmware = f"<type>hvm</type><loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader><nvram>{file}</nvram>"
    definition = drives.machine.definition().replace("<type>hvm</type>", firmware)
    with drives.platform.libvirt() as connection:
        connection.defineXML(definition)
    assert await drives.listed() == []
    assert_error(await drives.ask("delete", name="vars.qcow2"), code=-3002, condition="bad-request", mentions="is no drive")


# -- golden drives ------------------------------------------------------------------------------------------------------


async def test_a_drive_stands_on_a_golden_one_that_then_stays_as_it_is(drives: Drives):
    await drives.make("base", 8)
    golden = drives.goldens / f"{drives.machine.uuid}.qcow2"
    await drives.do("setgolden", path="base.qcow2", name=golden.name)
    assert stat.S_IMODE(golden.stat().st_mode) == 0o444
    assert {"name": golden.name, "path": str(golden)} in await drives.listed("getgolden")
    small = await drives.ask("create", name="small", size=4, unit="M", format="qcow2", golden=golden.name)
    assert_error(small, code=-3001, condition="bad-request", mentions="size")
    made = info(await drives.make("clone", 8, golden=golden.name))
    assert (made["backing-filename"], made["backing-filename-format"]) == (str(golden), "qcow2")
    assert (drives.folder / "base.qcow2").exists()
    again = await drives.ask("setgolden", path="base.qcow2", name=golden.name, replace=1)
    assert_error(again, code=-3008, condition="conflict", mentions="1 images stand on")
    await drives.do("delete", name="clone.qcow2")
    assert_error(await drives.ask("setgolden", path="base.qcow2", name=golden.name), code=-3008, condition="conflict", mentions="already")
    await drives.do("setgolden", path="base.qcow2", name=golden.name, replace=1)


async def test_a_golden_drive_holds_all_by_itself_and_its_origin_stays_attached(drives: Drives):
    golden = f"{drives.machine.uuid}-b.qcow2"
    await drives.make("base", 8)
    await drives.do("setgolden", path="base.qcow2", name=golden)
    clone = await drives.make("clone", 8, golden=golden)
    await drives.attach(clone)
    await drives.do("setgolden", path="clone.qcow2", name=f"{drives.machine.uuid}-c.qcow2")
    assert "backing-filename" not in info(drives.goldens / f"{drives.machine.uuid}-c.qcow2")
    assert drives.attached() == [(str(clone), "qcow2")]


async def test_golden_drives_are_replaced_by_those_who_have_the_host(platform: Platform, admin: Person, student: Person, drives: Drives):
    await platform.grant(admin, drives.machine.full, student, "all")
    await drives.make("base")
    theirs = Drives(platform, student, drives.machine)
    await theirs.do("setgolden", path="base.qcow2", name=f"{drives.machine.uuid}-d.qcow2")
    answer = await theirs.ask("setgolden", path="base.qcow2", name=f"{drives.machine.uuid}-d.qcow2", replace=1)
    assert child(answer, "error").get("code") == "-1", show(answer)


# -- the definition follows ---------------------------------------------------------------------------------------------


async def test_the_definition_follows_a_conversion_and_a_renaming(drives: Drives):
    await drives.attach(await drives.make("a.qcow2.b"))
    before = drives.platform.definition_in_libvirt(drives.machine.uuid) or ""
    await drives.do("convert", path="a.qcow2.b.qcow2", format="raw")
    assert drives.attached() == [(str(drives.folder / "a.qcow2.b.raw"), "raw")]
    await drives.do("rename", path=str(drives.folder / "a.qcow2.b.raw"), newname="system")
    assert drives.attached() == [(str(drives.folder / "system.raw"), "raw")]
    assert drives.files == ["system.raw"]
    assert (drives.folder / "system.raw").stat().st_nlink == 1
    after = drives.platform.definition_in_libvirt(drives.machine.uuid) or ""
    assert after == before.replace("a.qcow2.b.qcow2", "system.raw").replace("'qcow2'", "'raw'")


async def test_an_attached_drive_is_deleted_with_its_disk_only(drives: Drives):
    await drives.attach(await drives.make())
    answer = await drives.ask("delete", name="data.qcow2")
    assert_error(answer, code=-3002, condition="conflict", mentions="undefine='yes'")
    assert drives.files == ["data.qcow2"]
    await drives.do("delete", name=str(drives.folder / "data.qcow2"), undefine="yes")
    assert (drives.attached(), drives.files) == ([], [])
    assert "device='cdrom'" in (drives.platform.definition_in_libvirt(drives.machine.uuid) or "")


@pytest.mark.parametrize(
    "action, attributes",
    [
        ("delete", {"name": "data.qcow2", "undefine": "yes"}),
        ("convert", {"path": "data.qcow2", "format": "raw"}),
        ("rename", {"path": "data.qcow2", "newname": "other"}),
        ("setgolden", {"path": "data.qcow2", "name": "running.qcow2"}),
    ],
)
async def test_the_drive_of_a_running_machine_stays_as_it_is(drives: Drives, action: str, attributes: dict[str, str]):
    await drives.attach(await drives.make())
    await drives.start()
    codes = {"delete": -3002, "convert": -3005, "rename": -3006, "setgolden": -3008}
    answer = await drives.ask(action, **attributes)
    assert_error(answer, code=codes[action], condition="unexpected-request", mentions="shut it down first")
    assert drives.attached() == [(str(drives.folder / "data.qcow2"), "qcow2")]
    assert (drives.files, (drives.goldens / "running.qcow2").exists()) == (["data.qcow2"], False)


async def test_what_cannot_be_started_is_not_converted_to(drives: Drives):
    await drives.attach(await drives.make())
    answer = await drives.ask("convert", path="data.qcow2", format="vmdk")
    assert_error(answer, code=-3005, condition="not-acceptable", mentions="format")


async def test_a_definition_that_is_refused_leaves_the_drive_as_it_was(drives: Drives, student: Person):
    """The disk also stands in a place where the policy does not let it: the author may not define that anew."""
    await drives.attach(await drives.make())
    with drives.platform.libvirt() as connection:
        domain = connection.lookupByUUIDString(drives.machine.uuid)
        twice = domain.XMLDesc().replace("</devices>", f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{drives.folder}/data.qcow2'/><target dev='vdb' bus='virtio'/><shareable/></disk></devices>")  # fmt: skip
        connection.defineXML(twice)
    await drives.platform.grant(drives.person, drives.machine.full, student, "drives_convert")
    answer = await Drives(drives.platform, student, drives.machine).ask("convert", path="data.qcow2", format="raw")
    assert child(answer, "error").get("code") == "-1", show(answer)
    assert drives.files == ["data.qcow2"]
    assert drives.attached() == [(str(drives.folder / "data.qcow2"), "qcow2")] * 2


async def test_a_saved_machine_keeps_its_drives(drives: Drives):
    await drives.attach(await drives.make())
    await drives.start()
    with drives.platform.libvirt() as connection:
        connection.lookupByUUIDString(drives.machine.uuid).managedSave()
    answer = await drives.ask("rename", path="data.qcow2", newname="other")
    assert_error(answer, code=-3006, condition="unexpected-request", mentions="was saved to disk")


# -- hostile images -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backing", ["/etc/hostname", "nbd://127.0.0.1:1/x", 'json:{"driver":"file","filename":"/etc/hostname"}'])
async def test_an_image_that_names_a_file_of_the_host_is_not_read(drives: Drives, backing: str):
    image(drives.folder / "evil.qcow2", "-b", backing, "-F", "raw")
    [listed] = await drives.listed()
    assert listed["backingFile"] == backing
    for action, attributes in (("convert", {"format": "raw"}), ("setgolden", {"name": "evil.qcow2"})):
        answer = await drives.ask(action, path="evil.qcow2", **attributes)
        assert child(answer, "error")[0].tag.endswith("not-acceptable"), show(answer)
    assert drives.files == ["evil.qcow2"]
    assert not (drives.goldens / "evil.qcow2").exists()


async def test_an_image_with_its_data_elsewhere_is_not_opened(drives: Drives, tmp_path: Path):
    image(drives.folder / "outside.qcow2", "-o", f"data_file={tmp_path}/data.raw,data_file_raw=on")
    [listed] = await drives.listed()
    assert "another file" in listed["problem"]
    assert "virtualSize" not in listed
    answer = await drives.ask("convert", path="outside.qcow2", format="raw")
    assert_error(answer, code=-3005, condition="not-acceptable", mentions="another file")


async def test_a_vmdk_that_describes_other_files_is_not_read(drives: Drives):
    (drives.folder / "d.vmdk").write_text('# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\nRW 8 FLAT "/etc/hostname" 0\n')
    answer = await drives.ask("convert", path="d.vmdk", format="raw")
    assert_error(answer, code=-3005, condition="not-acceptable", mentions="no VMDK of a single file")


async def test_a_golden_drive_that_stands_on_a_file_of_the_host_is_of_no_use(drives: Drives):
    name = f"{drives.machine.uuid}-evil.qcow2"
    image(drives.goldens / name, "-b", "/etc/hostname", "-F", "raw")
    answer = await drives.ask("create", name="x", size=4, unit="M", format="qcow2", golden=name)
    assert_error(answer, code=-3001, condition="not-acceptable", mentions="leads out of")
    assert drives.files == []


async def test_what_others_stand_on_stays(drives: Drives):
    base = await drives.make("base")
    image(drives.folder / "over.qcow2", "-b", base.name, "-F", "qcow2")
    for action, attributes in (("delete", {"name": base.name}), ("rename", {"path": base.name, "newname": "other"})):
        answer = await drives.ask(action, **attributes)
        assert child(answer, "error")[0].tag.endswith("conflict"), show(answer)
    answer = await drives.ask("resize", path=base.name, size=8, unit="M")
    assert_error(answer, code=-3009, condition="conflict", mentions="over.qcow2")


# -- sizes --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("image_format", ["raw", "qcow2"])
async def test_a_drive_grows_and_shrinks_only_when_told_so(drives: Drives, image_format: str):
    made = await drives.make("data", 4, image_format)
    await drives.do("resize", path=made.name, size=16, unit="M")
    assert info(made)["virtual-size"] == 16 << 20
    answer = await drives.ask("resize", path=made.name, size=8, unit="M")
    assert_error(answer, code=-3009, condition="not-acceptable", mentions="shrink='1'")
    await drives.do("resize", path=made.name, size=8, unit="M", shrink=1)
    assert info(made)["virtual-size"] == 8 << 20


# -- at once ------------------------------------------------------------------------------------------------------------


async def test_many_drives_are_made_at_once_and_each_once(drives: Drives):
    answers = await asyncio.gather(
        *(drives.ask("create", name=f"d{number // 2}", size=4, unit="M", format="qcow2") for number in range(CREATES))
    )
    made = [answer for answer in answers if answer.get("type") == "result"]
    assert len(made) == CREATES // 2
    for answer in answers:
        if answer.get("type") == "error":
            assert_error(answer, code=-3001, condition="conflict")
    assert drives.files == [f"d{number}.qcow2" for number in range(CREATES // 2)]


async def test_of_two_requests_for_one_drive_one_wins_and_nothing_is_lost(drives: Drives):
    await drives.make()
    answers = await asyncio.gather(
        drives.ask("convert", path="data.qcow2", format="raw"),
        drives.ask("rename", path="data.qcow2", newname="other"),
        drives.ask("convert", path="data.qcow2", format="vmdk"),
    )
    assert sorted(answer.get("type", "") for answer in answers) == ["error", "error", "result"], show(answers)
    assert len(drives.files) == 1


# -- the end of the agent in the middle ---------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def slow(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Drives]:
    """A machine on a platform where conversions never end."""
    folder = tmp_path_factory.mktemp("slow")
    program = folder / "qemu-img"
    program.write_text(SLOW_PROGRAM.format(folder=folder))
    program.chmod(0o755)
    options = {("STORAGE", "qemu_img_bin_path"): str(program), ("STORAGE", "use_metadata_preallocation"): "False"}
    async with open_platform(folder / "platform", authority, "drives.localhost", options) as platform:
        admin = await platform.enter(ADMIN)
        await platform.meet_hypervisor(admin)
        drives = Drives(platform, admin, await platform.make_machine(admin))
        yield drives


async def begin_conversion(slow: Drives, name: str) -> int:
    """Ask for a conversion and return the process that does it."""
    note = slow.platform.agent.folder.parent.parent / "pid"
    note.unlink(missing_ok=True)
    await slow.person.expect_shown(slow.machine.bare, "xa", "Off")
    slow.person.request(slow.machine.full, f"<query xmlns='{DISK}'><archipel action='convert' path='{name}' format='raw'/></query>")
    text = await eventually(lambda: note.read_text() if note.exists() else "", "a conversion")
    return int(text)


async def start_again(slow: Drives) -> None:
    """Start the agent that was stopped or killed, and wait until hypervisor and machine are back."""
    accounts = (slow.platform.hypervisor, slow.machine.bare)
    before = len(slow.person.received)
    await asyncio.to_thread(slow.platform.agent.start)
    for account in accounts:
        await slow.person.until(lambda account=account: any(not one.get("type") for one in slow.person.presences(account, before)), account)


def is_over(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    return True


async def test_an_agent_that_stops_leaves_no_conversion_behind(slow: Drives):
    await slow.make("stopped")
    process = await begin_conversion(slow, "stopped.qcow2")
    await slow.person.expect_shown(slow.machine.bare, "dnd", "Converting a drive...")
    assert [name for name in slow.files if name.endswith(".part")]
    await asyncio.to_thread(slow.platform.agent.stop)
    assert is_over(process)
    assert [name for name in slow.files if name.endswith((".part", ".note"))] == []
    assert "stopped.qcow2" in slow.files
    await start_again(slow)
    await slow.person.expect_shown(slow.machine.bare, "xa", "Off")


async def test_an_agent_that_is_killed_leaves_no_process_and_nothing_that_the_next_one_does_not_tidy_up(slow: Drives):
    await slow.make("killed")
    process = await begin_conversion(slow, "killed.qcow2")
    await asyncio.to_thread(slow.platform.agent.kill)
    await eventually(lambda: is_over(process), "the end of the conversion")
    assert [name for name in slow.files if name.endswith(".part")]
    await start_again(slow)
    await eventually(lambda: not [name for name in slow.files if name.endswith(".part")], "a tidy folder")
    assert "killed.qcow2" in slow.files


async def test_a_replacement_that_was_cut_off_is_settled_by_what_the_definition_says(slow: Drives):
    """Both files are complete by then; without a definition the new one counts."""
    kept = {}
    for named in ("old", "new", None):
        drives = Drives(slow.platform, slow.person, await slow.platform.make_machine(slow.person, defined=named is not None))
        for name in ("old", "new"):
            await drives.make(name)
        if named:
            await drives.attach(drives.folder / f"{named}.qcow2")
        note = {"old": "old.qcow2", "new": "new.qcow2"}
        (drives.folder / f".archipel+{socket.gethostname()}+0+0.note").write_text(json.dumps(note))
        (drives.folder / f".archipel+{socket.gethostname()}+0+1.note").write_text("{torn")
        kept[drives] = f"{named or 'new'}.qcow2"
    await asyncio.to_thread(slow.platform.agent.kill)
    await start_again(slow)
    await eventually(lambda: all(drives.files == [name] for drives, name in kept.items()), "one of two files")


async def test_what_the_page_says_in_a_chat_works(drives: Drives, root: Path):
    """Other tests have golden drives of their own."""
    steps = read_steps(root / "docs" / "storage.md")
    for step in steps:
        said = step.command.removeprefix("archipel chat web ")
        answer = (await drives.person.say(drives.machine.full, said)).splitlines()
        assert set(step.shown) <= set(answer), f"{said}: {answer}"
    assert drives.files == ["system.qcow2"]


async def test_a_definition_that_is_too_large_to_be_shown_hinders_nobody(drives: Drives, platform: Platform, admin: Person):
    """It is looked through for the drives that it names, like any other."""
    disk = await drives.make()
    other = await platform.make_machine(admin)
    source = f"<devices><disk type='file'><source file='{disk}'/><target dev='vda'/></disk></devices>"
    with platform.libvirt() as connection:
        domain = connection.defineXML(other.definition(more=f"<description>{'&lt;' * 400_000}</description>{source}"))
        try:
            assert_error(await drives.ask("delete", name=disk.name), code=-3002, condition="conflict", mentions="in use", action="delete")
            await drives.make("more")
            await drives.do("delete", name="more.qcow2")
        finally:
            domain.undefine()
    await drives.do("delete", name=disk.name)
