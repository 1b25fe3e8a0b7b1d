# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""On which golden images the disks of a definition stand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from archipel.agent.virt.confined_paths import PathRefused
from archipel.agent.virt.image_chain import ReadImage, follow_chain, read_image


def find_goldens(domain: ET.Element, goldens: Sequence[Path], others: Iterable[Path], read: ReadImage = read_image) -> frozenset[str]:
    """Return the names of the files in the folders ``goldens`` that disks read through (blocking).

    Images are followed within these folders and ``others``; a disk whose images lead elsewhere, or cannot be read, stands on none.
    """
    folders = [folder.resolve() for folder in goldens]
    found: set[str] = set()
    for disk in domain.iterfind("devices/disk[@type='file']"):
        source, driver = disk.find("source"), disk.find("driver")
        path = "" if source is None else source.get("file", "")
        if not path:
            continue
        try:
            below = follow_chain(path, "raw" if driver is None else driver.get("type", "raw"), [*goldens, *others], read)
        except (PathRefused, OSError):
            continue
        found |= {str(image.relative_to(folder)) for image in below for folder in folders if image.is_relative_to(folder)}
    return frozenset(found)
