# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an administrator gave a machine stays, and is no way in for its people."""

from __future__ import annotations

from pathlib import Path

import pytest

from archipel.agent.virt.domain_policy import check_domain
from archipel.protocol.domain import parse
from tests.unit.agent.policy_house import House

D = "domain/devices"
USB = "<hostdev mode='subsystem' type='usb'><source><vendor id='0x1'/></source></hostdev>"
OTHER_USB = USB.replace("0x1", "0x2")
FOLDER = "<filesystem type='mount'><source dir='/srv/data'/><target dir='data'/></filesystem>"


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def places(house: House, wanted: str, current: str) -> set[str]:
    return {violation.place for violation in check_domain(parse(wanted), house.policy, parse(current))}


def test_what_stays_just_so_is_not_held_against_its_people(house: House) -> None:
    adopted = house.with_device(USB + FOLDER).replace("type='kvm'", "type='xen'").replace("</domain>", "<seclabel type='none'/></domain>")
    assert places(house, adopted.replace("524288", "262144"), adopted) == set()


def test_indentation_is_no_change(house: House) -> None:
    adopted = house.with_device(USB)
    assert places(house, parse(adopted).to_text(), adopted) == set()


@pytest.mark.parametrize(
    "device, told",
    [
        (OTHER_USB, {f"{D}/hostdev"}),
        (USB + OTHER_USB, {f"{D}/hostdev[2]"}),
        (OTHER_USB + USB, {f"{D}/hostdev[1]"}),
        (USB + USB, {f"{D}/hostdev[2]"}),
        (USB.replace("'usb'", "'usb' managed='yes'"), {f"{D}/hostdev"}),
        (USB + FOLDER, {f"{D}/filesystem"}),
    ],
)
def test_what_is_new_or_different_is_told(house: House, device: str, told: set[str]) -> None:
    assert places(house, house.with_device(device), house.with_device(USB)) == told


def test_a_blank_makes_another_path(house: House) -> None:
    current = "<domain type='kvm'><os><kernel>/srv/vmlinuz</kernel></os></domain>"
    assert places(house, current, current) == set()
    assert places(house, current.replace(">/srv", "> /srv"), current) == {"domain/os/kernel"}


def test_a_second_operating_system_is_told_beside_the_first(house: House) -> None:
    current = "<domain type='kvm'><os><kernel>/srv/vmlinuz</kernel></os></domain>"
    wanted = current.replace("</domain>", "<os><kernel>/etc/shadow</kernel></os></domain>")
    assert places(house, wanted, current) == {"domain/os", "domain/os[2]/kernel"}


def test_an_attribute_of_the_machine_stays_or_is_told(house: House) -> None:
    assert places(house, "<domain type='xen'/>", "<domain type='xen'/>") == set()
    assert places(house, "<domain type='xen'/>", "<domain type='lxc'/>") == {"domain/@type"}


def test_a_new_disk_on_the_file_of_a_present_one_is_told_wherever_it_stands(house: House) -> None:
    second = (
        f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{house.own}/root.img'/><target dev='vdz'/></disk>"
    )
    assert f"{D}/disk[4]/source" in places(house, house.with_device(second), house.good)
    before_all = house.good.replace("<disk", f"{second}<disk", 1)
    assert f"{D}/disk[1]/source" in places(house, before_all, house.good)


def test_files_of_the_machine_are_judged_by_its_name_although_that_stays(house: House) -> None:
    """The whole definition is judged, so what depends on an unchanged part still finds it."""
    assert places(house, house.good.replace("<boot dev='network'/>", ""), house.good) == set()


def test_limits_may_be_passed_only_as_far_as_they_are(house: House) -> None:
    big = house.good.replace("<memory unit='KiB'>1048576", "<memory unit='GiB'>64").replace("current='1'>2<", "current='1'>64<")
    assert places(house, big, big) == set()
    assert places(house, big.replace(">64<", ">65<"), big) == {"domain/memory", "domain/vcpu"}
