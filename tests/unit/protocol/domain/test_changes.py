# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans: what a running machine takes on at once, and what waits for a restart, with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archipel.protocol.domain import Domain, DomainDeclaration, apply, parse, plan
from archipel.protocol.domain.changes import (
    AttachDevice,
    ChangeMedia,
    DetachDevice,
    Plan,
    Redefine,
    Restart,
    SetMemory,
    SetVcpus,
    Step,
    UpdateDevice,
)

FOLDER = Path(__file__).parents[3] / "data" / "domain"
DRIVES = "/vm/drives/6f0c2f2e-7a44-4c5f-8a86-3c2f6de0c001"
ROOT = {"path": f"{DRIVES}/root.qcow2"}


def read(name: str) -> Domain:
    return parse((FOLDER / name).read_text())


def planned(current: Domain, running: bool = True, **options: Any) -> Plan:
    return plan(current, apply(DomainDeclaration.from_options({"name": "web", **options}), onto=current), running)


def only_step(current: Domain, **options: Any) -> Step:
    """Return the one step beside that which stores the definition."""
    store, step = planned(current, **options).steps
    assert isinstance(store, Redefine)
    return step


def test_no_difference_is_no_plan() -> None:
    current = read("stored.xml")
    assert plan(current, current.copy(), running=True) == plan(current, current.copy(), running=False) == Plan(())
    assert not planned(current, memory=512, vcpus=1).changed


def test_a_machine_that_is_off_is_only_redefined() -> None:
    current = read("stored.xml")
    plan_ = planned(current, running=False, memory=1024, disks=[])
    (store,) = plan_.steps
    assert isinstance(store, Redefine)
    assert store.live
    assert parse(store.xml).current_memory == 1024 * 1024
    assert (plan_.changed, plan_.needs_restart, plan_.live_steps) == (True, False, ())


def test_memory_within_the_maximum_is_set_live() -> None:
    step = only_step(read("stored.xml"), memory=256)
    assert step == SetMemory(kib=256 * 1024, live=True, reason="memory becomes 256 MiB")


def test_memory_beyond_the_maximum_waits() -> None:
    plan_ = planned(read("stored.xml"), memory=1024)
    assert plan_.live_steps == ()
    assert plan_.restart_reasons == (
        "the most memory a machine can have is fixed while it runs",
        "memory becomes 1024 MiB, more than the running machine can have",
    )


def test_memory_without_balloon_waits() -> None:
    current = read("stored.xml")
    assert current.memballoon is not None
    current.memballoon.model = "none"
    assert "without a memory balloon" in only_step(current, memory=256).reason


@pytest.mark.parametrize(
    "count, live, reason",
    [
        (3, True, "the machine gets 3 processors"),
        (1, False, "the machine gets 1 processors, and those it was started with cannot be taken away while it runs"),
    ],
)
def test_processors_are_added_live_and_never_taken_away(count: int, live: bool, reason: str) -> None:
    assert only_step(read("sizes.libvirt-11.xml"), vcpus=count) == SetVcpus(count=count, live=live, reason=reason)


def test_processors_beyond_the_maximum_wait() -> None:
    plan_ = planned(read("sizes.libvirt-11.xml"), vcpus=8)
    assert plan_.live_steps == ()
    assert "more than the running machine can have" in plan_.restart_reasons[1]


@pytest.mark.parametrize(
    "medium, xml, reason",
    [("/vm/iso/other.iso", '<source file="/vm/iso/other.iso" />', "cdrom sda gets another medium"), ("none", None, "cdrom sda is emptied")],
)
def test_media_are_changed_live(medium: str, xml: str | None, reason: str) -> None:
    step = only_step(read("stored.xml"), cdrom=medium)
    assert isinstance(step, ChangeMedia)
    assert (step.target, step.live, step.reason) == ("sda", True, reason)
    assert (xml in step.xml) if xml else ("<source" not in step.xml)
    assert "<address" not in step.xml


def test_a_virtio_disk_is_plugged_in_and_out() -> None:
    current = read("stored.xml")
    step = only_step(current, disks=[ROOT, {"path": f"{DRIVES}/more.qcow2"}])
    assert isinstance(step, AttachDevice)
    assert step.live
    assert (step.reason, "more.qcow2" in step.xml) == ("disk vdb is plugged in", True)
    step = only_step(current, disks=[])
    assert isinstance(step, DetachDevice)
    assert step.live
    assert step.reason == "disk vda is plugged out"
    assert "<address" not in step.xml, "a disk plugged in later has another address than is stored"


@pytest.mark.parametrize(
    "bus, reason",
    [
        ("sata", "disk sdb is plugged in; sata takes nothing in or out while the machine runs"),
        ("usb", "disk sdb is plugged in"),
    ],
)
def test_a_bus_decides_whether_a_disk_is_plugged_in(bus: str, reason: str) -> None:
    step = only_step(read("stored.xml"), disks=[ROOT, {"path": "/vm/b.img", "bus": bus}])
    assert (step.reason, step.live) == (reason, ";" not in reason)


def test_a_bus_without_controller_waits_for_one() -> None:
    plan_ = planned(read("stored.xml"), disks=[ROOT, {"path": "/vm/b.img", "bus": "scsi"}])
    assert plan_.restart_reasons == (
        "disk sdb is plugged in; the running machine has no scsi controller",
        "devices/controller of a running machine cannot change",
    )


def test_ports_of_the_running_machine_can_run_out() -> None:
    # ten spare ports, of which USB, virtio-serial, card, disk, balloon and random numbers have taken six
    disks = [ROOT, *({"path": f"/vm/{number}.img"} for number in range(5))]
    reasons = [step.reason for step in planned(read("stored.xml"), disks=disks).steps[1:]]
    assert [reason for reason in reasons if ";" in reason] == ["disk vdf is plugged in; no PCI Express port is free in the running machine"]
    assert len(reasons) == 5


def test_classic_pci_has_room() -> None:
    assert only_step(read("pc.libvirt-9.xml"), networks=[{"user": True}]).live


@pytest.mark.parametrize("change", [{"cache": "none"}, {"serial": "A"}, {"readonly": True}])
def test_a_changed_disk_waits(change: dict[str, Any]) -> None:
    step = only_step(read("stored.xml"), disks=[{**ROOT, **change}])
    assert step == Restart(place="devices/disk[vda]", reason="disk vda changes in a way that a running guest does not see")


def test_another_image_behind_the_same_disk_waits() -> None:
    assert isinstance(only_step(read("stored.xml"), disks=[{"path": "/vm/x.qcow2", "target": "vda"}]), Restart)


def test_a_card_is_plugged_in_with_the_address_that_is_stored() -> None:
    current = read("stored.xml")
    store, step = planned(current, networks=[{"network": "default"}, {"network": "lab"}]).steps
    assert isinstance(store, Redefine)
    assert isinstance(step, AttachDevice)
    added = parse(store.xml).interfaces[1].mac
    assert added
    assert added in step.xml
    assert added in step.reason


@pytest.mark.parametrize("option", [{"network": "lab"}, {"bridge": "br0"}, {"network": "default", "filter": "clean-traffic"}])
def test_a_card_is_plugged_elsewhere_live(option: dict[str, str]) -> None:
    step = only_step(read("stored.xml"), networks=[option])
    assert isinstance(step, UpdateDevice)
    assert step.live
    assert "<address" not in step.xml


@pytest.mark.parametrize("option", [{"network": "default", "model": "e1000e"}, {"user": True}])
def test_a_card_of_another_kind_waits(option: dict[str, Any]) -> None:
    assert isinstance(only_step(read("stored.xml"), networks=[option]), Restart)


def test_a_card_that_goes_is_unplugged() -> None:
    step = only_step(read("stored.xml"), networks=[])
    assert isinstance(step, DetachDevice)
    assert step.live
    assert "network card 52:54:00:" in step.reason


def test_a_channel_is_added_live_and_taken_away_at_the_next_start() -> None:
    current = read("stored.xml")
    step = only_step(current, channels=[])
    assert step == Restart(place="devices/channel", reason="channel org.qemu.guest_agent.0 stays as it is while the machine runs")
    without = apply(DomainDeclaration.from_options({"name": "web", "channels": []}), onto=current)
    assert isinstance(only_step(without, channels=["guest_agent"]), AttachDevice)


@pytest.mark.parametrize(
    "options, place",
    [
        ({"firmware": "bios"}, "os"),
        ({"boot": ["network"]}, "os"),
        ({"cpu": "host-passthrough"}, "cpu"),
        ({"video": "virtio"}, "devices/video"),
        ({"graphics": [{"listen": "::1"}]}, "devices/graphics"),
        ({"type": "kvm"}, "@type"),
    ],
)
def test_the_rest_waits_and_names_its_place(options: dict[str, Any], place: str) -> None:
    step = only_step(read("stored.xml"), **options)
    assert isinstance(step, Restart)
    assert step.place == place
    assert step.reason


def test_the_test_driver_changes_no_devices_live() -> None:
    plan_ = planned(read("q35.test-driver.xml"), memory=256, networks=[{"user": True}], disks=[])
    assert [type(step) for step in plan_.live_steps] == [SetMemory]
    assert any("libvirt's test driver plugs nothing in or out" in reason for reason in plan_.restart_reasons)


def test_live_steps_and_restarts_go_together() -> None:
    plan_ = planned(read("stored.xml"), memory=256, video="virtio", cdrom="none")
    assert [type(step) for step in plan_.live_steps] == [SetMemory, ChangeMedia]
    assert plan_.needs_restart
    assert plan_.restart_reasons == ("devices/video of a running machine cannot change",)
    assert isinstance(plan_.steps[0], Redefine)
