# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are not what they will be, and notes of what is being replaced: a crash at any moment leaves either old or new.

Their names begin with a dot, the host and this run of the agent, so that a later run knows what was left behind, also where
several hosts share a folder. All of this touches the disk: it blocks.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

IMAGE_MODE: Final = 0o660

_RUN: Final = secrets.token_hex(6)
_PART, _NOTE = ".part", ".note"


@dataclass(frozen=True)
class Replacement:
    """A file that takes the place of another one in the same folder."""

    old: Path
    new: Path


@contextlib.contextmanager
def unfinished_file(folder: Path, host: str, mode: int = IMAGE_MODE) -> Iterator[Path]:
    """Yield an empty file; it is removed unless it was renamed by then. Raises :class:`OSError`.

    Its group may read and write it as far as the umask says, unless ``mode`` says otherwise: an image is for QEMU, which is another
    user of the folder's group.
    """
    path = _hidden(folder, host, _PART)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, mode))
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def sweep(folder: Path, host: str) -> list[Path]:
    """Remove what an earlier run of this host's agent left unfinished, and return it."""
    left = [path for path in folder.glob(f".archipel+{_plain(host)}+*{_PART}") if _RUN not in path.name]
    for path in left:
        path.unlink(missing_ok=True)
    return left


def write_note(replacement: Replacement, host: str) -> Path:
    """Write down, for good, what is about to be replaced, and return where."""
    folder = replacement.old.parent
    note = _hidden(folder, host, _NOTE)
    note.write_text(json.dumps({"old": replacement.old.name, "new": replacement.new.name}))
    make_durable(note)
    return note


def read_notes(folder: Path, host: str) -> Iterator[tuple[Path, Replacement | None]]:
    """Yield the notes in a folder; a torn one was written before anything happened, and says nothing."""
    for note in sorted(folder.glob(f".archipel+{_plain(host)}+*{_NOTE}")):
        try:
            told = json.loads(note.read_text())
            yield note, Replacement(folder / Path(told["old"]).name, folder / Path(told["new"]).name)
        except (ValueError, KeyError, TypeError):
            yield note, None


def make_durable(path: Path) -> None:
    """Return when a file, and that it is called so, are on the disk."""
    for place in (path, path.parent):
        _sync(place)


def make_names_durable(folder: Path) -> None:
    """Return when it is on the disk which files a folder has, and how they are called."""
    _sync(folder)


def _sync(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def put_in_place(made: Path, path: Path) -> None:
    """Give a finished file the name it is for, which nobody else gives meanwhile."""
    make_durable(made)
    made.rename(path)
    make_durable(path)


def _plain(host: str) -> str:
    """Return a host's name as it stands in the names of files: nothing of it means anything there, nor to glob."""
    return "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in host)[:80]


def _hidden(folder: Path, host: str, ending: str) -> Path:
    return folder / f".archipel+{_plain(host)}+{_RUN}+{secrets.token_hex(6)}{ending}"
