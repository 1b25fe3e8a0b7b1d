# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages (``.xvm2``): a tar with ``description.xml`` and drives, which may be gzipped, read as what a stranger made, and written.

Of the archive only plain files with plain names are taken, and never more bytes than was agreed: neither its members nor what they
unpack to. All of this blocks: it is for threads.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import re
import shutil
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from archipel.agent.download import RESERVE
from archipel.protocol.domain.domain import MOST_CHARACTERS, Domain, parse
from archipel.protocol.domain.xml_values import DomainXmlError

DESCRIPTION: Final = "description.xml"
MOST_MEMBERS: Final = 100
CHUNK: Final = 1 << 20
_MOST_AT_ONCE: Final = 1 << 22  # bytes; what tarfile reads at once is a header, which a hostile one makes as large as it likes
_NAME: Final = re.compile(r"(?!\.)[^/\\\x00-\x1f\x7f]{1,200}")
_COMPRESSED: Final = ".gz"


class PackageRefused(Exception):
    """A package that is none, or that holds what is not taken; says why."""


@dataclass
class Package:
    """What was unpacked: the definition, the drives by the names they have without ``.gz``, and what the user must know."""

    definition: Domain
    drives: dict[str, Path] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


class _Guarded(io.RawIOBase):
    """A stream of which at most ``most`` bytes are read, and few at once; it goes back only where the archive's reader does."""

    def __init__(self, source: IO[bytes], most: int) -> None:
        self._source, self._most = source, most

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._source.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or not 0 <= offset <= self._most:
            raise PackageRefused(f"it holds more than {self._most} bytes")
        return self._source.seek(offset)

    def read(self, size: int | None = -1) -> bytes:
        if size is None or not 0 <= size <= _MOST_AT_ONCE:
            raise PackageRefused("it has a header of a size that no package has")
        if self._source.tell() + size > self._most + CHUNK:
            raise PackageRefused(f"it holds more than {self._most} bytes")
        return self._source.read(size)

    def readinto(self, buffer: Any) -> int:
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)


def unpack(package: Path, folder: Path, endings: Iterable[str], most: int) -> Package:
    """Unpack into ``folder``, which is empty, and return what counts. Raises :class:`PackageRefused`, OSError.

    A drive is what the definition names as one, what was gzipped, or what has one of the ``endings``.
    """
    names = unpack_files(package, folder, most)
    compressed = {name for name in names if name.lower().endswith(_COMPRESSED)}
    with _reading():
        _unpack_drives(folder, names, compressed, most)
    definition = _read_definition(folder / DESCRIPTION)
    wanted = {_base_name(disk.path) for disk in definition.disks if disk.path}
    known, kept = frozenset(endings), {}
    for name in sorted(names):
        plain = _without_ending(name)
        if plain != DESCRIPTION and (name in compressed or plain in wanted or Path(plain).suffix.lower() in known):
            kept[plain] = folder / plain
    return Package(definition, kept)


def unpack_files(package: Path, folder: Path, most: int) -> list[str]:
    """Unpack the files of an archive into ``folder`` and return their names. Raises :class:`PackageRefused`, OSError."""
    with (
        _reading(),
        package.open("rb") as file,
        tarfile.open(fileobj=_Guarded(_decompress(file), most), mode="r:") as archive,
    ):
        return _unpack_members(archive, folder, most)


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """Let whatever is wrong with an archive be a :class:`PackageRefused`."""
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, UnicodeError, OverflowError) as error:
        raise PackageRefused(f"it cannot be read as a package: {error}"[:200]) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise PackageRefused(f"it cannot be read as a package: {error}"[:200]) from error  # bz2 says it so


def _decompress(file: IO[bytes]) -> IO[bytes]:
    """Return the archive as it was before somebody compressed it; xz is left out, as it takes any amount of memory."""
    beginning = file.read(6)
    file.seek(0)
    if beginning.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value] # it is a stream
    if beginning.startswith(b"BZh"):
        return bz2.BZ2File(file)
    return file


def _unpack_members(archive: tarfile.TarFile, folder: Path, most: int) -> list[str]:
    names: list[str] = []
    left = most
    for member in archive:
        if member.isdir() and member.name in {".", "./"}:
            continue
        name = member.name.removeprefix("./")
        _check_member(member, name, names)
        left -= member.size
        if left < 0:
            raise PackageRefused(f"it holds more than {most} bytes")
        source = archive.extractfile(member)
        if source is None:
            raise PackageRefused(f"{name!r} in it is no plain file")
        with source, (folder / name).open("xb") as target:
            _copy(source, target, member.size)
        names.append(name)
    return names


def _check_member(member: tarfile.TarInfo, name: str, names: list[str]) -> None:
    """Raise for what is no plain file of a plain name, or comes twice."""
    if not member.isreg() or member.issparse():
        raise PackageRefused(f"{name[:100]!r} in it is no plain file")
    if not _NAME.fullmatch(name) or not _without_ending(name):
        raise PackageRefused(f"{name[:100]!r} in it is no plain name of a file")
    if _without_ending(name) in map(_without_ending, names):
        raise PackageRefused(f"{_without_ending(name)!r} is in it twice")
    if len(names) >= MOST_MEMBERS:
        raise PackageRefused(f"it holds more than {MOST_MEMBERS} files")


def _copy(source: IO[bytes], target: IO[bytes], most: int) -> int:
    """Copy all, and return how much that was; raises :class:`PackageRefused` if it is more than ``most`` bytes."""
    copied, folder = 0, Path(target.name).parent
    while piece := source.read(CHUNK):
        copied += len(piece)
        if copied > most:
            raise PackageRefused(f"it holds more than {most} bytes")
        refuse_filling(folder, len(piece))
        target.write(piece)
    return copied


def room_for(folder: Path) -> int:
    """Return how many bytes may be written in a folder, so that some stay free."""
    return shutil.disk_usage(folder).free - RESERVE


def refuse_filling(folder: Path, size: int) -> None:
    """Raise :class:`PackageRefused` if so many bytes more are too many for the disk."""
    if room_for(folder) < size:
        raise PackageRefused(f"there is too little room in {folder} to unpack it: 1 GiB must stay free")


def _unpack_drives(folder: Path, names: list[str], compressed: set[str], most: int) -> None:
    left = most - sum((folder / name).stat().st_size for name in set(names) - compressed)
    for name in sorted(compressed):
        with gzip.open(folder / name, "rb") as source, (folder / _without_ending(name)).open("xb") as target:
            left -= _copy(source, target, left)  # type: ignore[arg-type] # a stream of bytes
        (folder / name).unlink()


def _read_definition(file: Path) -> Domain:
    try:
        if file.stat().st_size > 4 * MOST_CHARACTERS:
            raise PackageRefused(f"its {DESCRIPTION} is too long")
        return parse(re.sub(r"^\s*<\?xml[^>]*\?>", "", file.read_text("utf-8-sig")))
    except FileNotFoundError:
        raise PackageRefused(f"there is no {DESCRIPTION} in it") from None
    except (DomainXmlError, UnicodeDecodeError) as error:
        raise PackageRefused(f"its {DESCRIPTION} cannot be read: {error}") from error


def _without_ending(name: str) -> str:
    return name[: -len(_COMPRESSED)] if name.lower().endswith(_COMPRESSED) else name


def _base_name(path: str) -> str:
    return _without_ending(path.rpartition("/")[2])


def place_drives(package: Package, folder: Path) -> dict[str, str]:
    """Return by its path in the definition where each drive of the package goes in ``folder``.

    A CD drive whose image is not in the package is left empty. Raises :class:`PackageRefused` for any other disk that is not.
    """
    moved = {}
    for disk in package.definition.disks:
        if disk.path and (name := _base_name(disk.path)) in package.drives:
            moved[disk.path] = str(folder / name)
        elif disk.device in {"cdrom", "floppy"}:
            for source in disk.element.findall("source"):
                disk.element.remove(source)
        else:
            raise PackageRefused(f"its disk {disk.target} is {disk.path or 'no file'}, which is not in the package")
    return moved


def pack(target: Path, definition: str, drives: Iterable[Path], *, compress: bool) -> None:
    """Write a package; the drives are consumed. Raises :class:`OSError`."""
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:
        content = definition.encode()
        archive.addfile(_member(DESCRIPTION, len(content)), io.BytesIO(content))
        for drive in drives:
            added = _compress(drive) if compress else drive
            with added.open("rb") as source:
                archive.addfile(_member(added.name, added.stat().st_size), source)
            added.unlink()


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member


def _compress(drive: Path) -> Path:
    made = drive.with_name(drive.name + _COMPRESSED)
    with drive.open("rb") as source, gzip.open(made, "wb", compresslevel=6) as target:
        while piece := source.read(CHUNK):
            target.write(piece)
    drive.unlink()
    return made
