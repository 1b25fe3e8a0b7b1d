# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files a restricted machine's disks may be, down to the last image that each stands on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from archipel.agent.virt.allow_list import Violation
from archipel.agent.virt.confined_paths import PathRefused, confine
from archipel.agent.virt.image_chain import FORMATS, follow_chain
from archipel.protocol.domain.domain import Domain

if TYPE_CHECKING:
    from archipel.agent.virt.domain_policy import DomainPolicy

_WRITABLE: Final = "use a file in the machine's folder, or make the disk read-only"
_READABLE: Final = "use a file in the machine's folder or an image folder"


def judge_disks(domain: Domain, policy: DomainPolicy) -> Iterator[Violation]:
    """Yield every disk that is, or stands on, a file that the machine may not use so."""
    used: dict[Path, tuple[str, bool]] = {}
    for number, disk in enumerate(domain.disks, 1):
        place = f"domain/devices/disk[{number}]"
        writable = disk.device != "cdrom" and not disk.readonly
        for path in _files(disk.element, policy):
            yield from _refuse_second_use(path, writable, place, used)
        yield from _judge_image(disk.element, disk.format, place, policy, writable=writable)
        yield from _judge_backing(disk.element, place, policy)


def _judge_backing(parent: ET.Element, place: str, policy: DomainPolicy) -> Iterator[Violation]:
    """Judge the chain that the definition itself spells out; an empty ``<backingStore/>`` ends it."""
    for backing in parent.findall("backingStore"):
        place += "/backingStore"
        if backing.find("source") is not None:
            found = backing.find("format")
            image_format = found.get("type") if found is not None else None
            if image_format is None:
                yield Violation(f"{place}/format", "is missing", f"say {' or '.join(FORMATS)}")
            yield from _judge_image(backing, image_format, place, policy, writable=False)
        yield from _judge_backing(backing, place, policy)


def _judge_image(layer: ET.Element, image_format: str | None, place: str, policy: DomainPolicy, *, writable: bool) -> Iterator[Violation]:
    """Judge one image and what its header names; ``layer`` is a disk or one of its backing images."""
    for source in layer.findall("source"):
        if "file" in source.attrib:
            yield from _judge_file(source.attrib["file"], image_format or "raw", f"{place}/source/@file", policy, writable=writable)
        if "volume" in source.attrib or "pool" in source.attrib:
            yield from _judge_volume(source, image_format, place, policy)
    if layer.get("type") == "volume" and not all(source.get("pool") and source.get("volume") for source in layer.findall("source")):
        yield Violation(f"{place}/source", "names no volume", "give pool and volume")


def _judge_file(path: str, image_format: str, place: str, policy: DomainPolicy, *, writable: bool) -> Iterator[Violation]:
    try:
        confine(path, [policy.vm_folder] if writable else policy.readable_folders)
        if ".." in path.split("/"):
            raise PathRefused("goes back on its way")
        follow_chain(path, image_format, policy.readable_folders, policy.read_image)
    except PathRefused as error:
        yield Violation(place, f"{path[:200]!r} {error}", _WRITABLE if writable else _READABLE)


def _judge_volume(source: ET.Element, image_format: str | None, place: str, policy: DomainPolicy) -> Iterator[Violation]:
    """Judge what a volume stands on; whether its pool is open was judged by the allow-list."""
    pool, volume = source.get("pool", ""), source.get("volume", "")
    if not policy.allows_pool(pool) or image_format == "raw":
        return
    if image_format is None:
        yield Violation(f"{place}/driver/@type", "is missing", "say raw or qcow2: libvirt would take the volume's own word for it")
        return
    path = policy.volume_path(pool, volume) if policy.volume_path else None
    if path is None:
        yield Violation(f"{place}/source", f"what volume {volume[:200]!r} stands on cannot be read here", "use a raw volume")
        return
    try:
        follow_chain(str(path), image_format, (*policy.readable_folders, path.parent), policy.read_image)
    except PathRefused as error:
        yield Violation(f"{place}/source", f"volume {volume[:200]!r} {error}", "use another volume")


def _files(disk: ET.Element, policy: DomainPolicy) -> Iterator[Path]:
    for source in disk.findall("source"):
        try:
            yield confine(source.get("file", ""), policy.readable_folders)
        except PathRefused:
            continue  # judged, and told, by itself


def _refuse_second_use(path: Path, writable: bool, place: str, used: dict[Path, tuple[str, bool]]) -> Iterator[Violation]:
    """Two disks on one file, of which one writes, would let the guest forge the header of the other; both are told."""
    other, written = used.get(path, (place, False))
    if path in used and (writable or written):
        for either in (other, place):
            yield Violation(f"{either}/source", "is the same file as another disk", "use each image once")
    used[path] = (place, writable or written)
