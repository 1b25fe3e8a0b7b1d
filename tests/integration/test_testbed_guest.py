# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tiny guest boots."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from testbed.guest import GuestImage, make_guest

MACHINE = ["qemu-system-x86_64", "-machine", "q35,accel=kvm:tcg", "-m", "128", "-display", "none", "-no-reboot", "-nodefaults"]


@pytest.fixture(scope="module")
def guest(root: Path) -> GuestImage:
    return make_guest(root / ".cache" / "guest")


def boot_and_power_off(arguments: list[str]) -> str:
    """Boot, wait for READY on the serial port, order the guest off there; return what it printed."""
    command = [*MACHINE, "-serial", "stdio", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as machine:
        assert machine.stdin is not None
        assert machine.stdout is not None
        printed = ""
        while "READY" not in printed:
            line = machine.stdout.readline()
            assert line, f"the guest ended before it was ready: {printed}"
            printed += line
        machine.stdin.write("/sbin/shutdown\n")
        machine.stdin.flush()
        printed += machine.stdout.read()
        assert machine.wait() == 0
    return printed


def test_it_boots_from_its_disk_and_powers_off(guest: GuestImage):
    disk = ["-drive", f"file={guest.disk},format=qcow2,if=virtio,snapshot=on"]
    assert "READY" in boot_and_power_off(disk)


def test_it_boots_from_kernel_and_initrd(guest: GuestImage):
    direct = ["-kernel", str(guest.kernel), "-initrd", str(guest.initrd), "-append", "console=ttyS0 quiet panic=1"]
    assert "READY" in boot_and_power_off(direct)


def test_it_is_made_once(guest: GuestImage):
    before = guest.disk.stat().st_mtime_ns
    assert make_guest(guest.folder).disk.stat().st_mtime_ns == before
