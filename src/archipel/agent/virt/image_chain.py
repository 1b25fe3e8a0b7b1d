# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image file names by itself: a qcow2 header may call any file of the host its backing file or its data.

Images are looked at one by one, each in the format it will be used in, and only after its path was found to be allowed:
``qemu-img info --backing-chain`` would open whatever a hostile header names, over the network too.
"""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from archipel.agent.virt.confined_paths import PathRefused, confine

FORMATS: Final = ("raw", "qcow2")
"""Formats that a restricted machine may use: others name further files in ways that nothing here reads."""
MOST_IMAGES: Final = 50
"""Longest chain that is followed."""

_SECONDS: Final = 10
_MEMORY: Final = 1 << 30  # bytes of address space; a header can ask for tables of any size
# QEMU, docs/interop/qcow2.txt: magic, version, and in version 3 the incompatible features at byte 72; bit 2: data in another file
_MAGIC: Final = b"QFI\xfb"
_EXTERNAL_DATA: Final = 1 << 2
# A name with a colon before any slash is a protocol to QEMU (path_has_protocol): json:, nbd:, http:, fat: ...
_PROTOCOL: Final = re.compile(r"[^/]*:")


class ImageUnreadable(ValueError):
    """An image that is not what it is said to be, or that could not be read in time."""


@dataclass(frozen=True)
class ImageFacts:
    """What the header of an image says: its format and the other files it names, as they stand there."""

    format: str
    backing: str | None = None
    backing_format: str | None = None
    data_file: str | None = None


ReadImage = Callable[[Path, str], ImageFacts]
"""Reads the header of an image (blocking) as one of the given format; raises ImageUnreadable or OSError."""


def read_image(path: Path, format: str) -> ImageFacts:  # noqa: A002 - QEMU's word
    """Return what ``qemu-img`` tells of the image, which it opens as ``format`` and without what it names.

    Raises:
        ImageUnreadable: no image of this format, or no answer in time.
    """
    if _has_external_data(path):
        return ImageFacts("qcow2", data_file="")
    limits = ("prlimit", f"--as={_MEMORY}", f"--cpu={_SECONDS}")
    command = (*limits, "qemu-img", "info", "--output=json", "-U", "-f", format, "--", os.fspath(path))
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=True)
        told: dict[str, Any] = json.loads(done.stdout)
    except (subprocess.SubprocessError, ValueError):
        raise ImageUnreadable(f"cannot be read as {format}") from None
    details = told.get("format-specific", {}).get("data", {})
    return ImageFacts(told["format"], told.get("backing-filename"), told.get("backing-filename-format"), details.get("data-file"))


def _has_external_data(path: Path) -> bool:
    """Whether a qcow2 image keeps its data elsewhere; asked before ``qemu-img``, which opens that file to tell about it."""
    with path.open("rb") as image:
        header = image.read(80)
    if len(header) < 80 or not header.startswith(_MAGIC):
        return False
    version, features = struct.unpack(">4xI64xQ", header)
    return bool(version >= 3 and features & _EXTERNAL_DATA)


def follow_chain(path: str, image_format: str, folders: Sequence[Path], read: ReadImage) -> list[Path]:
    """Check every file that an image stands on, and return where they are; the image itself is at an allowed path already.

    Raises:
        PathRefused: the chain leaves ``folders``, or cannot be followed.
    """
    if image_format not in FORMATS:
        raise PathRefused(f"has another format than {' or '.join(FORMATS)}")
    below: list[Path] = []
    followed: set[str] = set()
    while path not in followed and len(followed) < MOST_IMAGES:
        followed.add(path)
        if image_format == "raw" or not _is_there(path):
            return below
        facts = _facts(path, image_format, read)
        if facts.backing is None:
            return below
        if _PROTOCOL.match(facts.backing):
            raise PathRefused("has a backing file that is no plain file")
        if facts.backing_format not in FORMATS:
            raise PathRefused(f"does not say that its backing file is {' or '.join(FORMATS)}; rebase it with qemu-img rebase -F")
        # QEMU takes a relative name from where the overlay's own name leads (path_combine)
        path, image_format = os.path.join(os.path.dirname(path), facts.backing), facts.backing_format
        try:
            below.append(confine(path, folders))
        except PathRefused as error:
            raise PathRefused(f"has a backing file that {error}") from None
    raise PathRefused(f"stands on more than {MOST_IMAGES} other images, or on itself")


def _is_there(path: str) -> bool:
    """Whether there is a file; what cannot be looked at is refused, as it may be there."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _not_looked_at(path, error) from None
    return True


def _not_looked_at(path: str, error: OSError) -> PathRefused:
    text = f"cannot be looked at ({path!r}: {error.strerror}); let the agent's user read the file and enter the folders above it"
    return PathRefused(text)


def _facts(path: str, image_format: str, read: ReadImage) -> ImageFacts:
    try:
        facts = read(Path(path), image_format)
    except ImageUnreadable:
        raise PathRefused(f"cannot be read as an image of format {image_format}") from None
    except OSError as error:
        raise _not_looked_at(path, error) from None
    if facts.format != image_format:
        raise PathRefused(f"is no image of format {image_format}")
    if facts.data_file is not None:
        raise PathRefused("keeps its data in another file; convert it with qemu-img convert")
    return facts
