# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tiny bootable guest, made once from Debian's own packages (``testbed/guest/make``)."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# Under KVM the guest is up in a second; a machine so busy that it takes this long is no faster than emulation.
PROBE_SECONDS = 10
SOURCES = Path(__file__).parent / "guest"


class GuestImageError(Exception):
    """The image could not be made; the message is the end of what was printed."""


@dataclass(frozen=True)
class GuestImage:
    """The files of the guest, to be copied or to be the backing file of a disk. It wants 128 MiB and a virtio bus.

    It says ``READY`` on its first serial port when it is up.
    """

    folder: Path

    @property
    def kernel(self) -> Path:
        """The kernel, for a direct boot with `initrd` and ``console=ttyS0``."""
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """The whole guest as a memory disk."""
        return self.folder / "initrd.img"

    @property
    def disk(self) -> Path:
        """The whole guest as a disk (qcow2) that a BIOS boots."""
        return self.folder / "disk.qcow2"


def make_guest(folder: Path) -> GuestImage:
    """Make the guest in ``folder``, or take the one there when its sources have not changed; about five seconds.

    Raises GuestImageError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    image, stamp = GuestImage(folder.resolve()), folder / "sources.sha256"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two processes may want it at once
        if not stamp.exists() or stamp.read_text() != _hash_sources():
            _run_make(image.folder)
            stamp.write_text(_hash_sources())
    return image


def prove_acceleration(image: GuestImage, device: Path = Path("/dev/kvm")) -> bool:
    """Say whether KVM really boots a guest here. A device that can be opened proves little inside other virtual machines.

    Takes a second or two where it works, at most `PROBE_SECONDS` where it does not.
    """
    if not os.access(device, os.R_OK | os.W_OK):
        return False
    command = ["qemu-system-x86_64", "-machine", "q35,accel=kvm", "-m", "128", "-display", "none", "-nodefaults", "-serial", "stdio"]
    command += ["-kernel", str(image.kernel), "-initrd", str(image.initrd), "-append", "console=ttyS0 quiet panic=1"]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            return _wait_for_guest(process, output)
        finally:
            process.kill()
            process.wait()


def _wait_for_guest(process: subprocess.Popen[bytes], output: IO[bytes]) -> bool:
    deadline = time.monotonic() + PROBE_SECONDS
    while time.monotonic() < deadline:
        output.seek(0)
        printed = output.read()
        if b"READY" in printed:
            return True
        if b"KVM internal error" in printed or process.poll() is not None:
            return False
        time.sleep(0.1)
    return False


def _run_make(folder: Path) -> None:
    result = subprocess.run([SOURCES / "make", folder], capture_output=True, text=True, check=False)
    if result.returncode:
        raise GuestImageError(f"the guest image could not be made:\n{(result.stdout + result.stderr)[-2000:]}")


def _hash_sources() -> str:
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sorted(SOURCES.iterdir()))).hexdigest()
