# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declarations become definitions, and definitions are described in their words, whatever libvirt filled in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libvirt
import pytest

from archipel.protocol.domain import Domain, DomainDeclaration, apply, describe, parse, render

FOLDER = Path(__file__).parents[3] / "data" / "domain"
DECLARATIONS: dict[str, dict[str, Any]] = json.loads((FOLDER / "declarations.json").read_text())
EXPANDED = sorted(path.name for path in FOLDER.glob("*.*.xml") if ".rendered." not in path.name)
UUID = "6f0c2f2e-7a44-4c5f-8a86-3c2f6de0c001"


def declaration(name: str) -> DomainDeclaration:
    return DomainDeclaration.from_options({"name": f"web-{name}", **DECLARATIONS[name]})


def declare(**options: Any) -> DomainDeclaration:
    return DomainDeclaration.from_options({"name": "web", **options})


def read(name: str) -> Domain:
    return parse((FOLDER / name).read_text())


@pytest.fixture(scope="module")
def driver() -> Iterator[libvirt.virConnect]:
    libvirt.registerErrorHandler(lambda *_: None, None)
    connection = libvirt.open("test:///default")
    yield connection
    connection.close()


@pytest.mark.parametrize("name, kind", [("q35", "qemu"), ("networks", "kvm"), ("uefi", "test")])
def test_a_declaration_renders_to_the_same_text_each_time(name: str, kind: str) -> None:
    rendered = render(declaration(name), UUID, type=kind)
    assert rendered == read(f"{name}.rendered.xml")
    assert render(declaration(name), UUID, type=kind).to_text() == rendered.to_text()


@pytest.mark.parametrize("name", EXPANDED)
def test_what_libvirt_stored_describes_like_what_was_rendered(name: str) -> None:
    wanted = declaration(name.partition(".")[0])
    assert describe(read(name), like=wanted) == describe(render(wanted, UUID, type="qemu"), like=wanted)


@pytest.mark.parametrize("name", EXPANDED)
def test_applying_a_declaration_to_what_it_made_changes_nothing(name: str) -> None:
    assert apply(declaration(name.partition(".")[0]), onto=read(name)) == read(name)


@pytest.mark.parametrize("name", DECLARATIONS)
def test_the_test_driver_takes_what_is_rendered_and_describes_alike(driver: libvirt.virConnect, name: str) -> None:
    wanted = declaration(name)
    rendered = render(wanted, UUID, type="test")
    defined = driver.defineXMLFlags(rendered.to_text(), libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
    try:
        stored = parse(defined.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    finally:
        defined.undefine()
    assert describe(stored, like=wanted) == describe(rendered, like=wanted)
    assert apply(wanted, onto=stored) == stored


def test_a_description_has_the_declared_words_and_no_others() -> None:
    wanted = declare(
        machine="q35", memory="1 GiB", vcpus=2, firmware="bios", cpu="host-model", boot=["hd", "cdrom"], serial=True, video="vga"
    )
    assert describe(render(wanted, UUID), like=wanted) == {
        "machine": "q35",
        "firmware": "bios",
        "memory": 1024,
        "vcpus": 2,
        "cpu": "host-model",
        "boot": ["hd", "cdrom"],
        "video": "vga",
        "serial": ["pty"],
    }


def test_lists_are_described_by_their_declared_options_in_the_order_declared() -> None:
    wanted = declaration("q35")
    assert describe(read("q35.libvirt-9.xml"), like=wanted)["disks"] == [
        {"path": f"/vm/drives/{UUID}/root.qcow2", "target": "vda", "cache": "default", "boot_order": 1},
        {"path": "/vm/goldens/tools.img", "bus": "scsi", "readonly": True},
        {"path": f"/vm/drives/{UUID}/shared.img", "bus": "scsi", "shareable": True, "cache": "none"},
        {"device": "cdrom", "path": None},
        {"device": "cdrom", "path": "/vm/iso/debian.iso", "boot_order": 2},
        {"device": "floppy", "path": f"/vm/drives/{UUID}/floppy.img"},
        {"path": f"/vm/drives/{UUID}/stick.img", "bus": "usb"},
    ]


def test_describing_changes_nothing() -> None:
    domain = parse("<domain/>")
    describe(domain, like=declare(machine="q35", memory=1, disks=[], cdrom="none", firmware="bios", video="vga", serial=True))
    assert domain == parse("<domain/>")


@pytest.mark.parametrize(
    "kind, expected",
    [("kvm", ("x86_64", "q35", "host-model")), ("qemu", ("x86_64", "q35", None)), ("test", (None, None, None))],
)
def test_a_new_machine_fits_who_runs_it(kind: str, expected: tuple[str | None, ...]) -> None:
    domain = render(declare(), type=kind)
    os = domain.operating_system
    assert (domain.type, (os.arch, os.machine, domain.cpu.mode if domain.cpu else None)) == (kind, expected)
    assert declare(type="qemu").type == render(declare(type="qemu"), type="kvm").type


def test_a_new_machine_has_what_people_expect() -> None:
    domain = render(declare(), UUID)
    assert (domain.memory, domain.current_memory, domain.vcpus) == (512 * 1024, 512 * 1024, 1)
    assert [display.type for display in domain.graphics] == ["vnc"]
    assert domain.graphics[0].listen_attribute == "127.0.0.1"
    assert [serial.type for serial in domain.serials] == ["pty"]
    assert [channel.name for channel in domain.channels] == ["org.qemu.guest_agent.0"]
    assert domain.operating_system.boot == ("hd",)
    assert sum(controller.model == "pcie-root-port" for controller in domain.controllers) == 10


def test_targets_are_given_in_order_around_those_declared() -> None:
    domain = render(
        declare(disks=[{"path": "/a"}, {"path": "/b", "target": "vda"}, {"path": "/c"}, {"path": "/d", "bus": "usb"}, {"device": "cdrom"}])
    )
    assert [(disk.path, disk.target) for disk in domain.disks] == [
        ("/a", "vdb"),
        ("/b", "vda"),
        ("/c", "vdc"),
        ("/d", "sda"),
        (None, "sdb"),
    ]


def test_targets_go_on_after_z() -> None:
    domain = render(declare(disks=[{"path": f"/{number}"} for number in range(28)]))
    assert [disk.target for disk in domain.disks][25:] == ["vdz", "vdaa", "vdab"]


@pytest.mark.parametrize(
    "options, bus", [({}, "sata"), ({"machine": "pc"}, "ide"), ({"machine": "pc-q35-7.2"}, "sata"), ({"arch": "aarch64"}, "scsi")]
)
def test_a_cd_drive_is_on_a_bus_that_the_machine_has(options: dict[str, str], bus: str) -> None:
    domain = render(declare(cdrom="none", **options))
    assert [(disk.device, disk.bus, disk.path, disk.readonly) for disk in domain.disks] == [("cdrom", bus, None, True)]


def test_formats_follow_from_names_unless_declared() -> None:
    domain = render(
        declare(disks=[{"path": "/a.QCOW2"}, {"path": "/b.img"}, {"path": "/c.img", "format": "qcow2"}, {"pool": "p", "volume": "d.vmdk"}])
    )
    assert [disk.format for disk in domain.disks] == ["qcow2", "raw", "qcow2", "vmdk"]


def test_mac_addresses_follow_from_the_uuid() -> None:
    wanted = declare(networks=[{"user": True}, {"user": True}])
    addresses = [card.mac for card in render(wanted, UUID).interfaces]
    assert len(set(addresses)) == 2
    assert all(str(address).startswith("52:54:00:") for address in addresses)
    assert addresses == [card.mac for card in render(wanted, UUID).interfaces]
    assert [card.mac for card in render(wanted).interfaces] == [None, None], "libvirt makes them up for a machine without UUID"
