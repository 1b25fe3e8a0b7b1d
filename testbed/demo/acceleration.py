# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether KVM really runs guests here, asked of libvirt itself: with its user, its confinement, its devices.

A device that can be opened proves little inside other virtual machines, and libvirt's capabilities say no more than that.
"""

from __future__ import annotations

import os
import shutil
import stat
import time
from pathlib import Path
from typing import Any, Final

import libvirt

KVM: Final = Path("/dev/kvm")
UDEV: Final = Path("/run/udev/control")
GROUP: Final = "kvm"
NAME: Final = "archipel-demo-probe"
# Under KVM the guest is up in a second or two; a host so busy that it takes this long is no faster than emulation.
PROBE_SECONDS: Final = 12
LOOK_AGAIN: Final = 0.1
DEFINITION: Final = """<domain type='kvm'>
  <name>{name}</name>
  <memory unit='MiB'>128</memory>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <features><acpi/><apic/></features>
  <cpu mode='host-model'/>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='{image}'/><target dev='vda' bus='virtio'/><readonly/>
    </disk>
    <serial type='file'><source path='{log}'/></serial>
  </devices>
</domain>"""


def lend_device(memo: Path, device: Path = KVM) -> bool:
    """Give KVM's device to its group where no udev has done so, and note in ``memo`` how it was; returns whether that was needed.

    Debian's rule for it (60-qemu-system-common.rules) has no effect in a container without udev. libvirt 9.0 then finds a device
    that its QEMU cannot open, takes what it knows of QEMU for outdated, and asks QEMU anew several times a definition: 10 s each.
    """
    if UDEV.exists() or not device.exists() or memo.exists():
        return False
    status = device.stat()
    if status.st_mode & 0o060 == 0o060:
        return False
    memo.write_text(f"{status.st_gid} {stat.S_IMODE(status.st_mode)}")
    try:
        shutil.chown(device, group=GROUP)
    except LookupError:  # no package of QEMU has made the group
        memo.unlink()
        return False
    device.chmod(0o660)
    return True


def take_device_back(memo: Path, device: Path = KVM) -> None:
    """Undo what `lend_device` did."""
    if memo.exists() and device.exists():
        group, mode = map(int, memo.read_text().split())
        os.chown(device, -1, group)
        device.chmod(mode)


def prove_kvm(connection: Any, image: Path, log: Path) -> bool:
    """Boot the guest with KVM, its serial port in ``log``, and say whether it came up; at most `PROBE_SECONDS`."""
    definition = DEFINITION.format(name=NAME, image=image, log=log)
    try:
        # The daemon ends it when this connection ends, however that comes.
        domain = connection.createXML(definition, libvirt.VIR_DOMAIN_START_AUTODESTROY)
    except libvirt.libvirtError:
        return False
    deadline = time.monotonic() + PROBE_SECONDS
    while not (ready := log.exists() and b"READY" in log.read_bytes()) and time.monotonic() < deadline and domain.isActive():
        time.sleep(LOOK_AGAIN)
    if domain.isActive():
        domain.destroy()
    return ready
