# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Descriptions of many machines, as much of them at a time as fits in an answer."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.declaration import Cursor, DescriptionPage, MachineItem, Part, PartItem
from archipel.xmpp.serial import serialize

FULL_PAGE: Final = 100_000
"""Bytes after which a page ends. The server would take more, but to write it would keep everybody else waiting."""
LARGEST_PART: Final = 230_000
"""Bytes: the server ends a session that sends a stanza of more than 256 KiB (Debian's ejabberd), and the answer is around it."""
AROUND: Final = 300
"""Bytes, about, that the element around a machine's parts takes."""
LONG_PAGE: Final = 5.0  # seconds after which a page ends: machines that hang must not cost the answer about those before them
MOST_AT_ONCE: Final = 32  # machines that are read before it is looked at how full the page is

Wanted = tuple[VirtualMachine, tuple[Part, ...]]
Describer = Callable[[Sequence[Wanted]], AsyncGenerator[list[PartItem], None]]
"""Yields these parts of these machines, both in this order; it may end early, but not before the first."""


@dataclass
class _Page:
    """The answer as it grows; ``next`` is where it had to end. ``at_once``: the most machines that are read together."""

    at_once: int
    machines: list[MachineItem] = field(default_factory=list)
    size: int = 0
    next: Cursor | None = None

    def add(self, machine: VirtualMachine, parts: Sequence[PartItem]) -> None:
        """Take in the parts of a machine, if they fit; of the first machine those that do."""
        sized = [(part, _size(part)) for part in map(_fit, parts)]
        if self.machines and self.size + sum(size for _part, size in sized) > FULL_PAGE:
            self.next = Cursor(uuid=UUID(machine.uuid))
            return
        taken: list[PartItem] = []
        for part, size in sized:
            if taken and self.size + size > FULL_PAGE:
                self.next = Cursor(uuid=UUID(machine.uuid), part=part.name)
                break
            taken.append(part)
            self.size += size
        online = machine.online.is_set()
        self.machines.append(MachineItem(uuid=machine.uuid, name=machine.name, jid=machine.full, online=online, parts=tuple(taken)))
        self.size += AROUND

    @property
    def room(self) -> int:
        """How many more machines will about fit, by the size of those before."""
        if not self.machines:
            return self.at_once
        return max(1, min(self.at_once, (FULL_PAGE - self.size) * len(self.machines) // max(1, self.size)))


async def make_page(
    machines: Iterable[VirtualMachine], parts: tuple[Part, ...], begin: Cursor | None, describe: Describer, at_once: int | None = None
) -> DescriptionPage:
    """Return descriptions of machines, which come in the order of their UUIDs, from where ``begin`` says on.

    No more of ``machines`` is taken than the page needs; ``at_once`` of them are read together if the page's size is not known yet.
    """
    page, end = _Page(at_once or MOST_AT_ONCE), time.monotonic() + LONG_PAGE
    coming = ((machine, _from(parts, begin, machine)) for machine in machines if begin is None or machine.uuid >= str(begin.uuid))
    batch: list[Wanted] = []
    while page.next is None and (time.monotonic() < end or not page.machines):
        batch += itertools.islice(coming, max(0, page.room - len(batch)))
        if not batch:
            return DescriptionPage(machines=tuple(page.machines), next=None)
        described = 0
        async with contextlib.aclosing(describe(batch)) as descriptions:
            async for found in descriptions:
                page.add(batch[described][0], found)
                described += 1
                if page.next is not None:
                    break
                await asyncio.sleep(0)  # others come in between
        del batch[:described]
    if page.next is None:
        following = next(iter(batch), None) or next(coming, None)
        page.next = None if following is None else Cursor(uuid=UUID(following[0].uuid))
    return DescriptionPage(machines=tuple(page.machines), next=page.next)


def _from(parts: tuple[Part, ...], begin: Cursor | None, machine: VirtualMachine) -> tuple[Part, ...]:
    """Return the parts of a machine; of the one at which the page before ended, from the first on that is still wanted."""
    if begin is None or begin.part not in parts or machine.uuid != str(begin.uuid):
        return parts
    return parts[parts.index(Part(begin.part)) :]


def _fit(part: PartItem) -> PartItem:
    """Return a part, or that it fits in no answer."""
    size = _size(part)
    if size <= LARGEST_PART:
        return part
    return PartItem.of(part.name, failed=f"it has {size} bytes, and an answer holds {LARGEST_PART}: ask the machine itself")


def _size(part: PartItem) -> int:
    """Return how many bytes a part has on the wire."""
    return len(serialize(part.write()).encode())
