# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Appliances of others (``.ova``): a tar with an OVF descriptor, disks and, mostly, a manifest with their digests.

Read as what a stranger made, as packages are. All of this blocks: it is for threads.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from archipel.agent.appliance_package import CHUNK, PackageRefused, unpack_files
from archipel.agent.virt.vmdk import VmdkRefused, read_vmdk
from archipel.protocol.ovf import MOST_BYTES, OvfMachine, OvfUnreadable, parse_ovf

DESCRIPTOR, MANIFEST, CERTIFICATE = ".ovf", ".mf", ".cert"
_ALGORITHMS: Final = {"SHA1": "sha1", "SHA256": "sha256", "SHA512": "sha512"}
_LINE: Final = re.compile(r"([A-Za-z0-9-]{1,20})\s*\((.{1,255})\)\s*=\s*([0-9A-Fa-f]{1,128})")


@dataclass(frozen=True, kw_only=True)
class Ova:
    """What was unpacked: the machine, where the file of each of its disks is, and what the user must know."""

    machine: OvfMachine
    files: dict[str, Path]
    warnings: tuple[str, ...]


def is_ova(file: Path) -> bool:
    """Whether a file is a tar that begins with an OVF descriptor, as the format demands."""
    try:
        with file.open("rb") as opened:
            header = opened.read(tarfile.BLOCKSIZE)
        return tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape").name.lower().endswith(DESCRIPTOR)
    except (tarfile.TarError, ValueError):
        return False


def unpack_ova(file: Path, folder: Path, most: int) -> Ova:
    """Unpack into ``folder``, which is empty, and check everything. Raises :class:`PackageRefused`, OSError."""
    names = unpack_files(file, folder, most)
    machine = _read_descriptor(folder / _find_one(names, DESCRIPTOR))
    _check_files(machine, names, folder)
    manifests = [name for name in names if name.lower().endswith(MANIFEST)]
    if manifests:
        _check_manifest(folder, _find_one(names, MANIFEST), names)
    disks = {disk.file: folder / disk.file for disk in machine.disks if disk.file is not None}
    _check_disks(machine, disks, most)
    unchecked = ["there is no manifest in it: no digest was checked"] if not manifests else []
    if any(name.lower().endswith(CERTIFICATE) for name in names):
        unchecked.append("its signature was not checked")
    return Ova(machine=machine, files=disks, warnings=(*unchecked, *(f"left out: {what}" for what in machine.left_out)))


def _find_one(names: list[str], ending: str) -> str:
    found = [name for name in names if name.lower().endswith(ending)]
    if len(found) != 1:
        raise PackageRefused(f"it holds {len(found)} files that end in {ending}: there must be one")
    return found[0]


def _read_descriptor(file: Path) -> OvfMachine:
    try:
        if file.stat().st_size > MOST_BYTES:
            raise PackageRefused(f"its {DESCRIPTOR} has more than {MOST_BYTES} bytes")
        return parse_ovf(file.read_bytes())
    except OvfUnreadable as error:
        raise PackageRefused(f"its {DESCRIPTOR} cannot be read: {error}") from error


def _check_files(machine: OvfMachine, names: list[str], folder: Path) -> None:
    """Raise unless every file that the descriptor names is there, as large as it says."""
    for name, size in machine.files.items():
        if name not in names:
            raise PackageRefused(f"its {DESCRIPTOR} names {name[:100]!r}, which is not in it")
        found = (folder / name).stat().st_size
        if size not in {None, found}:
            raise PackageRefused(f"{name!r} in it has {found} bytes, its {DESCRIPTOR} says {size}")


def _check_manifest(folder: Path, manifest: str, names: list[str]) -> None:
    """Raise unless the manifest has the right digest of every file, but for itself and what signs it."""
    told = _read_manifest(folder / manifest)
    wanted = {name for name in names if name != manifest and not name.lower().endswith(CERTIFICATE)}
    for name in sorted(wanted ^ told.keys()):
        where = "is not in its manifest" if name in wanted else "is in its manifest, but not in it"
        raise PackageRefused(f"{name[:100]!r} {where}")
    for name, (algorithm, digest) in told.items():
        found = hashlib.new(algorithm, usedforsecurity=algorithm != "sha1")  # what the format's first version has
        with (folder / name).open("rb") as file:
            while piece := file.read(CHUNK):
                found.update(piece)
        if found.hexdigest() != digest:
            raise PackageRefused(f"{name!r} in it is damaged: its {algorithm} digest is not that of the manifest")


def _read_manifest(file: Path) -> dict[str, tuple[str, str]]:
    """Return algorithm and digest by file."""
    if file.stat().st_size > MOST_BYTES:
        raise PackageRefused(f"its manifest has more than {MOST_BYTES} bytes")
    found: dict[str, tuple[str, str]] = {}
    for line in file.read_bytes().decode("utf-8", "replace").splitlines():
        if not line.strip():
            continue
        parts = _LINE.fullmatch(line.strip())
        algorithm = _ALGORITHMS.get(parts[1].upper().replace("-", "")) if parts else None
        if parts is None or algorithm is None:
            raise PackageRefused(f"its manifest has a line that is no digest of a known kind: {line[:100]!r}")
        if parts[2] in found:
            raise PackageRefused(f"{parts[2][:100]!r} is in its manifest twice")
        found[parts[2]] = (algorithm, parts[3].lower())
    return found


def _check_disks(machine: OvfMachine, files: dict[str, Path], most: int) -> None:
    """Raise unless each disk is a VMDK that refers to no other file, and all of them together are no larger than was agreed."""
    total = sum(disk.capacity for disk in machine.disks if disk.file is None)
    for name, file in files.items():
        try:
            total += read_vmdk(file).capacity
        except VmdkRefused as error:
            raise PackageRefused(f"{name!r} in it {error}") from error
    if total > most:
        raise PackageRefused(f"its disks are of {total} bytes; at most {most} are taken (largest_appliance of [VMCASTING])")
