# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines that are declared with the drives that the agent keeps for them."""

from __future__ import annotations

from typing import Any

import pytest

from archipel.protocol import namespaces as ns
from tests.unit.client.scripted_stream import HYPERVISOR_FULL, MACHINE_FULL, command
from tests.unit.plugins.modules.test_vm_disk import INFO, LIST, MIB, definition, drive
from tests.unit.plugins.modules.wire import Wire, wire

__all__ = ["wire"]

DATA = {"name": "data", "size": "4 MiB"}
IMAGE = "<golden name='debian.qcow2' path='/goldens/debian.qcow2' diskSize='1' modified='0'/>"


def script(wire: Wire, *drives: str, attached: tuple[str, ...] = ()) -> None:
    """A machine that is off, with these drives before and after each change."""
    wire.hypervisor("get", LIST, f"<item managed='True' name='web'>{MACHINE_FULL}</item>")
    wire.machine("get", "<archipel action='info'/>", INFO.format(5))
    wire.machine("get", "<archipel inactive='1' action='xmldesc'/>", definition(*attached))
    wire.machine("get", "<archipel action='get'/>", *drives, namespace=ns.VM_DISK)


def test_a_drive_that_is_as_declared_is_left_alone(wire: Wire) -> None:
    script(wire, drive(), attached=("data.qcow2",))
    answer = wire.run("vm", name="web", drives=[DATA])
    assert (answer["changed"], answer["needs_restart"]) == (False, False)
    wire.assert_asked()


def test_a_drive_grows_and_others_are_left_alone(wire: Wire) -> None:
    larger = drive(size=8 * MIB) + drive("other")
    script(wire, drive() + drive("other"), drive() + drive("other"), larger, attached=("data.qcow2",))
    request = "<archipel path='data.qcow2' size='8' unit='M' shrink='0' action='resize'/>"
    wire.machine("set", request, namespace=ns.VM_DISK)
    answer = wire.run("vm", name="web", drives=[{**DATA, "size": "8 MiB"}])
    assert answer["changed"]
    assert "size: 4 MiB" in answer["diff"][0]["before"]
    assert "size: 8 MiB" in answer["diff"][0]["after"]
    wire.assert_asked(command("set", MACHINE_FULL, ns.VM_DISK, request))


def test_a_new_machine_is_foreseen_with_its_drives(wire: Wire) -> None:
    wire.hypervisor("get", LIST, "")
    wire.entity(HYPERVISOR_FULL, "get", ns.HYPERVISOR_GOLDEN, "<archipel action='get'/>", IMAGE)
    answer = wire.run("vm", check=True, name="web", drives=[{**DATA, "golden": "debian.qcow2", "bus": "sata"}])
    assert answer["changed"]
    assert "drives:\n- name: data\n  size: 4 MiB\n  golden: debian.qcow2\n  bus: sata\n" in answer["diff"][0]["after"]
    wire.assert_asked()


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"drives": [{"size": "4 MiB"}]}, "web: drives: name: say which drive"),
        ({"drives": [{"name": "data", "size": "much"}]}, "'much' is no size in whole MiB"),
        ({"drives": [DATA, DATA]}, "web: drives: data is there twice"),
        ({"drives": [DATA], "disks": [{"path": "/vm/web/data.qcow2"}]}, "mutually exclusive: drives|disks"),
        ({"drives": [{"name": "data"}]}, "data: size: there is no such drive; say how large the new one shall be"),
        ({"drives": [DATA], "state": "adopted"}, "state: adopted takes a machine as it is"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(arguments: dict[str, Any], words: str, wire: Wire) -> None:
    wire.hypervisor("get", LIST, "")
    answer = wire.run("vm", name="web", **arguments)
    assert answer["failed"]
    assert words in answer["msg"]
    assert not [text for text in (wire.streams[-1].asked if wire.streams else ()) if 'type="set"' in text]
