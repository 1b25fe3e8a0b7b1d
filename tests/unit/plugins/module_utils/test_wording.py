# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from ansible_collections.archipel.platform.plugins.module_utils.machine.arguments import MACHINE, MachineWish
from ansible_collections.archipel.platform.plugins.module_utils.machine.exported import describe_rules
from ansible_collections.archipel.platform.plugins.module_utils.machine.specification import read_specification
from ansible_collections.archipel.platform.plugins.module_utils.machine.whole_definition import differing_parts, project
from ansible_collections.archipel.platform.plugins.module_utils.machine.wording import describe_definition
from hypothesis import given
from hypothesis import strategies as st

from archipel.protocol.domain.domain import parse
from archipel.protocol.rules import ALLOW, DENY, NEVER, Rule

QEMU = """<domain type='kvm'>
  <name>web</name><uuid>6f0c0000-0000-4000-8000-000000000001</uuid>
  <memory unit='KiB'>1048576</memory><currentMemory unit='KiB'>524288</currentMemory><vcpu placement='static' current='1'>2</vcpu>
  <os firmware='efi'><type arch='x86_64' machine='pc-q35-8.2'>hvm</type>
    <firmware><feature enabled='no' name='secure-boot'/></firmware>
    <loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader><nvram template='/x'>/var/lib/web.fd</nvram><boot dev='hd'/></os>
  <features><acpi/><apic/></features><cpu mode='host-model' check='partial'/><clock offset='utc'/>
  <on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/srv/web.qcow2'/><target dev='vda' bus='virtio'/>
      <address type='pci' domain='0x0000' bus='0x04' slot='0x00' function='0x0'/></disk>
    <controller type='pci' index='0' model='pcie-root'/><controller type='usb' index='0' model='qemu-xhci'/>
    <interface type='network'><mac address='52:54:00:aa:bb:cc'/><source network='default'/><model type='virtio'/>
      <address type='pci' domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></interface>
    <serial type='pty'><target type='isa-serial' port='0'><model name='isa-serial'/></target></serial>
    <console type='pty'><target type='serial' port='0'/></console>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/><address type='virtio-serial' controller='0' bus='0' port='1'/></channel>
    <input type='tablet' bus='usb'/><input type='mouse' bus='ps2'/><input type='keyboard' bus='ps2'/>
    <graphics type='vnc' port='-1' autoport='yes' listen='127.0.0.1'><listen type='address' address='127.0.0.1'/></graphics>
    <audio id='1' type='none'/>
    <video><model type='vga' vram='16384' heads='1' primary='yes'/><address type='pci' domain='0x0000' bus='0x00' slot='0x01' function='0x0'/></video>
    <memballoon model='virtio'/><rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    {more}
  </devices>
</domain>"""


def test_what_libvirt_makes_of_a_plain_machine_is_told_by_options() -> None:
    assert describe_definition("web", parse(QEMU.format(more=""))) == {
        "domain_type": "kvm",
        "arch": "x86_64",
        "machine": "q35",
        "firmware": "uefi",
        "max_memory": "1024",
        "memory": "512",
        "max_vcpus": 2,
        "vcpus": 1,
        "cpu": "host-model",
        "boot": ["hd"],
        "video": "vga",
        "serial": ["pty"],
        "channels": ["guest_agent"],
        "disks": [{"path": "/srv/web.qcow2", "bus": "virtio", "target": "vda", "format": "qcow2"}],
        "networks": [{"network": "default", "model": "virtio", "mac": "52:54:00:aa:bb:cc"}],
        "graphics": [{"type": "vnc", "listen": "127.0.0.1", "autoport": True}],
    }


@pytest.mark.parametrize(
    "more",
    [
        "<sound model='ich9'/>",
        "<hostdev mode='subsystem' type='usb'><source><vendor id='0x1'/><product id='0x2'/></source></hostdev>",
        "<tpm model='tpm-crb'><backend type='emulator'/></tpm>",
        "<graphics type='spice' autoport='yes'><image compression='off'/></graphics>",
        "<channel type='unix'><target type='virtio' name='org.example'/></channel>",
        "<interface type='direct'><source dev='eth0' mode='bridge'/></interface>",
        "<disk type='network' device='disk'><source protocol='rbd' name='a/b'/><target dev='vdb' bus='virtio'/></disk>",
        "<disk type='file' device='disk'><driver name='qemu' type='raw' discard='unmap'/><source file='/b'/><target dev='vdb' bus='virtio'/></disk>",
        "<filesystem type='mount'><source dir='/a'/><target dir='b'/></filesystem>",
        "<watchdog model='i6300esb' action='reset'/>",
    ],
)
def test_what_no_option_says_makes_it_a_whole_definition_that_changes_nothing(more: str) -> None:
    stored = parse(QEMU.format(more=more))
    told = describe_definition("web", stored)
    assert list(told) == ["definition"]
    assert "6f0c0000" not in told["definition"]
    specification = read_specification(MachineWish.of({**dict.fromkeys(MACHINE), "name": "web", **told}))
    for running in (False, True):
        assert not specification.plan(stored, specification.change(stored), running=running).changed


def test_passwords_of_displays_are_left_out() -> None:
    stored = parse(QEMU.format(more="<graphics type='spice' passwd='secret-word'/><sound model='ich9'/>"))
    assert "secret-word" not in describe_definition("web", stored)["definition"]


NAMES = st.sampled_from(["vda", "vdb", "sda", "hda"])


@given(
    st.sampled_from(["32", "64", "100 KiB"]),
    st.integers(1, 4),
    st.sampled_from(["", "<boot dev='hd'/><boot dev='network'/>"]),
    st.lists(NAMES, unique=True, max_size=3),
    st.lists(
        st.sampled_from(["<sound model='ich9'/>", "<video><model type='cirrus'/></video>", "<serial type='null'/>"]),
        max_size=3,
        unique=True,
    ),
    st.sampled_from(
        ["", "<description>a &lt;b&gt;</description>", "<cpu mode='custom' match='exact'><model fallback='allow'>Nehalem</model></cpu>"]
    ),
)
def test_whatever_is_told_declares_what_is_there(memory: str, vcpus: int, boot: str, disks: list[str], more: list[str], head: str) -> None:
    places = "".join(
        f"<disk type='file' device='disk'><source file='/{dev}'/><target dev='{dev}' bus='{'virtio' if dev[0] == 'v' else 'sata'}'/></disk>"
        for dev in disks
    )
    unit = "KiB" if memory.endswith("KiB") else "MiB"
    stored = parse(
        f"<domain type='qemu'><name>a</name>{head}<memory unit='{unit}'>{memory.removesuffix(' KiB')}</memory><vcpu>{vcpus}</vcpu>"
        f"<os><type arch='x86_64' machine='pc'>hvm</type>{boot}</os><devices>{places}{''.join(more)}</devices></domain>"
    )
    told = describe_definition("a", stored)
    specification = read_specification(MachineWish.of({**dict.fromkeys(MACHINE), "name": "a", **told}))
    assert not specification.plan(stored, specification.change(stored), running=False).changed
    made = specification.make("a", stored.uuid, "qemu").element
    lost = differing_parts(ET.fromstring("<domain/>"), project(ET.fromstring("<domain><devices/></domain>"), made))
    assert ("sound" in lost) == ("<sound model='ich9'/>" in more)


def rule(**words: str) -> Rule:
    return Rule(**{"effect": ALLOW, "expires": NEVER, "scope": "entity", **words})


def test_rules_that_differ_in_nothing_but_the_right_are_one_entry() -> None:
    rules = [
        rule(subject="b@x", right="info"),
        rule(subject="a@x", right="info"),
        rule(subject="a@x", right="create"),
        rule(subject="a@x", right="destroy", effect=DENY),
        rule(group="g", role="student", expires="2090-01-01T00:00:00Z", reason="course"),
        rule(group="g", right="info", scope="tag:t"),
    ]
    assert describe_rules(rules) == [
        {"group": "g", "scope": "tag:t", "rights": ["info"]},
        {"group": "g", "expires": "2090-01-01T00:00:00Z", "reason": "course", "roles": ["student"]},
        {"subject": "a@x", "rights": ["create"]} | {"rights": ["create", "info"]},
        {"subject": "a@x", "state": "denied", "rights": ["destroy"]},
        {"subject": "b@x", "rights": ["info"]},
    ]
