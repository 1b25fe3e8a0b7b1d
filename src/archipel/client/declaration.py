# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many machines in one question, and whose declaration each thing is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from archipel.client.errors import ClientError, MalformedAnswer
from archipel.protocol import declaration as commands
from archipel.protocol.declaration import GUEST_PARTS, MOST_CLAIMS, USUAL_PARTS, MachineItem, OwnedItem, Part, PartItem
from archipel.protocol.domain.domain import Domain
from archipel.protocol.domain.xml_values import DomainXmlError
from archipel.protocol.errors import CommandError, Condition, LibvirtFailed, PermissionDenied
from archipel.protocol.every_entity import Contact
from archipel.protocol.guest import GuestSystem
from archipel.protocol.rules import Rule
from archipel.protocol.scheduler import Job
from archipel.protocol.snapshots import Snapshot
from archipel.protocol.vcard import Organisation
from archipel.protocol.virtual_machine import GuestAddress, Info

if TYPE_CHECKING:
    from archipel.client.entity import Entity

ItemT = TypeVar("ItemT")

MACHINES_AT_ONCE: Final = 500  # UUIDs in one question; a stanza with more may be larger than servers take


class DescriptionsUnsupported(ClientError):
    """The agent is older than descriptions, or does not give them to this account: ask the machines themselves."""


@dataclass(frozen=True)
class MachineDescription:
    """A machine as its hypervisor described it, each part as libvirt and the agent had it when they were asked.

    ``jid`` is the full JID; ``online``: the machine answers there itself. The properties return the parts; each raises
    :class:`~archipel.protocol.errors.PermissionDenied` (which names the right that this account lacks on that machine) or another
    :class:`~archipel.protocol.errors.CommandError` with the reason if the hypervisor could not give that part, and
    :class:`KeyError` if it was not asked for, or the agent is older than that part.
    """

    uuid: str
    name: str
    jid: str
    online: bool
    parts: Mapping[Part, PartItem]

    @property
    def whole(self) -> bool:
        """Whether every part was given that was asked for."""
        return all(part.denied is None and part.failed is None for part in self.parts.values())

    def gives(self, *wanted: Part) -> bool:
        """Whether these parts were asked for and given."""
        return all(part in self.parts and self.parts[part].denied is None and self.parts[part].failed is None for part in wanted)

    @property
    def info(self) -> Info | None:
        """State, memory (KiB), vCPUs and more; ``None`` if there is no domain (right ``info``)."""
        return self._part(Part.INFO).info

    @property
    def stored(self) -> Domain | None:
        """The definition of the next start, ``None`` if there is none (right ``xmldesc``)."""
        found = self._part(Part.DEFINITION).stored
        return None if found is None else self._read(found)

    @property
    def running(self) -> Domain | None:
        """The definition of the machine that runs; ``None`` if it does not (right ``xmldesc``)."""
        found = self._part(Part.DEFINITION).running
        return None if found is None else self._read(found)

    @property
    def organisation(self) -> Organisation:
        """The fields of its vCard."""
        found = self._part(Part.ORGANISATION).organisation
        return Organisation() if found is None else Organisation(**asdict(found))

    @property
    def roster(self) -> tuple[Contact, ...]:
        """Who is in its roster (right ``getroster``)."""
        return self._part(Part.ROSTER).roster

    @property
    def rights(self) -> tuple[Rule, ...]:
        """The grants and rules that were made on it, those of hypervisor and platform left out (right ``permission_get``)."""
        return self._part(Part.RIGHTS).rights

    @property
    def tags(self) -> tuple[str, ...]:
        """Its tags, in the order in which they were set."""
        return tuple(tag.word for tag in self._part(Part.TAGS).tags)

    @property
    def snapshots(self) -> tuple[Snapshot, ...]:
        """Its snapshots, parents before their children, without the definitions in them (right ``snapshot_get``)."""
        return self._part(Part.SNAPSHOTS).snapshots

    @property
    def schedule(self) -> tuple[Job, ...]:
        """What it does later (right ``scheduler_jobs``)."""
        return self._part(Part.SCHEDULE).schedule

    @property
    def addresses(self) -> tuple[GuestAddress, ...]:
        """The addresses of the guest; none: it is off, or nobody knows any (right ``networkinfo``)."""
        return self._part(Part.ADDRESSES).addresses

    @property
    def system(self) -> GuestSystem | None:
        """What the guest runs, and how it calls itself; ``None`` if the machine is off (right ``guest_info``)."""
        return self._part(Part.SYSTEM).system

    def _part(self, part: Part) -> PartItem:
        found = self.parts[part]
        if found.denied is not None:
            raise PermissionDenied(f"you lack the right {found.denied!r} on {self.name}", found.denied)
        if found.failed is not None:
            raise CommandError(found.failed) if found.code is None else LibvirtFailed(found.failed, found.code)
        return found

    def _read(self, found: commands.OneDefinition) -> Domain:
        try:
            return Domain.from_element(found.domain)
        except DomainXmlError as error:
            raise MalformedAnswer(self.jid, commands.Describe.action, str(error)) from None


async def describe(hypervisor: Entity, uuids: Iterable[str] | None, parts: Iterable[Part] | None) -> dict[str, MachineDescription]:
    """Do what :meth:`archipel.client.hypervisor.Hypervisor.describe` says."""
    wanted = USUAL_PARTS if parts is None else tuple(dict.fromkeys(map(Part, parts)))
    try:
        return await _describe(hypervisor, uuids, wanted)
    except CommandError as error:
        known = tuple(part for part in wanted if part not in GUEST_PARTS)
        if error.condition != Condition.BAD_REQUEST or known == wanted or not error.text.startswith("parts"):
            raise
    return await _describe(hypervisor, uuids, known) if known else {}


async def _describe(hypervisor: Entity, uuids: Iterable[str] | None, wanted: tuple[Part, ...]) -> dict[str, MachineDescription]:
    found: dict[str, list[MachineItem]] = {}
    batches = [()] if uuids is None else _batches(sorted({uuid.lower() for uuid in uuids}), MACHINES_AT_ONCE)
    for batch in batches:
        async for machine in _read_pages(hypervisor, tuple(batch), wanted):
            found.setdefault(machine.uuid, []).append(machine)
    return {uuid: _join(hypervisor, items, wanted) for uuid, items in found.items()}


async def _read_pages(hypervisor: Entity, uuids: tuple[str, ...], parts: tuple[Part, ...]) -> AsyncIterator[MachineItem]:
    following: commands.Cursor | None = None
    while True:
        page = await _ask(hypervisor, commands.Describe.of(uuids, parts, following))
        for machine in page.machines:
            yield machine
        if page.next is None:
            return
        if following is not None and _place(page.next, parts) <= _place(following, parts):
            raise MalformedAnswer(str(hypervisor.jid), commands.Describe.action, "its pages have no end")
        following = page.next
        uuids = tuple(uuid for uuid in uuids if uuid >= str(page.next.uuid))


def _place(cursor: commands.Cursor, parts: tuple[Part, ...]) -> tuple[str, int]:
    """Return where a page begins, so that a later place is a greater one."""
    return str(cursor.uuid), parts.index(Part(cursor.part)) if cursor.part in parts else 0


async def _ask(hypervisor: Entity, request: commands.Describe) -> commands.DescriptionPage:
    """Ask for a page; what an older agent says to those who may do everything, and to everybody else, is one error."""
    try:
        return await hypervisor.ask(request)
    except CommandError as error:
        hidden = isinstance(error, PermissionDenied) and error.right is None
        if hidden or error.condition == Condition.FEATURE_NOT_IMPLEMENTED:
            raise DescriptionsUnsupported(f"{hypervisor.bare} describes no machines to this account: {error.text}") from error
        raise


def _join(hypervisor: Entity, items: list[MachineItem], wanted: Collection[Part]) -> MachineDescription:
    first = items[0]
    given = {part.name: part for item in items for part in item.parts}
    if missing := [part for part in wanted if part not in given]:
        raise MalformedAnswer(str(hypervisor.jid), commands.Describe.action, f"{first.uuid} has no {', '.join(missing)}")
    return MachineDescription(first.uuid, first.name, first.jid, first.online, {part: given[part] for part in wanted})


async def list_owned(hypervisor: Entity, label: str | None) -> tuple[OwnedItem, ...]:
    """Do what :meth:`archipel.client.hypervisor.Hypervisor.owned` says."""
    found: list[OwnedItem] = []
    while True:
        after = commands.LastItem(kind=found[-1].kind, key=found[-1].key) if found else None
        page = await hypervisor.ask(commands.ListOwned(label=label, after=after))
        found += page.items
        if not page.more or not page.items:
            return tuple(found)


async def own(hypervisor: Entity, label: str, add: Iterable[tuple[str, str]], remove: Iterable[tuple[str, str]], *, take: bool) -> None:
    """Do what :meth:`archipel.client.hypervisor.Hypervisor.own` says."""
    removed = [commands.RemovedClaim(kind=kind, key=key) for kind, key in dict.fromkeys(remove)]
    added = [commands.AddedClaim(kind=kind, key=key) for kind, key in dict.fromkeys(add)]
    for batch in _batches([*removed, *added], MOST_CLAIMS):
        gone = tuple(claim for claim in batch if isinstance(claim, commands.RemovedClaim))
        come = tuple(claim for claim in batch if isinstance(claim, commands.AddedClaim))
        await hypervisor.ask(commands.Own(label=label, take=take, add=come, remove=gone))


def _batches(items: Sequence[ItemT], most: int) -> Iterator[Sequence[ItemT]]:
    return (items[start : start + most] for start in range(0, len(items), most))
