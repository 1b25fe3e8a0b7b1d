# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Disks that lie in the folder of their machine, told as the drives that they are: whoever declares them elsewhere gets such."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from ansible_collections.archipel.platform.plugins.module_utils.machine.arguments import MACHINE, MachineWish
from ansible_collections.archipel.platform.plugins.module_utils.machine.specification import read_specification

try:
    from archipel.client import VirtualMachine
    from archipel.client.failures import EXPECTED, describe
    from archipel.protocol.drives import FORMATS, MEBIBYTE
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from archipel.client import Hypervisor, MachineEntry
    from archipel.protocol.drives import Drive

    Machine = dict[str, Any]

AT_ONCE = 24
"""Machines that are asked for their drives at the same time."""
_SAID = frozenset({"path", "bus", "target", "format"})
_DISKS, _CDROM = "disks", "cdrom"


class Goldens:
    """The golden images of a host, by path; asked for once, if any drive stands on something."""

    def __init__(self, hypervisor: Hypervisor) -> None:
        self._hypervisor = hypervisor
        self._asked: asyncio.Task[Mapping[str, str]] | None = None

    async def name_of(self, path: str) -> str:
        """Return the name of the golden image of this path; raises :class:`ValueError` if it is none."""
        if self._asked is None:
            self._asked = asyncio.ensure_future(self._ask())
        found = (await asyncio.shield(self._asked)).get(path)
        if found is None:
            raise ValueError(f"it stands on {path}, which is no golden image")
        return found

    async def _ask(self) -> Mapping[str, str]:
        return {image.path: image.name for image in await self._hypervisor.golden_images.list()}


async def tell_drives(hypervisor: Hypervisor, machines: Sequence[tuple[MachineEntry, Machine]]) -> list[dict[str, str]]:
    """Put drives in the place of disks; return of which machines they are told as paths all the same, and why."""
    goldens, lane, incomplete = Goldens(hypervisor), asyncio.Semaphore(AT_ONCE), list[dict[str, str]]()

    async def tell(entry: MachineEntry, machine: Machine) -> None:
        async with lane:
            try:
                drives = await VirtualMachine(hypervisor.session, entry.jid, entry.name).drives.list()
                machine |= await _as_drives(machine, drives, goldens)
                machine.pop(_DISKS)
            except (*EXPECTED, ValueError) as error:
                reason = f"images in its folder are told as paths, which elsewhere have to be there: {describe(error)}"
                incomplete.append({"name": entry.name, "part": "drives", "reason": reason})

    own = [(entry, machine) for entry, machine in machines if _has_own_images(machine)]
    await asyncio.gather(*(tell(entry, machine) for entry, machine in own))
    return sorted(incomplete, key=lambda missing: missing["name"])


def _has_own_images(machine: Machine) -> bool:
    paths = [disk.get("path") for disk in machine.get(_DISKS, ())]
    if "definition" in machine:
        paths = [source.get("file") for source in ET.fromstring(machine["definition"]).iterfind("devices/disk/source")]  # noqa: S314 - libvirt's
    return any(path and PurePosixPath(path).parent.name == machine["uuid"] for path in paths)


async def _as_drives(machine: Machine, drives: Sequence[Drive], goldens: Goldens) -> Machine:
    """Return the options that say the same by drives; raises :class:`ValueError` if none do."""
    if "definition" in machine:
        raise ValueError("only its whole definition says all of it")
    by_path = {drive.path: drive for drive in drives}
    told: Machine = {"drives": []}
    for disk in machine[_DISKS]:
        if disk.get("device") == _CDROM and _CDROM not in told:
            told[_CDROM] = disk.get("path") or "none"
        else:
            told["drives"].append(await _as_drive(disk, by_path.get(disk.get("path", "")), goldens))
    wish = MachineWish.of({**dict.fromkeys(MACHINE), **{name: value for name, value in machine.items() if name != _DISKS}, **told})
    _refuse_moved_cdrom(wish, machine)
    return told


async def _as_drive(disk: Mapping[str, Any], drive: Drive | None, goldens: Goldens) -> dict[str, Any]:
    name = disk.get("path") or disk.get("volume") or disk.get("target")
    if drive is None:
        raise ValueError(f"{name} is a disk, and no drive; a machine has either")
    if beyond := sorted(disk.keys() - _SAID):
        raise ValueError(f"{name} has {', '.join(beyond)}, which no drive has")
    if drive.format not in FORMATS or disk.get("format", drive.format) != drive.format:
        raise ValueError(f"{name}: its format {drive.format} is none of a drive, or not that of the disk")
    if drive.virtual_size is None or drive.virtual_size % MEBIBYTE:
        raise ValueError(f"{name}: its size is not one in whole MiB: {drive.problem or drive.virtual_size}")
    kind = {"golden": await goldens.name_of(drive.backing_file)} if drive.backing_file else {"format": drive.format}
    places = {option: disk[option] for option in ("bus", "target") if option in disk}
    return {"name": PurePosixPath(drive.path).stem, "size": f"{drive.virtual_size // MEBIBYTE} MiB", **kind, **places}


def _refuse_moved_cdrom(wish: MachineWish, machine: Machine) -> None:
    """Raise :class:`ValueError` if a new machine's CD drive would not be where this one's is."""
    was = [(disk.get("bus"), disk.get("target")) for disk in machine[_DISKS] if disk.get("device") == _CDROM]
    made = read_specification(wish).make(wish.title, wish.uuid, wish.hardware["domain_type"]) if was else None
    if made is not None and [(disk.bus, disk.target) for disk in made.disks] != was:
        raise ValueError(f"its CD drive is {was[0][1]} on {was[0][0]}, where no new machine has it")
