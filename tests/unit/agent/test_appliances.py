# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import asyncio
import gzip
import io
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archipel.agent import download as download_module
from archipel.agent.appliance_package import PackageRefused, unpack
from archipel.agent.appliance_repository import repository_of
from archipel.agent.appliances import MARK, temporary_prefix
from archipel.agent.capabilities.hypervisor_vmcasts import tidy_up
from archipel.agent.dispatch import Caller
from archipel.agent.drive_work import work_on
from archipel.agent.own_feed import list_packages
from archipel.agent.virt.lifecycle import DomainState
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import CommandError
from tests.unit.agent.conftest import ask as ask_entity
from tests.unit.agent.fakes import ADMIN, OWNER, FakeHost, domain_xml
from tests.unit.agent.feed_house import ITEM_UUID, FeedHouse, open_feed_house, pack

CASTS, APPLIANCE = "archipel:hypervisor:vmcasting", "archipel:virtualmachine:vmcasting"
MIB = 1 << 20
DISK = "<disk type='file' device='disk'><driver type='raw'/><source file='/old/place/disk.raw'/><target dev='vda'/></disk>"
CARD = "<interface type='network'><mac address='52:54:00:00:00:01'/><source network='default'/></interface>"
DEFINITION = domain_xml("old", "99999999-1b7d-4c55-9a0e-3d2b1c4f5a69", DISK + CARD, "<description>a@b::::secret</description>")
GOOD = {"description.xml": DEFINITION.encode(), "disk.raw.gz": gzip.compress(b"x" * MIB)}
needs_qemu_img = pytest.mark.usefixtures("qemu_img")


@pytest.fixture
def agent_folder(tmp_path: Path) -> Path:
    """Not in /dev/shm, through which the domain policy lets no path lead."""
    return tmp_path / "agent"


@pytest.fixture
def qemu_img() -> str:
    found = shutil.which("qemu-img")
    assert found, "qemu-utils is one of the packages that the bootstrap installs"
    return found


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[FeedHouse]:
    monkeypatch.setattr(download_module, "PAUSE", 0.0)
    with open_feed_house() as house:
        yield house


async def ask(machine: VirtualMachine, action: str, more: str = "", caller: Caller = OWNER) -> ET.Element:
    return await ask_entity(machine, APPLIANCE, f"<archipel action='{action}' {more}/>", caller)


async def bring(machine: VirtualMachine, house: FeedHouse, content: bytes) -> None:
    """Have an appliance downloaded on the machine's host."""
    house.offer(content)
    for action, more in (("register", f"url='{house.url}'"), ("downloadappliance", f"uuid='{ITEM_UUID}'")):
        await ask_entity(machine.hypervisor, CASTS, f"<archipel action='{action}' {more}/>", ADMIN)


async def status(machine: VirtualMachine) -> list[str]:
    return [one.get("status", "") for one in await ask(machine, "get")]


async def test_a_machine_is_made_from_an_appliance_with_an_identity_of_its_own(
    machine: VirtualMachine, host: FakeHost, house: FeedHouse
) -> None:
    await bring(machine, house, pack(GOOD))
    assert await status(machine) == ["none"]
    await ask(machine, "attach", f"uuid='{ITEM_UUID}'")
    assert await status(machine) == ["installed"]
    root = host.domain(machine.uuid).root
    assert (root.findtext("uuid"), root.findtext("name"), root.findtext("description")) == (machine.uuid, "web", None)
    source = root.find("devices/disk/source")
    assert source is not None
    assert source.get("file") == str(machine.folder / "disk.raw")
    assert root.find("devices/interface/mac") is None, "libvirt makes a new one"
    assert (machine.folder / "disk.raw").read_bytes() == b"x" * MIB
    assert (machine.folder / MARK).read_text() == ITEM_UUID
    assert list(repository_of(machine.hypervisor).settings.temporary.iterdir()) == []
    with pytest.raises(CommandError, match="detach that first"):
        await ask(machine, "attach", f"uuid='{ITEM_UUID}'")
    await ask(machine, "detach")
    assert await status(machine) == ["none"]
    assert (machine.folder / "disk.raw").is_file()


@pytest.mark.parametrize(
    "content",
    [
        pack({"description.xml": DEFINITION.encode()}),
        pack({**GOOD, "../evil": b"x"}),
        pack(GOOD | {"description.xml": DEFINITION.replace("<os>", "<os><kernel>/etc/shadow</kernel>").encode()}),
        pack(
            GOOD
            | {
                "description.xml": DEFINITION.replace("type='file' device='disk'", "type='block' device='disk'")
                .replace("file=", "dev=")
                .encode()
            }
        ),
    ],
    ids=["without-drive", "path-out", "policy", "block-device"],
)
async def test_an_appliance_that_is_refused_leaves_nothing(
    machine: VirtualMachine, host: FakeHost, house: FeedHouse, content: bytes
) -> None:
    before = host.domain(machine.uuid).stored
    await bring(machine, house, content)
    await ask(machine, "attach", f"uuid='{ITEM_UUID}'")
    assert await status(machine) == ["none"]
    assert host.domain(machine.uuid).stored == before
    assert not machine.folder.exists() or list(machine.folder.iterdir()) == []
    assert list(repository_of(machine.hypervisor).settings.temporary.iterdir()) == []


async def test_drives_that_are_there_stay_as_they_are(machine: VirtualMachine, house: FeedHouse) -> None:
    machine.folder.mkdir(parents=True)
    (machine.folder / "disk.raw").write_text("mine")
    await bring(machine, house, pack(GOOD))
    await ask(machine, "attach", f"uuid='{ITEM_UUID}'")
    assert await status(machine) == ["none"]
    assert {file.name: file.read_text() for file in machine.folder.iterdir()} == {"disk.raw": "mine"}


async def test_a_definition_that_libvirt_refuses_takes_the_drives_along(machine: VirtualMachine, host: FakeHost, house: FeedHouse) -> None:
    await bring(machine, house, pack(GOOD))
    host.domain(machine.uuid).refuse["define"] = OSError("no")
    await ask(machine, "attach", f"uuid='{ITEM_UUID}'")
    assert list(machine.folder.iterdir()) == []


async def test_a_file_that_changed_since_it_was_downloaded_is_not_installed(machine: VirtualMachine, house: FeedHouse) -> None:
    await bring(machine, house, pack(GOOD))
    repository_of(machine.hypervisor).file_of(ITEM_UUID).write_bytes(pack({**GOOD, "more.img": b"x"}))
    await ask(machine, "attach", f"uuid='{ITEM_UUID}'")
    assert await status(machine) == ["none"]


@pytest.mark.parametrize("action", ["attach", "package"])
async def test_a_machine_that_is_on_is_left_alone(machine: VirtualMachine, host: FakeHost, house: FeedHouse, action: str) -> None:
    await bring(machine, house, pack(GOOD))
    host.domain(machine.uuid).state_now = DomainState.RUNNING
    with pytest.raises(CommandError, match="is on: shut it down first"):
        await ask(machine, action, f"uuid='{ITEM_UUID}' name='made'")


async def test_what_a_crash_left_of_packing_and_unpacking_is_removed_and_nothing_else(machine: VirtualMachine) -> None:
    settings, others = repository_of(machine.hypervisor).settings, "archipel+another+x"
    for name in (f"{temporary_prefix('host1')}x", others):
        (settings.temporary / name).mkdir(parents=True)
    await asyncio.to_thread(tidy_up, settings, "host1")
    assert [path.name for path in settings.temporary.iterdir()] == [others]


@needs_qemu_img
@pytest.mark.parametrize("wish,ending", [("gzip='0'", ""), ("gzip='1'", ".gz"), ("", ".gz")])
async def test_what_is_packaged_can_be_unpacked(machine: VirtualMachine, host: FakeHost, tmp_path: Path, wish: str, ending: str) -> None:
    machine.folder.mkdir(parents=True)
    drive = machine.folder / "disk.qcow2"
    await work_on(machine.hypervisor).qemu_img.create(drive, "qcow2", MIB)
    devices = DISK.replace("raw'/>", "qcow2'/>", 1).replace("/old/place/disk.raw", str(drive))
    host.add(machine.uuid, "web", devices=devices, more="<description>a@b::::secret</description>")
    await ask(machine, "package", f"name='my web/1' {wish}")
    [package] = list_packages(repository_of(machine.hypervisor).settings.own_folder)
    assert package.name == "my_web_1.xvm2"
    with tarfile.open(package) as archive:
        assert archive.getnames() == ["description.xml", "disk.qcow2" + ending]
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    found = unpack(package, unpacked, (".qcow2",), 1 << 30)
    assert list(found.drives) == ["disk.qcow2"]
    assert "secret" not in found.definition.to_text()
    assert machine.copies == 0
    with pytest.raises(CommandError, match=r"there is a package my_web_1\.xvm2 already"):
        await ask(machine, "package", "name='my web/1'")


def member(name: str, kind: bytes, link: str = "") -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, link
        archive.addfile(info)
    return held.getvalue()


def huge_header() -> bytes:
    """A header that says that a name of 8 GiB follows."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 8 << 30
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    "content,why",
    [
        (pack({"../a": b""}), "no plain name"),
        (pack({"/etc/a": b""}), "no plain name"),
        (pack({".hidden": b""}), "no plain name"),
        (pack({"a/b": b""}), "no plain name"),
        (pack({"a": b"", "a.gz": b""}), "twice"),
        (member("a", tarfile.SYMTYPE, "/etc/shadow"), "no plain file"),
        (member("a", tarfile.LNKTYPE, "/etc/shadow"), "no plain file"),
        (member("a", tarfile.CHRTYPE), "no plain file"),
        (member("a", tarfile.FIFOTYPE), "no plain file"),
        (pack({f"f{number}": b"" for number in range(101)}), "more than 100 files"),
        (pack({"a": b"x" * MIB * 3}), "more than"),
        (pack({"a": b"x" * MIB * 3}, "w:gz"), "more than"),
        (pack({"a.gz": gzip.compress(b"x" * MIB * 3)}), "more than"),
        (huge_header(), "header|read as a package"),
        (gzip.compress(huge_header() + b"\0" * MIB), "header|read as a package"),
        (b"no tar at all" * 100, "cannot be read"),
        (b"", "cannot be read"),
        (pack({"description.xml": b"<!DOCTYPE a><domain/>"}), "document type"),
        (pack({"a.gz": b"no gzip"}), "cannot be read"),
        (pack({"disk.raw": b""}), "no description.xml"),
    ],
)
def test_a_hostile_package_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "package").write_bytes(content)
    (tmp_path / "out").mkdir()
    with pytest.raises(PackageRefused, match=why):
        unpack(tmp_path / "package", tmp_path / "out", (), 2 * MIB)
    assert sum(file.stat().st_size for file in (tmp_path / "out").iterdir()) <= 3 * MIB
    assert {path.name for path in tmp_path.iterdir()} == {"package", "out"}


@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=2000), place=st.integers(0, 1500), patch=st.binary(min_size=1, max_size=40))
def test_whatever_is_given_is_a_package_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, place: int, patch: bytes
) -> None:
    folder = tmp_path_factory.mktemp("package")
    good = pack(GOOD)
    for number, tried in enumerate((content, good[:place] + patch + good[place + len(patch) :])):
        (folder / "package").write_bytes(tried)
        (folder / str(number)).mkdir()
        try:
            found = unpack(folder / "package", folder / str(number), (), 2 * MIB)
        except PackageRefused:
            continue
        assert all(file.parent == folder / str(number) for file in found.drives.values())


def test_compressed_archives_and_plain_ones_hold_the_same(tmp_path: Path) -> None:
    for mode in ("w", "w:gz", "w:bz2"):
        folder = tmp_path / mode.replace(":", "")
        folder.mkdir()
        (tmp_path / "package").write_bytes(pack(GOOD, mode))
        found = unpack(tmp_path / "package", folder, (), 2 * MIB)
        assert {name: file.read_bytes() for name, file in found.drives.items()} == {"disk.raw": b"x" * MIB}
