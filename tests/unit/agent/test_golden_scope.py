# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules that go by the golden image that a machine's disks stand on."""

from __future__ import annotations

import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from archipel.agent.hypervisor import Hypervisor
from archipel.agent.rules import BadRule
from archipel.agent.virt.golden_images import find_goldens
from archipel.agent.virt.lifecycle import DefinedDetail, DomainEvent, LifecycleEvent
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from tests.unit.agent.conftest import ask, finish_work, go_online
from tests.unit.agent.fakes import ADMIN, STUDENT, UUID, FakeHost, domain_xml
from tests.unit.agent.rights_house import ADMIN as BOSS
from tests.unit.agent.rights_house import DEPUTY, FRIEND, HYP, OWNER, WEB, build_house, wish


@pytest.fixture
def agent_folder(tmp_path: Path) -> Path:
    """On a disk: images in /dev are not followed."""
    return tmp_path


def make_image(path: Path, backing: Path | None = None) -> Path:
    below = () if backing is None else ("-b", str(backing), "-F", "qcow2")
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *below, str(path), *(() if backing else ("1M",))], check=True)
    return path


def disk(path: Path) -> str:
    return f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{path}'/><target dev='vda'/></disk>"


def parse(*disks: str) -> ET.Element:
    return ET.fromstring(domain_xml(devices="".join(disks)))


def test_the_images_below_a_disk_are_found_through_all_layers(tmp_path: Path):
    golden = make_image(tmp_path / "goldens" / "debian.qcow2")
    layer = make_image(tmp_path / "vm" / "layer.qcow2", golden)
    top = make_image(tmp_path / "vm" / "top.qcow2", layer)
    alone = make_image(tmp_path / "vm" / "alone.qcow2")
    folders = [tmp_path / "goldens"], [tmp_path / "vm"]
    assert find_goldens(parse(disk(alone), disk(top)), *folders) == {"debian.qcow2"}
    assert find_goldens(parse(disk(alone)), *folders) == frozenset()
    outside = make_image(tmp_path / "vm" / "out.qcow2", make_image(tmp_path / "elsewhere" / "secret.qcow2", golden))
    assert find_goldens(parse(disk(outside), disk(tmp_path / "missing"), "<disk type='network'/>"), *folders) == frozenset()


async def test_a_rule_reaches_the_machines_on_the_image():
    house = await build_house()
    await house.give(HYP, wish(FRIEND, "create", "golden:debian.qcow2"))
    assert not house.may(FRIEND, "create")
    await house.rights.revoke(WEB, DEPUTY, "permission_set", "permission_setown", "info", "settags")
    house.rights.note_goldens(WEB, ["debian.qcow2"])
    assert house.may(FRIEND, "create")
    house.rights.note_goldens(WEB, ["other.qcow2"])
    assert not house.may(FRIEND, "create")


async def test_who_may_change_the_disks_gives_nothing_by_that():
    """He would put the machine on the image, and have for himself and others what goes with it."""
    house = await build_house()
    await house.give(HYP, wish(FRIEND, "create", "golden:debian.qcow2"), wish(DEPUTY, "create", "golden:debian.qcow2"))
    house.rights.note_goldens(WEB, ["debian.qcow2"])
    assert house.may(FRIEND, "create")
    await house.give(WEB, wish(DEPUTY, "define"))
    assert not house.may(DEPUTY, "create")
    assert not house.may(FRIEND, "create")
    await house.give(WEB, wish(DEPUTY, "create"))
    assert house.may(FRIEND, "create")


async def test_a_denial_does_not_go_by_it():
    house = await build_house()
    with pytest.raises(BadRule, match="scope: a denial cannot go by a golden image"):
        await house.give(HYP, wish(OWNER, "create", "golden:debian.qcow2", denies=True), caller=BOSS)


async def test_the_disks_are_read_when_a_rule_goes_by_them_and_after_events(
    online: Hypervisor, machine: VirtualMachine, host: FakeHost, monkeypatch: pytest.MonkeyPatch
):
    folders = online.services.settings.machines
    golden = make_image(folders.golden_folders[0] / "debian.qcow2")
    top = make_image(machine.folder / "top.qcow2", golden)
    await go_online(machine)
    host.domain(UUID).stored = domain_xml(devices=disk(top))
    rule = f"<rule subject='{STUDENT.bare}' role='student' scope='golden:debian.qcow2'/>"
    await ask(online, ns.RIGHTS, f"<archipel action='grant'>{rule}</archipel>", ADMIN)
    assert machine.decide(STUDENT.bare, "create").allowed
    host.domain(UUID).stored = domain_xml()
    machine.take_event(DomainEvent(UUID, "web", LifecycleEvent.DEFINED, DefinedDetail.UPDATED))
    await finish_work(machine, online)
    assert not machine.decide(STUDENT.bare, "create").allowed
