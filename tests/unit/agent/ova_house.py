# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""OVA files as other programs export them, and disks for them, made by qemu-img."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

MIB = 1 << 20
RASD = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
ENVELOPE = """<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:rasd="{rasd}" xmlns:vmw="http://www.vmware.com/schema/ovf">
 <References>{files}</References>
 <DiskSection><Info>disks</Info>{disks}</DiskSection>
 <NetworkSection><Info>networks</Info><Network ovf:name="VM Network"/></NetworkSection>{more}
 <VirtualSystem ovf:id="web"><Info>a machine</Info><Name>web of others</Name>
  <VirtualHardwareSection><Info>hardware</Info>{items}</VirtualHardwareSection>
 </VirtualSystem>
</Envelope>"""


def item(kind: int, instance: int = 0, **told: object) -> str:
    """A line of virtual hardware."""
    inner = "".join(f"<rasd:{name}>{value}</rasd:{name}>" for name, value in told.items())
    return f"<Item><rasd:InstanceID>{instance}</rasd:InstanceID>{inner}<rasd:ResourceType>{kind}</rasd:ResourceType></Item>"


def disk_item(number: int, instance: int, parent: int = 3, address: int = 0) -> str:
    return item(17, instance, Parent=parent, AddressOnParent=address, HostResource=f"ovf:/disk/d{number}", ElementName=f"disk {number}")


BASE = (
    item(3, 1, VirtualQuantity=2) + item(4, 2, VirtualQuantity=256, AllocationUnits="byte * 2^20") + item(6, 3, ResourceSubType="lsilogic")
)


def descriptor(*files: str, items: str = BASE, more: str = "", capacity: int = 8, attributes: str = "") -> bytes:
    """A descriptor whose disks d1, d2... are in these files."""
    return ENVELOPE.format(
        rasd=RASD,
        files="".join(f'<File ovf:id="f{number}" ovf:href="{name}" {attributes}/>' for number, name in enumerate(files, 1)),
        disks="".join(
            f'<Disk ovf:diskId="d{number}" ovf:fileRef="f{number}" ovf:capacity="{capacity}" ovf:capacityAllocationUnits="byte * 2^20"/>'
            for number in range(1, len(files) + 1)
        ),
        items=items,
        more=more,
    ).encode()


def manifest(files: dict[str, bytes], algorithm: str = "sha256") -> bytes:
    return "".join(f"{algorithm.upper()}({name})= {hashlib.new(algorithm, files[name]).hexdigest()}\n" for name in files).encode()


def make_vmdk(folder: Path, content: bytes = b"", size: int = 8 * MIB, kind: str = "streamOptimized") -> bytes:
    """A VMDK whose guest sees ``content`` first."""
    raw, made = folder / "made.raw", folder / "made.vmdk"
    raw.write_bytes(content)
    with raw.open("r+b") as file:
        file.truncate(size)
    command = ["qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", f"subformat={kind}", str(raw), str(made)]
    subprocess.run(command, check=True, capture_output=True)
    found = made.read_bytes()
    for file_made in folder.glob("made*"):
        file_made.unlink()
    return found
