# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of entities for their vCards: what was chosen for each, else the administrator's, else a packaged one.

All of this blocks for a moment.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Final

from archipel.agent.settings import Settings, VCard
from archipel.agent.virt.confined_paths import PathRefused, confine
from archipel.protocol.vcard import media_type

LARGEST: Final = 64 * 1024  # bytes; XEP-0153 recommends 8 KiB, and every client reads every picture
SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".gif"})
PACKAGED: Final = ("defaulthypervisor.png", "defaultvm.png")


def show_avatar(settings: Settings, bare: str, default: str, packaged: str) -> bytes:
    """Return the picture of the entity ``bare``: the one that was chosen, else ``default``, else the packaged one."""
    chosen = read_choice(settings, bare)
    picture = find_picture(settings.vcard, chosen) if chosen else None
    return picture or find_picture(settings.vcard, default) or _read_packaged(packaged)


def list_pictures(settings: VCard) -> Iterator[tuple[str, bytes]]:
    """Yield the names of all pictures that can be chosen, sorted, each with the picture; others in the folder do not count."""
    try:
        own = [entry.name for entry in os.scandir(settings.avatar_folder)]
    except OSError:
        own = []
    for name in sorted({*own, *PACKAGED}):
        picture = find_picture(settings, name)
        if picture is not None:
            yield name, picture


def find_picture(settings: VCard, name: str) -> bytes | None:
    """Return the picture of this name in the configured folder, or the packaged one of this name.

    ``None`` if there is none, if it is too large, leads out of the folder, or is no PNG, JPEG or GIF.
    """
    if os.path.splitext(name)[1].lower() not in SUFFIXES or os.path.basename(name) != name:
        return None
    try:
        picture = _read(confine(str(settings.avatar_folder / name), [settings.avatar_folder]))
    except FileNotFoundError:
        return _read_packaged(name) if name in PACKAGED else None
    except (PathRefused, OSError):
        return None
    return picture if len(picture) <= LARGEST and media_type(picture) is not None else None


def _read(file: Path) -> bytes:
    with file.open("rb") as picture:
        return picture.read(LARGEST + 1)


def _read_packaged(name: str) -> bytes:
    return (resources.files("archipel.agent") / "avatars" / name).read_bytes()


# -- what was chosen -----------------------------------------------------------------------------------------------------


def read_choice(settings: Settings, bare: str) -> str | None:
    """Return the name of the picture that was chosen for an entity; ``None`` if none was, or it cannot be read."""
    try:
        return _choice_file(settings, bare).read_text().strip() or None
    except (OSError, ValueError):
        return None


def keep_choice(settings: Settings, bare: str, name: str | None) -> None:
    """Store the name of the picture that was chosen for an entity, ``None``: none. Whole or not at all; raises ``OSError``."""
    file = _choice_file(settings, bare)
    if name is None:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.ExitStack() as undo:
        with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=".new-", delete=False) as new:
            undo.callback(Path(new.name).unlink, missing_ok=True)
            new.write(f"{name}\n")
            new.flush()
            os.fsync(new.fileno())
        os.replace(new.name, file)


def _choice_file(settings: Settings, bare: str) -> Path:
    """Return the file, named by the account: a JID has no slash."""
    return settings.state.database.parent / "chosen-avatars" / bare
