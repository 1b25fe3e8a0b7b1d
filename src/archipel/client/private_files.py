# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and folders that only their owner can write; the umask may say what it likes."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import Final

from archipel.client.errors import LoginMissing

PRIVATE_FOLDER: Final = 0o700
WRITE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


def make_private_folder(path: Path) -> None:
    """Make a folder for its owner alone, and those above that are missing (XDG Base Directory Specification: mode 0700).

    Raises :class:`LoginMissing` if it is there and others can write it.
    """
    for folder in reversed((path, *path.parents)):
        if not folder.exists():
            folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    refuse_writable_by_others(path)


def refuse_writable_by_others(path: Path) -> None:
    """Raise :class:`LoginMissing`, which says what to do, if others can change a file or folder. One that is not there is fine."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:  # whoever opens it says why it cannot be read
        return
    if mode & WRITE_BY_OTHERS:
        raise LoginMissing(f"others can change {path} (mode {mode:04o}). Look through what is there, then correct it: chmod go-w {path}")


def write_privately(path: Path, text: str) -> None:
    """Write a file, in place of an older one, that at no moment anybody else can read or change."""
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".")  # 0600 from the start; no profile's name begins with a dot
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(draft).replace(path)
    finally:
        Path(draft).unlink(missing_ok=True)
