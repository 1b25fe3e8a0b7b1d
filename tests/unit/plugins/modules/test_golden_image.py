# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from archipel.protocol import namespaces as ns
from tests.unit.client.scripted_stream import HYPERVISOR_FULL, MACHINE_FULL, command
from tests.unit.plugins.modules.wire import Wire, wire

__all__ = ["wire"]

LIST = "<archipel action='rostervm'/>"
GET = "<archipel action='get'/>"
OFF = "<info state='5' maxMem='1' memory='1' nrVirtCpu='1' hypervisor='h' autostart='0'/>"
DELETE = "<archipel name='debian.qcow2' action='delete'/>"
MAKE = "<archipel path='system.qcow2' name='debian.qcow2' replace='{}' action='setgolden'/>"
STANDING = "<user image='/vm/seat/system.qcow2' machine='seat'/>"


def image(modified: float = 100, users: str = "", problem: str = "") -> str:
    more = f"problem='{problem}'" if problem else "virtualSize='4194304'"
    return f"<golden name='debian.qcow2' path='/goldens/debian.qcow2' diskSize='1' modified='{modified}' {more}>{users}</golden>"


def drive(modified: float | None = 50, name: str = "system") -> str:
    told = "" if modified is None else f"modified='{modified}'"
    return f"<disk name='{name}' path='/vm/web/{name}.qcow2' format='qcow2' virtualSize='4194304' diskSize='1' {told}/>"


def script(wire: Wire, *images: str, drives: str = drive(), state: str = OFF) -> None:
    wire.entity(HYPERVISOR_FULL, "get", ns.HYPERVISOR_GOLDEN, GET, *images)
    wire.hypervisor("get", LIST, f"<item managed='True' name='web'>{MACHINE_FULL}</item>")
    wire.machine("get", "<archipel action='info'/>", state)
    wire.machine("get", GET, drives, namespace=ns.VM_DISK)
    for replace in "01":
        wire.machine("set", MAKE.format(replace), namespace=ns.VM_DISK)
    wire.entity(HYPERVISOR_FULL, "set", ns.HYPERVISOR_GOLDEN, DELETE)


def made(replace: int) -> str:
    return command("set", MACHINE_FULL, ns.VM_DISK, MAKE.format(replace))


@pytest.mark.parametrize("name", ["debian", "debian.qcow2"])
def test_an_image_is_made_of_a_drive(name: str, wire: Wire) -> None:
    script(wire, "", image())
    answer = wire.run("golden_image", name=name, machine="web")
    assert answer["changed"]
    assert answer["images"][0]["created"] == "1970-01-01T00:01:40Z"
    wire.assert_asked(made(0))


def test_an_image_goes(wire: Wire) -> None:
    script(wire, image(), "")
    answer = wire.run("golden_image", name="debian", state="absent")
    assert (answer["changed"], answer["images"][0]["state"], answer["images"][0]["path"]) == (True, "absent", None)
    wire.assert_asked(command("set", HYPERVISOR_FULL, ns.HYPERVISOR_GOLDEN, DELETE))


@pytest.mark.parametrize("modified, changed", [(99.5, False), (100, False), (100.1, True)])
def test_an_image_is_made_anew_if_the_drive_was_written_since(modified: float, changed: bool, wire: Wire) -> None:
    script(wire, image(), image(200) if changed else image(), drives=drive(modified))
    assert wire.run("golden_image", name="debian", machine="web", replace=True)["changed"] is changed
    wire.assert_asked(*([made(1)] if changed else []))


def test_an_image_that_is_there_asks_for_no_machine(wire: Wire) -> None:
    script(wire, image(users=STANDING))
    answer = wire.run("golden_image", name="debian", machine="gone")
    assert not answer["changed"]
    assert answer["images"][0]["users"] == [{"image": "/vm/seat/system.qcow2", "machine": "seat"}]


USED, UNKNOWN = image(users=STANDING), image(problem="cannot be read")
RUNNING = OFF.replace("state='5'", "state='1'")


@pytest.mark.parametrize(
    "declared, found, message",
    [
        ({"state": "absent"}, USED, "debian.qcow2: 1 images stand on it (seat): delete or convert these first"),
        ({"state": "absent"}, UNKNOWN, "who stands on it is not known: cannot be read"),
        ({"machine": "web", "replace": True, "drives": drive(200)}, USED, "1 images stand on it (seat)"),
        ({"machine": "web", "replace": True, "drives": drive(None)}, image(), "does not tell when a drive was written"),
        ({"replace": True}, image(), "machine: replace; say of which machine's drive"),
        ({}, "", "machine: there is no such golden image; say of which machine's drive"),
        ({"machine": "web", "drive": "data"}, "", "drive: web has no drive 'data'; it has system.qcow2"),
        ({"machine": "web", "drives": drive() + drive(name="data")}, "", "several such drives; it has system.qcow2, data.qcow2"),
        ({"machine": "web", "drives": ""}, "", "drive: web has no drive; it has none"),
        ({"machine": "mail"}, "", "manages no machine 'mail'"),
    ],
)
@pytest.mark.parametrize("check", [True, False])
def test_what_cannot_be_is_refused_in_check_mode_too(declared: dict[str, Any], found: str, message: str, check: bool, wire: Wire) -> None:
    arguments = {name: value for name, value in declared.items() if name != "drives"}
    script(wire, found, drives=declared.get("drives", drive()))
    answer = wire.run("golden_image", check=check, name="debian", **arguments)
    assert answer["failed"]
    assert message in answer["msg"]
    wire.assert_asked()


def test_the_drive_of_a_machine_that_runs_is_not_copied(wire: Wire) -> None:
    script(wire, "", state=RUNNING)
    disk = "<disk type='file'><driver type='qcow2'/><source file='/vm/web/system.qcow2'/><target dev='vda'/></disk>"
    definition = f"<domain type='kvm'><name>web</name><devices>{disk}</devices></domain>"
    wire.machine("get", "<archipel inactive='0' action='xmldesc'/>", definition, namespace=ns.VM_CONTROL)
    answer = wire.run("golden_image", name="debian", machine="web")
    assert answer["msg"] == "debian.qcow2: web runs, and writes on that drive: stop it first"
    wire.assert_asked()


def test_each_image_has_one_entry(wire: Wire) -> None:
    answer = wire.run("golden_image", images=[{"name": "debian"}, {"name": "debian.qcow2"}])
    assert "debian.qcow2 is there twice" in answer["msg"]
    assert "name: say which golden image" in wire.run("golden_image", images=[{}])["msg"]
