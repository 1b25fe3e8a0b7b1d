# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tiny guest boots."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testbed.guest import GuestImage, make_guest

MACHINE = ["qemu-system-x86_64", "-machine", "q35,accel=tcg", "-m", "128", "-display", "none", "-no-reboot", "-nodefaults"]


@pytest.fixture(scope="module")
def guest(root: Path) -> GuestImage:
    return make_guest(root / ".cache" / "guest")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Callable[[list[str]], str]]:
    """Boot until READY stands on the serial port, press the power button until it is off; return what it printed."""
    serial = tmp_path / "serial"
    processes: list[subprocess.Popen[str]] = []

    def boot_and_power_off(arguments: list[str]) -> str:
        command = [*MACHINE, "-serial", f"file:{serial}", "-monitor", "stdio", *arguments]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        processes.append(process)
        while not (serial.exists() and "READY" in serial.read_text()):
            assert process.poll() is None, "the guest ended before it was ready"
            time.sleep(0.1)
        assert process.stdin is not None
        process.communicate("system_powerdown\n", timeout=30)
        assert process.returncode == 0
        return serial.read_text()

    yield boot_and_power_off
    for process in processes:
        process.kill()
        process.wait()


def test_it_boots_from_its_disk_and_powers_off(guest: GuestImage, machine: Callable[[list[str]], str]):
    disk = ["-drive", f"file={guest.disk},format=qcow2,if=virtio,snapshot=on"]
    assert "READY" in machine(disk)


def test_it_boots_from_kernel_and_initrd(guest: GuestImage, machine: Callable[[list[str]], str]):
    direct = ["-kernel", str(guest.kernel), "-initrd", str(guest.initrd), "-append", "console=ttyS0 quiet panic=1"]
    assert "READY" in machine(direct)
