# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""No image that a guest writes means something else to another disk, or to the next start."""

from __future__ import annotations

from pathlib import Path

import pytest

from archipel.agent.virt.disk_policy import judge_own_images
from archipel.protocol.domain import parse
from tests.unit.agent.policy_house import House

NEW = "domain/devices/disk[4]"
FIRST = "domain/devices/disk[1]"


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def backing(path: Path | str, image_format: str = "qcow2") -> str:
    return f"<backingStore type='file'><format type='{image_format}'/><source file='{path}'/></backingStore>"


# -- how a path is written -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("write", ["/{}", "{}/", "{}/.", "{}//", "{head}/./{tail}", "{head}//{tail}", "{head}/x/../{tail}"])
def test_only_the_straight_way_to_an_image_is_taken(house: House, write: str) -> None:
    image = house.own / "new.img"
    path = write.format(image, head=image.parent, tail=image.name)
    assert house.places(house.disk(path)) == {f"{NEW}/source/@file"}


# -- two uses at once ----------------------------------------------------------------------------------------------------


def test_an_image_that_a_disk_writes_is_nothing_that_another_stands_on_by_its_header(house: House) -> None:
    written = house.image(house.own / "written.qcow2")
    house.image(house.own / "top.qcow2", "-b", "written.qcow2", "-F", "qcow2")
    first = house.disk(written)
    second = first.replace("</devices>", _disk(house.own / "top.qcow2") + "</devices>")
    both = {f"{NEW}/source", "domain/devices/disk[5]/source"}
    assert {violation.place for violation in house.check(second)} == both
    other_way_round = house.disk(house.own / "top.qcow2", format="qcow2").replace("</devices>", _disk(written, "raw") + "</devices>")
    assert {violation.place for violation in house.check(other_way_round)} == both


def test_nor_by_the_definition(house: House) -> None:
    chain = backing(house.own / "root.img", "raw")
    assert house.places(house.disk(house.own / "top.qcow2", format="qcow2", extra=chain)) == {f"{NEW}/source", f"{FIRST}/source"}


def test_two_disks_may_stand_on_one_golden_disk(house: House) -> None:
    golden = house.image(house.goldens / "golden.qcow2")
    for name in ("a", "b"):
        house.image(house.own / f"{name}.qcow2", "-b", str(golden), "-F", "qcow2")
    both = house.disk(house.own / "a.qcow2", format="qcow2").replace("</devices>", _disk(house.own / "b.qcow2") + "</devices>")
    assert house.check(both) == []


# -- two uses one after the other ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "running, stored, passes", [("raw", "raw", True), ("qcow2", "qcow2", True), ("raw", "qcow2", False), ("qcow2", "raw", False)]
)
def test_a_running_machine_keeps_the_format_of_what_it_writes(house: House, running: str, stored: str, passes: bool) -> None:
    """Else the guest writes now what is a header at the next start."""
    image = house.image(house.own / "a.img")
    now = parse(house.disk(image, format=running))
    found = {violation.place for violation in house.check(house.disk(image, format=stored), running=now)}
    assert found == (set() if passes else {f"{NEW}/source"})


def test_what_a_running_machine_writes_is_nothing_to_stand_on_at_the_next_start(house: House) -> None:
    written = house.image(house.own / "written.img")
    top = house.image(house.own / "top.qcow2", "-b", "written.img", "-F", "qcow2")
    now = parse(house.disk(written, format="raw"))
    assert {found.place for found in house.check(house.disk(top, format="qcow2"), running=now)} == {f"{NEW}/source"}
    chain = house.disk(house.own / "new.qcow2", format="qcow2", extra=backing(written))
    assert {found.place for found in house.check(chain, running=now)} == {f"{NEW}/source"}


def test_what_a_running_machine_only_reads_may_be_used_in_any_way(house: House) -> None:
    image = house.image(house.own / "a.img")
    now = parse(house.disk(image, format="raw", extra="<readonly/>"))
    assert house.check(house.disk(image, format="qcow2"), running=now) == []


# -- at each start -------------------------------------------------------------------------------------------------------


def at_start(house: House, domain: str) -> set[str]:
    return {violation.problem.partition("' ")[2] for violation in judge_own_images(parse(domain), house.policy)}


OUT = "has a backing file that leads out of the folders that this machine may use for it"


def test_an_own_image_with_a_forged_header_does_not_start(house: House) -> None:
    evil = house.image(house.own / "evil.qcow2", "-b", "/etc/passwd", "-F", "raw")
    assert at_start(house, house.disk(evil, format="qcow2")) == {OUT}


def test_nor_below_an_image_of_other_folders_by_the_definition_or_by_a_header(house: House) -> None:
    evil = house.image(house.own / "evil.qcow2", "-b", "/etc/passwd", "-F", "raw")
    golden = house.image(house.goldens / "golden.qcow2")
    assert at_start(house, house.disk(golden, format="qcow2", extra=f"<readonly/>{backing(evil)}")) == {OUT}
    house.image(golden, "-b", str(evil), "-F", "qcow2")
    assert at_start(house, house.disk(golden, format="qcow2", extra="<readonly/>")) == {OUT}


def test_nor_however_its_path_is_written_or_linked(house: House, tmp_path: Path) -> None:
    evil = house.image(house.own / "evil.qcow2", "-b", "/etc/passwd", "-F", "raw")
    (tmp_path / "elsewhere").symlink_to(house.own)
    for path in (f"/{evil}", f"{house.own}/./evil.qcow2", f"{tmp_path}/elsewhere/evil.qcow2"):
        assert judge_own_images(parse(house.disk(path, format="qcow2")), house.policy) != []


def test_what_an_administrator_gave_a_machine_starts(house: House, tmp_path: Path) -> None:
    given = house.image(tmp_path / "given.qcow2", "-b", "/etc/passwd", "-F", "raw")
    domain = house.disk(given, format="qcow2").replace(
        "</devices>", "<disk type='block'><source dev='/dev/sda'/><target dev='vdy'/></disk></devices>"
    )
    assert judge_own_images(parse(domain), house.policy) == []


def _disk(path: Path, image_format: str = "qcow2") -> str:
    return (
        f"<disk type='file' device='disk'><driver name='qemu' type='{image_format}'/><source file='{path}'/>"
        f"<target dev='vdy' bus='virtio'/></disk>"
    )
