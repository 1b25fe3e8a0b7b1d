# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The definition of a copy: what two machines cannot both have is its own, all else stays."""

from __future__ import annotations

import pytest

from archipel.protocol.domain import parse
from archipel.protocol.domain.copying import define_copy, origin_of

OLD, NEW = "6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69", "7a1d3b4f-2c8e-4d66-8b1f-4e3c2d5a6b70"
SOURCE = f"""
<domain type='kvm' id='7'>
  <name>web</name><uuid>{OLD}</uuid><genid>{OLD}</genid><memory unit='KiB'>65536</memory>
  <sysinfo type='smbios'><system><entry name='uuid'>{OLD}</entry><entry name='manufacturer'>us</entry></system></sysinfo>
  <os><type>hvm</type><loader readonly='yes' type='pflash'>/usr/share/OVMF/CODE.fd</loader><nvram template='/t.fd'>/vm/old/VARS.fd</nvram></os>
  <devices>
    <disk type='file' device='disk'><source file='/vm/old/a.qcow2'/><target dev='vda' bus='virtio'/><address type='pci' slot='0x04'/></disk>
    <disk type='file' device='cdrom'><source file='/iso/debian.iso'/><target dev='sda'/></disk>
    <interface type='network'><mac address='52:54:00:0a:0b:0c'/><source network='lab'/><target dev='vnet3'/><model type='virtio'/></interface>
    <channel type='unix'><source mode='bind' path='/run/old.sock'/><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    {{graphics}}
  </devices>
</domain>
"""
MOVED = {"/vm/old/a.qcow2": "/vm/new/a.qcow2", "/vm/old/VARS.fd": "/vm/new/VARS.fd"}


def copied(graphics: str = "") -> str:
    return define_copy(parse(SOURCE.format(graphics=graphics)), NEW, "web-clone", MOVED).to_text()


def test_identity_and_files_are_those_of_the_copy() -> None:
    copy = parse(copied())
    assert (copy.uuid, copy.name) == (NEW, "web-clone")
    assert [disk.path for disk in copy.disks] == ["/vm/new/a.qcow2", "/iso/debian.iso"]
    assert copy.operating_system.nvram == "/vm/new/VARS.fd"
    assert copied().count(OLD) == 1, "but for what it was copied from"


def test_a_copy_says_of_what_it_is_one() -> None:
    copy = parse(copied())
    assert (origin_of(copy), origin_of(parse(SOURCE))) == (OLD, None)
    assert origin_of(define_copy(copy, OLD, "web", {})) == NEW


def test_what_two_machines_cannot_both_have_is_left_to_libvirt() -> None:
    text = copied()
    for own in ("52:54:00:0a:0b:0c", "vnet3", "/run/old.sock", "id='7'", 'id="7"'):
        assert own not in text


def test_the_guest_finds_its_hardware_as_it_knows_it() -> None:
    text = copied()
    for kept in (
        'slot="0x04"',
        'model type="virtio"',
        "org.qemu.guest_agent.0",
        "manufacturer",
        "/usr/share/OVMF/CODE.fd",
        'network="lab"',
    ):
        assert kept in text


@pytest.mark.parametrize(
    "graphics,kept",
    [
        ("<graphics type='vnc' port='5901' autoport='no' passwd='secret'/>", '<graphics type="vnc" autoport="yes" passwd="secret" />'),
        ("<graphics type='vnc' port='-1' autoport='yes'/>", '<graphics type="vnc" port="-1" autoport="yes" />'),
        ("<graphics type='spice' tlsPort='5902'/>", '<graphics type="spice" autoport="yes" />'),
        ("<graphics type='vnc' socket='/run/vnc'><listen type='socket' socket='/run/vnc'/></graphics>", '<listen type="socket" />'),
    ],
)
def test_ports_and_sockets_of_displays_are_not_fought_over(graphics: str, kept: str) -> None:
    assert kept in copied(graphics)


def test_the_source_stays_as_it_is() -> None:
    source = parse(SOURCE.format(graphics=""))
    before = source.to_text()
    define_copy(source, NEW, "web-clone", MOVED)
    assert source.to_text() == before
