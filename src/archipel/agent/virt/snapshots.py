# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of a domain as libvirt has them, and what libvirt is asked for a new one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from archipel.agent.virt import binding
from archipel.agent.virt.binding import VirDomain, VirFailure, VirSnapshot
from archipel.agent.virt.host import LibvirtVersion

DELETES_EXTERNAL: Final = LibvirtVersion(9, 0, 0)
REVERTS_EXTERNAL: Final = LibvirtVersion(9, 9, 0)
"""The first libvirt that can (libvirt, NEWS.rst)."""


@dataclass(frozen=True)
class StoredSnapshot:
    """A snapshot as libvirt has it; ``created`` in seconds since 1970.

    ``files``: those of its external parts, ``definitions``: the domain's at that time (in force, and for its next start where that
    was another one).
    """

    name: str
    description: str
    state: str
    parent: str | None
    created: int
    memory: bool
    files: tuple[str, ...]
    definitions: tuple[ET.Element, ...]
    current: bool = False

    @property
    def external(self) -> bool:
        """Whether it is kept in files of its own."""
        return bool(self.files) or self.state == "disk-snapshot"


@dataclass(frozen=True)
class DiskPart:
    """What becomes of a disk: nothing (``no``), ``internal``, or ``external`` with the file that the guest writes from then on."""

    target: str
    kind: str
    file: Path | None = None


@dataclass(frozen=True)
class Plan:
    """A snapshot to take; ``memory_file`` is given for an external one with memory. Files are new ones."""

    name: str
    description: str
    memory: bool
    external: bool
    quiesce: bool
    disks: tuple[DiskPart, ...]
    memory_file: Path | None = None

    @property
    def images(self) -> list[Path]:
        """The files that disks are to be written into."""
        return [disk.file for disk in self.disks if disk.file is not None]

    @property
    def files(self) -> list[Path]:
        """All files of it."""
        return [*([] if self.memory_file is None else [self.memory_file]), *self.images]

    @property
    def flags(self) -> int:
        """What libvirt is asked besides the description (virDomainSnapshotCreateFlags)."""
        flags = binding.SNAPSHOT_QUIESCE if self.quiesce else 0
        if self.external:
            flags |= binding.SNAPSHOT_ATOMIC | (0 if self.memory else binding.SNAPSHOT_DISK_ONLY)
        return flags

    def write(self) -> str:
        """Return the description for libvirt, in which nothing is that a client wrote but name and description."""
        root = ET.Element("domainsnapshot")
        ET.SubElement(root, "name").text = self.name
        if self.description:
            ET.SubElement(root, "description").text = self.description
        memory = ET.SubElement(root, "memory", {"snapshot": ("external" if self.external else "internal") if self.memory else "no"})
        if self.memory_file is not None:
            memory.set("file", str(self.memory_file))
        disks = ET.SubElement(root, "disks")
        for part in self.disks:
            disk = ET.SubElement(disks, "disk", {"name": part.target, "snapshot": part.kind})
            if part.file is not None:
                disk.set("type", "file")
                ET.SubElement(disk, "driver", {"type": "qcow2"})
                ET.SubElement(disk, "source", {"file": str(part.file)})
        return ET.tostring(root, "unicode")


def read_all(domain: VirDomain) -> list[StoredSnapshot]:
    """Read all snapshots, parents before their children; raises :data:`VirFailure`."""
    current = _current_name(domain)
    found = domain.listAllSnapshots(binding.SNAPSHOTS_PARENTS_FIRST)
    return [_read(snapshot, current) for snapshot in found]


def read_current(domain: VirDomain) -> StoredSnapshot | None:
    """Read the current snapshot, if there is one; raises :data:`VirFailure`."""
    snapshot = _current(domain)
    return None if snapshot is None else _read(snapshot, snapshot.getName())


def parse_snapshot(text: str, current: str | None = None) -> StoredSnapshot:
    """Return what libvirt's XML says."""
    root = ET.fromstring(text)  # noqa: S314 - libvirt wrote it
    name, memory = root.findtext("name") or "", root.find("memory")
    kind = "no" if memory is None else memory.get("snapshot", "no")
    return StoredSnapshot(
        name=name,
        description=root.findtext("description") or "",
        state=root.findtext("state") or "",
        parent=root.findtext("parent/name"),
        created=int(root.findtext("creationTime") or 0),
        memory=kind != "no",
        files=tuple(_external_files(root)),
        definitions=tuple(_definitions(root)),
        current=name == current,
    )


def take(domain: VirDomain, plan: Plan) -> None:
    """Take a snapshot; raises :data:`VirFailure`."""
    domain.snapshotCreateXML(plan.write(), plan.flags)


def remove_half_made(domain: VirDomain, plan: Plan) -> None:
    """Remove what is left of a snapshot that could not be taken; raises :data:`VirFailure`."""
    with contextlib.suppress(VirFailure):
        snapshot = domain.snapshotLookupByName(plan.name)
        snapshot.delete(binding.SNAPSHOT_METADATA_ONLY if plan.external else 0)


def delete(domain: VirDomain, name: str, *, children: bool) -> None:
    """Delete a snapshot; raises :data:`VirFailure`."""
    domain.snapshotLookupByName(name).delete(binding.SNAPSHOT_CHILDREN if children else 0)


def revert(domain: VirDomain, name: str) -> None:
    """Go back to a snapshot; raises :data:`VirFailure`."""
    domain.revertToSnapshot(domain.snapshotLookupByName(name), 0)


def descendants(name: str, snapshots: Iterable[StoredSnapshot]) -> list[StoredSnapshot]:
    """Return all that stands on the snapshot of that name; ``snapshots`` has parents before their children."""
    above, found = {name}, []
    for snapshot in snapshots:
        if snapshot.parent in above:
            above.add(snapshot.name)
            found.append(snapshot)
    return found


def _read(snapshot: VirSnapshot, current: str | None) -> StoredSnapshot:
    return parse_snapshot(snapshot.getXMLDesc(0), current)


def _current(domain: VirDomain) -> VirSnapshot | None:
    try:
        return domain.snapshotCurrent()
    except VirFailure as failure:
        if binding.describe(failure).code != binding.NO_SNAPSHOT:
            raise
        return None


def _current_name(domain: VirDomain) -> str | None:
    snapshot = _current(domain)
    return None if snapshot is None else snapshot.getName()


def _external_files(root: ET.Element) -> Iterator[str]:
    memory = root.find("memory")
    if memory is not None and "file" in memory.attrib:
        yield memory.attrib["file"]
    for disk in root.iterfind("disks/disk[@snapshot='external']"):
        yield from (source.attrib["file"] for source in disk.iterfind("source") if "file" in source.attrib)


def _definitions(root: ET.Element) -> Iterator[ET.Element]:
    for tag in ("domain", "inactiveDomain"):
        for domain in root.findall(tag):
            domain.tag = "domain"
            yield domain
