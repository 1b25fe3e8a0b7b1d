# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a path on this host really leads, and whether that is inside the folders a machine may use.

A path is followed one name at a time, as the kernel does it, because two things must be refused on the way and not only at
its end: names under ``/proc``, ``/sys`` and ``/dev`` (``/proc/self/fd/3`` is another file for this process than for QEMU), and
links whose end cannot be told.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

# Linux follows 40 links in a path (path_resolution(7)).
_MOST_LINKS: Final = 40
# What these show depends on who looks.
_KERNEL_FOLDERS: Final = tuple(map(Path, ("/proc", "/sys", "/dev")))
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class PathRefused(ValueError):
    """A path that a machine may not use; says why, not where it leads."""


def confine(path: str, folders: Iterable[Path]) -> Path:
    """Return where ``path`` leads, if that is a regular file, or nothing yet, inside one of ``folders``.

    The answer holds as long as nobody else moves files or links in these folders; that is why only the agent writes there.

    Raises:
        PathRefused: it leads elsewhere, is no plain file, or cannot be followed.
    """
    allowed = [folder.resolve() for folder in folders]
    if not path.startswith("/") or _CONTROL.search(path):
        raise PathRefused("is not an absolute path without control characters")
    try:
        end = _follow(path, allowed)
        mode = os.lstat(end).st_mode if os.path.lexists(end) else stat.S_IFREG
    except PermissionError:
        raise PathRefused("leads through a folder that the agent's user may not enter: let him, or use another one") from None
    except (OSError, ValueError) as error:
        raise error if isinstance(error, PathRefused) else PathRefused("cannot be followed to its end") from None
    if not any(end != folder and end.is_relative_to(folder) for folder in allowed):
        raise PathRefused("leads out of the folders that this machine may use for it")
    if not stat.S_ISREG(mode):
        raise PathRefused("is no plain file")
    return end


def _follow(path: str, allowed: list[Path]) -> Path:
    here, names, links = Path("/"), _names(path), 0
    while names:
        name = names.pop()
        here = here.parent if name == ".." else here / name
        if any(here.is_relative_to(folder) for folder in _KERNEL_FOLDERS) and not any(here.is_relative_to(folder) for folder in allowed):
            raise PathRefused("leads through files of the kernel")
        target = _link_target(here)
        if target is not None:
            links += 1
            if links > _MOST_LINKS:
                raise PathRefused("has too many links on its way")
            here = Path("/") if target.startswith("/") else here.parent
            names += _names(target)
    return here


def _names(path: str) -> list[str]:
    """Return the names in a path, the last first."""
    return [name for name in reversed(path.split("/")) if name not in {"", "."}]


def _link_target(path: Path) -> str | None:
    try:
        return os.readlink(path)
    except OSError as error:
        if error.errno in {errno.EINVAL, errno.ENOENT, errno.ENOTDIR}:
            return None
        raise
