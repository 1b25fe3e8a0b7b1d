# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image stands on, where the agent cannot look: that is no image that is missing."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from archipel.agent.drive_checks import refuse_used_by_others
from archipel.agent.drive_work import in_plain_words
from archipel.agent.image_users import Sources, Volumes, find_images_on
from archipel.agent.virt import image_header
from archipel.agent.virt.confined_paths import PathRefused, confine
from archipel.agent.virt.disk_files import Definitions, list_drives
from archipel.agent.virt.image_chain import ImageFacts, follow_chain
from archipel.agent.virt.lifecycle import DomainState
from archipel.agent.virt.storage_pools import LookedThrough
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import CommandError, Condition
from tests.unit.agent.fakes import OTHER_UUID, FakeHost

NOBODY = 65534


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Be somebody whom permissions of files hold back."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


def read_nothing(_path: Path, _format: str) -> ImageFacts:
    raise AssertionError("there is nothing to read")


def test_an_image_that_is_not_there_yet_stands_on_nothing(tmp_path: Path) -> None:
    assert follow_chain(str(tmp_path / "none.qcow2"), "qcow2", [tmp_path], read_nothing) == []
    (tmp_path / "file").touch()
    assert follow_chain(str(tmp_path / "file" / "none.qcow2"), "qcow2", [tmp_path], read_nothing) == []


def test_an_image_in_a_folder_that_nobody_may_enter_is_refused_with_its_path(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / "disk.qcow2").write_bytes(b"x")
    closed.chmod(0)
    with as_nobody(), pytest.raises(PathRefused, match=r"cannot be looked at .*closed/disk\.qcow2.*let the agent's user"):
        follow_chain(str(closed / "disk.qcow2"), "qcow2", [tmp_path], read_nothing)
    closed.chmod(0o700)


def test_an_image_behind_links_without_an_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(PathRefused, match="cannot be looked at"):
        follow_chain(str(tmp_path / "loop" / "disk.qcow2"), "qcow2", [tmp_path], read_nothing)


def test_an_image_that_may_not_be_read_is_refused_with_its_path(tmp_path: Path) -> None:
    def refuse(path: Path, _format: str) -> ImageFacts:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "disk.qcow2").touch()
    with pytest.raises(PathRefused, match=r"cannot be looked at .*disk\.qcow2.*Permission denied.*let the agent's user"):
        follow_chain(str(tmp_path / "disk.qcow2"), "qcow2", [tmp_path], refuse)


def test_a_backing_file_that_may_not_be_looked_at_is_named(tmp_path: Path) -> None:
    (tmp_path / "top.qcow2").touch()
    (tmp_path / "base.qcow2").touch()

    def read(path: Path, _format: str) -> ImageFacts:
        if path.name == "top.qcow2":
            return ImageFacts("qcow2", "base.qcow2", "qcow2")
        raise PermissionError(13, "Permission denied", str(path))

    with pytest.raises(PathRefused, match=r"base\.qcow2"):
        follow_chain(str(tmp_path / "top.qcow2"), "qcow2", [tmp_path], read)


def test_a_path_through_a_closed_folder_says_how_to_mend_it(tmp_path: Path) -> None:
    tmp_path.chmod(0)
    with as_nobody(), pytest.raises(PathRefused, match="the agent's user may not enter"):
        confine(str(tmp_path / "below" / "disk.qcow2"), [Path("/")])
    tmp_path.chmod(0o700)


def test_a_folder_that_may_not_be_read_is_not_an_empty_one(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    assert list_drives(folder, Definitions()) == []
    folder.mkdir()
    (folder / "a.raw").touch()
    folder.chmod(0)
    with as_nobody(), pytest.raises(PermissionError):
        list_drives(folder, Definitions())
    folder.chmod(0o700)


def test_what_may_not_be_read_is_told_with_what_mends_it() -> None:
    with pytest.raises(CommandError, match=r"/vm/x: Permission denied; let the agent's user read it"), in_plain_words():
        raise PermissionError(13, "Permission denied", "/vm/x")


async def test_what_may_stand_on_a_drive_and_cannot_be_read_keeps_it_from_being_deleted(machine: VirtualMachine, host: FakeHost) -> None:
    """Of a running machine, and of a raw disk, libvirt tells enough."""
    folder = machine.folder.parent / OTHER_UUID
    for place in (machine.folder, folder):
        place.mkdir(parents=True)
    drive, closed = machine.folder / "base.qcow2", folder / "overlay.qcow2"
    for file in (drive, closed):
        file.write_bytes(b"QFI\xfb" + bytes(100))
    disk = f"<disk type='file'><driver type='{{}}'/><source file='{closed}'/><target dev='vda'/></disk>"
    told: list[str] = []
    for kind, state in (("qcow2", DomainState.SHUTOFF), ("raw", DomainState.SHUTOFF), ("qcow2", DomainState.RUNNING)):
        host.add(OTHER_UUID, "other", devices=disk.format(kind), state=state)
        with unreadable(closed):
            try:
                await refuse_used_by_others(machine, drive)
                told.append("")
            except CommandError as error:
                told.append(error.text)
    assert "overlay.qcow2 may stand on base.qcow2, and cannot be read; let the agent's user" in told[0]
    assert told[1:] == ["", ""]


def make_image(path: Path, backing: Path | None = None) -> Path:
    """Make the header of a qcow2: its name stands behind the first 104 bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name = os.fsencode(backing or "")
    path.write_bytes(struct.pack(">4sIQI", b"QFI\xfb", 3, 104 if name else 0, len(name)) + bytes(84) + name)
    return path


async def test_a_volume_is_in_doubt_below_what_cannot_be_read(machine: VirtualMachine, tmp_path: Path) -> None:
    """A machine's drive stands on a golden one whose header only others may read, and that may stand on anything."""
    pool = tmp_path / "pool"
    volume, golden = make_image(pool / "volume"), make_image(tmp_path / "elsewhere" / "golden.qcow2")
    make_image(machine.folder / "drive.qcow2", backing=golden)
    assert await find_images_on(machine.services, volume, Sources(), Volumes([pool])) == []
    with unreadable(golden), pytest.raises(CommandError, match=r"golden\.qcow2 may stand on volume, and cannot be read") as caught:
        await find_images_on(machine.services, volume, Sources(), Volumes([pool]))
    assert caught.value.condition == Condition.NOT_ACCEPTABLE
    with unreadable(golden):
        assert await find_images_on(machine.services, volume, Sources(told={golden}), Volumes([pool])) == [], (
            "libvirt tells what it stands on"
        )


async def test_a_volume_is_in_doubt_beside_volumes_of_any_name_that_cannot_be_read(machine: VirtualMachine, tmp_path: Path) -> None:
    volume, other = make_image(tmp_path / "one" / "volume"), make_image(tmp_path / "two" / "other")
    pools = [volume.parent, other.parent, tmp_path / "gone"]
    assert await find_images_on(machine.services, volume, Sources(), Volumes(pools)) == []
    with unreadable(other), pytest.raises(CommandError, match="other may stand on volume"):
        await find_images_on(machine.services, volume, Sources(), Volumes(pools))
    make_image(other, backing=volume)
    assert await find_images_on(machine.services, volume, Sources(), Volumes(pools)) == [other]
    closed = mock.patch.object(Path, "iterdir", side_effect=PermissionError(13, "Permission denied"))
    with closed, pytest.raises(CommandError, match="two may stand on volume, and cannot be read"):
        await find_images_on(machine.services, volume, Sources(), Volumes([other.parent]))


async def test_what_libvirt_can_read_is_in_no_doubt(machine: VirtualMachine, tmp_path: Path) -> None:
    """An agent with a user of its own may not read the volumes that libvirt makes."""
    volume, other, top = make_image(tmp_path / "one" / "volume"), tmp_path / "two" / "other", tmp_path / "two" / "top"
    for file in (other, top):
        make_image(file)
    folders = [volume.parent, other.parent]
    free = LookedThrough({other.parent}, {other: None, top: None})
    used = LookedThrough({other.parent}, {other: volume, top: other})
    closed = mock.patch.object(Path, "iterdir", side_effect=PermissionError(13, "Permission denied"))
    with unreadable(other), unreadable(top):
        assert await find_images_on(machine.services, volume, Sources(), Volumes(folders, free)) == []
        assert await find_images_on(machine.services, volume, Sources(), Volumes(folders, used)) == [other, top]
    with closed:
        assert await find_images_on(machine.services, volume, Sources(), Volumes([other.parent], free)) == []
        assert await find_images_on(machine.services, volume, Sources(), Volumes([other.parent], used)) == [other, top]


@contextlib.contextmanager
def unreadable(file: Path) -> Iterator[None]:
    """Let nobody read a file, root neither."""
    real = os.open

    def refuse(path: str | Path, *arguments: int, **options: int) -> int:
        if Path(path) == file:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments, **options)

    with mock.patch.object(image_header.os, "open", refuse):
        yield
