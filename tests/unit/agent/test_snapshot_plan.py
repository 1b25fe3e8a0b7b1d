# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What libvirt is asked for a snapshot, and what is refused before."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import libvirt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.agent.snapshot_plan import choose_name, make_plan
from archipel.agent.virt import snapshots as virt
from archipel.protocol.domain.domain import Domain, parse
from archipel.protocol.errors import BadRequest, CommandError, ErrorCode
from archipel.protocol.snapshots import TakeSnapshot, Wish, proper_name
from tests.unit.agent.fakes import domain_xml
from tests.unit.agent.test_snapshots import disk, stored

FOLDER = Path("/vm/drives/one")
AGENT = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='{}'/></channel>"
CD = "<disk type='file' device='cdrom'><source file='/iso/cd.iso'/><target dev='sda'/><readonly/></disk>"


def definition(devices: str) -> Domain:
    return parse(domain_xml(devices=devices))


def plan(devices: str, *, running: bool = False, **wishes: Any) -> virt.Plan:
    return make_plan("one", TakeSnapshot(**wishes), definition(devices), running=running, folder=FOLDER)


def test_an_internal_snapshot_names_each_disk() -> None:
    """Otherwise what a definition says of its disks would choose files beside them."""
    made = plan(disk(more="<driver type='qcow2'/>") + CD, running=True, wish=Wish(description="why & what"))
    assert made.write() == (
        '<domainsnapshot><name>one</name><description>why &amp; what</description><memory snapshot="internal" />'
        '<disks><disk name="vda" snapshot="internal" /><disk name="sda" snapshot="no" /></disks></domainsnapshot>'
    )
    assert (made.flags, made.files) == (0, [])


def test_an_external_snapshot_goes_to_new_files_in_the_machines_folder() -> None:
    made = plan(disk() + disk("vdb", "raw", "file='/d/b'") + CD, running=True, external=True)
    root = ET.fromstring(made.write())
    named = {source.get("file", "") for source in root.iter("source")} | {root.find("memory").get("file", "")}
    assert named == set(map(str, made.files))
    assert len(named) == 3
    assert {file.parent for file in made.files} == {FOLDER}
    assert made.flags == libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC
    assert made.files != plan(disk(), running=True, external=True).files


@pytest.mark.parametrize("running", [True, False])
def test_an_external_snapshot_without_memory_is_of_the_disks_only(running: bool) -> None:
    made = plan(disk(), running=running, external=True, memory=False)
    assert made.flags == libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
    assert 'memory snapshot="no"' in made.write()


@pytest.mark.parametrize(
    "state,wished,frozen",
    [("connected", None, True), ("connected", False, False), ("disconnected", None, False), ("connected", True, True)],
)
def test_file_systems_are_frozen_where_the_guest_agent_is_connected(state: str, wished: bool | None, frozen: bool) -> None:
    made = plan(disk() + AGENT.format(state), running=True, external=True, memory=False, quiesce=wished)
    assert bool(made.flags & libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_QUIESCE) is frozen


@pytest.mark.parametrize(
    "devices,running,wishes,told",
    [
        (disk(), False, {"memory": True}, "memory: the machine is off"),
        (disk(), True, {"memory": False}, "memory: an internal snapshot of a running machine"),
        (disk() + AGENT.format("connected"), True, {"quiesce": True}, "quiesce: only for external"),
        (disk(), True, {"quiesce": True, "external": True, "memory": False}, "quiesce: the guest agent is not connected"),
        (disk() + disk("vdb", "raw"), False, {}, "disk vdb is raw"),
        (disk() + "<disk type='file'><source file='/x'/><target dev='vdc'/></disk>", False, {}, "disk vdc is raw"),
        (disk() + disk("vdb", "raw", "protocol='rbd' name='p/v'", "network"), False, {"external": True}, "disk vdb is of type network"),
        (disk() + disk("vdb", "raw", "dev='/dev/sdz'", "block"), False, {"external": True}, "disk vdb is of type block"),
    ],
)
def test_what_libvirt_could_not_do_is_refused_by_name(devices: str, running: bool, wishes: dict[str, Any], told: str) -> None:
    with pytest.raises(CommandError, match=told):
        plan(devices, running=running, **wishes)


@pytest.mark.parametrize("devices", ["", CD, disk(source="protocol='rbd' name='p/v'", kind="network"), disk(more="<readonly/>")])
def test_without_a_disk_in_a_file_there_is_nothing_to_take(devices: str) -> None:
    with pytest.raises(CommandError) as refused:
        plan(devices)
    assert refused.value.code == ErrorCode.NO_DISK_FOR_SNAPSHOT


def test_a_name_that_is_made_is_a_free_one() -> None:
    first = choose_name("", [])
    taken = [stored(first), *(stored(f"{first[:-2]}{second:02d}") for second in range(60))]
    assert choose_name("", taken) not in {snapshot.name for snapshot in taken}


@given(st.text())
def test_a_name_that_is_taken_is_one_that_libvirt_can_make_a_file_of(name: str) -> None:
    if proper_name(name):
        with pytest.raises(BadRequest, match=r"^name: "):
            TakeSnapshot.read(ET.Element("archipel", {"name": name}))
        return
    taken = TakeSnapshot.read(ET.Element("archipel", {"name": name})).wanted_name
    assert "/" not in taken
    assert not taken.startswith(".")
    assert len(f"{taken}.xml".encode()) <= 255
    assert all(character >= " " for character in taken)


@given(st.text(st.characters(categories=["L"]), min_size=1, max_size=20))
def test_nothing_of_libvirts_format_is_taken_but_name_and_description(tag: str) -> None:
    wish = ET.Element("domainsnapshot")
    ET.SubElement(wish, tag, {"file": "/etc/shadow"})
    if tag in {"name", "description"}:
        assert Wish.read(wish) == Wish()
    else:
        with pytest.raises(BadRequest, match=f"<{tag}> is not taken here"):
            Wish.read(wish)
