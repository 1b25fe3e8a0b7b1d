# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The drives of one machine and its definition, read once for all of them that are declared, and again after each change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ansible_collections.archipel.platform.plugins.module_utils.machine.plan import change_while_running
from ansible_collections.archipel.platform.plugins.module_utils.machine.snapshot import Snapshot

try:
    from archipel.client import MachineNotFound, WaitTimedOut
    from archipel.protocol.domain.changes import plan
    from archipel.protocol.domain.declaration import DiskDeclaration
    from archipel.protocol.domain.device_lists import DiskList
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from archipel.client import VirtualMachine
    from archipel.protocol.domain.devices import Disk
    from archipel.protocol.domain.domain import Domain
    from archipel.protocol.drives import Drive

UNPLUGGED = 30  # seconds within which a guest lets go of a disk, as a rule at once


class MachineDrives:
    """The drives in a machine's folder, and the disks of its definition; ``lock`` is held by who changes them."""

    def __init__(self, title: str, machine: VirtualMachine | None, snapshot: Snapshot | None = None) -> None:
        """``machine`` is ``None`` if it is not made yet, ``snapshot`` what somebody has just read of it, definitions too."""
        self.title = title
        self._machine = machine
        self.lock = asyncio.Lock()
        self._known = snapshot
        self._reading: asyncio.Task[tuple[Snapshot, tuple[Drive, ...]]] | None = None

    @property
    def machine(self) -> VirtualMachine:
        """The machine itself; raises :class:`MachineNotFound` if it is not made yet."""
        if self._machine is None:
            raise MachineNotFound(f"{self.title}: there is no such machine yet")
        return self._machine

    async def look(self) -> tuple[Snapshot, tuple[Drive, ...]]:
        """Return the machine with its definitions, and its drives."""
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._read())
        return await asyncio.shield(self._reading)

    async def _read(self) -> tuple[Snapshot, tuple[Drive, ...]]:
        known, self._known = self._known, None
        if known is not None:
            return known, await self.machine.drives.list()
        snapshot, drives = await asyncio.gather(Snapshot.ask(self.machine, definitions=True), self.machine.drives.list())
        return snapshot, drives

    def forget(self) -> None:
        """Look again next time: something was changed."""
        self._reading = None

    async def attach(self, drive: Drive, bus: str | None, target: str | None) -> list[str]:
        """Make a drive a disk of the machine, or one on another bus or target; return, in words, what waits for a restart."""

        def write(domain: Domain) -> None:
            lists, entry = DiskList(), DiskDeclaration(path=drive.path, bus=bus, target=target, format=drive.format)
            found = disk_of(domain, drive.path)
            lists.change(entry, found or domain.disks.add(lists.make(domain, [entry], entry)), domain)

        return await self._redefine(write)

    async def detach(self, drive: Drive) -> list[str]:
        """Take a drive out of the definition and out of the running machine; return, in words, what waits for a restart."""

        def write(domain: Domain) -> None:
            found = disk_of(domain, drive.path)
            if found is not None:
                domain.disks.remove(found)

        return await self._redefine(write)

    async def _redefine(self, write: Callable[[Domain], None]) -> list[str]:
        snapshot, _drives = await self.look()
        if snapshot.stored is None:
            raise ValueError(f"{self.title} has no definition that could name a disk: declare it with archipel.platform.vm first")
        desired = snapshot.stored.copy()
        write(desired)
        steps = plan(snapshot.stored, desired, snapshot.active)
        if not steps.changed:
            return []
        await self.machine.define(desired)
        refused = await change_while_running(self.machine, steps.live_steps)
        self.forget()
        return [*steps.restart_reasons, *refused]

    async def wait_until_unplugged(self, drive: Drive) -> None:
        """Wait until the running machine has let go of a drive; raises :class:`WaitTimedOut`."""
        try:
            async with asyncio.timeout(UNPLUGGED):
                while (running := (await self.look())[0].running) is not None and disk_of(running, drive.path):
                    await asyncio.sleep(0.2)
                    self.forget()
        except TimeoutError:
            text = f"{self.title}: its guest does not let go of {file_of(drive)} within {UNPLUGGED} s; shut it down, then run this again"
            raise WaitTimedOut(text) from None


def file_of(drive: Drive) -> str:
    """Return the name of a drive's file."""
    return PurePosixPath(drive.path).name


def disk_of(domain: Domain | None, path: str) -> Disk | None:
    """Return the disk of a definition that is this file."""
    return None if domain is None else next((disk for disk in domain.disks if disk.path == path), None)
