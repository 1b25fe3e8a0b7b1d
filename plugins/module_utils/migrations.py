# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Machines that move from one hypervisor to another, as module ``vm_migrate`` and maintenance of hosts move them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.directory import Directory
from ansible_collections.archipel.platform.plugins.module_utils.machine.run_state import RUNNING, reach, stop
from ansible_collections.archipel.platform.plugins.module_utils.machine.snapshot import Snapshot, is_active
from ansible_collections.archipel.platform.plugins.module_utils.progress import Say, once_each, say_nothing, telling
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Change, Resource, Values

try:
    from archipel.client import MachineNotFound, MachineState, VirtualMachine, WaitTimedOut
    from archipel.client.failures import EXPECTED
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from archipel.client import Hypervisor


@dataclass(frozen=True)
class Way:
    """How machines move; times in seconds."""

    timeout: float = 3600.0
    cancel_on_timeout: bool = True
    offline: bool = False
    shutdown_timeout: float = 120.0
    force: bool = False
    tell: Say = say_nothing

    @classmethod
    def of(cls, arguments: Mapping[str, Any], tell: Say) -> Way:
        """Return the way that a module's arguments name."""
        named = ("cancel_on_timeout", "offline", "shutdown_timeout", "force")
        given = {name: arguments[name] for name in named if arguments.get(name) is not None}
        return cls(timeout=arguments["migration_timeout"] or cls.timeout, tell=tell, **given)


async def move(machine: VirtualMachine, to: Hypervisor, way: Way) -> VirtualMachine:
    """Move a machine and return it at its new place.

    One that runs moves while it runs, or with ``offline`` is shut down, moved and started. Raises what hinders it; then it is where it
    was, and runs if it ran.
    """
    if not (way.offline and is_active(await machine.state())):
        return await _carry(machine, to, way)
    await stop(machine, way.shutdown_timeout, force=way.force)
    try:
        moved = await _carry(machine, to, way)
    except EXPECTED:
        await reach(machine, RUNNING, way.shutdown_timeout, force=False)
        raise
    await reach(moved, RUNNING, way.shutdown_timeout, force=False)
    return moved


async def _carry(machine: VirtualMachine, to: Hypervisor, way: Way) -> VirtualMachine:
    try:
        async with telling(way.tell, f"{machine.name}: on its way to {to.bare}"):
            there = await machine.migration.begin(to, wait=way.timeout, tell=once_each(way.tell, f"{machine.name}: "))
    except WaitTimedOut as error:
        if not way.cancel_on_timeout:
            raise
        await machine.migration.cancel()
        raise WaitTimedOut(f"{machine.name}: not at {to.bare} within {way.timeout:g} s; it was called off: {error}") from None
    return VirtualMachine(machine.session, there, machine.name)


class Places:
    """Two hypervisors with their machines."""

    def __init__(self, source: Directory, destination: Directory) -> None:
        self.source = source
        self.destination = destination

    @classmethod
    async def load(cls, source: Hypervisor, destination: Hypervisor) -> Places:
        """Ask both for their machines."""
        return cls(*await asyncio.gather(Directory.load(source, ()), Directory.load(destination, ())))

    def find(self, reference: str) -> tuple[VirtualMachine, Hypervisor]:
        """Return a machine and where it is; raises :class:`MachineNotFound`."""
        for directory in (self.destination, self.source):
            entry = directory.find(reference)
            if entry is not None and entry.managed:
                return directory.open(entry), directory.hypervisor
        raise MachineNotFound(
            f"neither {self.source.hypervisor.bare} nor {self.destination.hypervisor.bare} manages a machine {reference!r}"
        )


class MovedMachine(Resource):
    """One machine; the value is the hypervisor where it is."""

    def __init__(self, reference: str, places: Places, way: Way, turn: asyncio.Semaphore) -> None:
        self.machine, self.where = places.find(reference)
        self.title = self.machine.name or reference
        self.destination = places.destination.hypervisor
        self.way = way
        self._turn = turn
        self._state: MachineState | None = None

    async def read(self) -> Values:
        """Return where the machine is: who answered for it."""
        self._state = (await Snapshot.take(self.machine)).state
        return {"hypervisor": self.where.bare}

    def desired(self, current: Values) -> Values:
        """Return where it shall be."""
        return {"hypervisor": self.destination.bare}

    async def apply(self, current: Values, desired: Values) -> None:
        """Move it, when it is its turn."""
        async with self._turn:
            self.machine = await move(self.machine, self.destination, self.way)
        self.where = self.destination

    def report(self, change: Change) -> dict[str, Any]:
        """Return the machine, and where it is (in check mode: would be)."""
        state = None if self._state is None else str(self._state)
        return {
            "name": self.title,
            "uuid": self.machine.uuid,
            "jid": self.machine.bare,
            "hypervisor": change.after["hypervisor"],
            "state": state,
            "moved": change.changed,
        }
