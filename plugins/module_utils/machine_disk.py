# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A drive of a machine, as module ``vm_disk`` declares it: made, attached, changed, deleted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.entries import EntryList, refuse_doubles
from ansible_collections.archipel.platform.plugins.module_utils.machine_drives import MachineDrives, disk_of, file_of
from ansible_collections.archipel.platform.plugins.module_utils.progress import Say, say_nothing, telling
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Change, Resource, Values

try:
    from archipel.protocol import drives as protocol
    from archipel.protocol.domain.options import mebibytes
    from archipel.protocol.drives import MEBIBYTE, file_name_of

    FORMATS = protocol.FORMATS
except ImportError:
    FORMATS = ("qcow2", "raw", "qcow", "vmdk")  # library.require_library tells the user

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.machine.snapshot import Snapshot

    from archipel.protocol.domain.devices import Disk
    from archipel.protocol.drives import Drive

PRESENT, ABSENT = "present", "absent"

DISK: Mapping[str, Mapping[str, Any]] = {
    "name": {"type": "str"},
    "state": {"type": "str", "choices": [PRESENT, ABSENT]},
    "size": {"type": "str"},
    "shrink": {"type": "bool"},
    "format": {"type": "str", "choices": list(FORMATS)},
    "preallocate": {"type": "bool"},
    "golden": {"type": "str"},
    "renamed_from": {"type": "str"},
    "attached": {"type": "bool"},
    "bus": {"type": "str", "choices": ["virtio", "sata", "scsi", "ide", "usb"]},
    "target": {"type": "str"},
}

DISKS = EntryList(DISK, "disks")


def read_disks(arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the arguments of each declared drive; raises what :func:`refuse_contradictions` does."""
    entries = DISKS.merge(arguments)
    refuse_contradictions(entries, DISKS.many)
    return entries


def refuse_contradictions(entries: Sequence[Mapping[str, Any]], option: str) -> None:
    """Raise :class:`ValueError` if one of the entries of an option contradicts itself, or two are of the same drive."""
    for entry in entries:
        _refuse_contradictions(entry)
    refuse_doubles(option, (file_name_of(entry["name"]) for entry in entries))


def _refuse_contradictions(entry: Mapping[str, Any]) -> None:
    name = entry["name"]
    if not name:
        raise ValueError("name: say which drive")
    if PurePosixPath(name).suffix.lstrip(".") in FORMATS:
        stem = PurePosixPath(name).stem
        raise ValueError(f"{name}: name: leave its ending out, which is the format: name {stem}, format {PurePosixPath(name).suffix[1:]}")
    if entry["size"] is not None:
        read_size(entry["size"], name)
    if entry["golden"] is not None and entry["format"] not in {None, "qcow2"}:
        raise ValueError(f"{name}: golden: what stands on a golden drive is a qcow2; leave format out")
    if entry["attached"] is False and (entry["bus"] or entry["target"]):
        raise ValueError(f"{name}: {'bus' if entry['bus'] else 'target'}: goes with attached: true")


def read_size(text: str, name: str) -> int:
    """Return MiB; raises :class:`ValueError`."""
    try:
        return int(mebibytes(text))
    except ValueError:
        raise ValueError(f"{name}: size: {text!r} is no size in whole MiB: write 500 MiB, 10 GiB or 1 TiB") from None


class DeclaredDisk(Resource):
    """One drive of one machine; the values are the declared options, sizes with their unit."""

    def __init__(self, drives: MachineDrives, arguments: Mapping[str, Any], *, tell: Say = say_nothing) -> None:
        self.drives = drives
        self.arguments = arguments
        self.name = file_name_of(arguments["name"])
        self.title = f"{drives.title}: {self.name}"
        self.present = arguments["state"] != ABSENT
        self.attached = True if arguments["attached"] is None else arguments["attached"]
        self.waiting: tuple[str, ...] = ()
        self._size = None if arguments["size"] is None else read_size(arguments["size"], self.title)
        self._tell = tell
        self._drive: Drive | None = None
        self._snapshot: Snapshot | None = None

    # -- what is --------------------------------------------------------------------------------------------------------

    async def read(self) -> Values:
        """Return the drive's declared options as they are."""
        self._snapshot, found = await self.drives.look()
        self._drive = self._choose(found)
        drive = self._drive
        if drive is None:
            return {"state": ABSENT}
        if not self.present:
            return {"state": PRESENT}
        values: dict[str, Any] = {"state": PRESENT, **dict(self._read_image(drive))}
        disk = disk_of(self._snapshot.stored, drive.path)
        values["attached"] = disk is not None
        values |= {name: getattr(disk, name, None) for name in ("bus", "target") if self.arguments[name] is not None}
        return values

    def _choose(self, found: Sequence[Drive]) -> Drive | None:
        """Return the drive of the declared name, else the one that shall be called so."""
        for stem in (self.name, *([file_name_of(self.arguments["renamed_from"])] if self.arguments["renamed_from"] else [])):
            same = [drive for drive in found if PurePosixPath(drive.path).stem == stem]
            same = [drive for drive in same if drive.format == self.arguments["format"]] or same if len(same) > 1 else same
            if len(same) > 1:
                raise ValueError(f"{self.title}: there are {', '.join(map(file_of, same))}: say which by its format")
            if same:
                return same[0]
        return None

    def _read_image(self, drive: Drive) -> Iterator[tuple[str, Any]]:
        if self.arguments["renamed_from"] is not None:
            yield "name", PurePosixPath(drive.path).stem
        if self._size is not None:
            if drive.virtual_size is None:
                raise ValueError(f"{self.title}: its size cannot be read: {drive.problem}")
            yield "size", _show_size(drive.virtual_size)
        if self.arguments["format"] is not None:
            yield "format", drive.format
        if self.arguments["golden"] is not None:
            yield "golden", PurePosixPath(drive.backing_file).name if drive.backing_file else None

    # -- what shall be --------------------------------------------------------------------------------------------------

    def desired(self, current: Values) -> Values:
        """Return the declared options; raises :class:`ValueError` for what cannot be reached."""
        if not self.present:
            return {"state": ABSENT}
        wanted: dict[str, Any] = {"state": PRESENT}
        if self.arguments["renamed_from"] is not None:
            wanted["name"] = self.name
        if self._size is not None:
            wanted["size"] = _show_size(self._size * MEBIBYTE)
        wanted |= {name: self.arguments[name] for name in ("format", "golden") if self.arguments[name] is not None}
        wanted["attached"] = self.attached
        wanted |= {name: self.arguments[name] for name in ("bus", "target") if self.arguments[name] is not None}
        self._refuse_unreachable(current, wanted)
        return wanted

    def _refuse_unreachable(self, current: Values, wanted: Values) -> None:
        if self._snapshot is not None and self._snapshot.stored is None and self.attached:
            raise ValueError(
                f"{self.title}: the machine has no definition yet: declare it with archipel.platform.vm, or set attached: false"
            )
        drive = self._drive
        if drive is None:
            self._size_of_new()
            return
        if current.get("golden") != wanted.get("golden"):
            base = current["golden"] or "no golden drive"
            raise ValueError(
                f"{self.title}: golden: it stands on {base}; no drive changes that: delete it (state: absent), then make it anew"
            )
        shrinks = self._size is not None and (drive.virtual_size or 0) > self._size * MEBIBYTE
        if shrinks and not self.arguments["shrink"]:
            raise ValueError(
                f"{self.title}: size: it has {current['size']}; shrink: true makes it smaller, and cuts off what is at its end"
            )
        off_only = [name for name in ("name", "format") if name in wanted and current[name] != wanted[name]] + (["size"] if shrinks else [])
        if off_only and self._is_running(drive):
            raise ValueError(f"{self.title}: {off_only[0]}: it can only change while {self.drives.title} is off: stop it first")

    def _size_of_new(self) -> int:
        """Return how large a drive is made, in MiB; raises :class:`ValueError` if nothing says so."""
        if self._size is None:
            raise ValueError(f"{self.title}: size: there is no such drive; say how large the new one shall be")
        return self._size

    def _is_running(self, drive: Drive) -> bool:
        return self._snapshot is not None and disk_of(self._snapshot.running, drive.path) is not None

    # -- from one to the other ------------------------------------------------------------------------------------------

    async def apply(self, current: Values, desired: Values) -> None:
        """Make, rename, convert, resize, attach, detach or delete the drive; one drive of a machine at a time."""
        async with self.drives.lock:
            try:
                await (self._change(current, desired) if self.present else self._delete())
            finally:
                self.drives.forget()

    async def _change(self, current: Values, desired: Values) -> None:
        drives, drive = self.drives.machine.drives, self._drive
        if drive is None:
            await self._make()
        else:
            file = file_of(drive)
            if "name" in desired and current["name"] != desired["name"]:
                file = await drives.rename(file, self.name)
            if "format" in desired and current["format"] != desired["format"]:
                async with telling(self._tell, f"{self.title}: converting it to {desired['format']}"):
                    file = await drives.convert(file, desired["format"])
            if self._size is not None and current["size"] != desired["size"]:
                await drives.resize(file, self._size, shrink=bool(self.arguments["shrink"]))
        self.drives.forget()
        _snapshot, found = await self.drives.look()
        made = self._choose(found)
        if made is None:
            raise ValueError(f"{self.title}: it is not there, although the agent made it: look at the machine's folder")
        if self.attached:
            self.waiting = tuple(await self.drives.attach(made, self.arguments["bus"], self.arguments["target"]))
        elif current.get("attached"):
            self.waiting = tuple(await self.drives.detach(made))

    async def _make(self) -> None:
        wanted = self.arguments
        async with telling(self._tell, f"{self.title}: making it"):
            await self.drives.machine.drives.create(
                wanted["name"],
                self._size_of_new(),
                format=wanted["format"] or "qcow2",
                golden=wanted["golden"],
                preallocate=bool(wanted["preallocate"]),
            )

    async def _delete(self) -> None:
        drive = self._drive
        if drive is None:
            return
        waiting = await self.drives.detach(drive) if self._is_attached(drive) else []
        if waiting:
            raise ValueError(f"{self.title}: {waiting[0]}: stop {self.drives.title}, then run this again; its definition names it no more")
        async with telling(self._tell, f"{self.title}: waiting for the guest to let go of it"):
            await self.drives.wait_until_unplugged(drive)
        await self.drives.machine.drives.delete(file_of(drive))

    def _is_attached(self, drive: Drive) -> bool:
        return self._snapshot is not None and (self._is_running(drive) or disk_of(self._snapshot.stored, drive.path) is not None)

    # -- what is told ---------------------------------------------------------------------------------------------------

    def report(self, change: Change) -> dict[str, Any]:
        """Return the drive as it was read last, and whether its machine waits for a restart."""
        drive, snapshot, disk = self._drive, self._snapshot, self._disk
        told: dict[str, Any] = {"machine": self.drives.title, "name": self.name, "state": change.after["state"]}
        told |= dict.fromkeys(("path", "format", "size", "disk_size", "golden", "bus", "target"))
        if drive is not None and snapshot is not None:
            told |= {"path": drive.path, "format": drive.format, "size": drive.virtual_size, "disk_size": drive.disk_size}
            told["golden"] = PurePosixPath(drive.backing_file).name if drive.backing_file else None
            told |= {"bus": getattr(disk, "bus", None), "target": getattr(disk, "target", None)}
        return {**told, "attached": disk is not None, "needs_restart": self.needs_restart}

    @property
    def _disk(self) -> Disk | None:
        """The drive in the stored definition."""
        return None if self._drive is None or self._snapshot is None else disk_of(self._snapshot.stored, self._drive.path)

    @property
    def needs_restart(self) -> bool:
        """Whether the running machine differs from the definition in this disk."""
        snapshot, drive, disk = self._snapshot, self._drive, self._disk
        if snapshot is None or drive is None or not snapshot.active:
            return False
        running = disk_of(snapshot.running, drive.path)
        return (disk is None) != (running is None) or bool(disk and running and (disk.bus, disk.target) != (running.bus, running.target))


def _show_size(size: int) -> str:
    return f"{size // MEBIBYTE} MiB" if size % MEBIBYTE == 0 else f"{size} bytes"
