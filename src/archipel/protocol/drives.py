# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands and answers about the drives of a machine: the image files in its folder (namespace ``archipel:vm:disk``)."""

from __future__ import annotations

import enum
import re
from typing import Final

from archipel.protocol import namespaces as ns
from archipel.protocol.changes import Change, about
from archipel.protocol.payload import Check, Payload, Request, at_least, attribute, payload

TOPIC: Final = "disk"


@about(TOPIC)
class DriveChange(Change):
    """What happens to a machine's drives."""

    CREATED = "created", "a [drive](storage.md) was made"
    DELETED = "deleted", "a drive was deleted"
    CONVERTED = "converted", "a drive has another format"
    RENAMED = "renamed", "a drive has another name"
    RESIZED = "resized", "a drive became larger"
    GOLDEN_DELETED = "goldendeleted", "a golden image of the host was deleted"
    GOLDENED = "goldened", "a golden drive was made of a drive"


"""What pushes about drives are about: created, deleted, converted, renamed, goldened, resized, goldendeleted."""
FORMATS: Final = ("qcow2", "raw", "qcow", "vmdk")
"""Formats that drives are made in; ``cow``, which the founders had as well, is gone from QEMU."""
LONGEST_NAME: Final = 150  # bytes of a file name without its ending, of the 255 that Linux allows
MEBIBYTE: Final = 1 << 20
LIMITS: Final = {"M": 10**9, "G": 10**4}
"""Below how many of a unit a drive has to stay."""

_REPLACED: Final = re.compile(r" |/|\.\.")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class DriveCode(enum.IntEnum):
    """Codes of failed commands; all but the last are the founders'."""

    CREATE = -3001
    DELETE = -3002
    GET = -3003
    GET_ISO = -3004
    CONVERT = -3005
    RENAME = -3006
    GET_GOLDEN = -3007
    SET_GOLDEN = -3008
    RESIZE = -3009


def file_name_of(name: str) -> str:
    """Return the file name, without its ending, of a drive that somebody calls ``name``: blanks, ``/`` and ``..`` become ``_``."""
    return _REPLACED.sub("_", name.strip())


def size_in_bytes(size: int, unit: str) -> int:
    """Return how many bytes a size of a request is."""
    return size * MEBIBYTE * (1024 if unit == "G" else 1)


def _one_of(*words: str) -> Check:
    return lambda value: None if value in words else f"must be {' or '.join(words)}, not {value[:40]!r}"


def _nameable(value: str) -> str | None:
    name = file_name_of(value)
    if not name or name.startswith(".") or _CONTROL.search(value):
        return "must be a name that does not begin with a dot, without control characters"
    return None if len(name.encode()) <= LONGEST_NAME else f"must have {LONGEST_NAME} bytes at most"


def plain_file(value: str) -> str | None:
    """Check that a text names a file that is not hidden, without its folder."""
    if not value or value.startswith(".") or "/" in value or _CONTROL.search(value):
        return "must be the name of a file, without its folder"
    return None if len(value.encode()) <= LONGEST_NAME else f"must have {LONGEST_NAME} bytes at most"


def _golden_name(value: str) -> str | None:
    return plain_file(value) or (None if value.endswith(".qcow2") else "must end in .qcow2: that is what golden drives are")


def _given(value: str) -> str | None:
    return None if value and not _CONTROL.search(value) else "must be the path or the name of a drive in the machine's folder"


# -- answers ------------------------------------------------------------------------------------------------------------


@payload
class Drive(Payload, tag="disk"):
    """A drive; sizes in bytes.

    New here: ``problem`` says why the size that the guest sees is not told, ``modified`` when the file was written last, in seconds
    since 1970.
    """

    name: str = attribute()
    path: str = attribute()
    format: str = attribute()
    virtual_size: int | None = attribute(name="virtualSize", default=None)
    disk_size: int = attribute(name="diskSize")
    backing_file: str | None = attribute(name="backingFile", default=None)
    problem: str | None = attribute(default=None)
    modified: float | None = attribute(default=None)


@payload
class IsoImage(Payload, tag="iso"):
    """An image of a CD."""

    name: str = attribute()
    path: str = attribute()


@payload
class GoldenDrive(Payload, tag="golden"):
    """A drive that others may stand on."""

    name: str = attribute()
    path: str = attribute()


# -- commands -----------------------------------------------------------------------------------------------------------


@payload
class CreateDrive(Request[None], namespace=ns.VM_DISK, action="create"):
    """Make an empty drive, or one that stands on a golden one."""

    name: str = attribute(_nameable)
    size: int = attribute(at_least(1))
    unit: str = attribute(_one_of(*LIMITS))
    format: str = attribute(_one_of(*FORMATS))
    preallocation: str = attribute(_one_of("metadata", "off", ""), default="")
    golden: str | None = attribute(plain_file, default=None)


@payload
class DeleteDrive(Request[None], namespace=ns.VM_DISK, action="delete"):
    """Delete a drive; ``undefine`` takes it out of the machine's definition first."""

    name: str = attribute(_given)
    undefine: bool = attribute(default=False, words=("no", "yes"))


@payload
class GetDrives(Request[tuple[Drive, ...]], namespace=ns.VM_DISK, action="get", reads=True):
    """The drives in the machine's folder."""


@payload
class GetIsoImages(Request[tuple[IsoImage, ...]], namespace=ns.VM_DISK, action="getiso", reads=True):
    """Images for the machine's CD drives."""


@payload
class ConvertDrive(Request[None], namespace=ns.VM_DISK, action="convert"):
    """Change the format of a drive; the definition follows."""

    path: str = attribute(_given)
    format: str = attribute(_one_of(*FORMATS))


@payload
class RenameDrive(Request[None], namespace=ns.VM_DISK, action="rename"):
    """Give a drive another name, its ending stays; the definition follows."""

    path: str = attribute(_given)
    newname: str = attribute(_nameable)


@payload
class GetGoldenDrives(Request[tuple[GoldenDrive, ...]], namespace=ns.VM_DISK, action="getgolden", reads=True):
    """Drives that a new one may stand on."""


@payload
class SetGoldenDrive(Request[None], namespace=ns.VM_DISK, action="setgolden"):
    """Make a golden drive of a copy of this one.

    ``replace`` (new here) puts it in the place of the golden drive of that name, if nothing stands on it.
    """

    path: str = attribute(_given)
    name: str = attribute(_golden_name)
    replace: bool = attribute(default=False)


@payload
class ResizeDrive(Request[None], namespace=ns.VM_DISK, action="resize"):
    """New here: make a drive larger, while the machine runs too; ``shrink`` lets it become smaller, which cuts off its end."""

    path: str = attribute(_given)
    size: int = attribute(at_least(1))
    unit: str = attribute(_one_of(*LIMITS))
    shrink: bool = attribute(default=False)
