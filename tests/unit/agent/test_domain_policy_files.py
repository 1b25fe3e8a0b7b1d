# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files restricted disks may be: where paths really lead, and what images stand on, by definition and by header."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.agent.virt.confined_paths import PathRefused, confine
from archipel.agent.virt.image_chain import ImageFacts, ImageUnreadable, read_image
from tests.unit.agent.policy_house import House

NEW = "domain/devices/disk[4]"
FILE = f"{NEW}/source/@file"


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def told(house: House, domain: str) -> str:
    """Return what a definition with one wrong disk is told."""
    (violation,) = house.check(domain)
    assert violation.place == FILE
    return violation.problem


# -- paths ---------------------------------------------------------------------------------------------------------------

PATHS = {
    "device": "/dev/sda",
    "device by another name": "/dev/disk/by-id/x",
    "standard input": "/dev/stdin",
    "open file of the process": "/proc/self/fd/3",
    "root of the process": "/proc/self/root/etc/shadow",
    "kernel file": "/sys/class/x",
    "system file": "/etc/shadow",
    "another machine's disk": "{other}/root.img",
    "the machine's folder itself": "{own}",
    "the folder above": "{own}/..",
    "out by dots": "{own}/../../../etc/shadow",
    "out and in again": "{own}/../" + "6f0c2f2e-7a44-4c5f-8a86-3c2f6de0c001/new.img",
    "beside, by a common beginning": "{own}-evil/root.img",
    "relative": "root.img",
    "empty": "",
    "blank before": " {own}/root.img",
    "url": "file://{own}/root.img",
    "protocol": "nbd:unix:/run/x",
    "json": 'json:{{"driver":"file","filename":"/etc/shadow"}}',
    "line break": "{own}/root.img\n/etc/shadow",
    "longer than any path": "{own}/" + "x" * 5000,
    "folder": "{own}/folder",
    "pipe": "{own}/pipe",
    "socket": "{own}/socket",
    "link out": "{own}/out",
    "link out to where nothing is yet": "{own}/dangling",
    "link to a link out": "{own}/twice",
    "linked folder": "{own}/elsewhere/shadow",
    "link through the process": "{own}/through-proc",
    "link to itself": "{own}/loop",
    "golden disk to write into": "{goldens}/golden.img",
    "CD image to write into": "{iso}/other.iso",
}


def lay_traps(house: House) -> None:
    (house.own / "folder").mkdir()
    os.mkfifo(house.own / "pipe")
    folder = os.open(house.own, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{folder}/socket")  # a socket's path is short
    os.close(folder)
    (house.own / "out").symlink_to("/etc/passwd")
    (house.own / "dangling").symlink_to("/etc/nothing-here")
    (house.own / "twice").symlink_to(house.own / "out")
    (house.own / "elsewhere").symlink_to("/etc")
    (house.own / "through-proc").symlink_to(f"/proc/self/root{house.own}/root.img")
    (house.own / "loop").symlink_to("loop")
    (house.goldens / "golden.img").write_bytes(b"")


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_a_path_that_leads_out_is_refused(house: House, path: str) -> None:
    lay_traps(house)
    filled = path.format(own=house.own, other=house.other, iso=house.iso, goldens=house.goldens)
    assert house.places(house.disk(filled.replace('"', "&quot;").replace("\n", "&#10;"))) == {FILE}


def test_what_is_told_does_not_say_where_a_link_leads(house: House) -> None:
    lay_traps(house)
    assert told(house, house.disk(house.own / "out")) == f"'{house.own}/out' leads out of the folders that this machine may use for it"


def test_a_link_within_the_folder_is_followed(house: House) -> None:
    (house.own / "current.img").symlink_to("first.img")
    (house.own / "absolute.img").symlink_to(house.own / "second.img")
    assert house.check(house.disk(house.own / "current.img")) == []
    assert house.check(house.disk(house.own / "absolute.img")) == []


def test_configured_folders_may_be_links_themselves(house: House, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(house.own)
    assert house.check(house.disk(house.own / "new.img"), vm_folder=tmp_path / "alias") == []


@pytest.mark.parametrize(
    "device, extra, passes", [("disk", "", False), ("disk", "<readonly/>", True), ("floppy", "", False), ("cdrom", "", True)]
)
def test_golden_disks_and_cd_images_are_only_read(house: House, device: str, extra: str, passes: bool) -> None:
    for image in (house.goldens / "golden.img", house.iso / "other.iso"):
        assert house.places(house.disk(image, device=device, extra=extra)) == (set() if passes else {FILE})


def test_an_empty_drive_passes(house: House) -> None:
    assert house.check(house.with_device("<disk type='file' device='cdrom'><target dev='sdz'/><readonly/></disk>")) == []


def test_two_disks_on_one_file_are_refused_where_one_writes(house: House) -> None:
    """A guest could write a header into one that means something to the other."""
    (house.own / "link.img").symlink_to("root.img")
    both = {f"{NEW}/source", "domain/devices/disk[1]/source"}
    assert house.places(house.disk(house.own / "link.img")) == both
    assert house.places(house.disk(house.own / "root.img", extra="<readonly/>")) == both
    assert house.check(house.disk(house.iso / "debian.iso", device="cdrom")) == []


@pytest.mark.parametrize("path", ["a\0b", "/vm\0/x", "/\ud800"])
def test_paths_that_no_definition_can_hold_are_refused_too(tmp_path: Path, path: str) -> None:
    with pytest.raises(PathRefused):
        confine(path, [Path("/")])


names = st.sampled_from(["..", ".", "", "a", "out", "in", "loop", "proc", "self", "root", "etc", "dev", "up", "dots", "x" * 300])


@given(st.lists(names, max_size=8), st.booleans())
def test_no_path_is_confined_that_leads_out(tmp_path_factory: pytest.TempPathFactory, parts: list[str], inside: bool) -> None:
    root = tmp_path_factory.getbasetemp() / "generated"
    if not root.exists():
        for folder in ("vm/a", "vm/in", "secret/a"):
            (root / folder).mkdir(parents=True)
        for link, target in {
            "out": "/etc",
            "loop": "loop",
            "up": "..",
            "dots": "../../secret",
            "a/up": "../..",
            "a/in": "../in",
            "in/out": "/",
        }.items():
            (root / "vm" / link).symlink_to(target)
    path = "/".join([str(root / "vm") if inside else "", *parts])
    try:
        end = confine(path, [root / "vm"])
    except PathRefused:
        return
    assert end == Path(os.path.realpath(path))
    assert end.is_relative_to((root / "vm").resolve())
    assert end != (root / "vm").resolve()


# -- images --------------------------------------------------------------------------------------------------------------


def test_an_image_on_a_golden_disk_passes(house: House) -> None:
    golden = house.image(house.goldens / "golden.qcow2")
    middle = house.image(house.own / "middle.qcow2", "-b", str(golden), "-F", "qcow2")
    house.image(house.own / "top.qcow2", "-b", "middle.qcow2", "-F", "qcow2")
    assert middle.exists()
    assert house.check(house.disk(house.own / "top.qcow2", format="qcow2")) == []


OUT = "has a backing file that leads out of the folders that this machine may use for it"
UNSAID = "does not say that its backing file is raw or qcow2; rebase it with qemu-img rebase -F"
NO_FILE = "has a backing file that is no plain file"
HEADERS = {
    "system file": (("-b", "/etc/passwd", "-F", "raw"), OUT),
    "device": (("-b", "/dev/sda", "-F", "raw"), "has a backing file that leads through files of the kernel"),
    "dots": (("-b", "../../../etc/passwd", "-F", "raw"), OUT),
    "another machine": (("-b", "../other/root.img", "-F", "raw"), OUT),
    "link out": (("-b", "out", "-F", "raw"), OUT),
    "json": (("-b", 'json:{"driver":"file","filename":"/etc/passwd"}', "-F", "raw"), NO_FILE),
    "network": (("-b", "nbd://127.0.0.1:1/x", "-F", "raw"), NO_FILE),
    "web": (("-b", "http://127.0.0.1:1/x", "-F", "raw"), NO_FILE),
    "FAT folder": (("-b", "fat:/etc", "-F", "raw"), NO_FILE),
    "other format": (("-b", "root.img", "-F", "vmdk"), UNSAID),
    "itself": (("-b", "evil.qcow2", "-F", "qcow2"), "stands on more than 50 other images, or on itself"),
    "folder": (("-b", "folder", "-F", "raw"), NO_FILE),
    "pipe": (("-b", "pipe", "-F", "qcow2"), NO_FILE),
}  # fmt: skip


@pytest.mark.parametrize("options, problem", HEADERS.values(), ids=HEADERS)
def test_a_header_that_names_a_file_outside_is_refused(house: House, options: tuple[str, ...], problem: str) -> None:
    lay_traps(house)
    evil = house.image(house.own / "evil.qcow2", *options)
    assert told(house, house.disk(evil, format="qcow2")) == f"'{evil}' {problem}"


def test_a_header_that_does_not_say_the_format_of_its_backing_file_is_refused(house: House) -> None:
    """QEMU would guess it from what the guest can write there."""
    evil = house.image(house.own / "evil.qcow2", "-b", "root.img", "-F", "raw")
    format_extension = b"\xe2\x79\x2a\xca"
    evil.write_bytes(evil.read_bytes().replace(format_extension, b"\x12\x34\x56\x78"))
    assert "does not say that its backing file is raw or qcow2" in told(house, house.disk(evil, format="qcow2"))


def test_a_header_further_down_the_chain_is_read_as_well(house: House) -> None:
    house.image(house.own / "evil.qcow2", "-b", "/etc/passwd", "-F", "raw")
    house.image(house.own / "top.qcow2", "-b", "evil.qcow2", "-F", "qcow2")
    assert "leads out of the folders" in told(house, house.disk(house.own / "top.qcow2", format="qcow2"))


def test_the_header_of_a_golden_disk_is_read_as_well(house: House) -> None:
    house.image(house.goldens / "golden.qcow2", "-b", "/etc/passwd", "-F", "raw")
    assert "leads out of the folders" in told(house, house.disk(house.goldens / "golden.qcow2", format="qcow2", extra="<readonly/>"))


@pytest.mark.parametrize("data", ["/etc/passwd", "inside.raw"])
def test_an_image_with_its_data_elsewhere_is_refused_without_opening_that(house: House, data: str) -> None:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-o", "data_file=inside.raw", "evil.qcow2", "1M"], check=True, cwd=house.own)
    evil = house.own / "evil.qcow2"
    evil.write_bytes(evil.read_bytes().replace(b"inside.raw", data.encode()[:10].ljust(10, b"\0")))
    assert told(house, house.disk(evil, format="qcow2")).endswith("keeps its data in another file; convert it with qemu-img convert")


def test_a_raw_disk_is_not_looked_into(house: House) -> None:
    """Whatever a guest writes into it stays data, as long as nobody declares another format."""
    disguised = house.image(house.own / "disguised.img", "-b", "/etc/passwd", "-F", "raw")
    assert house.check(house.disk(disguised, format="raw")) == []
    assert "leads out of the folders" in told(house, house.disk(disguised, format="qcow2"))


def test_what_is_no_image_of_its_format_is_refused(house: House) -> None:
    (house.own / "text.qcow2").write_text("no image")
    assert told(house, house.disk(house.own / "text.qcow2", format="qcow2")).endswith("cannot be read as an image of format qcow2")


def test_an_image_that_is_not_there_yet_passes_until_the_next_check(house: House) -> None:
    assert house.check(house.disk(house.own / "later.qcow2", format="qcow2")) == []
    house.image(house.own / "later.qcow2", "-b", "/etc/passwd", "-F", "raw")
    assert "leads out" in told(house, house.disk(house.own / "later.qcow2", format="qcow2"))


CHAINS = {
    "outside": (
        "<backingStore type='file'><format type='raw'/><source file='/etc/passwd'/><backingStore/></backingStore>",
        {"/backingStore/source/@file"},
    ),
    "outside, deeper": (
        "<backingStore type='file'><format type='raw'/><source file='{goldens}/a'/><backingStore type='file'><format type='raw'/>"
        "<source file='/etc/passwd'/></backingStore></backingStore>",
        {"/backingStore/backingStore/source/@file"},
    ),
    "block device": (
        "<backingStore type='block'><format type='raw'/><source dev='/dev/sda'/></backingStore>",
        {"/backingStore/@type", "/backingStore/source/@dev"},
    ),
    "network": (
        "<backingStore type='network'><format type='raw'/><source protocol='nbd' name='x'/></backingStore>",
        {"/backingStore/@type", "/backingStore/source/@protocol", "/backingStore/source/@name"},
    ),
    "other format": ("<backingStore type='file'><format type='vmdk'/><source file='{goldens}/a'/></backingStore>",
                     {"/backingStore/format/@type", "/backingStore/source/@file"}),
    "format unsaid": ("<backingStore type='file'><source file='{goldens}/a'/></backingStore>", {"/backingStore/format"}),
    "two chains": ("<backingStore/><backingStore/>", {"/backingStore"}),
    "secret": ("<backingStore type='file'><format type='raw'/><source file='{goldens}/a'><encryption/></source></backingStore>",
               {"/backingStore/source/encryption"}),
}  # fmt: skip


@pytest.mark.parametrize("chain, places", CHAINS.values(), ids=CHAINS)
def test_a_chain_that_the_definition_spells_out_is_judged(house: House, chain: str, places: set[str]) -> None:
    domain = house.disk(house.own / "new.qcow2", format="qcow2", extra=chain.format(goldens=house.goldens))
    assert house.places(domain) == {NEW + place for place in places}


def test_a_chain_that_the_definition_spells_out_passes_inside(house: House) -> None:
    chain = f"<backingStore type='file' index='2'><format type='qcow2'/><source file='{house.goldens}/a'/><backingStore/></backingStore>"
    assert house.check(house.disk(house.own / "new.qcow2", format="qcow2", extra=chain)) == []


def volume(image_format: str = "qcow2") -> str:
    return (
        f"<disk type='volume'><driver name='qemu' type='{image_format}'/><source pool='open1' volume='v.qcow2'/><target dev='vdz'/></disk>"
    )


def test_what_a_volume_stands_on_is_judged(house: House) -> None:
    path = house.image(house.place / "pool" / "v.qcow2", "-b", "base.qcow2", "-F", "qcow2")
    house.image(house.place / "pool" / "base.qcow2")
    assert house.check(house.with_device(volume())) == []
    house.image(path, "-b", "/etc/passwd", "-F", "raw")
    (violation,) = house.check(house.with_device(volume()))
    assert str(violation) == f"{NEW}/source: volume 'v.qcow2' {OUT}; use another volume"


def test_a_volume_that_cannot_be_read_here_must_be_raw(house: House) -> None:
    assert house.places(house.with_device(volume()), volume_path=None) == {f"{NEW}/source"}
    assert house.places(house.with_device(volume()), volume_path=lambda pool, name: None) == {f"{NEW}/source"}
    assert house.check(house.with_device(volume("raw")), volume_path=None) == []


# -- reading headers -----------------------------------------------------------------------------------------------------


def test_a_given_reader_is_asked_in_the_declared_format_and_only_for_allowed_files(house: House) -> None:
    asked: list[tuple[str, str]] = []

    def read(path: Path, image_format: str) -> ImageFacts:
        asked.append((path.name, image_format))
        return ImageFacts("qcow2", "/etc/passwd" if path.name == "b.qcow2" else "b.qcow2", "qcow2")

    (house.own / "a.qcow2").touch()
    (house.own / "b.qcow2").touch()
    assert house.places(house.disk(house.own / "a.qcow2", format="qcow2"), read_image=read) == {FILE}
    assert asked == [("a.qcow2", "qcow2"), ("b.qcow2", "qcow2")]


@pytest.mark.parametrize("failure", [ImageUnreadable("slow"), PermissionError(13, "no"), FileNotFoundError()])
def test_an_image_that_cannot_be_read_is_refused(house: House, failure: Exception) -> None:
    def read(path: Path, image_format: str) -> ImageFacts:
        raise failure

    (house.own / "a.qcow2").touch()
    assert house.places(house.disk(house.own / "a.qcow2", format="qcow2"), read_image=read) == {FILE}


def test_a_reader_that_finds_another_format_is_believed(house: House) -> None:
    (house.own / "a.qcow2").touch()
    found = house.places(house.disk(house.own / "a.qcow2", format="qcow2"), read_image=lambda path, image_format: ImageFacts("raw"))
    assert found == {FILE}


def test_headers_are_read_by_qemu_img(house: House) -> None:
    plain = house.image(house.own / "plain.qcow2")
    child = house.image(house.own / "child.qcow2", "-b", "plain.qcow2", "-F", "qcow2")
    assert read_image(plain, "qcow2") == ImageFacts("qcow2")
    assert read_image(child, "qcow2") == ImageFacts("qcow2", "plain.qcow2", "qcow2")
    with pytest.raises(ImageUnreadable, match="cannot be read as qcow2"):
        read_image(house.own / "root.img", "qcow2")
    with pytest.raises(FileNotFoundError):
        read_image(house.own / "missing", "qcow2")


def test_a_header_that_asks_for_too_much_is_given_up(house: House) -> None:
    greedy = bytearray(house.image(house.own / "greedy.qcow2").read_bytes())
    greedy[36:40] = (0x0FFFFFFF).to_bytes(4)  # entries of the first table: two gigabytes
    (house.own / "greedy.qcow2").write_bytes(greedy)
    assert "cannot be read" in told(house, house.disk(house.own / "greedy.qcow2", format="qcow2"))
