# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tiny bootable guest, made once from Debian's own packages (``testbed/guest/make``)."""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

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


def _run_make(folder: Path) -> None:
    result = subprocess.run([SOURCES / "make", folder], capture_output=True, text=True, check=False)
    if result.returncode:
        raise GuestImageError(f"the guest image could not be made:\n{(result.stdout + result.stderr)[-2000:]}")


def _hash_sources() -> str:
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sorted(SOURCES.iterdir()))).hexdigest()
