# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which other files an image names in its header, and which images of a host stand on a file.

The header is read here and not by ``qemu-img``: it is looked at in every image of the host, and a hostile one must not make
anybody open what it names. Layouts: QEMU's docs/interop/qcow2.txt (qcow, its forerunner, begins in the same way).
"""

from __future__ import annotations

import errno
import json
import os
import stat
import struct
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from archipel.agent.virt.image_chain import MOST_IMAGES

_MAGIC: Final = b"QFI\xfb"
_BEGINNING: Final = struct.Struct(">4sIQI")  # magic, version, where the backing file's name is, its length
_FEATURES_AT, _LENGTH_AT, _SHORT_HEADER = 72, 100, 72  # of version 3; version 2 ends after 72 bytes
_EXTERNAL_DATA: Final = 1 << 2
_DATA_FILE: Final = 0x44415441
_LONGEST_NAME: Final = 1023
_NOBODY_OPENS: Final = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO}
_MOST_BYTES: Final = 1 << 16  # of a header with its extensions; they must lie in the first cluster


@dataclass(frozen=True)
class ImageHeader:
    """What the first bytes of a qcow or qcow2 image say; names as they stand there."""

    version: int
    backing: str | None = None
    data_file: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """All other files that it names."""
        return tuple(name for name in (self.backing, self.data_file) if name)


def read_header(path: Path) -> ImageHeader | None:
    """Return the header of a plain file; ``None`` if there is none that QEMU would take. Raises :class:`OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO would not let go
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        beginning = os.pread(descriptor, _MOST_BYTES, 0)
        if len(beginning) < _SHORT_HEADER or not beginning.startswith(_MAGIC):
            return None
        _magic, version, place, length = _BEGINNING.unpack_from(beginning)
        backing = os.pread(descriptor, length, place) if 0 < length <= _LONGEST_NAME and 0 < place < 1 << 62 else b""
    finally:
        os.close(descriptor)
    return ImageHeader(version, os.fsdecode(backing) or None, _find_data_file(beginning) if version >= 3 else None)


def _find_data_file(beginning: bytes) -> str | None:
    """Return the name of the file that holds the data, an empty one if it is not told; ``None`` if the image holds them itself."""
    if len(beginning) < _LENGTH_AT + 4 or not struct.unpack_from(">Q", beginning, _FEATURES_AT)[0] & _EXTERNAL_DATA:
        return None
    (here,) = struct.unpack_from(">I", beginning, _LENGTH_AT)
    while 0 < here <= len(beginning) - 8:
        kind, length = struct.unpack_from(">II", beginning, here)
        if kind == 0:
            break
        if kind == _DATA_FILE:
            return os.fsdecode(beginning[here + 8 : here + 8 + length])
        here += 8 + (length + 7) // 8 * 8
    return ""


def find_standing(file: Path, images: Iterable[Path]) -> list[Path]:
    """Return those of the ``images`` that stand on ``file``, directly or through others. Reads files: it blocks."""
    wanted = _identify(file)
    return [] if wanted is None else [image for image in images if _identify(image) != wanted and _leads_to(image, wanted)]


def find_unreadable(images: Iterable[Path], known: Collection[Path] = ()) -> list[Path]:
    """Return what of the ``images``, and of what these stand on, cannot be read: what that stands on is not known. It blocks.

    Of those that are ``known`` it is, or does not matter; they are named by where links end.
    """
    return [place for image in images for place in _walk(image) if place.resolve() not in known and not _is_readable(place)]


def _is_readable(image: Path) -> bool:
    """Whether its header can be read, or nobody could: QEMU would not stand on what is not there."""
    try:
        read_header(image)
    except OSError as error:
        return error.errno in _NOBODY_OPENS
    except ValueError:
        return True
    return True


def list_files(folders: Iterable[Path]) -> Iterator[Path]:
    """Yield every plain file below ``folders``; what cannot be read is left out."""
    for folder in folders:
        for place, _folders, names in os.walk(folder):
            yield from (path for name in names if (path := Path(place) / name).is_file() and not path.is_symlink())


def _leads_to(image: Path, wanted: tuple[int, int]) -> bool:
    return any(_identify(place) == wanted for place in _walk(image) if place is not image)


def _walk(image: Path) -> Iterator[Path]:
    """Yield the image, and what it stands on, as far as that can be read."""
    yield image
    followed, left = {image}, [image]
    for _ in range(MOST_IMAGES):
        if not left:
            return
        for place in _places_below(left.pop()):
            if place not in followed:
                followed.add(place)
                left.append(place)
                yield place


def _places_below(image: Path) -> Iterator[Path]:
    try:
        header = read_header(image)
    except (OSError, ValueError):
        return
    for name in header.names if header else ():
        for told in _file_names(name):
            # QEMU takes a relative name from where the image's own name leads, which may be a link.
            yield from {Path(os.path.join(folder, told)) for folder in (image.parent, image.resolve().parent)}


def _file_names(name: str) -> Iterator[str]:
    """Yield the files that a name in a header means: plain, as ``file:``, or inside of ``json:``."""
    if name.startswith("json:"):
        try:
            yield from _strings_in(json.loads(name.removeprefix("json:")))
        except (ValueError, RecursionError):
            return
    elif "\0" not in name:
        yield name.removeprefix("file:")


def _strings_in(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        for value in document.values():
            yield from _strings_in(value)
    elif isinstance(document, list):
        for value in document:
            yield from _strings_in(value)
    elif isinstance(document, str) and "\0" not in document:
        yield from _file_names(document)


def _identify(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
