# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entity of a hypervisor: its host, its machines, and the accounts it makes for them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary
from xml.etree import ElementTree as ET

from archipel.agent import administrators, following, platform_rules
from archipel.agent.avatars import show_avatar
from archipel.agent.entity import Entity
from archipel.agent.jids import MalformedJid, bare_jid
from archipel.agent.names import name_key
from archipel.agent.secret import Secret
from archipel.agent.services import Services
from archipel.agent.store import MachineRecord, canonical_uuid
from archipel.agent.trusted_nodes import TrustedNode
from archipel.agent.virt.lifecycle import DomainEvent
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol import presence
from archipel.protocol.errors import BadRequest, CommandError, Condition
from archipel.protocol.events import TAGS_NODE
from archipel.protocol.every_entity import TAG_SEPARATOR, Tag
from archipel.protocol.presence import Status
from archipel.protocol.rights import EntityKind
from archipel.protocol.vcard import Organisation
from archipel.protocol.xml import local_name
from archipel.xmpp import stanzas
from archipel.xmpp.errors import Disconnected, WireError
from archipel.xmpp.pubsub import read_notification

log = logging.getLogger(__name__)

REGISTRATION_DEADLINE: Final = 15.0  # seconds; the server hashes a password in ten milliseconds, and queues
REGISTRATIONS_AT_ONCE: Final = 10  # or fewer; the time for an answer counts from when it is asked for
ONLINE_PAUSE: Final = 0.5  # seconds for a session that broke to be known as broken
CPU_FACTS: Final = Path("/proc/cpuinfo")


class Hypervisor(Entity):
    """The hypervisor's account and everything that is one per host; ``machines`` maps UUIDs to managed machines."""

    kind = EntityKind.HYPERVISOR
    title = "Hypervisor"

    def __init__(self, services: Services) -> None:
        settings = services.settings
        name = settings.hostname if settings.hypervisor.name == "auto" else settings.hypervisor.name
        own = settings.vcard
        organisation = Organisation(own.orgname, own.orgunit, own.locality, own.userid, own.categories)
        super().__init__(services, f"{settings.xmpp.jid}/{settings.hostname}", settings.xmpp.password, name, organisation)
        self.hypervisor = self
        self.node = self.bare.partition("@")[0]
        self.machines: dict[str, VirtualMachine] = {}
        self.in_hand: set[str] = set()
        self.naming = asyncio.Lock()
        self.recovering = asyncio.Lock()
        self.unfinished: dict[str, VirtualMachine] = {}
        self.untidy = asyncio.Event()
        self.arrivals: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.trusted_nodes = tuple(TrustedNode(self, contents) for contents in (administrators.LIST, platform_rules.LIST))
        self._busy: list[str] = []
        self._registering = asyncio.Semaphore(REGISTRATIONS_AT_ONCE)
        self._virtualisation = has_hardware_virtualisation()

    # -- machines -------------------------------------------------------------------------------------------------------

    def adopt_record(self, record: MachineRecord) -> VirtualMachine:
        """Give a machine of the store its entity, not connected yet."""
        machine = VirtualMachine(self.services, self, record)
        self.machines[record.uuid] = machine
        self.show_machines()
        return machine

    def forget(self, machine: VirtualMachine) -> None:
        """Drop the entity of a machine that is no more."""
        self.machines.pop(machine.uuid, None)
        self.show_machines()

    def find(self, reference: str) -> VirtualMachine:
        """Return the machine that a name, a UUID or a JID means; JIDs of another server mean none.

        Raises ``item-not-found`` if there is none, or none that is managed here, and ``conflict`` if several could be meant:
        a domain that was adopted, or renamed behind our back, may bear another's UUID or JID as its name.
        """
        wanted = reference.strip()
        named = [vm for vm in self.machines.values() if vm.name == wanted]
        named = named or [vm for vm in self.machines.values() if name_key(vm.name) == name_key(wanted)]
        addressed = self._find_addressed(wanted)
        found = {vm.uuid: vm for vm in (*named, *([addressed] if addressed else []))}
        if not found:
            raise CommandError(f"no managed machine {reference!r} on {self.name}", condition=Condition.ITEM_NOT_FOUND)
        if len(found) > 1:
            text = f"{reference!r} can mean {' or '.join(sorted(found))}: name it otherwise (by name, UUID or JID)"
            raise CommandError(text, condition=Condition.CONFLICT)
        return next(iter(found.values()))

    def _find_addressed(self, reference: str) -> VirtualMachine | None:
        """Return the machine with this UUID, or with this JID, whatever its resource."""
        try:
            bare = bare_jid(reference)
        except MalformedJid:
            return None
        machine = self.machines.get(bare.partition("@")[0])
        return machine if machine is not None and bare in {machine.uuid, machine.bare} else None

    def take_event(self, event: DomainEvent) -> None:
        """Hand an event of libvirt to the machine it is about."""
        machine = self.machines.get(event.uuid)
        if machine is not None:
            machine.take_event(event)

    @contextlib.contextmanager
    def hold(self, uuid: str) -> Iterator[None]:
        """Keep :meth:`recover` off a machine whose phase is in the store while it is not, or no more, in memory."""
        self.in_hand.add(uuid)
        try:
            yield
        finally:
            self.in_hand.discard(uuid)

    def leave_unfinished(self, machine: VirtualMachine) -> None:
        """Leave a machine that is half made or half removed to :meth:`recover`.

        It is kept until then: what libvirt was asked for and has not answered comes before what it is asked for next.
        """
        self.unfinished[machine.uuid] = machine
        self.untidy.set()

    async def recover(self) -> None:
        """Finish or undo what was left half done and follow the domains' names, if libvirt and the server can be asked."""
        from archipel.agent import recovery  # it needs this module

        if self.services.libvirt_connected and self.online.is_set():
            await recovery.recover(self)

    # -- presence -------------------------------------------------------------------------------------------------------

    def show_machines(self) -> None:
        """Show how many machines there are, or what is being done."""
        self.show(self._own_status())

    async def current_status(self) -> Status:
        """Return what the presence shall say."""
        return self._own_status()

    def _own_status(self) -> Status:
        if not self.services.libvirt_connected:
            return presence.LIBVIRT_LOST
        if self._busy:
            return presence.busy_hypervisor(self._busy[-1])
        return presence.hypervisor_status(len(self.machines), hardware_virtualisation=self._virtualisation)

    def begin(self, what: str) -> None:
        """Show that the hypervisor is busy with ``what``; :meth:`end` ends it."""
        self._busy.append(what)
        self.show_machines()

    def end(self, what: str) -> None:
        """Show that ``what`` is over."""
        self._busy.remove(what)
        self.show_machines()

    def avatar(self) -> bytes:
        """Return the picture of a hypervisor."""
        settings = self.services.settings
        return show_avatar(settings, self.bare, settings.vcard.hypervisor_avatar, "defaulthypervisor.png")

    # -- accounts -------------------------------------------------------------------------------------------------------

    async def make_account(self, uuid: str, password: Secret) -> None:
        """Make a machine's account on the server; raises ``conflict`` if somebody has it already: then it is not ours."""
        await self._register(_text("username", uuid), _text("password", password.reveal()))

    async def remove_account(self, uuid: str, password: Secret) -> None:
        """Remove a machine's account; one that is not there is removed already, and one with another password is not ours."""
        try:
            await self._unregister(uuid, password)
        except CommandError as error:
            if error.condition == Condition.FORBIDDEN:
                await self._remove_refused_account(uuid, password)
            elif error.condition != Condition.ITEM_NOT_FOUND:
                raise

    async def _remove_refused_account(self, uuid: str, password: Secret) -> None:
        """Find out whether an account is there at all: ejabberd says "Incorrect password" in both cases.

        After making it, it is there, and removed again; that also gets one which was made a moment ago because the server
        took its time with what we had given up. With another password it is not ours.
        """
        try:
            await self.make_account(uuid, password)
        except CommandError as error:
            if error.condition != Condition.CONFLICT:
                raise
        try:
            await self._unregister(uuid, password)
        except CommandError as error:
            if error.condition != Condition.FORBIDDEN:
                raise
            log.error("the account %s has a password that is not this agent's: it is somebody else's now, and stays", uuid)

    async def _unregister(self, uuid: str, password: Secret) -> None:
        await self._register(ET.Element(f"{{{ns.REGISTER}}}remove"), _text("username", uuid), _text("password", password.reveal()))

    async def restore_account(self, machine: VirtualMachine) -> bool:
        """Make the account of a machine that cannot log in; return whether it exists now with our password."""
        unheard = False
        while True:
            await self.online.wait()
            try:
                await self.make_account(machine.uuid, machine.password)
            except Disconnected:
                # Our own session broke, too: once more when it stands again. What was asked may have been done.
                unheard = True
                await asyncio.sleep(ONLINE_PAUSE)
                continue
            except (CommandError, WireError) as error:
                if unheard and isinstance(error, CommandError) and error.condition == Condition.CONFLICT:
                    return True
                log.error(
                    "%s: the server refuses its password, and the account cannot be made: %s; if somebody else made it, remove it there",
                    machine.bare,
                    error,
                )
                return False
            log.info("%s: the account was missing on the server and is made anew", machine.bare)
            return True

    async def _register(self, *children: ET.Element) -> None:
        request = stanzas.iq("set", self.stream.boundjid.host, stanzas.query(ns.REGISTER, *children))
        async with self._registering:
            await self.stream.request(request, REGISTRATION_DEADLINE)

    # -- tags -----------------------------------------------------------------------------------------------------------

    async def keep_tags(self, tags: tuple[str, ...]) -> None:
        """Publish the hypervisor's own tags; the platform's node is where they are kept."""
        await self.publish_tags(self.bare, tags)

    async def publish_tags(self, bare: str, tags: tuple[str, ...]) -> None:
        """Publish the tags of one of this agent's entities; the item's id is its JID, so that a new one replaces the old.

        The hypervisor publishes for its machines: it alone needs to be a publisher of the platform's node.
        """
        await self._require_tags_node()
        payload = Tag(jid=bare, tags=TAG_SEPARATOR.join(tags)).write()
        payload.set("tags", TAG_SEPARATOR.join(tags))  # also where there is none: who watches the founders' node hears of no retraction
        payload.tag = f"{{{ns.TAGS}}}{local_name(payload.tag)}"
        try:
            await self.pubsub.publish(TAGS_NODE, payload, bare)
        except CommandError as error:
            if error.condition != Condition.FORBIDDEN:
                raise
            text = f"{self.bare} may not publish tags: an administrator lets it with 'archipel platform init --hypervisor {self.bare}'"
            raise CommandError(text, condition=error.condition) from error

    async def _require_tags_node(self) -> None:
        """Raise if the platform has no node for tags: the server would make one that everybody may write to."""
        try:
            await self.pubsub.owners(TAGS_NODE)
        except CommandError as error:
            text = f"the platform has no node for tags ({error.text}): an administrator makes it with 'archipel platform init'"
            raise CommandError(text, condition=Condition.ITEM_NOT_FOUND) from error

    async def retract_tags(self, bare: str) -> None:
        """Take the item of an entity that is gone from the platform's node, where there is one."""
        await self._require_tags_node()
        try:
            await self.pubsub.retract(TAGS_NODE, bare)
        except CommandError:
            # For an item that is not there ejabberd tells an owner item-not-found, a publisher forbidden.
            if any(item.id == bare for item in await self.pubsub.items(TAGS_NODE)):
                raise

    # -- the platform ---------------------------------------------------------------------------------------------------

    async def set_up(self) -> None:
        """Follow the server's groups, the platform's administrators and rules, and finish what the last session left undone."""
        await following.follow_roster_groups(self)
        for node in self.trusted_nodes:
            await node.follow()
        self.spawn(self.recover())

    def _take_roster_push(self, iq: ET.Element) -> None:
        super()._take_roster_push(iq)
        self.spawn(following.follow_roster_groups(self))

    def _take_message(self, message: ET.Element) -> None:
        notification = read_notification(message, self.pubsub.service)
        if notification is None:
            super()._take_message(message)
            return
        for node in self.trusted_nodes:
            if notification.node == node.name:
                self.spawn(node.refresh())


def has_hardware_virtualisation() -> bool:
    """Whether the CPU has Intel's or AMD's virtualisation, as the kernel shows it to this host."""
    try:
        flags = CPU_FACTS.read_text().split()
    except OSError:
        return False
    return "vmx" in flags or "svm" in flags


def parse_machine_uuid(reference: str, field: str) -> str:
    """Return the UUID that a JID or a UUID names, in lower case; ``BadRequest`` that names ``field`` if it is none."""
    try:
        return canonical_uuid(reference.strip().partition("/")[0].partition("@")[0])
    except ValueError as error:
        raise BadRequest(f"{field}: {error}") from error


def _text(name: str, value: str) -> ET.Element:
    element = ET.Element(f"{{{ns.REGISTER}}}{name}")
    element.text = value
    return element
