# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a disk's data is and where the guest sees it: sources, image formats, buses and target names."""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from archipel.protocol.domain.devices import Disk
from archipel.protocol.domain.domain import Domain

_TARGET_PREFIXES: Final = {"virtio": "vd", "sata": "sd", "scsi": "sd", "usb": "sd", "ide": "hd", "fdc": "fd"}
_FORMATS: Final = {".qcow2": "qcow2", ".qed": "qed", ".vdi": "vdi", ".vmdk": "vmdk", ".vpc": "vpc", ".vhd": "vpc", ".vhdx": "vhdx"}


def source_of(disk: Disk) -> tuple[str, ...]:
    """Return a disk's source as declarations name it: a path, or a pool and a volume; empty for an empty drive."""
    if disk.pool and disk.volume:
        return (disk.pool, disk.volume)
    if disk.protocol:
        return (f"{disk.protocol}:{disk.network_name or ''}",)
    path = disk.path or disk.block or disk.folder
    return (path,) if path else ()


def describe_source(disk: Disk) -> dict[str, str | None]:
    """Return a disk's source by the names of the options."""
    source = source_of(disk)
    return {"pool": source[0], "volume": source[1]} if len(source) == 2 else {"path": source[0] if source else None}


def write_source(disk: Disk, source: tuple[str, ...]) -> None:
    """Make ``source`` the disk's data; what belonged to the former (its backing chain, say) goes with it."""
    for tag in ("source", "backingStore", "mirror"):
        for child in disk.element.findall(tag):
            disk.element.remove(child)
    if len(source) == 2:
        disk.type = "volume"
        disk.pool, disk.volume = source
    elif source and source[0].startswith("/dev/"):
        disk.type, disk.block = "block", source[0]
    else:
        disk.type, disk.path = "file", source[0] if source else None
    disk.format = guess_format(source)


def guess_format(source: tuple[str, ...]) -> str:
    """Return the format that the name of a file or volume tells; what tells nothing is raw, as libvirt assumes."""
    return _FORMATS.get(PurePosixPath(source[-1]).suffix.lower(), "raw") if source else "raw"


def default_bus(device: str, domain: Domain) -> str:
    """Return the bus on which a guest of this machine finds such a drive without drivers of its own."""
    os = domain.operating_system
    if device in {"disk", "floppy"}:
        return "virtio" if device == "disk" else "fdc"
    if os.arch not in {None, "x86_64", "i686"}:
        return "scsi"
    return "ide" if (os.machine or "q35").startswith("pc") and "q35" not in (os.machine or "") else "sata"


def free_target(bus: str, domain: Domain, reserved: set[str]) -> str:
    """Return the first target of the bus that neither a disk nor a declaration has."""
    taken = reserved | {disk.target or "" for disk in domain.disks}
    return next(target for target in _targets(_TARGET_PREFIXES.get(bus, "vd")) if target not in taken)


def _targets(prefix: str) -> Iterator[str]:
    for length in (1, 2, 3):
        yield from (prefix + "".join(letters) for letters in itertools.product(string.ascii_lowercase, repeat=length))


def fits_bus(target: str | None, bus: str) -> bool:
    """Whether libvirt can place a disk of this target name on the bus."""
    return target is not None and target.startswith(_TARGET_PREFIXES.get(bus, ""))
