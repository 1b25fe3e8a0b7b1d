# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest that playbooks can work in: this host's Debian with Python, sudo and the guest agent, and no network (``make``)."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from testbed.guest import GuestImageError

SOURCES: Final = Path(__file__).parent
DEFINITION: Final = """<domain type='qemu'><name>{name}</name><memory unit='MiB'>512</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type><kernel>{folder}/vmlinuz</kernel><initrd>{folder}/initrd.img</initrd>
<cmdline>console=ttyS0 quiet panic=1 mitigations=off</cmdline></os><features><acpi/></features><cpu mode='maximum'/>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator><serial type='pty'/><console type='pty'/>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{folder}/disk.qcow2'/>
<target dev='vda' bus='virtio'/></disk>
<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel></devices></domain>"""


@dataclass(frozen=True)
class DebianGuest:
    """Kernel, initrd and disk of the guest, to be copied; it wants 512 MiB."""

    folder: Path

    def copy_to(self, folder: Path) -> None:
        """Copy what a machine starts from; it writes to its disk."""
        for name in ("vmlinuz", "initrd.img", "disk.qcow2"):
            shutil.copy(self.folder / name, folder)
            (folder / name).chmod(0o666)


def make_debian_guest(folder: Path) -> DebianGuest:
    """Make the guest in ``folder``, or take the one there when its sources have not changed; a minute, as root.

    Raises GuestImageError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stamp = folder / "sources.sha256"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two processes may want it at once
        if not stamp.exists() or stamp.read_text() != _hash_sources():
            made = subprocess.run([SOURCES / "make", folder], capture_output=True, text=True, check=False)
            if made.returncode:
                raise GuestImageError(f"the guest image could not be made:\n{(made.stdout + made.stderr)[-2000:]}")
            stamp.write_text(_hash_sources())
    return DebianGuest(folder.resolve())


def _hash_sources() -> str:
    files = (*(SOURCES / name for name in ("make", "init", "start")), SOURCES.parent / "guest" / "kernel.sh")
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()
