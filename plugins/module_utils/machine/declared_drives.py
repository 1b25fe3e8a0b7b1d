# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The drives that a machine is declared with: made and attached before it starts, grown, left alone where they are as declared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.machine_disk import ABSENT, DISK, DeclaredDisk, refuse_contradictions
from ansible_collections.archipel.platform.plugins.module_utils.machine_drives import MachineDrives

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.machine.snapshot import Snapshot

    from archipel.client import VirtualMachine

    Drives = list[dict[str, Any]]

# A machine's declaration says what it has; to delete, rename or detach a drive is the work of module vm_disk.
_OF_VM_DISK = ("state", "renamed_from", "attached")
DRIVE: Mapping[str, Mapping[str, Any]] = {name: option for name, option in DISK.items() if name not in _OF_VM_DISK}
_SAID = tuple(name for name in ("size", "format", "golden", "bus", "target"))


def complete_drives(entries: Sequence[Mapping[str, Any]], title: str) -> tuple[dict[str, Any], ...]:
    """Return the entries as module ``vm_disk`` takes them; raises :class:`ValueError` for contradictions."""
    completed = tuple({**dict.fromkeys(DISK), **entry} for entry in entries)
    try:
        refuse_contradictions(completed, "drives")
    except ValueError as error:
        raise ValueError(f"{title}: drives: {str(error).removeprefix('drives: ')}") from None
    return completed


class DeclaredDrives:
    """The declared drives of one machine; ``title`` is its name. Values are lists of the drives that are there, in the order declared."""

    def __init__(self, entries: Sequence[Mapping[str, Any]], title: str) -> None:
        self._entries = entries
        self._title = title
        self._disks = self._declare(None, None)
        self._values: list[Mapping[str, Any]] = [{"state": ABSENT}] * len(entries)

    def _declare(self, machine: VirtualMachine | None, snapshot: Snapshot | None) -> list[DeclaredDisk]:
        found = MachineDrives(self._title, machine, snapshot)
        return [DeclaredDisk(found, entry) for entry in self._entries]

    async def read(self, machine: VirtualMachine, snapshot: Snapshot | None = None) -> Drives:
        """Return those of the declared drives that the machine has; a snapshot with definitions saves a question."""
        self._disks = self._declare(machine, snapshot)
        self._values = [await disk.read() for disk in self._disks]
        return [self._show(disk, values) for disk, values in zip(self._disks, self._values, strict=True) if values["state"] != ABSENT]

    def desired(self) -> Drives:
        """Return what they shall be; raises :class:`ValueError` for what cannot be reached."""
        return [self._show(disk, disk.desired(values)) for disk, values in zip(self._disks, self._values, strict=True)]

    def _show(self, disk: DeclaredDisk, values: Mapping[str, Any]) -> dict[str, Any]:
        detached = {} if values["attached"] else {"attached": False}
        return {"name": disk.name, **{name: values[name] for name in _SAID if name in values}, **detached}

    async def apply(self, machine: VirtualMachine) -> None:
        """Make, attach and change what differs from what was declared; the machine may be new."""
        await self.read(machine)
        for disk, values in zip(self._disks, self._values, strict=True):
            wanted = disk.desired(values)
            if wanted != values:
                await disk.apply(values, wanted)

    @property
    def new_entries(self) -> list[dict[str, Any]]:
        """Return what was declared, by its place, with nothing in the place of drives that are there already."""
        return [{} if values["state"] != ABSENT else dict(entry) for entry, values in zip(self._entries, self._values, strict=True)]

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return what of them waits for the machine's next start, in words."""
        return tuple(f"drive {disk.name} is plugged in at the next start" for disk in self._disks if disk.needs_restart)
