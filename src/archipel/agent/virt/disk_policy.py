# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files a restricted machine's disks may be, down to the last image that each stands on.

A guest that writes a raw disk, or a disk of its own choosing of format, can write there what will be an image's header once
the file is used in another way. So no image that a machine writes may be of use to it in two ways, at once or from one start
to the next: no second disk, nothing that another disk stands on, no other format while it runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from archipel.agent.virt.allow_list import Violation
from archipel.agent.virt.confined_paths import PathRefused, confine
from archipel.agent.virt.image_chain import FORMATS, ImageUnreadable, follow_chain
from archipel.protocol.domain.devices import Disk
from archipel.protocol.domain.domain import Domain

if TYPE_CHECKING:
    from archipel.agent.virt.domain_policy import DomainPolicy

_WRITABLE: Final = "use a file in the machine's folder, or make the disk read-only"
_READABLE: Final = "use a file in the machine's folder or an image folder"


def judge_disks(domain: Domain, policy: DomainPolicy, running: Domain | None = None) -> list[Violation]:
    """Return every disk that is, or stands on, a file that the machine may not use so.

    ``running`` is the definition in force, if the machine runs: what its guest writes now must not mean something else later.
    """
    written = dict(_written_files(running)) if running is not None else {}
    judge = _Judge(policy, written)
    for number, disk in enumerate(domain.disks, 1):
        judge.judge_disk(disk, f"domain/devices/disk[{number}]")
    return judge.violations


def judge_own_images(domain: Domain, policy: DomainPolicy) -> list[Violation]:
    """Return what is wrong with disks that are, or stand on, an image in the machine's own folder: a guest may have written it.

    Disks that have nothing to do with that folder are what an administrator gave the machine.
    """
    own = Domain.from_element(domain.element)
    devices = own.element.find("devices")
    for disk in list(own.disks):
        if devices is not None and not _stands_on_own(disk.element, disk.format or "raw", policy):
            devices.remove(disk.element)
    return judge_disks(own, policy)


@dataclass(frozen=True)
class _Use:
    """How a disk uses a file: ``top`` is the image itself, not one that it stands on."""

    place: str
    format: str
    written: bool
    top: bool


class _Judge:
    """Looks at one disk after the other, and remembers who uses which file."""

    def __init__(self, policy: DomainPolicy, written: dict[Path, str]) -> None:
        self.policy = policy
        self.violations: list[Violation] = []
        self._written = written
        self._used: dict[Path, _Use] = {}

    def judge_disk(self, disk: Disk, place: str) -> None:
        writable = disk.device != "cdrom" and not disk.readonly
        self._judge_image(disk.element, disk.format, place, place, writable=writable)
        self._judge_backing(disk.element, place, place)

    def _judge_backing(self, parent: ET.Element, place: str, disk: str) -> None:
        """Judge the chain that the definition itself spells out; an empty ``<backingStore/>`` ends it."""
        for backing in parent.findall("backingStore"):
            place += "/backingStore"
            if backing.find("source") is not None:
                found = backing.find("format")
                image_format = found.get("type") if found is not None else None
                if image_format is None:
                    self._refuse(f"{place}/format", "is missing", f"say {' or '.join(FORMATS)}")
                self._judge_image(backing, image_format, place, disk, writable=None)
            self._judge_backing(backing, place, disk)

    def _judge_image(self, layer: ET.Element, image_format: str | None, place: str, disk: str, *, writable: bool | None) -> None:
        """Judge one image and what its header names; ``layer`` is a disk, or (``writable`` None) one that it stands on."""
        for source in layer.findall("source"):
            if "file" in source.attrib:
                self._judge_file(source.attrib["file"], image_format or "raw", f"{place}/source/@file", disk, writable=writable)
            if "volume" in source.attrib or "pool" in source.attrib:
                self._judge_volume(source, image_format, place)
        if layer.get("type") == "volume" and not all(source.get("pool") and source.get("volume") for source in layer.findall("source")):
            self._refuse(f"{place}/source", "names no volume", "give pool and volume")

    def _judge_file(self, path: str, image_format: str, place: str, disk: str, *, writable: bool | None) -> None:
        policy = self.policy
        try:
            file = confine(path, [policy.vm_folder] if writable else policy.readable_folders)
            if path.startswith("//") or os.path.normpath(path) != path:
                raise PathRefused("is not the straight way there, without //, . and ..")
            self._use(file, _Use(disk, image_format, bool(writable), writable is not None))
            for base in follow_chain(path, image_format, policy.readable_folders, policy.read_image):
                self._use(base, _Use(disk, "", written=False, top=False))
        except PathRefused as error:
            self._refuse(place, f"{path[:200]!r} {error}", _WRITABLE if writable else _READABLE)

    def _use(self, file: Path, use: _Use) -> None:
        """Note a use of a file, and refuse it where a guest could forge what it means; of two uses both disks are told."""
        other = self._used.setdefault(file, use)
        if other is not use and (use.written or other.written):
            for either in (other, use):
                self._refuse(f"{either.place}/source", "is the same file as another disk, or that disk stands on it", "use each image once")
        if file in self._written and not (use.top and use.format == self._written[file]):
            self._refuse(f"{use.place}/source", "is an image that the running machine writes in another way", "shut it down first")

    def _judge_volume(self, source: ET.Element, image_format: str | None, place: str) -> None:
        """Judge what a volume stands on; whether its pool is open was judged by the allow-list."""
        policy, pool, volume = self.policy, source.get("pool", ""), source.get("volume", "")
        if not policy.allows_pool(pool) or image_format == "raw":
            return
        if image_format is None:
            self._refuse(f"{place}/driver/@type", "is missing", "say raw or qcow2: libvirt would take the volume's own word for it")
            return
        path = policy.volume_path(pool, volume) if policy.volume_path else None
        if path is None:
            self._refuse(f"{place}/source", f"what volume {volume[:200]!r} stands on cannot be read here", "use a raw volume")
            return
        try:
            follow_chain(str(path), image_format, (*policy.readable_folders, path.parent), policy.read_image)
        except PathRefused as error:
            self._refuse(f"{place}/source", f"volume {volume[:200]!r} {error}", "use another volume")

    def _refuse(self, place: str, problem: str, fix: str) -> None:
        self.violations.append(Violation(place, problem, fix))


def _written_files(running: Domain) -> Iterator[tuple[Path, str]]:
    """Yield the files that a running machine writes now, and in which format."""
    for disk in running.disks:
        for source in disk.element.findall("source"):
            if not disk.readonly and "file" in source.attrib:
                yield Path(source.attrib["file"]).resolve(), disk.format or "raw"


def _stands_on_own(layer: ET.Element, image_format: str, policy: DomainPolicy) -> bool:
    """Whether an image, what the definition puts below it, or what their headers name, lies in the machine's own folder."""
    for source in layer.findall("source"):
        if "file" in source.attrib and _leads_to_own(source.attrib["file"], image_format, policy):
            return True
    return any(
        _stands_on_own(backing, "raw" if (found := backing.find("format")) is None else found.get("type", "raw"), policy)
        for backing in layer.findall("backingStore")
    )


def _leads_to_own(path: str, image_format: str, policy: DomainPolicy) -> bool:
    """Follow headers as far as the machine's own folder: what is named from there on is what the guest wrote."""
    own = policy.vm_folder.resolve()
    followed: set[Path] = set()
    while (file := Path(path).resolve()) not in followed:
        if file.is_relative_to(own):
            return True
        followed.add(file)
        try:
            facts = policy.read_image(file, image_format) if image_format in FORMATS and image_format != "raw" else None
        except (ImageUnreadable, OSError):
            return False
        if facts is None or facts.backing is None or facts.backing_format is None:
            return False
        path, image_format = os.path.join(os.path.dirname(path), facts.backing), facts.backing_format
    return False
