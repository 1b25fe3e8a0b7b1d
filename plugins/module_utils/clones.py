# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Copies of a machine, as module ``vm_clone`` declares them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.entries import refuse_doubles
from ansible_collections.archipel.platform.plugins.module_utils.machine.run_state import RUNNING, reach, run_state
from ansible_collections.archipel.platform.plugins.module_utils.machine.snapshot import Snapshot, is_active
from ansible_collections.archipel.platform.plugins.module_utils.progress import Say, telling
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Change, Resource, Values

try:
    from archipel.client import MachineNotFound
    from archipel.protocol.domain.copying import origin_of
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.directory import Directory

    from archipel.client import VirtualMachine
    from archipel.protocol.domain.domain import Domain

PRESENT, ABSENT = "present", "absent"
MOST_COPIES = 1000  # of one task: a slip of the keyboard fills no disk


def read_names(arguments: Mapping[str, Any]) -> list[str]:
    """Return the names of all copies; raises :class:`ValueError`, which names the option."""
    if arguments["names"] is not None:
        names = list(arguments["names"])
    else:
        count, first = arguments["count"], arguments["start"]
        if not 0 <= count <= MOST_COPIES:
            raise ValueError(f"count: must be 0 to {MOST_COPIES}")
        names = [_format(arguments["pattern"], number) for number in range(first, first + count)]
    refuse_doubles("names", names, "does pattern have {n} in it?")
    return names


def _format(pattern: str, number: int) -> str:
    try:
        return pattern.format(n=number)
    except (KeyError, IndexError, ValueError, AttributeError):
        raise ValueError(
            f"pattern: {pattern!r} cannot be filled in: write {{n}}, or {{n:02}} for two digits, where the number goes"
        ) from None


class Origin:
    """The machine that is copied, and how many copies are made at once; ``told`` counts them for who waits."""

    def __init__(self, directory: Directory, arguments: Mapping[str, Any], tell: Say) -> None:
        self.directory = directory
        self.arguments = arguments
        self.turn = asyncio.Semaphore(arguments["at_once"])
        self.tell = tell
        self.wanted = 0
        self.made = 0
        entry = directory.find(arguments["machine"])
        self.uuid = None if entry is None else entry.uuid
        self._check: asyncio.Task[VirtualMachine] | None = None

    async def open(self) -> VirtualMachine:
        """Return the machine if it can be copied; raises what :meth:`Directory.machine` does, or :class:`ValueError`."""
        if self._check is None:
            self._check = asyncio.ensure_future(self._look())
        return await asyncio.shield(self._check)

    async def _look(self) -> VirtualMachine:
        machine = self.directory.machine(self.arguments["machine"])
        name = machine.name or self.arguments["machine"]
        snapshot, drives = await asyncio.gather(Snapshot.ask(machine, definitions=True), machine.drives.list())
        if snapshot.stored is None:
            raise ValueError(f"machine: {name} has no definition: there is nothing to copy")
        if is_active(snapshot.state):
            raise ValueError(f"machine: {name} is {snapshot.state}: stop it first, its drives change under the copy")
        if self.arguments["linked"]:
            attached = {disk.path for disk in snapshot.stored.disks}
            alone = [drive.path for drive in drives if drive.path in attached and not drive.backing_file]
            if alone:
                raise ValueError(f"linked: {alone[0]} of {name} stands on no golden image; make one of it (archipel.platform.golden_image)")
        return machine


class DeclaredClone(Resource):
    """One copy; the value is its state."""

    def __init__(self, name: str, origin: Origin) -> None:
        self.title = name
        self.origin = origin
        self.state: str = origin.arguments["state"]
        self.copy_of: str | None = None
        self.is_new = False
        entry = origin.directory.find(name)
        if entry is not None and not entry.managed:
            raise MachineNotFound(f"{name}: libvirt has a domain of that name that Archipel does not manage: choose another name")
        self._machine = None if entry is None else origin.directory.open(entry)
        self._snapshot: Snapshot | None = None

    @property
    def strange(self) -> bool:
        """Whether there was a machine of that name that is not known to be a copy of this origin."""
        return self._machine is not None and not self.is_new and (self.copy_of is None or self.copy_of != self.origin.uuid)

    async def read(self) -> Values:
        """Return whether the copy is there, or runs."""
        if self._machine is None:
            await self.origin.open()
            return {"state": ABSENT}
        self._snapshot = await Snapshot.ask(self._machine)
        definition: Domain | None = await self._machine.definition(inactive=True)
        self.copy_of = None if definition is None else origin_of(definition)
        return {"state": run_state(self._snapshot.state) if self.state == RUNNING else PRESENT}

    def desired(self, current: Values) -> Values:
        """Return the declared state."""
        return {"state": self.state}

    async def apply(self, current: Values, desired: Values) -> None:
        """Copy the machine if there is no copy, and start that if it shall run."""
        if self._machine is None:
            self._machine = await self._copy()
        if self.state == RUNNING:
            await reach(self._machine, RUNNING, 0, force=False)

    async def _copy(self) -> VirtualMachine:
        origin = self.origin
        source = await origin.open()
        origin.wanted += 1
        async with origin.turn, telling(origin.tell, f"{self.title}: copying {source.name}"):
            made = await origin.directory.hypervisor.clone(
                source.uuid, self.title, linked=origin.arguments["linked"], wait=origin.arguments["clone_timeout"]
            )
        origin.made += 1
        self.is_new = True
        origin.tell(f"{self.title} is copied, {origin.made} of {origin.wanted}")
        return made

    def report(self, change: Change) -> dict[str, Any]:
        """Return the copy as it was read last."""
        known = dict.fromkeys(("uuid", "jid")) if self._machine is None else {"uuid": self._machine.uuid, "jid": self._machine.bare}
        state = ABSENT if self._snapshot is None else str(self._snapshot.state)
        return {"name": self.title, **known, "state": state, "copy_of": self.copy_of}
