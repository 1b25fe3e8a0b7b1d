# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hypervisor as a client sees it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import ClassVar
from xml.etree import ElementTree as ET

from slixmpp import JID

from archipel.client import declaration
from archipel.client.addresses import as_uuid, bare_address, parse_address
from archipel.client.appliances import Appliances
from archipel.client.declaration import MachineDescription
from archipel.client.entity import Entity
from archipel.client.errors import AmbiguousMachine, MachineNotFound, MalformedAddress, MalformedAnswer, NotOnline
from archipel.client.golden_images import GoldenImages
from archipel.client.health import HostHealth
from archipel.client.long_work import follow_to_end
from archipel.client.networks import NetworkFilters, Networks
from archipel.client.parking import Parking
from archipel.client.storage_pools import StoragePools, Volumes
from archipel.client.virtual_machine import KEEP_DISKS, VirtualMachine
from archipel.protocol import hypervisor as commands
from archipel.protocol import rules
from archipel.protocol.declaration import OwnedItem, Part
from archipel.protocol.domain.domain import Domain
from archipel.protocol.errors import PermissionDenied, Unavailable
from archipel.protocol.hypervisor import MachineReference, NodeInfo
from archipel.protocol.rights import EntityKind
from archipel.protocol.rules import GroupItem, Member
from archipel.protocol.vcard import Organisation

NO_ORGANISATION = Organisation()


@dataclass(frozen=True)
class MachineEntry:
    """A machine in a hypervisor's list.

    ``jid`` is the full JID of a managed machine; for a libvirt domain that is not managed, the bare JID that it would have.
    """

    name: str
    uuid: str
    jid: str
    managed: bool

    @property
    def bare(self) -> str:
        """The account."""
        return self.jid.partition("/")[0]

    def answers_to(self, reference: str) -> bool:
        """Whether ``reference`` is this machine's name, UUID or JID (bare or full)."""
        return reference in {self.name, self.jid, self.bare} or as_uuid(reference) == self.uuid


class Hypervisor(Entity):
    """A hypervisor; each method's right is named like its command unless said otherwise.

    ``role`` is what the vCards of hypervisors say.
    """

    role: ClassVar[EntityKind] = EntityKind.HYPERVISOR

    @property
    def networks(self) -> Networks:
        """Its host's networks."""
        return Networks(self)

    @property
    def network_filters(self) -> NetworkFilters:
        """Its host's network filters."""
        return NetworkFilters(self)

    @property
    def storage_pools(self) -> StoragePools:
        """Its host's storage pools."""
        return StoragePools(self)

    @property
    def volumes(self) -> Volumes:
        """The volumes of those."""
        return Volumes(self)

    @property
    def golden_images(self) -> GoldenImages:
        """The images on which drives of its machines stand."""
        return GoldenImages(self)

    @property
    def appliances(self) -> Appliances:
        """Its feeds, and the appliances that it has of them."""
        return Appliances(self)

    @property
    def parking(self) -> Parking:
        """The machines that are parked there."""
        return Parking(self)

    @property
    def health(self) -> HostHealth:
        """How its host fares."""
        return HostHealth(self)

    async def machines(self) -> tuple[MachineEntry, ...]:
        """Return all machines, managed or not (right ``rostervm``)."""
        return tuple(self._entry(item) for item in await self.ask(commands.RosterVM()))

    async def machine(self, reference: str) -> VirtualMachine:
        """Return the managed machine of that name, UUID or JID (right ``rostervm``).

        Raises :class:`MachineNotFound` or :class:`AmbiguousMachine`.
        """
        found = [entry for entry in await self.machines() if entry.answers_to(reference)]
        managed = [entry for entry in found if entry.managed]
        if len(managed) > 1:
            raise AmbiguousMachine(f"several machines are called {reference!r}: {', '.join(entry.jid for entry in managed)}")
        if not managed:
            known = "; libvirt has such a domain that is not managed: have the hypervisor manage it first" if found else ""
            raise MachineNotFound(f"{self.bare} has no machine {reference!r}{known}")
        return VirtualMachine(self.session, managed[0].jid, managed[0].name)

    async def describe(self, uuids: Iterable[str] | None = None, parts: Iterable[Part] | None = None) -> dict[str, MachineDescription]:
        """Return these machines, or all that are managed, by UUID, with these parts: one question instead of one of each machine.

        Without ``parts`` it is all but those for which guests may be asked. What this account may not see is not in it: neither
        machines that do not know it, nor machines that there are not; parts tell which right is missing. An older agent leaves the parts
        out that it does not know. Raises :class:`~archipel.client.declaration.DescriptionsUnsupported` if the agent does not know
        of this or does not know this account: then the machines themselves can be asked.
        """
        return await declaration.describe(self, uuids, parts)

    async def owned(self, label: str | None = None) -> tuple[OwnedItem, ...]:
        """Return what a label owns, or all that has an owner (right ``ownership_get``)."""
        return await declaration.list_owned(self, label)

    async def own(
        self, label: str, add: Iterable[tuple[str, str]] = (), remove: Iterable[tuple[str, str]] = (), *, take: bool = False
    ) -> None:
        """Let a label own items (kind and key), or not any more (right ``ownership_set``); up to 1000 items all of it or nothing.

        The key of a ``machine`` is its UUID; that of something on a machine begins with the UUID and a slash: it goes with the
        machine. Raises a :class:`~archipel.protocol.errors.CommandError` with the condition ``conflict``, which names the label, for
        what another one owns, unless ``take``.
        """
        await declaration.own(self, label, add, remove, take=take)

    async def alloc(
        self,
        name: str = "",
        *,
        uuid: str | None = None,
        organisation: Organisation = NO_ORGANISATION,
        domain: Domain | ET.Element | None = None,
        timeout: float | None = None,
    ) -> VirtualMachine:
        """Make a machine and return it; without a name or UUID the agent chooses.

        With ``domain`` the answer comes when the definition was applied; if that fails nothing is left behind. The
        machine's account logs in meanwhile: a first command a moment later may have to wait for it.
        """
        full = parse_address(await self.full_jid())
        element = domain.element if isinstance(domain, Domain) else domain
        request = commands.Alloc(name=name, uuid=uuid, domain=element, **asdict(organisation))
        made = await self.session.ask(str(full), request, timeout)
        return VirtualMachine(self.session, f"{self._parse(made.jid, request.action).bare}/{full.node}", name)

    async def clone(self, machine: str, name: str = "", *, linked: bool = False, wait: float | None = None) -> VirtualMachine:
        """Begin to copy a machine (JID or UUID) that is off, and return the copy; with ``wait`` when it is whole.

        ``linked``: drives on golden ones go on standing on them. Raises :class:`~archipel.client.long_work.WorkFailed`,
        or :class:`~archipel.client.errors.WaitTimedOut` after ``wait`` seconds.
        """
        request = commands.Clone(jid=self._machine_jid(machine), name=name, linked=linked)
        made = await follow_to_end(self, lambda: self.ask(request), self._look_at_copy, wait)
        full = parse_address(await self.full_jid())
        return VirtualMachine(self.session, f"{self._parse(made.jid, commands.Clone.action).bare}/{full.node}", name)

    async def _look_at_copy(self, made: commands.MachineAddress) -> bool | None:
        """Return whether a copy is whole: it answers then; one that failed is in the list no more."""
        uuid = str(parse_address(made.jid).node)
        if all(entry.uuid != uuid for entry in await self.machines()):
            return False
        return True if await self.serves(uuid) else None

    async def serves(self, uuid: str) -> bool:
        """Return whether a machine is at work here: it answers, and has a domain."""
        machine = VirtualMachine(self.session, f"{uuid}@{self.jid.domain}/{self.jid.node}")
        try:
            return await machine.info() is not None
        except PermissionDenied:
            return True
        except (NotOnline, Unavailable):
            return False

    async def free(self, machine: str, *, keep_disks: bool = False, timeout: float | None = None) -> None:
        """Destroy a machine (JID or UUID): domain, account, and its folder unless ``keep_disks``."""
        await self.ask(commands.Free(jid=self._machine_jid(machine), keep=KEEP_DISKS if keep_disks else ""), timeout)

    async def manage(self, *machines: str, timeout: float | None = None) -> None:
        """Take existing libvirt domains in (JIDs or UUIDs), as they are, while they run."""
        await self.ask(commands.Manage(machines=self._references(machines)), timeout)

    async def unmanage(self, *machines: str, timeout: float | None = None) -> None:
        """Let managed machines go (JIDs or UUIDs); their domains stay as they were found."""
        await self.ask(commands.Unmanage(machines=self._references(machines)), timeout)

    async def set_organisation(
        self,
        machine: str,
        *,
        name: str | None = None,
        orgname: str | None = None,
        orgunit: str | None = None,
        locality: str | None = None,
        userid: str | None = None,
        categories: str | None = None,
    ) -> None:
        """Change a machine's vCard (JID or UUID), ``None`` leaves a field; ``name`` renames it (right ``setorginfo``).

        The machine must be off.
        """
        target = str(parse_address(self._machine_jid(machine)).node)
        await self.ask(
            commands.SetOrganisation(
                target=target, name=name, orgname=orgname, orgunit=orgunit, locality=locality, userid=userid, categories=categories
            )
        )

    async def set_role(self, name: str, rights: Iterable[str], *, description: str = "") -> None:
        """Make a role for rules here and on the machines, or change it (right ``permission_set``)."""
        await self.ask(rules.SetRole(name=name, rights=" ".join(rights), description=description))

    async def remove_role(self, name: str) -> None:
        """Remove a role that no rule uses (right ``permission_set``)."""
        await self.ask(rules.RemoveRole(name=name))

    async def groups(self) -> tuple[GroupItem, ...]:
        """Return all groups with their members, those of the server's shared roster too (right ``permission_get``)."""
        return await self.ask(rules.ListGroups())

    async def set_group(self, name: str, members: Iterable[str]) -> None:
        """Say who is in a group; none removes it (right ``permission_set``)."""
        await self.ask(rules.SetGroup(name=name, members=tuple(Member(jid=bare_address(jid)) for jid in members)))

    async def node_info(self) -> NodeInfo:
        """Return what the host is made of: memory in MiB, processors, frequency in MHz (right ``nodeinfo``)."""
        return await self.ask(commands.GetNodeInfo())

    async def capabilities(self) -> ET.Element:
        """Return libvirt's capabilities of the host."""
        return await self.ask(commands.GetHostCapabilities())

    async def ip_address(self) -> str:
        """Return the host's address, as configured or found (right ``ip``)."""
        return (await self.ask(commands.GetAddress())).address

    def _machine_jid(self, machine: str) -> str:
        uuid = as_uuid(machine)
        return f"{uuid}@{self.jid.domain}" if uuid else str(parse_address(machine).bare)

    def _references(self, machines: tuple[str, ...]) -> tuple[MachineReference, ...]:
        if not machines:
            raise ValueError("name at least one machine")
        return tuple(MachineReference(jid=self._machine_jid(machine)) for machine in machines)

    def _entry(self, item: commands.RosterItem) -> MachineEntry:
        jid = self._parse(item.jid, commands.RosterVM.action)
        return MachineEntry(item.name, str(jid.node), str(jid), item.managed)

    def _parse(self, text: str, action: str) -> JID:
        try:
            return parse_address(text)
        except MalformedAddress as error:
            raise MalformedAnswer(str(self.jid), action, str(error)) from None
