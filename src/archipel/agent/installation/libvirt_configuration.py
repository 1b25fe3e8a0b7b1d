# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this host's libvirt is told in its files, read and never written: they count for everybody's machines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from archipel.agent import access_list

FOLDER: Final = Path("/etc/libvirt")
DAEMONS: Final = ("libvirtd.conf", "virtqemud.conf")  # with all drivers; with one daemon for each
_LINE: Final = re.compile(r"^\s*(\w+)\s*=\s*(\[[^]]*\]|\"[^\"]*\"|\d+)", re.MULTILINE)


def read_settings(name: str, folder: Path = FOLDER) -> dict[str, str]:
    """Return what a file of libvirt's sets, values as they stand there but for quotes; empty if it is not there.

    Raises ``PermissionError``: qemu.conf is root's.
    """
    try:
        text = (folder / name).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return {}
    return {found[1]: found[2].strip('"') for found in _LINE.finditer(text)}


def asks_polkit(folder: Path = FOLDER) -> bool:
    """Whether libvirt asks polkit about each call; raises ``PermissionError``."""
    return any('"polkit"' in read_settings(name, folder).get("access_drivers", "") for name in DAEMONS)


def remark_on_polkit(folder: Path = FOLDER) -> Iterator[str]:
    """Yield what polkit's rules still lack; raises ``PermissionError``."""
    if not asks_polkit(folder):
        yield (
            f'libvirt asks polkit about connections only: access_drivers = [ "polkit" ] belongs into {folder / DAEMONS[0]}, then restart '
            "libvirtd; that counts for all who use this host's libvirt, so it is left to you"
        )


def remark_on_images(images: Path, group: str, folder: Path = FOLDER) -> Iterator[str]:
    """Yield what may keep QEMU, or the agent after a machine stopped, from images; raises ``PermissionError``."""
    said = read_settings("qemu.conf", folder)
    if said.get("group", group) not in {group, f"+{group}", "root", "0", "+0"}:
        yield f"QEMU's group is {said['group']} ({folder / 'qemu.conf'}), and that of the images {group}: say --image-group {said['group']}"
    if said.get("dynamic_ownership") != "0" and not access_list.is_supported(_existing(images)):
        yield (
            f"the file system of {images} keeps no access lists: an image may be root's alone after its machine stopped. "
            f"dynamic_ownership = 0 in {folder / 'qemu.conf'} prevents that; it counts for all machines of this host, so it is left to you"
        )


def _existing(folder: Path) -> Path:
    return next(parent for parent in (folder, *folder.parents) if parent.exists())
