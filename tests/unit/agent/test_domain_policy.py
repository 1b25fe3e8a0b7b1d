# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What restricted definitions may say: real ones pass, and each way to the host is closed and told."""

from __future__ import annotations

from pathlib import Path

import pytest

from archipel.agent.virt.domain_policy import DomainPolicy, check_domain
from archipel.protocol.domain import DomainDeclaration, parse, render
from tests.unit.agent.policy_escapes import DEVICES, ELEMENTS, OPERATING_SYSTEM
from tests.unit.agent.policy_house import EMULATOR, UUID, House

D = "domain/devices"
QEMU = "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'"


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_what_is_allowed_passes(house: House) -> None:
    assert house.check(house.good) == []


GOLDEN = [
    "q35.libvirt-9", "q35.libvirt-11", "pc.libvirt-9", "pc.libvirt-11", "spice.libvirt-9", "serial.libvirt-9", "kernel.libvirt-9", "stored",
    "headless.libvirt-9", "uefi.libvirt-11", "sizes.libvirt-11", "virt-install", "uefi.test-driver", "q35.test-driver",
]  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
def test_what_libvirt_stores_of_harmless_machines_passes(root: Path, name: str) -> None:
    policy = DomainPolicy(
        vm_folder=Path("/vm/drives") / UUID,
        iso_folders=(Path("/vm/iso"),),
        golden_folders=(Path("/vm/goldens"),),
        firmware_folders=(Path("/usr/share/OVMF"),),
        nvram_folder=Path("/var/lib/libvirt/qemu/nvram"),
        networks=("default",),
        domain_types=frozenset({"qemu", "test"}),
        emulators=frozenset({EMULATOR}),
    )
    assert check_domain(parse((root / f"tests/data/domain/{name}.xml").read_text()), policy) == []


def test_what_is_rendered_from_a_plain_declaration_passes(house: House) -> None:
    options = {"name": "web", "disks": [{"path": str(house.own / "root.img")}], "cdrom": "none", "networks": [{"network": "lab-1"}]}
    assert house.check(render(DomainDeclaration.from_options(options), UUID)) == []


@pytest.mark.parametrize("device, places", DEVICES.values(), ids=DEVICES)
def test_a_device_that_reaches_the_host_is_refused(house: House, device: str, places: str) -> None:
    assert house.places(house.with_device(device)) == {f"{D}/{place}" for place in places.split()}


@pytest.mark.parametrize(
    "old, new, place",
    [
        ("<tpm model='tpm-crb'><backend type='emulator'", "<tpm model='tpm-tis'><backend type='passthrough'", "/tpm/backend/@type"),
        ("<backend type='emulator' version='2.0'/>", "<backend/>", "/tpm/backend/@type"),
        (
            "<backend type='emulator' version='2.0'/>",
            "<backend type='emulator'><device path='/dev/tpm0'/></backend>",
            "/tpm/backend/device",
        ),
        (
            "<backend type='emulator' version='2.0'/>",
            "<backend type='emulator'><encryption secret='x'/></backend>",
            "/tpm/backend/encryption",
        ),
        (f"<emulator>{EMULATOR}</emulator>", "<emulator>/tmp/evil</emulator>", "/emulator"),
        (f"<emulator>{EMULATOR}</emulator>", f"<emulator>{EMULATOR} </emulator>", "/emulator"),
        ("<emulator>", "<emulator>/tmp/evil</emulator><emulator>", "/emulator"),
    ],
)
def test_a_changed_device_that_reaches_the_host_is_refused(house: House, old: str, new: str, place: str) -> None:
    assert D + place in {violation.place.replace("[1]", "") for violation in house.check(house.good.replace(old, new))}


@pytest.mark.parametrize("element, tag", ELEMENTS.values(), ids=ELEMENTS)
def test_an_element_that_reaches_the_host_is_refused(house: House, element: str, tag: str) -> None:
    assert house.places(house.with_element(element)) == {f"domain/{tag}"}


@pytest.mark.parametrize("element, place", OPERATING_SYSTEM.values(), ids=OPERATING_SYSTEM)
def test_a_boot_file_outside_is_refused(house: House, element: str, place: str) -> None:
    filled = element.format(own=house.own, other=house.other, place=house.place)
    domain = f"<domain type='kvm'><name>web</name><os><type>hvm</type>{filled}</os></domain>"
    assert f"domain/os/{place}" in house.places(domain)
    assert all(found.startswith(f"domain/os/{place.partition('/')[0]}") for found in house.places(domain))


@pytest.mark.parametrize(
    "domain, place",
    [
        ("<domain type='xen'/>", "domain/@type"),
        ("<domain type='test'/>", "domain/@type"),
        ("<domain/>", "domain/@type"),
        (f"<domain type='kvm' {QEMU} qemu:x='1'/>", "domain/@{http://libvirt.org/schemas/domain/qemu/1.0}x"),
        ("<domain type='kvm'>text</domain>", "domain"),
        ("<domain type='kvm'><name>../../etc/x</name></domain>", "domain/name"),
        ("<domain type='kvm'><name>..</name></domain>", "domain/name"),
        ("<domain type='kvm'><uuid>../x</uuid></domain>", "domain/uuid"),
        ("<domain type='kvm'><name>a</name><name>b</name></domain>", "domain/name"),
        ("<domain type='kvm'><on_crash>coredump-destroy</on_crash></domain>", "domain/on_crash"),
        ("<domain type='kvm'><vcpu cpuset='0'>1</vcpu></domain>", "domain/vcpu/@cpuset"),
        ("<domain type='kvm'><vcpu placement='auto'>1</vcpu></domain>", "domain/vcpu/@placement"),
        ("<domain type='kvm'><cpu><numa><cell id='0' memory='9'/></numa></cpu></domain>", "domain/cpu/numa"),
        ("<domain type='kvm'><features><privnet/></features></domain>", "domain/features/privnet"),
        ("<domain type='kvm'><os><type>exe</type></os></domain>", "domain/os/type"),
        ("<domain type='kvm'><vcpu>9</vcpu></domain>", "domain/vcpu"),
        ("<domain type='kvm'><vcpu>many</vcpu></domain>", "domain/vcpu"),
        ("<domain type='kvm'><memory unit='GiB'>5</memory></domain>", "domain/memory"),
        ("<domain type='kvm'><memory>1</memory><currentMemory unit='TiB'>1</currentMemory></domain>", "domain/memory"),
        ("<domain type='kvm'><memory unit='stone'>5</memory></domain>", "domain/memory/@unit"),
    ],
)
def test_the_rest_of_a_definition_is_judged_as_well(house: House, domain: str, place: str) -> None:
    assert place in house.places(domain)


def test_numbers_of_devices_are_limited(house: House) -> None:
    assert house.places(house.good, max_disks=2, max_interfaces=1) == {f"{D}/disk", f"{D}/interface"}
    assert [str(violation) for violation in house.check(house.good, max_disks=2)] == [f"{D}/disk: 3 is more than allowed; use at most 2"]


def test_settings_open_what_they_name(house: House) -> None:
    user = house.with_device("<interface type='user'/>")
    assert house.check(user, user_networks=True) == []
    display = house.with_device("<graphics type='vnc' listen='10.1.2.3'/>")
    assert house.check(display, listen_addresses=frozenset({"127.0.0.1", "10.1.2.3"})) == []
    test = house.good.replace("type='kvm'", "type='test'")
    assert house.check(test, domain_types=frozenset({"test"})) == []
    assert house.check(house.with_device("<interface type='network'><source network='lab-7'/></interface>")) == []


def test_every_violation_is_told_at_once_with_its_fix(house: House) -> None:
    domain = house.with_device("<hostdev mode='subsystem' type='usb'/>").replace("network='default'", "network='admin'")
    assert [str(violation) for violation in house.check(domain)] == [
        f"{D}/interface[1]/source/@network: 'admin' is not allowed; use one of the networks in allowed_networks",
        f"{D}/hostdev: is not allowed; take it out, or let somebody define the machine who may pass the domain policy",
    ]


def test_passwords_are_not_repeated(house: House) -> None:
    domain = house.with_device("<graphics type='sdl' passwd='hunter2' password='hunter2'><x>hunter2</x></graphics>")
    told = " ".join(map(str, house.check(domain)))
    assert f"{D}/graphics[2]/@password" in told
    assert "hunter2" not in told


def test_long_values_are_cut(house: House) -> None:
    violation = house.check(f"<domain type='{'x' * 5000}'/>")[0]
    assert len(str(violation)) < 200


def test_metadata_is_not_looked_into(house: House) -> None:
    inner = "<metadata><a:hostdev xmlns:a='urn:a' any='/etc/shadow'>text<a:qemu/></a:hostdev></metadata>"
    assert house.check(f"<domain type='kvm'>{inner}</domain>") == []


def test_what_was_checked_is_what_is_handed_on(house: House) -> None:
    """Parsers that differ on comments, instructions or CDATA cannot be played against each other."""
    text = f"<domain type='kvm'><os><type>hvm</type><kernel>{house.own}/<!-- -->vm<![CDATA[linuz]]><?x y?></kernel></os></domain>"
    domain = parse(text)
    assert house.check(domain) == []
    assert f"<kernel>{house.own}/vmlinuz</kernel>" in domain.to_text()
