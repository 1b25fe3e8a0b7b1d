# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody with an XMPP account and an independent client: what he sends is written by hand, what he gets is kept as it came.

Nothing of the project's own vocabulary is used here, so that these tests examine the wire and not one codec with itself.
"""

from __future__ import annotations

import asyncio
import bisect
import itertools
import secrets
import ssl
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

from archipel.xmpp.stream import Stream
from tests.wire.matching import CLIENT, child, name_of, namespace_of, show
from tests.wire.waiting import DEADLINE

T = TypeVar("T")

PUBSUB = "http://jabber.org/protocol/pubsub"
PUBSUB_EVENT = f"{PUBSUB}#event"
LONG = 10_000  # characters of a stanza that may hold a long tag
TRIES = 5  # at a request that the server wants repeated
QUIET = 0.3  # seconds in which a second answer would have come


@dataclass(frozen=True)
class Push:
    """A change that an entity announced: whose events node, namespace and attributes of the element."""

    owner: str
    namespace: str
    change: str
    sequence: int
    epoch: str
    date: str
    by: str

    @property
    def what(self) -> tuple[str, str]:
        """Topic and change."""
        return self.namespace.removeprefix("archipel:push:"), self.change


class Person:
    """One session of an account; ``received`` holds every stanza in the order of its arrival."""

    def __init__(self, jid: str, password: str, tls: ssl.SSLContext, address: tuple[str, int], resource: str = "desk") -> None:
        self.bare = jid
        self.full = f"{jid}/{resource}"
        self.received: list[ET.Element] = []
        self._answers: defaultdict[str, list[ET.Element]] = defaultdict(list)
        self._presences: defaultdict[str, list[tuple[int, ET.Element]]] = defaultdict(list)
        self._pushes: list[tuple[int, Push]] = []
        self.welcoming = True
        self._address = address
        self._stream = _Recorder(self.full, password, tls, self._take)
        self._arrived = asyncio.Event()
        self._ids = (f"{secrets.token_hex(3)}-{number}" for number in itertools.count(1))

    @property
    def lost(self) -> asyncio.Future[object]:
        """Done when the session has ended."""
        return self._stream.lost

    async def log_in(self) -> None:
        """Log in and become available."""
        await self._stream.login(*self._address)
        self.send("<presence/>")

    async def log_out(self) -> None:
        await self._stream.logout()

    # -- asking ---------------------------------------------------------------------------------------------------------

    def send(self, stanza: str) -> None:
        """Write a stanza as it is.

        The server, too, may look at a long tag only when twice as much has come (:class:`archipel.xmpp.direct.PromptParser`):
        blanks between stanzas are none of its business (RFC 6120, 4.6.1).
        """
        self._stream.send_raw(stanza + " " * (len(stanza) if len(stanza) > LONG else 0))

    def request(self, to: str | None, payload: str, kind: str = "set") -> str:
        """Send an IQ and return its id, by which :meth:`answers` finds what came."""
        key = next(self._ids)
        self.send(f"<iq type='{kind}'{f' to={quoteattr(to)}' if to else ''} id='{key}'>{payload}</iq>")
        return key

    async def ask(self, to: str | None, payload: str, kind: str = "set", deadline: float = DEADLINE) -> ET.Element:
        """Send an IQ and return its answer, result or error."""
        key = self.request(to, payload, kind)
        [answer] = await self.until(lambda: self.answers(key), f"an answer to {payload}", deadline)
        assert answer.get("to") == self.full, show(answer)
        if to is not None:
            assert answer.get("from") == to, show(answer)
        return answer

    async def command(self, to: str, namespace: str, archipel: str, kind: str = "set") -> ET.Element:
        """Ask an entity for a command, as a founding client writes it."""
        return await self.ask(to, f"<query xmlns='{namespace}'>{archipel}</query>", kind)

    async def ask_server(self, to: str | None, payload: str, kind: str = "set") -> ET.Element:
        """Ask the server or its PubSub service; it must agree, at the latest when asked again after an error that says to wait.

        ejabberd's Mnesia aborts one of two nodes that are made at once.
        """
        for _ in range(TRIES):
            answer = await self.ask(to, payload, kind)
            if answer.get("type") == "result" or child(answer, "error").get("type") != "wait":
                break
            await asyncio.sleep(QUIET)
        assert answer.get("type") == "result", show(answer)
        return answer

    def answers(self, key: str) -> list[ET.Element]:
        """All answers to the IQ of that id: one, unless something is wrong."""
        return list(self._answers.get(key, ()))

    async def assert_one_answer_each(self) -> None:
        """Wait a moment and check that nothing was answered twice, and nothing that nobody asked."""
        await asyncio.sleep(QUIET)
        often = sorted(key for key, answers in self._answers.items() if len(answers) > 1)
        assert not often, f"answered more than once: {often}"

    # -- watching -------------------------------------------------------------------------------------------------------

    async def until(self, look: Callable[[], T], what: str = "what was looked for", deadline: float = DEADLINE) -> T:
        """Look again with each stanza that comes, until there is something, and return it."""
        try:
            async with asyncio.timeout(deadline):
                while not (found := look()):
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            raise AssertionError(f"{self.full} did not get {what} within {deadline:g} s; last came:\n{show(self.received[-12:])}") from None
        return found

    async def subscribe_to_events(self, owner: str, service: str) -> ET.Element:
        """Subscribe to an entity's events, as a founding client does when it has read the contact's vCard."""
        node = f"/archipel/{owner}/events"
        return await self.ask(service, f"<pubsub xmlns='{PUBSUB}'><subscribe node='{node}' jid='{self.bare}'/></pubsub>")

    def pushes(self, owner: str | None = None, since: int = 0) -> list[Push]:
        """The pushes that came after the first ``since`` stanzas, of one entity (bare JID) or of all."""
        later = self._pushes[bisect.bisect_left(self._pushes, since, key=lambda entry: entry[0]) :]
        return [push for _number, push in later if owner in (None, push.owner)]

    async def expect_push(self, owner: str, topic: str, change: str, since: int = 0) -> Push:
        """Wait for a push of ``owner``."""
        wanted = (topic, change)
        [push, *_] = await self.until(
            lambda: [push for push in self.pushes(owner, since) if push.what == wanted], f"the push {topic} {change} of {owner}"
        )
        return push

    def presences(self, bare: str, since: int = 0) -> list[ET.Element]:
        """The presences of an account, in order."""
        return [stanza for number, stanza in self._presences.get(bare, ()) if number >= since]

    def shown(self, bare: str) -> tuple[str | None, str | None] | None:
        """Show and status text that an account's last presence carried; ``None`` before there was one, or when it went."""
        last = next((stanza for stanza in reversed(self.presences(bare)) if stanza.get("type") in {None, "unavailable"}), None)
        if last is None or last.get("type"):
            return None
        return last.findtext(f"{{{CLIENT}}}show"), last.findtext(f"{{{CLIENT}}}status")

    async def expect_shown(self, bare: str, show: str | None, status: str) -> None:
        """Wait until an account shows itself like that."""
        await self.until(lambda: self.shown(bare) == (show, status), f"{(show, status)} from {bare}, not {self.shown(bare)}")

    # -- talking --------------------------------------------------------------------------------------------------------

    async def say(self, to: str, body: str, thread: str = "") -> str:
        """Say something to an entity in a chat and return what it answers."""
        before = len(self.received)
        self.send(f"<message type='chat' to={quoteattr(to)}><body>{escape(body)}</body>{thread and f'<thread>{thread}</thread>'}</message>")
        [answer] = await self.until(lambda: self.heard(to.partition("/")[0], before), f"an answer to {body!r}")
        assert answer.get("from") == to, show(answer)
        if thread:
            assert answer.findtext(f"{{{CLIENT}}}thread") == thread
        return answer.findtext(f"{{{CLIENT}}}body") or ""

    def heard(self, bare: str, since: int = 0, kind: str = "chat") -> list[ET.Element]:
        """The messages of that type that came from an account."""
        return [
            stanza
            for stanza in self.received[since:]
            if name_of(stanza) == "message" and stanza.get("type") == kind and (stanza.get("from") or "").partition("/")[0] == bare
        ]

    def _take(self, stanza: ET.Element) -> None:
        self._sort_in(len(self.received), stanza)
        self.received.append(stanza)
        self._arrived.set()
        if name_of(stanza) == "iq" and stanza.get("type") in {"get", "set"}:  # roster pushes; the server's pings, who else hangs up
            self.send(f"<iq type='result' id={quoteattr(stanza.get('id', ''))} to={quoteattr(stanza.get('from') or self.bare)}/>")
        if name_of(stanza) == "presence" and stanza.get("type") == "subscribe" and self.welcoming:
            for kind in ("subscribed", "subscribe"):
                self.send(f"<presence type='{kind}' to={quoteattr(stanza.get('from', '').partition('/')[0])}/>")

    def _sort_in(self, number: int, stanza: ET.Element) -> None:
        """Put a stanza where it is looked for: who is logged in for a whole test run gets a hundred thousand."""
        kind = name_of(stanza)
        if kind == "iq" and stanza.get("type") in {"result", "error"}:
            self._answers[stanza.get("id", "")].append(stanza)
        elif kind == "presence":
            self._presences[(stanza.get("from") or "").partition("/")[0]].append((number, stanza))
        else:
            self._pushes += [(number, push) for push in _read_pushes(stanza)]


class _Recorder(Stream):
    """The stream alone, for TLS and SCRAM: every stanza goes to ``take`` as it came."""

    def __init__(self, jid: str, password: str, tls: ssl.SSLContext, take: Callable[[ET.Element], None]) -> None:
        super().__init__(jid, password, tls)
        self._take = take

    def take_stanza(self, element: ET.Element) -> None:
        self._take(element)


def _read_pushes(stanza: ET.Element) -> list[Push]:
    if name_of(stanza) != "message" or stanza.get("type") != "headline":
        return []
    found = []
    for items in stanza.iterfind(f"{{{PUBSUB_EVENT}}}event/{{{PUBSUB_EVENT}}}items"):
        node = (items.get("node") or "").split("/")
        for item in items:
            for push in item:
                assert name_of(push) == "push", show(stanza)
                number, epoch, date = int(push.get("sequence", "0")), push.get("epoch", ""), push.get("date", "")
                found.append(Push(node[2], namespace_of(push), push.get("change", ""), number, epoch, date, push.get("by", "")))
    return found


def error_text(answer: ET.Element) -> str:
    """What an error says."""
    return next((part.text or "" for part in child(answer, "error") if name_of(part) == "text"), "")
