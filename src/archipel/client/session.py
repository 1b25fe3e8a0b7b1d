# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An XMPP session as the platform's clients use it: commands, events, tags, vCards."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Final, Literal, Self, TypeVar
from xml.etree import ElementTree as ET

from archipel.client.addresses import bare_address, parse_address
from archipel.client.errors import ClientError, MalformedAnswer, NotOnline
from archipel.client.events import Events
from archipel.client.hypervisor import Hypervisor
from archipel.client.inbox import Inbox, Reply
from archipel.client.presences import Presences
from archipel.client.roster import RosterContact, may_be_hypervisor, read_roster
from archipel.client.settings import ConnectionSettings
from archipel.client.tags import read_tags
from archipel.client.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import BadRequest, CommandError, Condition, RemoteError
from archipel.protocol.events import TAGS_NODE
from archipel.protocol.payload import Request
from archipel.protocol.vcard import VCard
from archipel.protocol.xml import child_named
from archipel.xmpp import stanzas
from archipel.xmpp.connection import CONFLICT_REST, Connection, Server, with_jitter
from archipel.xmpp.errors import Disconnected, LoginFailed, LoginRefused, NoAnswer, ServerUnreachable, UntrustedServer
from archipel.xmpp.pubsub import PubSub
from archipel.xmpp.stream import LOGIN_DEADLINE, Lost, Stream
from archipel.xmpp.tls import client_context

AnswerT = TypeVar("AnswerT")

IN_FLIGHT: Final = 100  # requests waiting for their answers; more gain nothing, and servers limit what a client may queue
SEARCH_TIMEOUT: Final = 10.0  # seconds until an entity counts as not online; presences take milliseconds, busy agents more
QUIET_SEARCH: Final = 1.0  # seconds for an entity to answer before this session makes itself known to the whole roster
GREET_AGAIN: Final = 2.0  # seconds between two greetings after that
HEARS_PUSHES: Final = 0  # RFC 6121, 8.5.2.1: headlines to the account go to sessions whose priority is not negative ...
HEARS_PRESENCES: Final = -1  # ... and people's messages never to one whose priority is
_AWAY: Final = frozenset({Condition.SERVICE_UNAVAILABLE, Condition.REMOTE_SERVER_TIMEOUT})


class Session:
    """One login; any number of commands at once. Use it as ``async with Session(settings) as session``.

    Entering raises :class:`~archipel.xmpp.errors.ServerUnreachable`, :class:`~archipel.xmpp.errors.UntrustedServer`,
    :class:`~archipel.xmpp.errors.LoginRefused` or :class:`~archipel.xmpp.errors.LoginFailed`. With ``reconnect`` a session
    that is lost later is set up again for ever; commands fail meanwhile. ``stream`` stands in for the real one in tests.
    """

    def __init__(self, settings: ConnectionSettings, *, reconnect: bool = False, stream: Stream | None = None) -> None:
        self.settings = settings
        self.reconnects = reconnect
        self.jid = bare_address(settings.jid)
        self.presences = Presences()
        self.feeds: set[Events] = set()
        self._given = stream
        self._priority: int | None = None
        self.slots = asyncio.Semaphore(IN_FLIGHT)
        self._connection: Connection | None = None
        self._keeper: asyncio.Task[None] | None = None

    # -- life -----------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self._stream = self._given or _open_stream(self.settings, resume=self.reconnects)
        self._inbox = Inbox(self._stream, self.settings.service, self.presences, self.feeds)
        self.pubsub = PubSub(self._stream, self.settings.service)
        try:
            await self._stream.login(*self.settings.address, min(self.settings.timeout, LOGIN_DEADLINE))
        except (LoginFailed, LoginRefused, ServerUnreachable, UntrustedServer) as error:
            raise type(error)(f"{error} ({self.jid} at {self.settings.place})") from None
        self._keeper = asyncio.create_task(self._outlive_loss())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for feed in tuple(self.feeds):
            await feed.aclose()
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        await (self._connection.stop() if self._connection else self._stream.logout())

    @property
    def ended(self) -> bool:
        """Whether the connection is lost; a session that reconnects may be back soon."""
        return self._stream.lost.done()

    async def _outlive_loss(self) -> None:
        """Wait for the loss of the session; then set it up again, or tell all who listen that it is over."""
        lost: Lost = await asyncio.shield(self._stream.lost)
        if not self.reconnects:
            for feed in tuple(self.feeds):
                feed.end(Disconnected(f"the connection to the XMPP server was lost: {lost.reason}"))
            return
        if lost.conflict:
            await asyncio.sleep(with_jitter(CONFLICT_REST))
        self._connection = Connection(self._stream, Server([self.settings.address]), self._come_back, lambda: None)
        self._connection.start()

    async def _come_back(self, resumed: bool) -> None:
        if resumed:
            return
        self.presences.clear()
        if self._priority is not None:
            self._show(self._priority)
        for feed in tuple(self.feeds):
            await feed.reconnected()

    # -- commands -------------------------------------------------------------------------------------------------------

    async def ask(self, jid: str, request: Request[AnswerT], timeout: float | None = None) -> AnswerT:
        """Send a command to a full JID and return its typed answer; at most :data:`IN_FLIGHT` at once, the others wait.

        Raises a :class:`~archipel.protocol.errors.CommandError` if the entity refuses or fails, :class:`NotOnline` if it is
        not there, :class:`MalformedAnswer`, or a :class:`~archipel.xmpp.errors.WireError` (:class:`NoAnswer` after
        ``timeout`` seconds, by default those of the settings).
        """
        iq = stanzas.command(request, jid, "get" if request.reads else "set")
        return _read_answer(jid, request, await self._request(iq, timeout))

    async def ask_xml(self, jid: str, query: ET.Element, kind: Literal["get", "set"] = "set", timeout: float | None = None) -> ET.Element:
        """Send a ``<query/>`` as it is to a full JID and return the one of the answer; raises what :meth:`ask` does.

        Children without a namespace take the query's. An answer without a query is an empty one.
        """
        answer = child_named(await self._request(stanzas.iq(kind, jid, query), timeout), "query")
        return ET.Element(query.tag) if answer is None else answer

    async def exchange(self, kind: Literal["get", "set"], jid: str, content: ET.Element, timeout: float | None = None) -> ET.Element:
        """Send an IQ with any content, to a server too, and return the IQ that answers it; raises what :meth:`ask` does."""
        return await self._request(stanzas.iq(kind, jid, content), timeout)

    async def _request(self, iq: ET.Element, timeout: float | None = None) -> ET.Element:
        jid = iq.get("to", "")
        try:
            async with self.slots:
                return await self._stream.request(iq, timeout or self.settings.timeout)
        except RemoteError as error:
            if error.condition not in _AWAY:
                raise
            self.presences.forget(jid)
            raise NotOnline(f"{jid} is not online: {error.text}") from None

    def hypervisor(self, jid: str) -> Hypervisor:
        """Return the hypervisor with that JID; a bare one is looked for when the first command is sent."""
        return Hypervisor(self, jid)

    def machine(self, jid: str) -> VirtualMachine:
        """Return the machine with that JID; a bare one is looked for when the first command is sent.

        :meth:`Hypervisor.machine` finds machines by name.
        """
        return VirtualMachine(self, jid)

    # -- finding --------------------------------------------------------------------------------------------------------

    async def locate(self, jid: str, timeout: float | None = None) -> str:
        """Return the full JID of an entity that is online; a full JID is returned as it is.

        The entity is asked by a presence of our own, which it answers to accounts with the right ``presence``; who has it
        in the roster is told by the server. Raises :class:`NotOnline` after ``timeout`` (:data:`SEARCH_TIMEOUT`) seconds.
        """
        address, limit = parse_address(jid), timeout or min(self.settings.timeout, SEARCH_TIMEOUT)
        if address.resource:
            return str(address)
        bare = str(address.bare)
        known = self.presences.full_jid(bare)
        if known is not None:
            return known
        try:
            async with asyncio.timeout(limit):
                return await self._search(bare, min(QUIET_SEARCH, limit / 2))
        except TimeoutError:
            raise NotOnline(f"{bare} is not online, or this account lacks the right 'presence' there (silent for {limit:g} s)") from None

    async def _search(self, bare: str, quiet: float) -> str:
        self.greet(bare)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(quiet):
                return await self.presences.wait_for(bare)
        self.become_available(hear_pushes=False)
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GREET_AGAIN):
                    return await self.presences.wait_for(bare)
            self.greet(bare)  # who was not online yet has not heard it

    def greet(self, bare: str) -> None:
        """Ask an account for its presence: entities answer a presence sent to them, servers a probe (RFC 6121, 4.3)."""
        self._stream.transmit(stanzas.presence(None, bare))
        self._stream.transmit(stanzas.presence("probe", bare))

    def become_available(self, *, hear_pushes: bool) -> None:
        """Make this session known to the server as one that hears presences, and pushes too if asked.

        One that hears pushes also gets the messages that people left for the account while it was offline.
        """
        priority = HEARS_PUSHES if hear_pushes else HEARS_PRESENCES
        if self._priority is None or priority > self._priority:
            self._show(priority)

    def _show(self, priority: int) -> None:
        self._priority = priority
        self._stream.transmit(stanzas.presence(None, None, stanzas.text_element("priority", str(priority))))

    # -- what the platform shares ---------------------------------------------------------------------------------------

    def events(self, entities: Iterable[str], *, pushes: bool = True) -> Events:
        """Return the events of these entities (JIDs): pushes and presences, or presences alone.

        Listening begins with ``async with`` or the first ``await anext()``. See :mod:`archipel.client.events`.
        """
        return Events(self, entities, pushes=pushes)

    async def tags(self) -> Mapping[str, tuple[str, ...]]:
        """Return the tags of all entities, by bare JID, as the platform's tags node has them; empty if there is no node."""
        try:
            return read_tags(await self.pubsub.items(TAGS_NODE))
        except CommandError as error:
            if error.condition != Condition.ITEM_NOT_FOUND:
                raise
            return {}

    async def vcard(self, jid: str) -> VCard:
        """Return the vCard of an account; empty fields where it says nothing."""
        bare = bare_address(jid)
        answer = await self._request(stanzas.iq("get", bare, ET.Element(f"{{{ns.VCARD}}}vCard")))
        card = child_named(answer, "vCard")
        try:
            return VCard.read(ET.Element("none") if card is None else card)
        except ValueError as error:
            raise MalformedAnswer(bare, "vCard", str(error)) from None

    async def contacts(self) -> tuple[RosterContact, ...]:
        """Return this account's roster."""
        return read_roster(await self._request(stanzas.iq("get", None, stanzas.query(ns.IQ_ROSTER))))

    async def find_hypervisors(self) -> tuple[str, ...]:
        """Return which contacts are hypervisors (bare JIDs), by what their vCards say."""
        candidates = [contact.jid for contact in await self.contacts() if may_be_hypervisor(contact)]
        cards = await asyncio.gather(*(self._vcard_or_none(jid) for jid in candidates))
        return tuple(jid for jid, card in zip(candidates, cards, strict=True) if card is not None and card.role == Hypervisor.role)

    async def _vcard_or_none(self, jid: str) -> VCard | None:
        """Return a vCard, or ``None`` where there is none to read: one contact's trouble must not hide the others."""
        try:
            return await self.vcard(jid)
        except (CommandError, ClientError, NoAnswer):
            return None

    async def chat(self, jid: str, text: str, timeout: float | None = None) -> Reply:
        """Say something to an entity and return its reply; raises :class:`NotOnline` or :class:`NoAnswer`.

        An entity is spoken to at its full JID: at its account, a server would keep the message and deliver it later.
        """
        return await self._inbox.converse(await self.locate(jid), text, timeout or self.settings.timeout)


def _open_stream(settings: ConnectionSettings, *, resume: bool) -> Stream:
    tls = None
    if not settings.insecure_plaintext:
        try:
            tls = client_context(settings.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise UntrustedServer(f"ca_file: {settings.ca_file} cannot be used: {error}") from None
    return Stream(settings.jid, settings.password, tls, resume=resume, allow_plain=settings.allow_plain)


def _read_answer(jid: str, request: Request[AnswerT], answer: ET.Element) -> AnswerT:
    query = child_named(answer, "query")
    try:
        # A result without a query is how some servers and libraries write an empty one.
        return request.read_answer(ET.Element("query") if query is None else query)
    except BadRequest as error:
        raise MalformedAnswer(jid, request.action, error.text) from None
