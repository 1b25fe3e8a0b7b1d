# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of external snapshots: only in the machine's own folder, and removed when nothing stands on them any more."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from archipel.agent.virt import snapshots as virt
from archipel.agent.virt.confined_paths import PathRefused, confine
from archipel.agent.virt.domain_policy import DomainPolicy
from archipel.agent.virt.image_chain import follow_chain, read_image
from archipel.agent.virt.unfinished_files import IMAGE_MODE
from archipel.protocol.domain.domain import parse
from archipel.protocol.domain.xml_values import DomainXmlError
from archipel.protocol.errors import CommandError

if TYPE_CHECKING:
    from archipel.agent.virtual_machine import VirtualMachine

log = logging.getLogger(__name__)


async def make_files(machine: VirtualMachine, files: Collection[Path]) -> None:
    """Make empty files for libvirt to write images into, and the machine's folder, which an adopted machine may lack.

    libvirt would make them root's alone: where it gives no image to QEMU (``dynamic_ownership = 0``) QEMU could not open them.
    Raises :class:`CommandError`.
    """

    def make() -> None:
        machine.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        for file in files:
            file.touch(mode=IMAGE_MODE, exist_ok=False)

    try:
        await asyncio.to_thread(make)
    except OSError as error:
        await remove_empty(files)
        raise CommandError(f"cannot make the files of the snapshot in the machine's folder: {error}") from error


async def remove_empty(files: Iterable[Path]) -> None:
    """Remove those of the files that nobody has written to."""

    def remove() -> None:
        for file in files:
            with contextlib.suppress(OSError):
                if not file.stat().st_size:
                    file.unlink()

    await asyncio.to_thread(remove)


def check_images(images: Mapping[str, tuple[str, str]], policy: DomainPolicy) -> None:
    """Check that images (path and format by the disk's target) lie in the machine's folder, and stand on what it may read; blocks.

    Raises :class:`PathRefused`, which names the disk.
    """
    for target, (path, image_format) in images.items():
        try:
            confine(path, [policy.vm_folder])
            follow_chain(path, image_format, policy.readable_folders, policy.read_image)
        except PathRefused as error:
            raise PathRefused(f"{target} {error}") from None


async def remove_unused(machine: VirtualMachine, files: Iterable[str]) -> None:
    """Remove those of the files that lie in the machine's folder and that neither its disks nor other snapshots stand on.

    Where that cannot be told they stay. Raises what libvirt says.
    """
    candidates = list(files)
    if not candidates:
        return
    texts = {await machine.domain.xml(), await machine.domain.xml(inactive=True)}
    snapshots = await machine.domain.read("snapshots", virt.read_all)
    texts |= {ET.tostring(domain, "unicode") for snapshot in snapshots for domain in snapshot.definitions}
    kept = {file for snapshot in snapshots for file in snapshot.files}
    try:
        removed = await asyncio.to_thread(_remove, candidates, texts, kept, machine.folder)
    except (OSError, PathRefused, DomainXmlError) as error:
        log.warning("%s: files of a snapshot that is gone stay: %s", machine.bare, error)
        return
    log.info("%s: removed files of a snapshot: %s", machine.bare, ", ".join(map(str, removed)) or "none")


def _remove(candidates: list[str], texts: set[str], kept: set[str], folder: Path) -> list[Path]:
    """Remove files that nothing uses; raises ``OSError``, or :class:`PathRefused` where that is not known."""
    used = {Path(file).resolve() for file in kept}
    for text in texts:
        used |= _used_files(text)
    removed = []
    for candidate in candidates:
        with contextlib.suppress(PathRefused):
            file = confine(candidate, [folder])
            if file not in used and file.exists():
                os.unlink(file)
                removed.append(file)
    return removed


def _used_files(text: str) -> set[Path]:
    """Return all files that a definition names, and those that the headers of its images name."""
    domain = parse(text)
    used = {Path(file).resolve() for file in _named_files(domain.element)}
    for disk in domain.disks:
        if disk.path is not None and disk.format == "qcow2":
            used.update(follow_chain(disk.path, disk.format, [Path("/")], read_image))
    return used


def _named_files(domain: ET.Element) -> Iterable[str]:
    return (source.attrib["file"] for source in domain.iter("source") if "file" in source.attrib)
