# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding what people name: machines by name, UUID or JID, hypervisors by JID."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from archipel.client.addresses import as_uuid, parse_address
from archipel.client.entity import Entity
from archipel.client.errors import AmbiguousMachine, ClientError, MachineNotFound
from archipel.client.hypervisor import Hypervisor, MachineEntry
from archipel.client.session import Session
from archipel.client.virtual_machine import VirtualMachine
from archipel.protocol.errors import CommandError
from archipel.xmpp.errors import WireError

FAILURES = (ClientError, CommandError, WireError)


@dataclass(frozen=True)
class Found:
    """A machine, and whose list it stands in (bare JID; empty: the own roster's)."""

    entry: MachineEntry
    hypervisor: str


@dataclass
class Listing:
    """The machines of all hypervisors that answered, and the errors of the others by bare JID."""

    found: list[Found] = field(default_factory=list)
    failures: dict[str, Exception] = field(default_factory=dict)

    @property
    def of_contacts(self) -> bool:
        """Whether there are machines that only the own roster told of."""
        return any(not item.hypervisor for item in self.found)


class Finder:
    """Looks things up once per run; ``hypervisors`` (JIDs) are those to look at, none means those of the roster."""

    def __init__(self, session: Session, hypervisors: Sequence[str] = ()) -> None:
        self._session = session
        self._named = hypervisors
        self._listing: asyncio.Task[Listing] | None = None

    async def hypervisors(self) -> tuple[Hypervisor, ...]:
        """Return the hypervisors to look at."""
        jids = self._named or await self._session.find_hypervisors()
        return tuple(self._session.hypervisor(jid) for jid in jids)

    async def listing(self) -> Listing:
        """Return all machines; where no hypervisor may be asked, those of the own roster."""
        if self._listing is None:
            self._listing = asyncio.create_task(self._list())
        return await self._listing

    async def machine(self, reference: str) -> VirtualMachine:
        """Return the managed machine with that name, UUID or JID.

        Raises :class:`MachineNotFound`, :class:`AmbiguousMachine`, or what kept every hypervisor from answering.
        """
        if "@" in reference:
            return await self._machine_at(reference)
        uuid = as_uuid(reference)
        if uuid:
            return await self._machine_at(f"{uuid}@{parse_address(self._session.jid).domain}")
        listing = await self.listing()
        found = [item for item in listing.found if item.entry.answers_to(reference)]
        managed = {item.entry.bare: item for item in found if item.entry.managed}
        if len(managed) > 1:
            raise AmbiguousMachine(f"several machines are called {reference!r}, name one by its JID: {', '.join(managed)}")
        if managed:
            entry = next(iter(managed.values())).entry
            return VirtualMachine(self._session, entry.jid, entry.name)
        raise _why_not_found(reference, listing, unmanaged=[item.hypervisor for item in found])

    async def entity(self, reference: str) -> Entity:
        """Return a machine, or the hypervisor with that JID."""
        if "@" in reference and as_uuid(str(parse_address(reference).node)) is None:
            return self._session.hypervisor(reference)
        return await self.machine(reference)

    async def only_hypervisor(self) -> Hypervisor:
        """Return the hypervisor if there is just one to look at; raises :class:`AmbiguousMachine` otherwise."""
        known = await self.hypervisors()
        if len(known) != 1:
            names = ", ".join(hypervisor.bare for hypervisor in known) or "none is known"
            raise AmbiguousMachine(f"say on which hypervisor, with --hypervisor JID ({names})")
        return known[0]

    async def _machine_at(self, reference: str) -> VirtualMachine:
        """Return the machine with that JID; nobody needs to be asked: who has a right there may use it."""
        address = parse_address(reference)
        if as_uuid(str(address.node)) is None:
            raise MachineNotFound(f"{reference} is no machine's JID: those begin with a UUID")
        hypervisors = () if address.resource else await self.hypervisors()
        # Of a single hypervisor's machines the resource is known.
        jid = f"{address.bare}/{hypervisors[0].jid.node}" if len(hypervisors) == 1 else reference
        return VirtualMachine(self._session, jid, await self._name_of(str(address.bare)))

    async def _list(self) -> Listing:
        hypervisors = await self.hypervisors()
        answers = await asyncio.gather(*(hypervisor.machines() for hypervisor in hypervisors), return_exceptions=True)
        listing = Listing()
        for hypervisor, answer in zip(hypervisors, answers, strict=True):
            if isinstance(answer, FAILURES):
                listing.failures[hypervisor.bare] = answer
            elif isinstance(answer, BaseException):
                raise answer
            else:
                listing.found += [Found(entry, hypervisor.bare) for entry in answer]
        if len(listing.failures) == len(hypervisors):
            listing.found += await self._machines_of_roster()
        return listing

    async def _machines_of_roster(self) -> list[Found]:
        """Return the contacts that are machines: what people see who may use a machine, but not its hypervisor."""
        contacts = [contact for contact in await self._session.contacts() if contact.is_machine]
        names = await asyncio.gather(*(self._name_of(contact.jid, contact.name) for contact in contacts))
        return [
            Found(MachineEntry(name, contact.jid.partition("@")[0], contact.jid, managed=True), "")
            for name, contact in zip(names, contacts, strict=True)
        ]

    async def _name_of(self, jid: str, roster_name: str = "") -> str:
        try:
            return (await self._session.vcard(jid)).name or roster_name
        except (CommandError, ClientError):
            return roster_name


def _why_not_found(reference: str, listing: Listing, unmanaged: list[str]) -> Exception:
    if unmanaged:
        return MachineNotFound(
            f"{reference!r} is a libvirt domain on {unmanaged[0]} that is not managed; have the hypervisor manage it first"
        )
    if listing.failures and not any(item.hypervisor for item in listing.found):
        return next(iter(listing.failures.values()))
    silent = f"; not asked, because of errors: {', '.join(listing.failures)}" if listing.failures else ""
    return MachineNotFound(f"there is no machine {reference!r}{silent or ': archipel ls shows which there are'}")
