# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A declaration laid onto an existing definition changes what it says, and nothing else."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import pytest

from archipel.protocol.domain import Domain, DomainDeclaration, apply, describe, parse

FOLDER = Path(__file__).parents[3] / "data" / "domain"
DRIVES = "/vm/drives/6f0c2f2e-7a44-4c5f-8a86-3c2f6de0c001"


def read(name: str) -> Domain:
    return parse((FOLDER / name).read_text())


def declare(**options: Any) -> DomainDeclaration:
    return DomainDeclaration.from_options({"name": "web", **options})


def changed_lines(before: Domain, **options: Any) -> list[str]:
    """Apply options, check that they are then described as declared, and return the lines that differ."""
    declaration = declare(**options)
    after = apply(declaration, onto=before)
    assert apply(declaration, onto=after) == after, "a second time changes nothing"
    lines = difflib.unified_diff(before.to_text().splitlines(), after.to_text().splitlines(), lineterm="", n=0)
    return [line[0] + line[1:].strip() for line in list(lines)[2:] if not line.startswith("@@")]


@pytest.mark.parametrize(
    "options, lines",
    [
        ({"memory": 2048}, []),
        ({"memory": "1 GiB"}, ['-<currentMemory unit="KiB">2097152</currentMemory>', '+<currentMemory unit="KiB">1048576</currentMemory>']),
        (
            {"memory": 4096},
            [
                '-<memory unit="KiB">2097152</memory>',
                '-<currentMemory unit="KiB">2097152</currentMemory>',
                '+<memory unit="KiB">4194304</memory>',
                '+<currentMemory unit="KiB">4194304</currentMemory>',
            ],
        ),
        ({"max_memory": 4096}, ['-<memory unit="KiB">2097152</memory>', '+<memory unit="KiB">4194304</memory>']),
        ({"vcpus": 1}, ['-<vcpu placement="static">2</vcpu>', '+<vcpu placement="static" current="1">2</vcpu>']),
        ({"vcpus": 3}, ['-<vcpu placement="static">2</vcpu>', '+<vcpu placement="static">3</vcpu>']),
        ({"max_vcpus": 4}, ['-<vcpu placement="static">2</vcpu>', '+<vcpu placement="static" current="2">4</vcpu>']),
        ({"machine": "q35", "firmware": "uefi", "arch": "x86_64", "type": "qemu", "cpu": "qemu64"}, []),
        ({"firmware": "bios"}, ['-<os firmware="efi">', "+<os>"]),
        ({"boot": ["network", "hd"]}, ['+<boot dev="network" />']),
        ({"kernel": "/vm/k"}, ["+<kernel>/vm/k</kernel>"]),
        ({"video": "vga"}, ['-<model type="virtio" heads="1" primary="yes" />', '+<model type="vga" />']),
        ({"serial": True, "channels": ["guest_agent", "spice"], "graphics": [{"type": "spice", "autoport": True}]}, []),
        ({"cdrom": "none", "disks": [{"path": f"{DRIVES}/root.qcow2", "bus": "virtio"}], "networks": [{"network": "default"}]}, []),
        ({"cdrom": "/vm/iso/debian.iso"}, ['+<source file="/vm/iso/debian.iso" />']),
    ],
)
def test_only_what_is_declared_changes(options: dict[str, Any], lines: list[str]) -> None:
    assert changed_lines(read("virt-install.xml"), **options) == lines


def test_a_changed_processor_keeps_its_shape() -> None:
    before = parse(
        "<domain><cpu mode='custom'><model>qemu64</model><topology sockets='1' cores='2' threads='1'/><feature name='vmx'/></cpu></domain>"
    )
    after = apply(declare(cpu="host-passthrough"), onto=before)
    assert after.cpu is not None
    assert [child.tag for child in after.cpu.element] == ["topology"]
    assert after.cpu.mode == "host-passthrough"


def test_a_topology_goes_when_the_number_of_processors_no_longer_fits() -> None:
    before = parse("<domain><vcpu>2</vcpu><vcpus><vcpu id='0'/></vcpus><cpu><topology sockets='1' cores='2' threads='1'/></cpu></domain>")
    after = apply(declare(max_vcpus=3), onto=before)
    assert after.element.find("cpu/topology") is None
    assert after.element.find("vcpus") is None
    assert (after.vcpus, after.max_vcpus) == (2, 3)


def test_another_family_of_machine_finds_new_places() -> None:
    after = apply(declare(machine="pc"), onto=read("stored.xml"))
    assert after.operating_system.machine == "pc"
    assert [watchdog.model for watchdog in read("stored.xml").watchdogs] == ["itco"]
    assert not list(after.watchdogs), "that one is part of q35"
    assert not [controller for controller in after.controllers if controller.type == "pci"]
    assert not after.element.findall(".//address[@type='pci']")
    assert after.element.findall(".//address[@type='drive']"), "places on other buses stay"


def test_another_version_of_the_same_machine_keeps_its_places() -> None:
    assert changed_lines(read("virt-install.xml"), machine="pc-q35-8.0") == [
        '-<type arch="x86_64" machine="pc-q35-7.2">hvm</type>',
        '+<type arch="x86_64" machine="pc-q35-8.0">hvm</type>',
    ]


def test_firmware_files_go_with_the_firmware() -> None:
    after = apply(declare(firmware="bios"), onto=read("stored.xml"))
    assert describe(after, like=declare(firmware="bios")) == {"firmware": "bios"}
    assert [child.tag for child in after.operating_system.element] == ["type", "boot", "boot"]


def test_a_flash_image_is_uefi_however_it_came_there() -> None:
    domain = parse("<domain><os><loader type='pflash'>/f</loader></os></domain>")
    assert describe(domain, like=declare(firmware="uefi")) == {"firmware": "uefi"}
    assert apply(declare(firmware="uefi"), onto=domain) == domain


def test_a_disk_is_known_by_its_path_and_keeps_its_place() -> None:
    before = read("virt-install.xml")
    assert changed_lines(before, disks=[{"path": f"{DRIVES}/root.qcow2", "cache": "none"}]) == [
        '-<driver name="qemu" type="qcow2" />',
        '+<driver name="qemu" type="qcow2" cache="none" />',
    ]


def test_a_disk_is_known_by_its_target_where_one_is_declared() -> None:
    after = apply(declare(disks=[{"path": "/vm/other.img", "target": "vda"}]), onto=read("virt-install.xml"))
    assert [(disk.target, disk.path, disk.format) for disk in after.disks] == [("vda", "/vm/other.img", "raw"), ("sda", None, "raw")]
    assert after.disks[0].element.find("address") is not None


def test_disks_beyond_the_list_go_and_drives_stay() -> None:
    before = read("q35.libvirt-9.xml")
    after = apply(declare(disks=[{"path": "/vm/new.img"}]), onto=before)
    assert [(disk.device, disk.path) for disk in after.disks if disk.device != "cdrom"] == [
        ("floppy", f"{DRIVES}/floppy.img"),
        ("disk", "/vm/new.img"),
    ]
    assert sum(disk.device == "cdrom" for disk in after.disks) == 2


def test_disks_beyond_the_list_are_described_by_what_people_know_them_by() -> None:
    wanted = declare(disks=[{"path": f"{DRIVES}/stick.img"}])
    assert describe(read("pc.libvirt-9.xml"), like=wanted)["disks"] == [
        {"device": "disk", "path": f"{DRIVES}/root.qcow2", "target": "vda"},
        {"device": "disk", "path": f"{DRIVES}/more.img", "target": "hda"},
    ]


def test_an_empty_list_takes_all_hard_disks() -> None:
    after = apply(declare(disks=[]), onto=read("q35.libvirt-9.xml"))
    assert {disk.device for disk in after.disks} == {"cdrom", "floppy"}


def test_another_bus_is_another_place_and_target() -> None:
    after = apply(declare(disks=[{"path": f"{DRIVES}/root.qcow2", "bus": "sata"}]), onto=read("virt-install.xml"))
    disk = next(disk for disk in after.disks if disk.device == "disk")
    assert (disk.bus, disk.target, disk.element.find("address")) == ("sata", "sdb", None)


def test_a_disk_on_scsi_brings_a_controller_that_guests_know() -> None:
    after = apply(declare(disks=[{"path": "/a", "bus": "scsi"}, {"path": "/b", "bus": "scsi"}]), onto=read("virt-install.xml"))
    assert [controller.model for controller in after.controllers if controller.type == "scsi"] == ["virtio-scsi"]


@pytest.mark.parametrize(
    "options, expected",
    [
        ({"path": "/dev/vg0/web"}, ("block", None, "/dev/vg0/web", None, None)),
        ({"path": "/vm/a.img"}, ("file", "/vm/a.img", None, None, None)),
        ({"pool": "p", "volume": "v"}, ("volume", None, None, "p", "v")),
    ],
)
def test_sources_replace_each_other(options: dict[str, str], expected: tuple[str | None, ...]) -> None:
    for text in (
        "<disk type='network' device='disk'><source protocol='rbd' name='p/i'><host name='h'/></source><target dev='vda'/></disk>",
        "<disk type='file' device='disk'><source file='/old'/><backingStore type='file'><source file='/base'/></backingStore>"
        "<target dev='vda'/></disk>",
        "<disk type='volume' device='disk'><source pool='x' volume='y'/><target dev='vda'/></disk>",
    ):
        after = apply(declare(disks=[{**options, "target": "vda"}]), onto=parse(f"<domain><devices>{text}</devices></domain>"))
        (disk,) = after.disks
        assert (disk.type, disk.path, disk.block, disk.pool, disk.volume) == expected
        assert disk.element.find("backingStore") is None
        assert disk.protocol is None


def test_other_kinds_of_source_are_described_as_they_are() -> None:
    domain = parse("<domain><devices><disk type='network'><source protocol='rbd' name='p/i'/><target dev='vda'/></disk></devices></domain>")
    assert describe(domain, like=declare(disks=[{"path": "/a", "target": "vda"}]))["disks"] == [{"path": "rbd:p/i", "target": "vda"}]


def test_cards_are_known_by_mac_address_and_then_by_order() -> None:
    before = parse(
        "<domain><devices><interface type='network'><mac address='52:54:00:00:00:01'/><source network='a'/></interface>"
        "<interface type='bridge'><mac address='52:54:00:00:00:02'/><source bridge='br0'/><model type='e1000'/></interface>"
        "</devices></domain>"
    )
    after = apply(declare(networks=[{"network": "b", "mac": "52:54:00:00:00:02"}, {"network": "c"}]), onto=before)
    assert [(card.mac, card.type, card.network, card.bridge, card.model) for card in after.interfaces] == [
        ("52:54:00:00:00:01", "network", "c", None, None),
        ("52:54:00:00:00:02", "network", "b", None, "e1000"),
    ]


def test_cards_beyond_the_list_go() -> None:
    after = apply(declare(networks=[{"bridge": "br0"}]), onto=read("networks.libvirt-9.xml"))
    assert [(card.type, card.bridge, card.filter) for card in after.interfaces] == [("bridge", "br0", "clean-traffic")]


def test_a_display_changes_address_and_port_and_keeps_its_password() -> None:
    graphics = "<graphics type='vnc' port='-1' autoport='yes' passwd='x' listen='::1'><listen type='address' address='::1'/></graphics>"
    after = apply(declare(graphics=[{"listen": "10.0.0.1", "port": 5901}]), onto=parse(f"<domain><devices>{graphics}</devices></domain>"))
    (display,) = after.graphics
    assert (display.port, display.autoport, display.password) == (5901, False, "x")
    assert (display.listen_attribute, display.listen_address) == ("10.0.0.1", None)
    again = apply(declare(graphics=[{"autoport": True}]), onto=after)
    assert (again.graphics[0].port, again.graphics[0].autoport) == (None, True)


def test_the_console_of_the_last_serial_port_goes_with_it() -> None:
    after = apply(declare(serial=False), onto=read("virt-install.xml"))
    assert (len(after.serials), len(after.consoles)) == (0, 0)


def test_channels_that_cannot_be_declared_stay() -> None:
    before = parse("<domain><devices><channel type='unix'><target type='virtio' name='org.example.own'/></channel></devices></domain>")
    after = apply(declare(channels=["guest_agent"]), onto=before)
    assert [channel.name for channel in after.channels] == ["org.example.own", "org.qemu.guest_agent.0"]
    assert [channel.name for channel in apply(declare(channels=[]), onto=after).channels] == ["org.example.own"]


def test_boot_orders_replace_each_other() -> None:
    by_device = apply(declare(disks=[{"path": f"{DRIVES}/root.qcow2", "boot_order": 1}]), onto=read("virt-install.xml"))
    assert (by_device.operating_system.boot, by_device.disks[0].boot_order) == ((), 1)
    by_kind = apply(declare(boot=["cdrom"]), onto=by_device)
    assert (by_kind.operating_system.boot, by_kind.disks[0].boot_order) == (("cdrom",), None)


def test_no_medium_is_no_drive_or_an_empty_one() -> None:
    without = parse("<domain/>")
    assert describe(without, like=declare(cdrom="none")) == describe(read("virt-install.xml"), like=declare(cdrom="none")) == {"cdrom": ""}
    inserted = apply(declare(cdrom="/vm/iso/x.iso"), onto=without)
    assert [(disk.device, disk.path, disk.target) for disk in inserted.disks] == [("cdrom", "/vm/iso/x.iso", "sda")]
    assert describe(inserted, like=declare(cdrom="none")) == {"cdrom": "/vm/iso/x.iso"}
    emptied = apply(declare(cdrom="none"), onto=inserted)
    assert [(disk.device, disk.path) for disk in emptied.disks] == [("cdrom", None)]


def test_name_and_uuid_are_not_changed() -> None:
    after = apply(DomainDeclaration.from_options({"name": "other"}), onto=read("virt-install.xml"))
    assert after == read("virt-install.xml")


def test_memory_that_is_no_whole_number_of_mib_is_shown_as_it_is() -> None:
    domain = parse("<domain><memory>1000</memory></domain>")
    assert describe(domain, like=declare(memory=1)) == {"memory": "1000 KiB"}
