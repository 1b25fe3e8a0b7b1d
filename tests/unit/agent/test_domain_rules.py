# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose definitions the domain policy judges, by which of this host's settings, and when images are read again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from archipel.agent.dispatch import Caller
from archipel.agent.domain_rules import policy_of, refuse_changed_images, refuse_forbidden
from archipel.agent.settings import Settings
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.domain.domain import Domain, parse
from archipel.protocol.errors import PermissionDenied
from tests.unit.agent.fakes import ADMIN, HYP, OWNER, STUDENT, UUID, VM, FakeHost, domain_xml, make_settings
from tests.unit.agent.policy_house import House

BYPASS = "domain_policy_bypass"
USB = "<hostdev mode='subsystem' type='usb'><source><vendor id='0x1234'/><product id='0xbeef'/></source></hostdev>"
BRIDGE = "<interface type='bridge'><source bridge='br-management'/></interface>"
NETWORK = "<interface type='network'><source network='{}'/></interface>"


def definition(*devices: str) -> Domain:
    return parse(domain_xml(devices="".join(devices)))


def disk(path: Path, kind: str = "qcow2", target: str = "vda") -> str:
    return f"<disk type='file' device='disk'><driver name='qemu' type='{kind}'/><source file='{path}'/><target dev='{target}' bus='virtio'/></disk>"


@pytest.fixture
def agent_folder(tmp_path: Path) -> Path:
    """On a disk: the policy refuses images below ``/dev``, where other tests have their folders."""
    return tmp_path / "agent"


@pytest.fixture
def agent_settings(agent_folder: Path) -> Settings:
    more = "[POLICY]\nallowed_networks = default, lab-*\nallowed_bridges = br0\nallowed_pools = open\n"
    return make_settings(agent_folder, more)


@pytest.fixture
def folder(machine: VirtualMachine) -> Path:
    """The machine's own folder, with nothing in it."""
    machine.folder.mkdir(parents=True)
    return machine.folder


# -- who is judged ------------------------------------------------------------------------------------------------------


async def test_a_harmless_definition_passes(machine: VirtualMachine) -> None:
    await refuse_forbidden(machine, definition(NETWORK.format("default")), None, OWNER)


@pytest.mark.parametrize("current", [None, definition()])
async def test_who_holds_all_is_judged_and_told_everything_that_is_forbidden(machine: VirtualMachine, current: Domain | None) -> None:
    with pytest.raises(PermissionDenied, match="the domain policy forbids: ") as refusal:
        await refuse_forbidden(machine, definition(USB, BRIDGE), current, OWNER)
    assert refusal.value.right == BYPASS
    for place in ("hostdev", "br-management"):
        assert place in refusal.value.text


async def test_administrators_and_who_may_pass_the_policy_are_not_judged(machine: VirtualMachine, host: FakeHost) -> None:
    await machine.services.rights.grant(VM, STUDENT.bare, BYPASS, granted_by=HYP)
    for caller in (ADMIN, STUDENT):
        await refuse_forbidden(machine, definition(USB, BRIDGE), None, caller)


@pytest.mark.parametrize("caller", [OWNER, STUDENT, Caller("", "")])
async def test_nobody_else_passes(machine: VirtualMachine, caller: Caller) -> None:
    with pytest.raises(PermissionDenied):
        await refuse_forbidden(machine, definition(USB), None, caller)


async def test_what_stays_as_it_is_is_not_judged_again(machine: VirtualMachine) -> None:
    """An adopted machine has what its administrator gave it."""
    current = definition(USB)
    await refuse_forbidden(machine, definition(USB, NETWORK.format("default")), current, OWNER)
    with pytest.raises(PermissionDenied):
        await refuse_forbidden(machine, definition(USB, USB.replace("1234", "4321")), current, OWNER)
    with pytest.raises(PermissionDenied):
        await refuse_forbidden(machine, definition(USB, BRIDGE), current, OWNER)


# -- by which settings --------------------------------------------------------------------------------------------------


async def test_the_policy_is_the_settings(machine: VirtualMachine, agent_folder: Path) -> None:
    policy, machines = await policy_of(machine), machine.services.settings.machines
    assert policy.vm_folder == machine.folder == agent_folder / "vm" / "drives" / UUID
    assert (policy.iso_folders, policy.golden_folders) == (machines.iso_folders, machines.golden_folders)
    assert (policy.networks, policy.bridges, policy.pools) == (("default", "lab-*"), ("br0",), ("open",))
    assert policy.volume_path is None
    assert policy.user_networks is False


@pytest.mark.parametrize(
    "device, allowed",
    [
        (NETWORK.format("lab-7"), True),
        (NETWORK.format("management"), False),
        (BRIDGE.replace("br-management", "br0"), True),
        (BRIDGE, False),
    ],
)
async def test_networks_and_bridges_are_the_configurations(machine: VirtualMachine, device: str, allowed: bool) -> None:
    if allowed:
        await refuse_forbidden(machine, definition(device), None, OWNER)
    else:
        with pytest.raises(PermissionDenied):
            await refuse_forbidden(machine, definition(device), None, OWNER)


@pytest.mark.parametrize("driver, types", [("QEMU", {"kvm", "qemu"}), ("TEST", {"test"}), ("XEN", {"xen"})])
async def test_the_hosts_driver_runs_the_machines(machine: VirtualMachine, driver: str, types: set[str]) -> None:
    machine.services = dataclasses.replace(machine.services, driver=driver)
    assert (await policy_of(machine)).domain_types == types


async def test_libvirts_own_emulators_may_be_named(machine: VirtualMachine, host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    async def capabilities() -> str:
        return "<capabilities><guest><arch><emulator>/usr/bin/qemu</emulator></arch></guest><guest><emulator>/bin/other</emulator></guest></capabilities>"

    monkeypatch.setattr(host, "capabilities", capabilities)
    assert (await policy_of(machine)).emulators == {"/usr/bin/qemu", "/bin/other"}
    await refuse_forbidden(machine, definition("<emulator>/usr/bin/qemu</emulator>"), None, OWNER)
    with pytest.raises(PermissionDenied, match="emulator"):
        await refuse_forbidden(machine, definition("<emulator>/tmp/mine</emulator>"), None, OWNER)


# -- images that changed ------------------------------------------------------------------------------------------------


async def test_images_that_are_as_they_should_be_pass(machine: VirtualMachine, folder: Path) -> None:
    House.image(folder / "base.qcow2")
    House.image(folder / "root.qcow2", "-b", str(folder / "base.qcow2"), "-F", "qcow2")
    await refuse_changed_images(machine, definition(disk(folder / "root.qcow2")))


@pytest.mark.parametrize("backing, problem", [("/etc/shadow", "leads out of the folders"), ("nbd://192.0.2.1/disk", "is no plain file")])
async def test_an_image_that_has_come_to_stand_on_something_outside_is_refused(
    machine: VirtualMachine, folder: Path, backing: str, problem: str
) -> None:
    House.image(folder / "root.qcow2", "-b", backing, "-F", "raw")
    with pytest.raises(PermissionDenied, match="the domain policy forbids: ") as refusal:
        await refuse_changed_images(machine, definition(disk(folder / "root.qcow2")))
    assert refusal.value.right == BYPASS
    assert problem in refusal.value.text


async def test_the_definition_itself_is_left_as_it_is(machine: VirtualMachine, folder: Path, tmp_path: Path) -> None:
    House.image(folder / "root.qcow2")
    current = definition(disk(folder / "root.qcow2"), disk(tmp_path / "other.img", "raw", "vdb"), USB)
    before = current.to_text()
    await refuse_changed_images(machine, current)
    assert current.to_text() == before


async def test_disks_elsewhere_and_all_other_devices_are_not_judged_again(machine: VirtualMachine, tmp_path: Path) -> None:
    """They were allowed when they were defined, by somebody who may, and a guest cannot change where they are."""
    House.image(tmp_path / "adopted.qcow2", "-b", "/etc/shadow", "-F", "raw")
    neighbour = Path(f"{machine.folder}-of-somebody-else/root.qcow2")
    await refuse_changed_images(machine, definition(disk(tmp_path / "adopted.qcow2"), disk(neighbour, target="vdb"), USB, BRIDGE))


async def test_without_disks_nothing_is_read(machine: VirtualMachine, host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    async def capabilities() -> str:
        raise AssertionError("libvirt was asked")

    monkeypatch.setattr(host, "capabilities", capabilities)
    await refuse_changed_images(machine, definition())
    await refuse_changed_images(machine, parse(f"<domain type='test'><name>web</name><uuid>{UUID}</uuid></domain>"))
