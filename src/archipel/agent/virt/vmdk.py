# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a VMDK says of itself, read before QEMU opens it: only one that holds all of its data is let through.

QEMU (block/vmdk.c) opens whatever file a description names as an extent or as a parent: a description that stands by itself, one
that a header refers to (capacity 0), and ``parentFileNameHint`` in the description inside of a sparse file. Layout: VMware,
"Virtual Disk Format 5.0", Hosted Sparse Extents.
"""

from __future__ import annotations

import os
import re
import stat
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SECTOR: Final = 512
KINDS: Final = frozenset({"streamOptimized", "monolithicSparse"})

_HEADER: Final = struct.Struct("<4sIIQQQQIQQQ")  # magic, version, flags, capacity, grain, description at, its size, tables, two places
_MAGIC: Final = b"KDMV"
_QEMU_READS_AT: Final = SECTOR  # where QEMU looks for the description inside, whatever the header says
_MOST_SECTORS: Final = 128  # of a description; QEMU reads 20
_KIND: Final = re.compile(r'^\s*createType\s*=\s*"([^"\n]*)"\s*$', re.MULTILINE)
_EXTENT: Final = re.compile(r'^\s*(?:RW|RDONLY|NOACCESS)\s+\d+\s+(\w+)(?:\s+"([^"\n]*)")?.*$', re.MULTILINE)
_PARENT: Final = re.compile(rb"parentfilenamehint", re.IGNORECASE)
_NO_PARENT: Final = frozenset({"", "ffffffff"})
_PARENT_ID: Final = re.compile(r"^\s*parentCID\s*=\s*(\w*)\s*$", re.MULTILINE | re.IGNORECASE)


class VmdkRefused(ValueError):
    """A VMDK that does not hold all of its data, or that is none; says why."""


@dataclass(frozen=True)
class VmdkFacts:
    """The kind of a VMDK, and how many bytes its guest sees."""

    kind: str
    capacity: int


def read_vmdk(path: Path) -> VmdkFacts:
    """Return what a VMDK is that refers to no other file. Raises :class:`VmdkRefused`, OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise VmdkRefused("is no plain file")
        return _read(descriptor)
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> VmdkFacts:
    header = os.pread(descriptor, SECTOR, 0)
    if len(header) < SECTOR or not header.startswith(_MAGIC):
        raise VmdkRefused("is no VMDK of a single file: it may name others")
    _magic, version, _flags, capacity, _grain, place, size, *_tables = _HEADER.unpack_from(header)
    if version not in {1, 2, 3} or not 0 < capacity < 1 << 53:
        raise VmdkRefused("is no VMDK of a single file: its header gives no capacity")
    if place != _QEMU_READS_AT // SECTOR or not 0 < size <= _MOST_SECTORS:
        raise VmdkRefused("is no VMDK of a single file: its description is not where it belongs")
    told = os.pread(descriptor, _MOST_SECTORS * SECTOR, _QEMU_READS_AT)
    if _PARENT.search(told):
        raise VmdkRefused("stands on another file")
    return VmdkFacts(_check_description(told[: size * SECTOR].partition(b"\0")[0]), capacity * SECTOR)


def _check_description(content: bytes) -> str:
    text = content.decode("latin-1")
    kinds, extents, parents = _KIND.findall(text), _EXTENT.findall(text), _PARENT_ID.findall(text)
    if len(kinds) != 1 or kinds[0] not in KINDS:
        raise VmdkRefused(f"is a VMDK of another kind than {' or '.join(sorted(KINDS))}")
    if any(parent.lower() not in _NO_PARENT for parent in parents):
        raise VmdkRefused("stands on another file")
    if len(extents) != 1 or extents[0][0] != "SPARSE" or re.search(r"[/\\:]|^\.", extents[0][1]):
        raise VmdkRefused("has other parts than itself")
    kind: str = kinds[0]
    return kind
