# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parked machines: off the host, with disks, account and rights kept (docs/parking.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from archipel.client.concern import Concern
from archipel.client.errors import AmbiguousMachine, MachineNotFound
from archipel.client.long_work import follow_to_end
from archipel.protocol import parking as commands
from archipel.protocol.parking import MOST_PAGES, PAGE_SIZE, Change, ParkedItem, ParkedMachine, UnparkItem

if TYPE_CHECKING:
    from archipel.client.hypervisor import Hypervisor


class Parking(Concern):
    """The machines that a hypervisor has parked; they go by name or UUID."""

    entity: Hypervisor

    async def list(self, filter: str = "") -> tuple[ParkedMachine, ...]:  # noqa: A002 - the protocol's word
        """Return the parked machines by name, those in whose names ``filter`` stands."""
        found: dict[str, ParkedMachine] = {}
        for number in range(MOST_PAGES):
            page = await self.ask(commands.ListParked(page=number, filter=filter))
            fresh = {one.uuid: one for one in page if one.uuid not in found}
            found |= fresh
            if len(page) < PAGE_SIZE or not fresh:
                break
        return tuple(found.values())

    async def find(self, machine: str) -> ParkedMachine:
        """Return one parked machine; raises :class:`MachineNotFound` or :class:`AmbiguousMachine`."""
        found = [one for one in await self.list() if machine in {one.name, one.uuid}]
        if not found:
            raise MachineNotFound(f"no machine {machine!r} is parked on {self.entity.bare}")
        if len(found) > 1:
            raise AmbiguousMachine(f"several parked machines are called {machine!r}: {', '.join(one.uuid for one in found)}")
        return found[0]

    async def unpark(self, machine: str, *, start: bool = False, wait: float | None = None) -> None:
        """Begin to bring a machine back; with ``wait`` return when it is, at most after so many seconds."""
        uuid = (await self.find(machine)).uuid
        request = commands.Unpark(items=(UnparkItem(identifier=uuid, start=start),))

        async def look(_answer: None) -> bool | None:
            return True if await self.entity.serves(uuid) else None

        await follow_to_end(self.entity, lambda: self.ask(request), look, wait, failures={Change.CANNOT_UNPARK})

    async def delete(self, machine: str, *, wait: float | None = None) -> None:
        """Begin to destroy a parked machine with its disks; with ``wait`` return when it is gone."""
        uuid = (await self.find(machine)).uuid
        request = commands.DeleteParked(items=(ParkedItem(identifier=uuid),))

        async def look(_answer: None) -> bool | None:
            return None if any(one.uuid == uuid for one in await self.list()) else True

        await follow_to_end(self.entity, lambda: self.ask(request), look, wait, failures={Change.CANNOT_DELETE})

    async def define(self, machine: str, definition: ET.Element) -> None:
        """Give a parked machine another definition of the same UUID and name."""
        await self.ask(commands.EditDefinition(identifier=(await self.find(machine)).uuid, domain=definition))
