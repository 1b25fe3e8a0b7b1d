# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether KVM really runs guests here, asked of libvirt itself: with its user, its confinement, its devices.

A device that can be opened proves little inside other virtual machines, and libvirt's capabilities say no more than that.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import libvirt

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
