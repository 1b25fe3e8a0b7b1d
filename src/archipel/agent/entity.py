# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An entity: one XMPP account of a hypervisor or a virtual machine, with its roster, presence, vCard, events and commands."""

from __future__ import annotations

import abc
import asyncio
import functools
import logging
from collections.abc import Coroutine
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar
from xml.etree import ElementTree as ET

from archipel.agent import acting, adhoc, admission, discovery
from archipel.agent.adhoc_sessions import Sessions
from archipel.agent.contacts import Contacts
from archipel.agent.decision import Decision, Rule
from archipel.agent.dialogues import Dialogues
from archipel.agent.dispatch import Caller, Command, answer_iq
from archipel.agent.events import EventsNode
from archipel.agent.jids import bare_jid
from archipel.agent.secret import Secret
from archipel.agent.services import Services
from archipel.agent.turns import Turns
from archipel.protocol import namespaces as ns
from archipel.protocol.changes import SubscriptionChange
from archipel.protocol.errors import BadRequest, CommandError, NotImplementedByEntity, PermissionDenied
from archipel.protocol.events import Topic
from archipel.protocol.presence import Status
from archipel.protocol.rights import EntityKind
from archipel.protocol.vcard import Organisation, VCard
from archipel.protocol.xml import namespace_of
from archipel.xmpp import stanzas
from archipel.xmpp.connection import Connection
from archipel.xmpp.errors import WireError
from archipel.xmpp.pubsub import PubSub
from archipel.xmpp.stream import Stream

if TYPE_CHECKING:
    from archipel.agent.hypervisor import Hypervisor

log = logging.getLogger(__name__)

LONGEST_HEADER = 4096  # characters of what an answer gives back; the server ends a stream that sends it too large a stanza
# Bytes of an id as an answer writes it. Servers end a stream that sends a stanza larger than they take (Debian's ejabberd: 256 KiB), so
# what an answer cannot give back cannot be answered; up to here, there is room for the error around it.
LARGEST_ID = 200_000
# Of one sender at one entity, so that nobody can keep others waiting: what is worked on at once, and what waits at most.
REQUESTS_AT_ONCE, MOST_REQUESTS_WAITING = 50, 2000
CHATS_AT_ONCE, MOST_CHATS_WAITING = 5, 50
END_DEADLINE = 3.0  # seconds for work that is under way to be undone or given up when the entity leaves
MOST_VISITORS = 1000  # directed presences that are remembered; who comes later is answered, but not told of changes


class Entity(abc.ABC):
    """What hypervisors and virtual machines have in common.

    ``name`` is what people read; ``bare`` the account, ``full`` the JID that clients address; ``hypervisor`` what it is, or is on.
    """

    kind: ClassVar[EntityKind]
    title: ClassVar[str]
    hypervisor: Hypervisor

    def __init__(self, services: Services, full: str, password: Secret, name: str, organisation: Organisation) -> None:
        self.services = services
        self.full = full
        self.bare = bare_jid(full)
        self.name = name
        self.organisation = organisation
        self.stream = Stream(full, password.reveal(), services.tls, resume=True)
        self.contacts = Contacts(self.stream)
        self.pubsub = PubSub(self.stream, services.settings.xmpp.pubsub_service, services.node_turn)
        self.events = EventsNode(self.pubsub, self.bare, services.metrics.events)
        self.connection = Connection(self.stream, services.server, self._come_online, self._go_offline, self.mend_refusal)
        self.online = asyncio.Event()
        self._status: Status | None = None
        self._card = VCard(str(self.kind), "", name)
        self._visitors: dict[str, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._unanswered: dict[int, ET.Element] = {}
        self.acts = acting.Acts()
        self.dialogues = Dialogues()
        self.sessions = Sessions()
        self._requests = Turns(self.spawn, REQUESTS_AT_ONCE, MOST_REQUESTS_WAITING)
        self._chats = Turns(self.spawn, CHATS_AT_ONCE, MOST_CHATS_WAITING)
        services.rights.attach(self.bare, self.kind, self.contacts.sees_us)
        self.stream.on_request = self._take_request
        self.stream.on_presence = self._take_presence
        self.stream.on_message = self._take_message

    # -- what kinds of entities differ in -------------------------------------------------------------------------------

    def check_state(self, command: Command) -> None:  # noqa: B027 - most states forbid nothing
        """Raise the :class:`CommandError` that forbids a command in the entity's present state."""

    def count(self, _command: Command) -> AbstractContextManager[None]:
        """Take note of a command while it is done."""
        return nullcontext()

    async def set_up(self) -> None:  # noqa: B027 - most entities need nothing more
        """Do what a new session needs beyond roster, events node and vCard."""

    async def mend_refusal(self) -> bool:
        """Try to mend the cause of a refused login; return whether it is worth to log in again at once."""
        return False

    @property
    def status(self) -> Status:
        """What the presence says."""
        return self._status or Status(None, "")

    async def current_status(self) -> Status:
        """Read what the presence shall say."""
        return self.status

    @abc.abstractmethod
    def avatar(self) -> bytes:
        """Return the picture of the vCard."""

    @abc.abstractmethod
    async def keep_tags(self, tags: tuple[str, ...]) -> None:
        """Store the tags and publish them; raises if either fails."""

    @property
    def waiting(self) -> int:
        """How many requests and messages wait for others of their senders."""
        return self._requests.waiting + self._chats.waiting

    # -- rights ---------------------------------------------------------------------------------------------------------

    def knows(self, bare: str) -> bool:
        """Whether this account gets our presence by the roster, is an administrator, or holds a grant here.

        Just to stand in the roster is not enough: who was refused the presence stays there.
        """
        return bool(bare) and self.services.rights.is_known(self.bare, bare)

    def decide(self, bare: str, right: str) -> Decision:
        """Return whether ``bare`` has ``right`` here, and by which rule."""
        return self.services.rights.check(self.bare, bare, right) if bare else Decision(False, Rule.STRANGER)

    def readers(self) -> set[str]:
        """Return who may read the events node: whom the roster shows our presence, administrators, holders of a grant."""
        rights = self.services.rights
        return {*filter(self.knows, self.contacts.seeing), *rights.admins, *rights.subjects(self.bare)}

    async def refresh_readers(self) -> None:
        """Let the events node follow a change of roster, rights or administrators, which is done whether this works or not."""
        if self.online.is_set():
            try:
                await self.events.admit(self.readers())
            except (CommandError, WireError) as error:  # the next change, or the next login, tries again
                log.error("%s: who may read its events cannot be changed: %s", self.bare, error)

    # -- telling --------------------------------------------------------------------------------------------------------

    def show(self, status: Status) -> None:
        """Change the presence; the same one is not sent twice."""
        if status != self._status:
            self._status = status
            if self.online.is_set():
                self._announce()

    def push(self, topic: Topic | str, change: str, *details: ET.Element) -> None:
        """Publish a change on the events node, after all that were pushed before it; ``details`` stand in it."""
        self.spawn(self.events.push(topic, change, *details, by=acting.person()))
        self.services.registry.hooks.tell_push(self, str(topic), change, details)

    def shout(self, text: str) -> None:
        """Tell everybody in the roster whom we know, as a headline."""
        if self.services.registry.hooks.shout(self, text):
            return
        for bare in self.contacts:
            if bare != self.bare and self.knows(bare):
                self.stream.transmit(stanzas.headline(bare, text))

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run ``work`` beside everything else; :meth:`close` ends it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def publish_vcard(self) -> None:
        """Bring the vCard on the server up to date, if it is not."""
        card = self._make_card()
        if await self._read_stored_card() != card:
            await self.stream.request(stanzas.iq("set", None, card.write()))
        self._card = card

    async def _read_stored_card(self) -> VCard | None:
        """Return the vCard on the server; ``None`` if there is none (an empty result or item-not-found) or none that is one."""
        try:
            return VCard.read((await self.stream.request(stanzas.iq("get", None, ET.Element(f"{{{ns.VCARD}}}vCard"))))[0])
        except (CommandError, IndexError, ValueError):
            return None

    def _make_card(self) -> VCard:
        card = self.services.settings.vcard
        photo = self.avatar() if card.use_avatar else b""
        return VCard(str(self.kind), f"{self.title} ({self.services.driver})", self.name, self.organisation, photo, card.url)

    async def rename(self, name: str, organisation: Organisation) -> None:
        """Take another name or organisation into the vCard, and let clients know that it changed."""
        self.name, self.organisation = name, organisation
        await self.show_card()

    async def show_card(self) -> None:
        """Bring the vCard up to date, and let clients know that it changed."""
        if self.online.is_set():
            await self.publish_vcard()
            self._announce()

    # -- life -----------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to connect, for ever."""
        self.connection.start()

    async def close(self) -> None:
        """Log out; nothing of this entity runs afterwards, and who still waits for an answer is told that there is none."""
        self.stream.take_no_more()
        self._requests.clear()
        self._chats.clear()
        await self._end_tasks()
        for iq in self._unanswered.values():
            self.stream.transmit(admission.refuse_unfinished(iq))
        await self.connection.stop()
        self.services.rights.detach(self.bare)

    async def _end_tasks(self) -> None:
        tasks = self._tasks - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=END_DEADLINE)

    async def _come_online(self, resumed: bool) -> None:
        if resumed and self.online.is_set():
            return
        self.online.clear()  # it may still be set, for a session that could have been resumed: requests wait for the new one
        self._visitors.clear()
        await self.contacts.load()
        await self.events.prepare(self.readers())
        await self.publish_vcard()
        self._status = await self.current_status()
        self.online.set()
        self._announce()
        await self.set_up()

    def _go_offline(self) -> None:
        if not self.connection.may_resume:
            self.online.clear()

    def _announce(self) -> None:
        """Send the presence to the roster, and to those who came with a directed one and do not get it that way."""
        for visitor in [visitor for visitor in self._visitors if not self.decide(bare_jid(visitor), "presence").allowed]:
            del self._visitors[visitor]
        others = (visitor for visitor in self._visitors if not self.contacts.sees_us(bare_jid(visitor)))
        for to in (None, *others):
            self.stream.transmit(self._presence(to))

    def _presence(self, to: str | None) -> ET.Element:
        status = self.status
        parts = [stanzas.text_element("show", status.show)] if status.show else []
        parts += [stanzas.text_element("status", status.text)] if status.text else []
        return stanzas.presence(None, to, *parts, self._card.update())

    # -- what comes in --------------------------------------------------------------------------------------------------

    def _take_request(self, iq: ET.Element) -> None:
        namespace, caller = namespace_of(iq[0].tag) if len(iq) else "", Caller.of(iq, self.bare)
        told = namespace if len(namespace) <= LONGEST_HEADER else ""
        if stanzas.size_of(iq.get("id", "")) > LARGEST_ID:
            log.warning("%s: a request of %s bears an id that fits into no answer: not answered", self.bare, iq.get("from"))
        elif namespace == ns.IQ_ROSTER and iq.get("type") == "set":
            self._take_roster_push(iq)
        elif (refusal := admission.refuse_haste(self, caller, iq, told)) is not None:
            self.stream.transmit(refusal)
        elif self._requests.take(caller.bare, functools.partial(self._answer, iq, namespace, caller)):
            self._unanswered[id(iq)] = iq
        else:
            self.stream.transmit(admission.refuse_flood(self, caller, iq, told, MOST_REQUESTS_WAITING))

    def _take_roster_push(self, iq: ET.Element) -> None:
        before = self.contacts.seeing
        self.contacts.take_push(iq)
        if self.contacts.seeing != before:
            self.spawn(self.refresh_readers())

    async def _answer(self, iq: ET.Element, namespace: str, caller: Caller) -> None:
        """Answer one IQ, whatever it is: exactly one answer each."""
        answer = await self._find_answer(iq, namespace, caller)
        del self._unanswered[id(iq)]
        self.stream.transmit(answer)

    async def _find_answer(self, iq: ET.Element, namespace: str, caller: Caller) -> ET.Element:
        """Do what an IQ asks and return the answer.

        One that comes before the roster was read waits for it: without the roster nobody knows who is known.
        """
        await self.online.wait()
        if any(len(header) > LONGEST_HEADER for header in (iq.get("id", ""), namespace, *(iq[0].attrib.values() if len(iq) else ()))):
            return stanzas.error_of(iq, BadRequest(f"id, namespace and attributes have {LONGEST_HEADER} characters at most"), "", "")
        if namespace == ns.PING:
            return stanzas.result_of(iq)
        if namespace in discovery.NAMESPACES:
            return discovery.answer(self, iq, namespace, caller)
        if namespace == ns.COMMANDS:
            return await admission.in_turn(self, caller, iq, adhoc.answer)
        if namespace.startswith("archipel:") or self.services.registry.serves(self.kind, namespace):
            return await admission.in_turn(self, caller, iq, answer_iq)
        return stanzas.error_of(iq, self._refuse_namespace(namespace, caller), namespace, "")

    def _refuse_namespace(self, namespace: str, caller: Caller) -> CommandError:
        """Return why a request of a namespace that is not served, or not to strangers, is refused."""
        if not self.knows(caller.bare):
            return PermissionDenied(f"{caller.bare} is not known here")
        return NotImplementedByEntity(f"{self.kind} does not know {namespace!r}")

    def _take_message(self, message: ET.Element) -> None:
        caller, body = Caller.of(message, self.bare), message.findtext(f"{{{ns.CLIENT}}}body")
        if message.get("type") == "error":
            self.dialogues.note_gone(caller.full)  # what was written to it did not arrive
        elif message.get("type") == "chat" and body is not None:
            if admission.refuse_hasty_message(self, caller) or self.dialogues.hand_over(caller.full, body):
                return
            if not self._chats.take(caller.bare, functools.partial(self._reply, message)):
                admission.refuse_chat(self, caller, told=self._chats.note_refusal(caller.bare))

    async def _reply(self, message: ET.Element) -> None:
        await self.online.wait()
        await admission.reply_in_turn(self, Caller.of(message, self.bare), message)

    def _take_presence(self, presence: ET.Element) -> None:
        caller, kind = Caller.of(presence, self.bare), presence.get("type")
        if caller.bare == self.bare:
            return
        if kind in {None, "unavailable"}:
            self.contacts.note_presence(caller.full, caller.bare, available=kind is None)
        if kind == "subscribe":
            self.spawn(self._take_subscription(caller.bare))
        elif kind == "unsubscribe" and caller.bare in self.contacts:
            self.spawn(self.drop_contact(caller.bare))
        elif kind == "unavailable":
            self._visitors.pop(caller.full, None)
            self.dialogues.note_gone(caller.full)
        elif kind is None and caller.full not in self._visitors:
            self._greet(caller)

    def _greet(self, caller: Caller) -> None:
        """Answer the directed presence of somebody who may see ours, so that he learns the full JID."""
        if self.contacts.sees_us(caller.bare) or not self.online.is_set() or not self.decide(caller.bare, "presence").allowed:
            return
        if len(self._visitors) < MOST_VISITORS:
            self._visitors[caller.full] = None
        self.stream.transmit(self._presence(caller.full))

    async def _take_subscription(self, bare: str) -> None:
        """Let somebody see the presence, if he may; a stranger changes nothing, not even the roster."""
        await self.online.wait()
        if not self.decide(bare, "presence").allowed:
            self.contacts.refuse(bare)
            return
        await self.events.admit(self.readers() | {bare})
        self.contacts.approve(bare)

    async def add_contact(self, bare: str) -> None:
        """Take somebody into the roster, with the right to read our events."""
        await self.events.admit(self.readers() | {bare})
        await self.contacts.add(bare, self.name)
        self.push(Topic.SUBSCRIPTION, SubscriptionChange.ADDED)

    async def dismiss(self, bare: str) -> None:
        """Drop from the roster who lost his last right here: whom the roster shows our presence is known, whatever he may do."""
        known_else = self.services.rights.held_tokens(self.bare, bare) or self.decide(bare, "presence").allowed
        if bare in self.contacts and not known_else:
            await self.drop_contact(bare)

    async def withdraw(self, bare: str) -> None:
        """Take the presence back from somebody whose right to see it is over, and let him go if that was his last."""
        if self.contacts.sees_us(bare) and not self.decide(bare, "presence").allowed:
            self.contacts.refuse(bare)
        await self.dismiss(bare)

    async def drop_contact(self, bare: str) -> None:
        """Remove somebody from the roster."""
        try:
            await self.contacts.remove(bare)
        except (CommandError, WireError) as error:
            log.warning("%s: cannot remove %s from the roster: %s", self.bare, bare, error)
            return
        await self.refresh_readers()
        self.push(Topic.SUBSCRIPTION, SubscriptionChange.REMOVED)
