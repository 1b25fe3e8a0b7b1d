# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a folder are drives, CD images or golden drives; what else is there is neither shown nor touched.

All of this reads folders: it blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from archipel.agent.virt.confined_paths import PathRefused, confine
from archipel.agent.virt.image_header import read_header
from archipel.protocol.domain.devices import Disk
from archipel.protocol.domain.domain import Domain

ENDINGS: Final = {".qcow2": "qcow2", ".qcow": "qcow", ".raw": "raw", ".img": "raw", ".vmdk": "vmdk"}
GOLDEN_ENDINGS: Final = (".qcow2", ".qcow")
_ISO_MARK: Final = (0x8001, b"CD001")  # ECMA-119, 8.1
_NO_DRIVES: Final = ("os/nvram", "os/loader", "os/kernel", "os/initrd", "os/dtb")


@dataclass(frozen=True)
class Definitions:
    """What libvirt has of a machine: ``stored`` for its next start, with secrets, and ``running`` while it runs."""

    stored: Domain | None = None
    running: Domain | None = None

    def both(self) -> Iterator[Domain]:
        """Yield what there is."""
        yield from (domain for domain in (self.stored, self.running) if domain is not None)

    def stored_disks(self, file: Path) -> list[Disk]:
        """Return the disks of the next start that are this file, which is where links end."""
        return _disks_of(self.stored, file)

    def running_disks(self, file: Path) -> list[Disk]:
        """Return the disks that the running machine has of this file."""
        return _disks_of(self.running, file)


def list_drives(folder: Path, definitions: Definitions) -> list[Path]:
    """Return the drives in a machine's folder, in the order of their names."""
    return [file for file in _plain_files(folder) if is_drive(file, definitions)]


def is_drive(file: Path, definitions: Definitions) -> bool:
    """Whether a file of a machine's folder is a drive: called one by its ending or a definition, and nothing else by the latter."""
    if file.name.startswith("."):
        return False
    for domain in definitions.both():
        if any(_same(element.text, file) for place in _NO_DRIVES for element in domain.element.findall(place)):
            return False
        if any(disk.device != "disk" for disk in _disks_of(domain, file)):
            return False
    attached = definitions.stored_disks(file) or definitions.running_disks(file)
    return bool(attached) or file.suffix.lower() in ENDINGS


def find_drive(folder: Path, told: str, definitions: Definitions) -> Path:
    """Return the drive that somebody means by its path or its file name.

    Raises:
        PathRefused: it is not in the folder itself, or no drive.
        FileNotFoundError: there is no such file.
    """
    file = confine(told if told.startswith("/") else str(folder / told), [folder])
    if file.parent != folder.resolve() or ("/" in told and not told.startswith("/")):
        raise PathRefused("is not in the machine's own folder")
    if not is_drive(file, definitions):
        raise PathRefused("is no drive")
    if not file.exists():
        raise FileNotFoundError(f"{file.name!r} is not there")
    return file


def format_of(file: Path, definitions: Definitions) -> str:
    """Return the format a drive is used in: what a definition says, else what its ending says.

    An ``.img`` may be anything: one with the header of a qcow2 is taken as that, so what it names is looked at.
    """
    attached = definitions.running_disks(file) or definitions.stored_disks(file)
    if attached:
        return attached[0].format or "raw"
    if file.suffix.lower() == ".img" and (header := read_header(file)) is not None and header.version >= 2:
        return "qcow2"
    return ENDINGS[file.suffix.lower()]


def list_isos(own: Path, folders: Iterable[Path]) -> list[Path]:
    """Return the CD images of a machine's own folder, then those of the folders for everybody."""
    return [file for folder in (own, *folders) for file in _plain_files(folder) if _is_iso(file)]


def list_goldens(folders: Iterable[Path]) -> list[Path]:
    """Return the golden drives."""
    return [file for folder in folders for file in _plain_files(folder) if file.suffix.lower() in GOLDEN_ENDINGS]


def find_golden(name: str, folders: Iterable[Path]) -> Path:
    """Return the golden drive of that file name.

    Raises:
        PathRefused: it is none that others can stand on.
        FileNotFoundError: there is none.
    """
    for folder in folders:
        file = confine(str(folder / name), [folder])
        if file.parent == folder.resolve() and file.exists():
            if file.suffix.lower() != ".qcow2":
                raise PathRefused("is no qcow2 image: drives stand on nothing else")
            return file
    raise FileNotFoundError(f"there is no golden drive {name!r}: getgolden lists them")


def sources_of(text: str) -> set[Path]:
    """Return the files that a definition names as disks, or as what they stand on."""
    found = (source.get("file") for source in read_sources(text))
    return {Path(path).resolve() for path in found if path and "\0" not in path}


def raw_files_of(text: str) -> set[Path]:
    """Return the files that a definition uses as raw disks: whatever is in them, they stand on nothing."""
    root = ET.fromstring(text)  # noqa: S314 - libvirt's own: there is nothing to expand
    disks = [
        disk for disk in root.iterfind("devices/disk") if (driver := disk.find("driver")) is None or driver.get("type", "raw") == "raw"
    ]
    found = (source.get("file") for disk in disks for source in disk.findall("source"))
    return {Path(path).resolve() for path in found if path and "\0" not in path}


def read_sources(text: str) -> list[ET.Element]:
    """Return what the disks of a definition read from; ``text`` is any domain's of this host, however large, as libvirt wrote it."""
    root = ET.fromstring(text)  # noqa: S314 - libvirt's own: there is nothing to expand
    return [source for disk in root.iterfind("devices/disk") for source in disk.iter("source")]


def read_written(text: str) -> list[ET.Element]:
    """Return what the disks of a definition write to; as :func:`read_sources`, but without CD images and what is read alone."""
    root = ET.fromstring(text)  # noqa: S314 - libvirt's own: there is nothing to expand
    disks = (disk for disk in root.iterfind("devices/disk") if disk.get("device") != "cdrom" and disk.find("readonly") is None)
    return [source for disk in disks for source in disk.findall("source")]


def _plain_files(folder: Path) -> list[Path]:
    """Return the plain files of a folder that are not hidden and lead nowhere else; none if there is no folder. Raises :class:`OSError`."""
    try:
        names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [folder / name for name in names if _is_confined(folder / name, folder)]


def _is_confined(file: Path, folder: Path) -> bool:
    try:
        return confine(str(file), [folder]).parent == folder.resolve()
    except (PathRefused, OSError):
        return False


def _is_iso(file: Path) -> bool:
    if file.suffix.lower() == ".iso":
        return True
    if file.suffix.lower() in ENDINGS:
        return False
    place, mark = _ISO_MARK
    try:
        with file.open("rb") as opened:
            opened.seek(place)
            return opened.read(len(mark)) == mark
    except OSError:
        return False


def _disks_of(domain: Domain | None, file: Path) -> list[Disk]:
    wanted = file.resolve()
    return [disk for disk in domain.disks if _same(disk.path, wanted)] if domain is not None else []


def _same(path: str | None, file: Path) -> bool:
    return bool(path) and "\0" not in (path or "") and Path(path or "").resolve() == file.resolve()
