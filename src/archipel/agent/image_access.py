# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the agent and QEMU, two users of the host, both reach the images in the folders that they share."""

from __future__ import annotations

import grp
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from archipel.agent import access_list
from archipel.agent.settings import Settings
from archipel.agent.virt.disk_files import ENDINGS

QEMU_GROUPS: Final = ("libvirt-qemu", "qemu")  # of Debian; of Fedora and its like
_NAMED: Final = 3  # images that are named where more cannot be reached


class ImagesOutOfReach(OSError):
    """What would keep machines from starting, and how that is mended."""


def image_folders(settings: Settings) -> tuple[Path, ...]:
    """Return the folders that agent and QEMU share, those above the others first."""
    machines = settings.machines
    return tuple(dict.fromkeys((settings.places.data, machines.base_path, *machines.iso_folders, *machines.golden_folders)))


def is_alone(settings: Settings) -> bool:
    """Whether QEMU is no other user, or this is root, whom that need not trouble."""
    return os.geteuid() == 0 or not settings.libvirt.uri.partition("?")[0].endswith("/system")


def describe(settings: Settings) -> str:
    """Return how the folders of images are reached; raises :class:`ImagesOutOfReach` with all that is wrong."""
    if is_alone(settings):
        return "nothing stands between this user and QEMU's images"
    folders = [folder for folder in image_folders(settings) if folder.exists()]
    problems = [problem for folder in folders for problem in _look_at(folder)]
    unreached = [image for image in _images(settings.machines.base_path) if not os.access(image, os.R_OK | os.W_OK)]
    if unreached:
        named = ", ".join(map(str, unreached[:_NAMED]))
        problems.append(f"{len(unreached)} images cannot be read and written, such as {named}: chgrp to their folder's group, chmod 0660")
    if problems:
        raise ImagesOutOfReach("; ".join(problems))
    return "those of this user and of QEMU's group" + _tell_unlisted(folders)


def _look_at(folder: Path) -> Iterator[str]:
    found = folder.stat()
    wanted = _qemu_group()
    if wanted is not None and found.st_gid != wanted.gr_gid:
        yield f"{folder} is not of QEMU's group {wanted.gr_name}: run archipel-agent-init --check"
    if not found.st_mode & stat.S_ISGID:
        yield f"{folder} does not give its group to what is made in it: chmod g+s"
    if found.st_gid not in {os.getegid(), *os.getgroups()}:
        yield f"this user is not in the group of {folder}: usermod -a -G"
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield f"{folder} cannot be written by this user"


def _qemu_group() -> grp.struct_group | None:
    return next((group for group in grp.getgrall() if group.gr_name in QEMU_GROUPS), None)


def _images(folder: Path) -> Iterator[Path]:
    """Yield images in machines' own folders, as far as those can be read."""
    return (file for file in folder.glob("*/*") if file.suffix.lower() in ENDINGS and not file.is_symlink())


def _tell_unlisted(folders: Iterable[Path]) -> str:
    left = [str(folder) for folder in folders if not access_list.reaches_all(folder, os.geteuid())]
    return f"; after a machine stopped its images may be out of reach in {', '.join(left)} (docs/security.md)" if left else ""
