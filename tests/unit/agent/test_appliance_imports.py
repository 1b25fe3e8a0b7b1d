# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain qcow2 images and OVA files: what becomes of them, and what is refused."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archipel.agent import appliance_package as package_module
from archipel.agent import download as download_module
from archipel.agent.appliance_ova import unpack_ova
from archipel.agent.appliance_package import PackageRefused
from archipel.agent.appliance_repository import repository_of
from archipel.agent.virt.vmdk import VmdkFacts, VmdkRefused, read_vmdk
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.ovf import OvfUnreadable, parse_ovf
from tests.unit.agent.conftest import ask as ask_entity
from tests.unit.agent.fake_xmpp import FakeXmpp
from tests.unit.agent.fakes import ADMIN, OWNER, FakeHost
from tests.unit.agent.feed_house import ITEM_UUID, FeedHouse, open_feed_house, pack
from tests.unit.agent.ova_house import BASE, MIB, descriptor, disk_item, item, make_vmdk, manifest

CASTS, APPLIANCE = "archipel:hypervisor:vmcasting", "archipel:virtualmachine:vmcasting"


@pytest.fixture
def agent_folder(tmp_path: Path) -> Path:
    """Not in /dev/shm, through which the domain policy lets no path lead."""
    return tmp_path / "agent"


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[FeedHouse]:
    monkeypatch.setattr(download_module, "PAUSE", 0.0)
    with open_feed_house() as house:
        yield house


@pytest.fixture(scope="module")
def vmdk(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A disk that begins with a word."""
    return make_vmdk(tmp_path_factory.mktemp("vmdk"), b"first")


async def install(machine: VirtualMachine, house: FeedHouse, content: bytes) -> str:
    """Have the content downloaded and installed; return the appliance's status in the machine."""
    house.offer(content)
    for action, more in (("register", f"url='{house.url}'"), ("downloadappliance", f"uuid='{ITEM_UUID}'")):
        await ask_entity(machine.hypervisor, CASTS, f"<archipel action='{action}' {more}/>", ADMIN)
    await ask_entity(machine, APPLIANCE, f"<archipel action='attach' uuid='{ITEM_UUID}'/>", OWNER)
    [found] = await ask_entity(machine, APPLIANCE, "<archipel action='get'/>", OWNER)
    return found.get("status") or ""


def qemu_img(*arguments: object) -> None:
    subprocess.run(["qemu-img", *map(str, arguments)], check=True, capture_output=True)


def content_of(drive: Path, tmp_path: Path) -> bytes:
    qemu_img("convert", "-f", "qcow2", "-O", "raw", drive, tmp_path / "seen.raw")
    return (tmp_path / "seen.raw").read_bytes()


def sources(root: ET.Element) -> list[str | None]:
    return [source.get("file") for source in root.iterfind("devices/disk/source")]


# -- plain images -----------------------------------------------------------------------------------------------------


async def test_a_plain_image_becomes_a_machine_as_the_settings_say(
    machine: VirtualMachine, host: FakeHost, house: FeedHouse, tmp_path: Path
) -> None:
    (tmp_path / "a.raw").write_bytes(b"first".ljust(MIB, b"\0"))
    qemu_img("convert", "-c", "-f", "raw", "-O", "qcow2", tmp_path / "a.raw", tmp_path / "a.qcow2")
    assert await install(machine, house, (tmp_path / "a.qcow2").read_bytes()) == "installed"
    root = host.domain(machine.uuid).root
    assert (root.findtext("uuid"), root.findtext("name"), root.findtext("memory")) == (machine.uuid, "web", str(1024 << 10))
    drive = machine.folder / "system.qcow2"
    assert sources(root) == [str(drive)]
    assert [card.find("source").get("network") for card in root.iterfind("devices/interface")] == ["default"]
    assert content_of(drive, tmp_path).startswith(b"first")
    assert list(repository_of(machine.hypervisor).settings.temporary.iterdir()) == []


@pytest.mark.parametrize("options", [("-b", "/etc/hostname", "-F", "raw"), ("-o", "data_file=aside.raw")], ids=["backing", "data-file"])
async def test_an_image_that_stands_on_another_file_is_refused(
    machine: VirtualMachine, host: FakeHost, house: FeedHouse, tmp_path: Path, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = host.domain(machine.uuid).stored
    qemu_img("create", "-f", "qcow2", *options, "a.qcow2", "1M")
    assert await install(machine, house, (tmp_path / "a.qcow2").read_bytes()) == "none"
    assert host.domain(machine.uuid).stored == before
    assert not machine.folder.exists() or list(machine.folder.iterdir()) == []


async def test_what_only_begins_as_an_image_is_refused(machine: VirtualMachine, house: FeedHouse) -> None:
    assert await install(machine, house, b"QFI\xfb" + b"\xff" * 600) == "none"


# -- OVA --------------------------------------------------------------------------------------------------------------


async def test_an_ova_becomes_the_machine_that_it_describes(
    machine: VirtualMachine, host: FakeHost, house: FeedHouse, vmdk: bytes, tmp_path: Path, xmpp: FakeXmpp
) -> None:
    second = make_vmdk(tmp_path, b"second", kind="monolithicSparse")
    items = BASE + "".join(
        (
            disk_item(2, 11, address=1),
            disk_item(1, 12, address=0),
            item(10, 20, ResourceSubType="VmxNet3", ElementName="card"),
            item(10, 21, ResourceSubType="Odd", ElementName="odd card"),
            item(15, 30, ElementName="drive"),
            item(23, 31, ElementName="USB"),
            item(35, 32, ElementName="sound card"),
        )
    )
    files = {"web.ovf": descriptor("a.vmdk", "b.vmdk", items=items), "a.vmdk": vmdk, "b.vmdk": second}
    assert await install(machine, house, pack(files | {"web.mf": manifest(files)})) == "installed"
    root = host.domain(machine.uuid).root
    assert (root.findtext("uuid"), root.findtext("name"), root.findtext("memory"), root.findtext("vcpu")) == (
        machine.uuid,
        "web",
        str(256 << 10),
        "2",
    )
    drives = [machine.folder / name for name in ("disk1.qcow2", "disk2.qcow2")]
    assert sources(root) == [str(drive) for drive in drives]
    assert [content_of(drive, tmp_path)[:6].rstrip(b"\0") for drive in drives] == [b"first", b"second"]
    assert [model.get("type") for model in root.iterfind("devices/interface/model")] == ["vmxnet3", "e1000e"]
    assert [disk.get("device") for disk in root.iterfind("devices/disk")] == ["disk", "disk", "cdrom"]


def test_what_has_no_counterpart_is_named(vmdk: bytes, tmp_path: Path) -> None:
    odd = item(35, 32, ElementName="sound card") + item(10, 21, ResourceSubType="Odd", ElementName="odd card")
    more = "<DeploymentOptionSection><Info>x</Info></DeploymentOptionSection>"
    told = unpack_ova_of(tmp_path, {"web.ovf": descriptor("a.vmdk", items=BASE + disk_item(1, 9) + odd, more=more), "a.vmdk": vmdk})
    assert told == (
        "there is no manifest in it: no digest was checked",
        "left out: sound card (type 35)",
        "left out: the model odd of odd card (type 10): it is an e1000e",
        "left out: the section DeploymentOptionSection",
    )


async def test_a_warning_is_told_with_the_end_of_the_work(machine: VirtualMachine, house: FeedHouse, vmdk: bytes) -> None:
    pushed: list[tuple[str, list[str]]] = []
    machine.push = lambda _topic, change, *details: pushed.append((change, [one.text or "" for one in details]))
    await install(machine, house, pack({"web.ovf": descriptor("a.vmdk", items=BASE + disk_item(1, 9)), "a.vmdk": vmdk}))
    assert pushed == [("applianceinstalling", []), ("applianceinstalled", ["there is no manifest in it: no digest was checked"])]


def unpack_ova_of(folder: Path, files: dict[str, bytes], most: int = 1 << 30) -> tuple[str, ...]:
    (folder / "a.ova").write_bytes(pack(files))
    (folder / "out").mkdir()
    return unpack_ova(folder / "a.ova", folder / "out", most).warnings


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
def test_digests_of_the_manifest_count(vmdk: bytes, tmp_path: Path, algorithm: str) -> None:
    files = {"web.ovf": descriptor("a.vmdk", items=BASE + disk_item(1, 9)), "a.vmdk": vmdk}
    assert unpack_ova_of(tmp_path, files | {"web.mf": manifest(files, algorithm)}) == ()
    (tmp_path / "bad").mkdir()
    with pytest.raises(PackageRefused, match=f"'a.vmdk' in it is damaged: its {algorithm} digest"):
        unpack_ova_of(tmp_path / "bad", files | {"web.mf": manifest(files | {"a.vmdk": b"other"}, algorithm)})


GOOD = descriptor("a.vmdk", items=BASE + disk_item(1, 9))
ONE_DISK = BASE + disk_item(1, 9)


@pytest.mark.parametrize(
    "files,why",
    [
        ({"web.mf": b""}, "'a.vmdk' is not in its manifest"),
        ({"web.mf": b"MD5(a.vmdk)= 00"}, "no digest of a known kind"),
        ({"web.mf": b"SHA256(../../etc/passwd)= 00\n"}, "in its manifest, but not in it|not in its manifest"),
        ({"web.mf": b"SHA256(a.vmdk)= 00\nSHA256(a.vmdk)= 00\n"}, "in its manifest twice"),
        ({"a.mf": b"", "b.mf": b""}, "2 files that end in .mf"),
        ({"b.ovf": b""}, "2 files that end in .ovf"),
        ({"web.ovf": descriptor("gone.vmdk", items=ONE_DISK)}, "'gone.vmdk', which is not in it"),
        ({"web.ovf": descriptor("../../etc/passwd", items=ONE_DISK)}, "which is not in it"),
        ({"web.ovf": descriptor("/etc/passwd", items=ONE_DISK)}, "which is not in it"),
        ({"web.ovf": descriptor("a.vmdk", items=ONE_DISK, attributes="ovf:size='7'")}, "its .ovf says 7"),
        ({"web.ovf": b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><Envelope>&b;</Envelope>"}, "declares a document type"),
        ({"web.ovf": b"<domain/>"}, "there is no <Envelope>"),
        ({"web.ovf": b"x" * (2 * MIB)}, "more than"),
        ({"a.vmdk": b"# Disk DescriptorFile\nRW 1 FLAT \"/etc/shadow\" 0\n"}, "is no VMDK of a single file"),
        ({"a.vmdk": b"QFI\xfb" + b"\0" * 1000}, "is no VMDK of a single file"),
        ({"../evil": b""}, "no plain name"),
        ({"a.vmdk.gz": b""}, "twice"),
    ],
)  # fmt: skip
def test_a_hostile_ova_is_refused(vmdk: bytes, tmp_path: Path, files: dict[str, bytes], why: str) -> None:
    with pytest.raises(PackageRefused, match=why):
        unpack_ova_of(tmp_path, {"web.ovf": GOOD, "a.vmdk": vmdk} | files)
    assert {path.name for path in tmp_path.iterdir()} == {"a.ova", "out"}


def test_disks_larger_than_was_agreed_are_refused_before_they_are_unpacked(vmdk: bytes, tmp_path: Path) -> None:
    with pytest.raises(PackageRefused, match="its disks are of 8388608 bytes"):
        unpack_ova_of(tmp_path, {"web.ovf": GOOD, "a.vmdk": vmdk}, 4 * MIB)


@pytest.mark.parametrize(
    "content,why",
    [
        (descriptor("a.vmdk", items=""), "memory"),
        (descriptor(items=BASE + disk_item(1, 9)), "which is not described"),
        (descriptor("a.vmdk", items=BASE + disk_item(1, 9) + disk_item(1, 10)), "two disks are in one file"),
        (descriptor("a.vmdk", "a.vmdk"), "named twice"),
        (descriptor("a.vmdk", attributes="ovf:compression='gzip'"), "compressed or in pieces"),
        (descriptor("a.vmdk", attributes="ovf:chunkSize='7'"), "compressed or in pieces"),
        (GOOD.replace(b'ovf:diskId="d1"', b'ovf:diskId="d1" ovf:parentRef="d0"'), "without snapshots"),
        (GOOD.replace(b"byte * 2^20", b"furlong"), "the unit 'furlong' is not known"),
        (GOOD.replace(b'ovf:capacity="8"', b'ovf:capacity="-8"'), "no whole number"),
        (GOOD.replace(b">256<", b">99999999999999<"), "memory"),
        (GOOD.replace(b">256<", "٢".encode().join([b">", b"<"])), "no whole number"),
        (GOOD.replace(b"<VirtualSystem ", b"<VirtualSystem/><VirtualSystem "), "describes 2 machines"),
        (descriptor(items=item(35) * 201), "more than 200 devices"),
        (b"<a>" * 40 + b"</a>" * 40, "nests more than"),
        (b"\xff\xfe", "not UTF-8"),
        (b"<Envelope", "well-formed"),
    ],
)
def test_a_descriptor_that_says_what_cannot_be_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(OvfUnreadable, match=why):
        parse_ovf(content)


def test_words_and_numbers_of_other_exporters_are_understood() -> None:
    drafted = GOOD.replace(b"<rasd:AllocationUnits>byte * 2^20<", b"<rasd:AllocationUnits>MegaBytes<")
    efi = drafted.replace(b"<Info>hardware</Info>", b"<Info>x</Info><vmw:Config ovf:required='false' vmw:key='firmware' vmw:value='efi'/>")
    found = parse_ovf(efi)
    assert (found.memory, found.vcpus, found.efi, found.name) == (256 << 10, 2, True, "web of others")


@settings(max_examples=100, deadline=None)
@given(place=st.integers(0, len(GOOD)), patch=st.binary(min_size=1, max_size=30))
def test_whatever_stands_in_a_descriptor_is_read_or_refused(place: int, patch: bytes) -> None:
    try:
        found = parse_ovf(GOOD[:place] + patch + GOOD[place + len(patch) :])
    except OvfUnreadable:
        return
    assert found.memory >= 1024


@pytest.mark.parametrize("part", ["unpack", "convert"])
async def test_what_would_fill_the_disk_is_refused_before_it_does(
    machine: VirtualMachine, house: FeedHouse, vmdk: bytes, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def room(folder: Path) -> int:
        asked.append(folder)
        return 0 if part == "unpack" or folder.name != "unpacked" else 1 << 40

    monkeypatch.setattr(package_module, "room_for", room)
    assert await install(machine, house, pack({"web.ovf": GOOD, "a.vmdk": vmdk})) == "none"
    assert (asked[-1].name == "unpacked") == (part == "unpack")
    assert list(repository_of(machine.hypervisor).settings.temporary.iterdir()) == []


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 8000), patch=st.binary(min_size=1, max_size=60))
def test_whatever_stands_in_an_ova_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, vmdk: bytes, place: int, patch: bytes
) -> None:
    folder = tmp_path_factory.mktemp("ova")
    (folder / "out").mkdir()
    files = {"web.ovf": GOOD, "a.vmdk": vmdk}
    (folder / "a.ova").write_bytes(changed(pack({"web.ovf": GOOD, "web.mf": manifest(files), "a.vmdk": vmdk}), place, patch))
    try:
        found = unpack_ova(folder / "a.ova", folder / "out", 1 << 24)
    except PackageRefused:
        pass
    else:
        assert all(file.parent == folder / "out" for file in found.files.values())
    assert {path.name for path in folder.iterdir()} == {"a.ova", "out"}


# -- VMDK -------------------------------------------------------------------------------------------------------------


def changed(content: bytes, place: int, value: bytes) -> bytes:
    return content[:place] + value + content[place + len(value) :]


def described(content: bytes, old: bytes, new: bytes) -> bytes:
    """The disk with another description, in as much room."""
    start, size = 512, 20 * 512
    text = content[start : start + size].replace(old, new).rstrip(b"\0")
    assert text != content[start : start + size].rstrip(b"\0")
    return content[:start] + text[:size].ljust(size, b"\0") + content[start + size :]


EXTENT = b'RW 1 FLAT "/etc/shadow" 0\n'


@pytest.mark.parametrize(
    "spoil,why",
    [
        (lambda disk: changed(disk, 12, bytes(8)), "gives no capacity"),
        (lambda disk: changed(disk, 4, struct.pack("<I", 9)), "gives no capacity"),
        (lambda disk: changed(disk, 28, struct.pack("<Q", 5)), "not where it belongs"),
        (lambda disk: changed(disk, 36, struct.pack("<Q", 1 << 40)), "not where it belongs"),
        (lambda disk: described(disk, b"# Extent description\n", b"# Extent description\n" + EXTENT), "other parts than itself"),
        (lambda disk: described(disk, b'"made.vmdk"', b'"../made.vmdk"'), "other parts than itself"),
        (lambda disk: described(disk, b"SPARSE", b"VMFS"), "other parts than itself"),
        (lambda disk: described(disk, b'createType="streamOptimized"', b'createType="twoGbMaxExtentSparse"'), "another kind"),
        (lambda disk: described(disk, b"parentCID=ffffffff", b"parentCID=12345678"), "stands on another file"),
        (lambda disk: described(disk, b"# Extent", b'parentFileNameHint="/etc/shadow"\n# Extent'), "stands on another file"),
        (lambda disk: disk[:300], "no VMDK of a single file"),
        (lambda disk: b"", "no VMDK of a single file"),
    ],
)
def test_a_disk_that_may_refer_to_another_file_is_refused(vmdk: bytes, tmp_path: Path, spoil, why: str) -> None:
    (tmp_path / "disk").write_bytes(spoil(vmdk))
    with pytest.raises(VmdkRefused, match=why):
        read_vmdk(tmp_path / "disk")


@pytest.mark.parametrize("kind", ["streamOptimized", "monolithicSparse"])
def test_a_disk_that_holds_all_of_its_data_is_known(tmp_path: Path, kind: str) -> None:
    (tmp_path / "disk").write_bytes(make_vmdk(tmp_path, b"x", kind=kind))
    assert read_vmdk(tmp_path / "disk") == VmdkFacts(kind, 8 * MIB)


@settings(max_examples=150, deadline=None)
@given(place=st.integers(0, 1500), patch=st.binary(min_size=1, max_size=40))
def test_whatever_stands_in_a_disk_it_is_known_or_refused(
    tmp_path_factory: pytest.TempPathFactory, vmdk: bytes, place: int, patch: bytes
) -> None:
    file = tmp_path_factory.mktemp("vmdk") / "disk"
    file.write_bytes(changed(vmdk, place, patch))
    try:
        found = read_vmdk(file)
    except VmdkRefused:
        return
    assert found.capacity > 0
