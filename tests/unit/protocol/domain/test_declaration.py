# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declarations: what is taken, and that each refusal names the option and the fix."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.protocol.domain import DeclarationError, DiskDeclaration, DomainDeclaration, GraphicsDeclaration, NetworkDeclaration


def declare(**options: Any) -> DomainDeclaration:
    return DomainDeclaration.from_options({"name": "web", **options})


def problems(**options: Any) -> dict[str, str]:
    with pytest.raises(DeclarationError) as caught:
        declare(**options)
    return {problem.field: problem.message for problem in caught.value.problems}


@pytest.mark.parametrize(
    "given_size, mebibytes",
    [
        (512, 512),
        ("512", 512),
        ("512 MiB", 512),
        ("512M", 512),
        ("2 GiB", 2048),
        ("2G", 2048),
        ("1T", 2**20),
        ("1024 KiB", 1),
        ("2048K", 2),
    ],
)
def test_memory_is_a_number_of_mib_or_a_text_with_a_unit(given_size: int | str, mebibytes: int) -> None:
    assert declare(memory=given_size).memory == mebibytes


@pytest.mark.parametrize(
    "wrong, message",
    [
        ("1000 KiB", "'1000 KiB' is not a whole number of MiB; write 1 MiB"),
        ("1025 KiB", "'1025 KiB' is not a whole number of MiB; write 2 MiB"),
        ("512 MB", "'512 MB' is no amount of memory; write a number of MiB, or a text such as 512 MiB or 2 GiB"),
        ("much", "'much' is no amount of memory; write a number of MiB, or a text such as 512 MiB or 2 GiB"),
        (0, "0 is no amount of memory; write a number of MiB, or a text such as 512 MiB or 2 GiB"),
        (-1, "-1 is no amount of memory; write a number of MiB, or a text such as 512 MiB or 2 GiB"),
        (True, "True is no amount of memory; write a number of MiB, or a text such as 512 MiB or 2 GiB"),
        (1.5, "1.5 is no amount of memory; write a number of MiB, or a text such as 512 MiB or 2 GiB"),
    ],
)
def test_wrong_memory_is_told_with_the_fix(wrong: Any, message: str) -> None:
    assert problems(memory=wrong) == {"memory": message}


@pytest.mark.parametrize("name", ["", "a/b", ".", "..", " web", "web ", "a\nb", "x" * 256, None, 7])
def test_a_name_that_libvirt_could_not_file_is_refused(name: Any) -> None:
    with pytest.raises(DeclarationError, match=r"^name: .* is not a machine's name"):
        DomainDeclaration.from_options({"name": name})


def test_every_problem_is_told_at_once_and_where() -> None:
    assert problems(
        memorry=1,
        vcpus=0,
        cpu="a b",
        disks=[{"bus": "floppy-tape", "path": "relative.img"}, "sda"],
        networks=[{"network": "default", "mac": "01:00:00:00:00:00"}],
        graphics={"type": "vnc"},
    ) == {
        "memorry": "is no option; did you mean memory?",
        "vcpus": "write a whole number from 1 to 4096, not 0",
        "cpu": "'a b' is not a name of letters, digits and . _ + : -",
        "disks[0].bus": "'floppy-tape' is not one of virtio, sata, scsi, ide, usb, fdc",
        "disks[0].path": "'relative.img' is not an absolute path on the hypervisor, such as /vm/iso/debian.iso",
        "disks[1]": "write a mapping of device, path, pool, volume, bus, target, format, readonly, shareable, cache, serial, boot_order,"
        " not 'sda'",
        "networks[0].mac": "'01:00:00:00:00:00' is not the MAC address of one card, such as 52:54:00:12:34:56",
        "graphics": "write a list, not {'type': 'vnc'}",
    }


def test_a_password_is_refused_and_not_repeated() -> None:
    with pytest.raises(DeclarationError) as caught:
        declare(graphics=[{"type": "vnc", "password": "hunter2"}, {"type": "spice", "passwd": "hunter2"}])
    assert [problem.field for problem in caught.value.problems] == ["graphics[0].password", "graphics[1].passwd"]
    assert "is not accepted here" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "options, field, message",
    [
        ({"memory": 1024, "max_memory": 512}, "memory", "1024 MiB is more than max_memory, 512 MiB; raise max_memory"),
        ({"vcpus": 4, "max_vcpus": 2}, "vcpus", "4 is more than max_vcpus, 2; raise max_vcpus"),
        ({"cdrom": "none", "disks": [{"device": "cdrom"}]}, "cdrom", "the CD drive is in disks already; give it there or here, not both"),
        ({"kernel": "", "cmdline": "quiet"}, "kernel", "initrd and cmdline need a kernel"),
        ({"boot": []}, "boot", "name at least one device, such as hd; libvirt boots from the hard disk anyway"),
        (
            {"boot": ["hd"], "disks": [{"path": "/a", "boot_order": 1}]},
            "boot",
            "libvirt takes boot or the boot_order of devices, not both",
        ),
        ({"channels": ["spice"], "graphics": [{"type": "vnc"}]}, "channels", "the spice channel needs graphics of type spice"),
        ({"channels": ["spice", "spice"]}, "channels[1]", "channel spice is there twice"),
        ({"graphics": [{"type": "vnc"}, {"type": "vnc"}]}, "graphics[1]", "type vnc is there twice"),
        ({"disks": [{"path": "/a", "target": "vda"}, {"path": "/b", "target": "vda"}]}, "disks[1]", "target vda is there twice"),
        ({"disks": [{"path": "/a"}, {"path": "/a"}]}, "disks[1]", "source /a is there twice"),
        ({"disks": [{}]}, "disks[0].path", "a hard disk needs a path, or a pool and a volume"),
        ({"disks": [{"pool": "default"}]}, "disks[0].volume", "a volume is named by pool and volume together"),
        ({"disks": [{"path": "/a", "pool": "p", "volume": "v"}]}, "disks[0].path", "give a path or a volume, not both"),
        ({"disks": [{"device": "cdrom", "readonly": False}]}, "disks[0].readonly", "a CD drive is always read-only; leave it out"),
        (
            {"disks": [{"path": "/a", "bus": "sata", "readonly": True}]},
            "disks[0].readonly",
            "no hard disk on sata is read-only; use bus virtio or scsi",
        ),
        ({"disks": [{"path": "/a", "bus": "fdc"}]}, "disks[0].bus", "fdc is the bus of floppy drives, and their only one"),
        ({"disks": [{"pool": "p", "volume": "../v"}]}, "disks[0].volume", "'../v' is not the name of a volume, without slash"),
        ({"networks": [{}]}, "networks[0].network", "say where the card is plugged: one of network, bridge or user: true"),
        (
            {"networks": [{"bridge": "br0", "user": True}]},
            "networks[0].network",
            "say where the card is plugged: one of network, bridge or user: true",
        ),
        (
            {"networks": [{"user": True, "mac": "52:54:00:AA:00:01"}, {"user": True, "mac": "52:54:00:aa:00:01"}]},
            "networks[1]",
            "MAC address 52:54:00:aa:00:01 is there twice",
        ),
        ({"graphics": [{"port": 5900, "autoport": True}]}, "graphics[0].port", "give a port or autoport: true, not both"),
        ({"graphics": [{"autoport": False}]}, "graphics[0].port", "autoport: false needs a port"),
        ({"serial": "tcp"}, "serial[0]", "'tcp' is not one of pty, null"),
        ({"firmware": "coreboot"}, "firmware", "'coreboot' is not one of bios, uefi"),
        ({"cdrom": "debian.iso"}, "cdrom", "'debian.iso' is not an absolute path on the hypervisor, such as /vm/iso/debian.iso"),
    ],
)
def test_options_that_do_not_go_together_are_told(options: dict[str, Any], field: str, message: str) -> None:
    assert problems(**options) == {field: message}


def test_absent_options_and_none_are_the_same() -> None:
    assert declare(memory=None, nonsense=None, disks=[{"path": "/a", "bus": None}]) == declare(disks=[{"path": "/a"}])


def test_values_take_their_normal_form() -> None:
    declaration = declare(
        serial=True, cdrom="none", networks=[{"user": True, "mac": "52:54:00:AA:00:01"}], graphics=[], channels=["guest_agent"]
    )
    assert declaration.serial == ("pty",)
    assert declaration.cdrom == ""
    assert declaration.networks == (NetworkDeclaration(user=True, mac="52:54:00:aa:00:01"),)
    assert declaration.graphics == ()
    assert declare(serial=False).serial == ()
    assert declare(serial="pty").serial == ("pty",)


def test_a_declaration_can_be_written_in_code_and_copied() -> None:
    declaration = DomainDeclaration(name="web", memory=1024, disks=(DiskDeclaration(path="/a"),), graphics=(GraphicsDeclaration(),))
    assert dataclasses.replace(declaration, vcpus=2).memory == 1024
    with pytest.raises(DeclarationError, match="vcpus: write a whole number"):
        dataclasses.replace(declaration, vcpus=-2)


def test_only_what_was_declared_is_told() -> None:
    assert declare(vcpus=2, disks=[]).declared() == {"name": "web", "vcpus": 2, "disks": ()}


hostile = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["path", "type", "bus", "name", "x"]), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([field.name for field in dataclasses.fields(DomainDeclaration)] + ["x"]), hostile, max_size=6))
def test_any_options_are_a_declaration_or_one_kind_of_error(options: dict[str, Any]) -> None:
    try:
        made = DomainDeclaration.from_options(options)
    except DeclarationError as error:
        told = error.problems
    else:
        told = ()
        assert made.name == options["name"]
    assert all(problem.field and problem.message for problem in told)
