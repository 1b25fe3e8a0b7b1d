# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from archipel.protocol import namespaces as ns
from tests.unit.client.scripted_stream import MACHINE_FULL, UUID, command
from tests.unit.plugins.modules.wire import Wire, wire

__all__ = ["wire"]

LIST = "<archipel action='rostervm'/>"
INFO = "<info state='{}' maxMem='1' memory='1' nrVirtCpu='1' hypervisor='h' autostart='0'/>"
MIB = 1 << 20


def drive(name: str = "data", ending: str = "qcow2", size: int | None = 4 * MIB, golden: str = "") -> str:
    told = "problem='cannot be read'" if size is None else f"virtualSize='{size}'"
    backing = f"backingFile='/goldens/{golden}'" if golden else ""
    return f"<disk name='{name}' path='/vm/web/{name}.{ending}' format='{ending}' diskSize='1' {told} {backing}/>"


def definition(*files: str) -> str:
    disks = "".join(
        f"<disk type='file' device='disk'><driver name='qemu' type='{file.rpartition('.')[2]}'/><source file='/vm/web/{file}'/>"
        f"<target dev='vd{letter}' bus='virtio'/></disk>"
        for letter, file in zip("abc", files, strict=False)
    )
    return f"<domain type='kvm'><name>web</name><uuid>{UUID}</uuid><devices>{disks}</devices></domain>"


def script(wire: Wire, before: str, after: str = "", *requests: str, attached: tuple[str, ...] = (), running: bool = False) -> None:
    wire.hypervisor("get", LIST, f"<item managed='True' name='web'>{MACHINE_FULL}</item>")
    wire.machine("get", "<archipel action='info'/>", INFO.format(1 if running else 5))
    for inactive in "01":
        wire.machine("get", f"<archipel inactive='{inactive}' action='xmldesc'/>", definition(*attached))
    wire.machine("get", "<archipel action='get'/>", before, after, namespace=ns.VM_DISK)
    for request in requests:
        wire.machine("set", f"<archipel {request}/>", namespace=ns.VM_DISK)


def sent(*requests: str) -> list[str]:
    return [command("set", MACHINE_FULL, ns.VM_DISK, f"<archipel {request}/>") for request in requests]


CREATE = "name='data' size='4' unit='M' format='{}' preallocation='{}' action='create'"


@pytest.mark.parametrize(
    "declared, before, after, request_",
    [
        ({"size": "4 MiB"}, "", drive(), CREATE.format("qcow2", "")),
        ({"size": "4", "format": "raw"}, "", drive(ending="raw"), CREATE.format("raw", "")),
        ({"size": "4", "preallocate": True}, "", drive(), CREATE.format("qcow2", "metadata")),
        ({"size": "8 MiB"}, drive(), drive(size=8 * MIB), "path='data.qcow2' size='8' unit='M' shrink='0' action='resize'"),
        ({"size": "2 MiB", "shrink": True}, drive(), drive(size=2 * MIB), "path='data.qcow2' size='2' unit='M' shrink='1' action='resize'"),
        ({"format": "raw"}, drive(), drive(ending="raw"), "path='data.qcow2' format='raw' action='convert'"),
        ({"renamed_from": "old"}, drive("old"), drive(), "path='old.qcow2' newname='data' action='rename'"),
        ({"state": "absent"}, drive(), "", "name='data.qcow2' undefine='no' action='delete'"),
    ],
)
def test_a_drive_is_brought_to_what_is_declared(declared: dict[str, Any], before: str, after: str, request_: str, wire: Wire) -> None:
    script(wire, before, after, request_)
    arguments = {"machine": "web", "name": "data", "attached": False, **declared}
    predicted = wire.run("vm_disk", check=True, **arguments)
    wire.assert_asked()
    answer = wire.run("vm_disk", **arguments)
    wire.assert_asked(*sent(request_))
    assert answer["changed"]
    assert predicted["diff"] == answer["diff"]


@pytest.mark.parametrize("attached", [True, False])
def test_what_is_so_already_is_left_alone(attached: bool, wire: Wire) -> None:
    script(wire, drive() + drive("other"), attached=("data.qcow2",) if attached else (), running=True)
    where = {"bus": "virtio", "target": "vda"} if attached else {}
    answer = wire.run("vm_disk", machine="web", name="data", size="4 MiB", format="qcow2", attached=attached, **where)
    assert not answer["changed"]
    assert answer["disks"][0]["attached"] is attached
    assert not answer["needs_restart"]
    wire.assert_asked()


@pytest.mark.parametrize(
    "declared, found, message",
    [
        ({}, "", "web: data: size: there is no such drive; say how large"),
        ({"size": "2 MiB"}, drive(), "size: it has 4 MiB; shrink: true makes it smaller"),
        ({"size": "2 MiB", "shrink": True}, drive(), "size: it can only change while web is off"),
        ({"format": "raw"}, drive(), "format: it can only change while web is off"),
        ({"size": "4 MiB"}, drive(size=None), "its size cannot be read: cannot be read"),
        ({"golden": "debian.qcow2"}, drive(), "golden: it stands on no golden drive"),
        ({"golden": "debian.qcow2"}, drive(golden="other.qcow2"), "golden: it stands on other.qcow2"),
        ({"size": "4 MiB"}, drive() + drive(ending="raw"), "there are data.qcow2, data.raw: say which by its format"),
    ],
)
@pytest.mark.parametrize("check", [True, False])
def test_what_cannot_be_is_refused_in_check_mode_too(declared: dict[str, Any], found: str, message: str, check: bool, wire: Wire) -> None:
    script(wire, found, attached=("data.qcow2",), running=True)
    answer = wire.run("vm_disk", check=check, machine="web", name="data", **declared)
    assert answer["failed"]
    assert message in answer["msg"]
    wire.assert_asked()


@pytest.mark.parametrize(
    "declared, message",
    [
        ({"name": "data", "size": "1 KiB"}, "data: size: '1 KiB' is no size in whole MiB"),
        ({"name": "data.qcow2"}, "name: leave its ending out, which is the format: name data, format qcow2"),
        ({"name": "data", "golden": "a.qcow2", "format": "raw"}, "golden: what stands on a golden drive is a qcow2"),
        ({"name": "data", "attached": False, "bus": "sata"}, "bus: goes with attached: true"),
        ({"disks": [{"name": "a b"}, {"name": "a_b"}]}, "a_b is there twice"),
        ({"disks": [{"size": "4"}]}, "name: say which drive"),
    ],
)
def test_what_contradicts_itself_is_refused(declared: dict[str, Any], message: str, wire: Wire) -> None:
    answer = wire.run("vm_disk", machine="web", **declared)
    assert message in answer["msg"]
    assert wire.streams == []


def test_a_machine_without_definition_takes_no_disk(wire: Wire) -> None:
    wire.hypervisor("get", LIST, f"<item managed='True' name='web'>{MACHINE_FULL}</item>")
    wire.machine("get", "<archipel action='info'/>", "")
    wire.machine("get", "<archipel inactive='1' action='xmldesc'/>", "<not-defined/>")
    wire.machine("get", "<archipel action='get'/>", "", namespace=ns.VM_DISK)
    answer = wire.run("vm_disk", check=True, machine="web", name="data", size="4")
    assert "the machine has no definition yet" in answer["msg"]
