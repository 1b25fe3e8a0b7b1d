# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from ansible_collections.archipel.platform.plugins.module_utils.machine.whole_definition import (
    differing_parts,
    keep_card_addresses,
    project,
    statement,
    to_text,
)

WRITTEN = """<domain type='kvm' id='7'>
  <name>web</name>
  <memory unit='MiB'>64</memory>
  <os><type machine='q35'>hvm</type><boot dev='hd'/></os>
  <devices>
    <disk type='file' device='disk'><source file='/a.qcow2'/><target dev='vda'/></disk>
    <interface type='network'><source network='default'/></interface>
    <graphics type='vnc' autoport='yes' passwd='secret'/>
  </devices>
</domain>"""
# What libvirt makes of it: identity, KiB, machine version, addresses, controllers, defaults.
STORED = """<domain type='kvm'>
  <name>other</name>
  <uuid>6f0c0000-0000-4000-8000-000000000001</uuid>
  <memory unit='KiB'>65536</memory>
  <currentMemory unit='KiB'>65536</currentMemory>
  <os><type arch='x86_64' machine='pc-q35-9.2'>hvm</type><boot dev='hd'/></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/><source file='/a.qcow2'/><target dev='vda' bus='virtio'/><address type='pci' slot='0x04'/>
    </disk>
    <controller type='usb' index='0'/>
    <interface type='network'><mac address='52:54:00:00:00:01'/><source network='default'/></interface>
    <input type='mouse' bus='ps2'/>
    <graphics type='vnc' port='-1' autoport='yes'><listen type='address'/></graphics>
    <memballoon model='virtio'/>
  </devices>
</domain>"""


def read(text: str) -> ET.Element:
    return ET.fromstring(text)


def difference(written: str, present: str) -> list[str]:
    """Return in which parts a present definition is not as written."""
    stated = statement(read(written))
    return differing_parts(stated, project(stated, read(present)))


def test_what_libvirt_adds_is_no_difference() -> None:
    stated = statement(read(WRITTEN))
    assert to_text(project(stated, read(STORED))) == to_text(stated)
    assert difference(WRITTEN, STORED) == []


@pytest.mark.parametrize(
    "old, new, part",
    [
        ("'MiB'>64<", "'MiB'>65<", "memory"),
        ("machine='q35'", "machine='pc'", "os"),
        ("/a.qcow2", "/b.qcow2", "disk"),
        ("network='default'", "network='other'", "interface"),
        ("<graphics type='vnc'", "<graphics type='spice'", "graphics"),
        ("<os>", "<title>Web</title><os>", "title"),
        ("dev='hd'/>", "dev='hd'/><boot dev='network'/>", "os"),
        ("</devices>", "<sound model='ich9'/></devices>", "sound"),
    ],
)
def test_what_is_written_otherwise_is_a_difference(old: str, new: str, part: str) -> None:
    assert difference(WRITTEN.replace(old, new), STORED) == [part]


@pytest.mark.parametrize(
    "extra, part",
    [
        ("<disk type='file' device='cdrom'><target dev='sda'/></disk>", "disk"),
        ("<interface type='user'/>", "interface"),
        ("<hostdev mode='subsystem'/>", "hostdev"),
        ("<channel type='unix'><target name='x'/></channel>", "channel"),
    ],
)
def test_a_device_beyond_the_definition_is_a_difference_where_libvirt_adds_none(extra: str, part: str) -> None:
    assert difference(WRITTEN, STORED.replace("</devices>", f"{extra}</devices>")) == [part]


def test_another_place_to_boot_from_is_a_difference() -> None:
    assert difference(WRITTEN, STORED.replace("<boot dev='hd'/>", "<boot dev='hd'/><boot dev='cdrom'/>")) == ["os"]


@pytest.mark.parametrize(
    "written, present",
    [
        ("<memory unit='GiB'>1</memory>", "<memory unit='KiB'>1048576</memory>"),
        ("<memory>65536</memory>", "<memory unit='KiB'>65536</memory>"),
        ("<memory unit='MB'>1</memory>", "<memory unit='KiB'>977</memory>"),
        ("<vcpu> 2 </vcpu>", "<vcpu placement='static'>2</vcpu>"),
        ("<devices><rng><address slot='0x5'/></rng></devices>", "<devices><rng><address slot='0x05' bus='0x01'/></rng></devices>"),
        (
            "<devices><interface type='user'><mac address='52:54:00:AA:00:01'/></interface></devices>",
            "<devices><interface type='user'><mac address='52:54:00:aa:00:01'/></interface></devices>",
        ),
    ],
)
def test_the_same_in_other_words_is_no_difference(written: str, present: str) -> None:
    assert difference(f"<domain>{written}</domain>", f"<domain>{present}</domain>") == []


def test_devices_are_matched_by_what_identifies_them() -> None:
    written = "<domain><devices><disk><target dev='vdb'/></disk><disk><source file='/1'/><target dev='vda'/></disk></devices></domain>"
    present = "<domain><devices><disk><source file='/1'/><target dev='vda'/></disk><disk><target dev='vdb'/></disk></devices></domain>"
    assert difference(written, present) == []


def test_secrets_identity_and_blanks_are_not_stated() -> None:
    text = to_text(statement(read(WRITTEN)))
    assert "secret" not in text
    assert "<name>" not in text
    assert "id=" not in text


def test_what_is_missing_shows_as_missing() -> None:
    stated = statement(read("<domain><title>a</title><memory unit='MiB'>1</memory></domain>"))
    found = project(stated, read("<domain><memory unit='KiB'>2048</memory></domain>"))
    assert to_text(found) == '<domain>\n  <memory unit="KiB">2048</memory>\n</domain>\n'


def test_cards_keep_the_addresses_that_libvirt_gave_them() -> None:
    written = read(WRITTEN)
    keep_card_addresses(written, read(STORED))
    assert written.find("devices/interface/mac").get("address") == "52:54:00:00:00:01"


def test_a_card_keeps_the_address_that_was_written() -> None:
    written = read(WRITTEN.replace("<source network", "<mac address='52:54:00:00:00:09'/><source network"))
    keep_card_addresses(written, read(STORED))
    assert [mac.get("address") for mac in written.iter("mac")] == ["52:54:00:00:00:09"]
