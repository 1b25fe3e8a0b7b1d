# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""slixmpp's stream with a short way for stanzas: elements in, elements out, no objects or matchers between.

slixmpp builds a stanza object for each element, matches it against some twenty handlers and queues what is sent for a task of its
own: half a millisecond a request, where the network and the server together take a quarter. Negotiation, TLS, SASL and resumption
stay slixmpp's; this only replaces what happens between two logins, and keeps the counts of stream management (XEP-0198).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final
from xml.etree import ElementTree as ET

from slixmpp import ClientXMPP

from archipel.protocol.xml import local_name, namespace_of
from archipel.xmpp.serial import serialize
from archipel.xmpp.stanzas import IQ, MESSAGE, PRESENCE

log = logging.getLogger(__name__)

SM: Final = "urn:xmpp:sm:3"
ACK_REQUEST: Final = f"{{{SM}}}r"
# All that the other side may say before it is known to be the server (RFC 6120, 4.3): above all, no session is resumed.
NEGOTIATION: Final = frozenset({"http://etherx.jabber.org/streams", "urn:ietf:params:xml:ns:xmpp-tls", "urn:ietf:params:xml:ns:xmpp-sasl"})
STANZAS: Final = frozenset({IQ, MESSAGE, PRESENCE})
COUNTER: Final = 2**32  # stream management counts modulo this (XEP-0198, 4)
ACK_DELAY: Final = 1.0  # seconds an answer to the server's ack request waits for a stanza to travel with; the server waits 60
WINDOW: Final = 20  # stanzas sent before the server is asked what arrived; what it did not confirm is kept for resending


class PromptParser(ET.XMLPullParser):  # type: ignore[type-arg] # generic for type checkers alone
    """Is never left with half a tag.

    expat, since 2.6 and in Debian's security updates of 2.5, does not look at a tag again that was not complete, before twice as
    much of it has come: against senders who make it parse one again and again. A stanza whose end comes within such a tag would
    lie there until somebody sends another. So what follows the last ``>`` waits here; servers write none into a tag.
    """

    def __init__(self) -> None:
        super().__init__(("start", "end"))
        self._begun = bytearray()

    def feed(self, data: Any) -> None:
        """Take what came, and parse it up to its last tag that is complete."""
        end = data.rfind(b">") + 1
        if end:
            super().feed(bytes(self._begun) + data[:end])
            self._begun.clear()
        self._begun += data[end:]


class DirectStream(ClientXMPP):
    """A client stream that hands stanzas to :meth:`take_stanza` and writes those of :meth:`transmit` at once.

    ``management`` is slixmpp's stream management, once :meth:`manage_stream` has asked for it.
    """

    def __init__(self, jid: str, password: str, **options: Any) -> None:
        super().__init__(jid, password, **options)
        self.management: Any = None
        self._ack_timer: asyncio.TimerHandle | None = None
        self._held: list[ET.Element] = []
        self._early: list[ET.Element] = []
        self._negotiations: set[asyncio.Task[Any]] = set()
        self._leaving = False
        self.add_event_handler("connected", self._forget_early)
        self.add_event_handler("disconnected", self._end_connection)
        for event in ("session_start", "session_resumed"):
            self.add_event_handler(event, self._flush)
            self.add_event_handler(event, self._take_early)

    def init_parser(self) -> None:
        """Begin a stream with an empty parser."""
        super().init_parser()
        self.parser = PromptParser()

    async def _handle_stream_features(self, features: Any) -> bool | None:
        task = asyncio.ensure_future(super()._handle_stream_features(features))
        self._negotiations.add(task)
        task.add_done_callback(self._negotiations.discard)
        return await task

    def _end_connection(self, _event: object) -> None:
        """Let all that belongs to a connection end with it: it would go on in the next one, whose server breaks off or binds anew."""
        for task in self._negotiations:
            task.cancel()
        self._reset_sendq()
        self._take_ack()

    def abort(self) -> None:
        """Break the connection; unlike slixmpp's, may be called again while it breaks (TLS transports of asyncio mind)."""
        if self.transport is not None and not self.transport.is_closing():
            super().abort()

    def manage_stream(self) -> None:
        """Have the server keep the session for a while when the connection breaks (XEP-0198)."""
        self.register_plugin("xep_0198")
        self.management = self.plugin["xep_0198"]

    @property
    def trusted(self) -> bool:
        """Whether encryption, if it is wanted, and authentication are done: before that anybody may be the other side."""
        return bool(self.authenticated) and (not self.enable_starttls or "starttls" in self.features)

    @property
    def managed(self) -> bool:
        """Whether the server agreed to manage this connection's stream."""
        return "stream_management" in self.features

    def take_stanza(self, element: ET.Element) -> None:
        """Take an IQ, message or presence of a standing session; whoever wants them says what becomes of them."""

    def take_no_more(self) -> None:
        """Leave to the server what still comes before the logout, answers aside.

        It returns to the senders what was not acknowledged (XEP-0198), so from now on nothing more is.
        """
        self._leaving = True
        if self.management is not None:
            self.management.enabled_in = False

    def transmit(self, element: ET.Element) -> None:
        """Send a stanza; one sent while the session is down goes out when it is back, after those sent before it."""
        self._held.append(element)
        self._flush()

    def withdraw_requests(self) -> None:
        """Do not send requests that wait for a session: whoever made them was told that they failed."""
        self._held = [element for element in self._held if element.tag != IQ or element.get("type") not in {"get", "set"}]

    def _flush(self, _event: object = None) -> None:
        """Write what is held, unless the session is down, or slixmpp has something queued that must go first."""
        if not self._session_started or self.transport is None:
            return
        if not self.waiting_queue.empty():
            self.loop.call_soon(self._flush)
            return
        held, self._held = self._held, []
        if held:
            self.transport.write(f"{''.join(map(self._count, map(serialize, held)))}{self._take_ack()}".encode())

    def _take_ack(self) -> str:
        """Return the acknowledgement that the server waits for, if it does."""
        if self._ack_timer is None:
            return ""
        self._ack_timer.cancel()
        self._ack_timer = None
        return self._ack()

    def _ack(self) -> str:
        return f"<a xmlns='{SM}' h='{self.management.handled}'/>" if self.managed else ""

    def _send_ack(self) -> None:
        if self.transport is not None:
            self.transport.write(self._take_ack().encode())

    def _spawn_event(self, xml: ET.Element) -> None:
        """Take the short way for stanzas of a standing session, slixmpp's own for everything else."""
        management = self.management
        if not self.trusted and namespace_of(xml.tag) not in NEGOTIATION:
            log.warning("%s: %s before encryption and authentication is not believed", self.requested_jid, local_name(xml.tag))
        elif xml.tag in STANZAS and (self._session_started or xml.get("type") not in {"result", "error"}):
            self._take_in(xml)
        elif xml.tag == ACK_REQUEST and management is not None:
            # Most requests for an ack come with a request that is answered in a moment: one write instead of two.
            self._ack_timer = self._ack_timer or self.loop.call_later(ACK_DELAY, self._send_ack)
        else:
            super()._spawn_event(xml)

    def _take_in(self, xml: ET.Element) -> None:
        if self._leaving and (xml.tag != IQ or xml.get("type") in {"get", "set"}):
            return
        if self.management is not None and self.management.enabled_in:
            self.management.handled = (self.management.handled + 1) % COUNTER
        self._early.append(xml)
        self._take_early()

    def _forget_early(self, _event: object) -> None:
        """Begin anew with each connection: what came over another one, or before encryption, is nobody's word."""
        self._early.clear()
        self._leaving = False

    def _take_early(self, _event: object = None) -> None:
        """Hand on what came in; between the binding of a resource and the start of the session it waits."""
        while self._session_started and self._early:
            element = self._early.pop(0)
            try:
                self.take_stanza(element)
            except Exception:  # one stanza that nobody foresaw must not end the session, and with it everybody's machine
                log.exception("%s: a stanza of %s was not taken", self.requested_jid, element.get("from"))

    def _count(self, text: str) -> str:
        """Return what to write for a stanza: itself, and now and then the question what has arrived."""
        management = self.management
        if management is None or not management.enabled_out:
            return text
        management.seq = (management.seq + 1) % COUNTER
        management.unacked_queue.append((management.seq, text))
        return text if len(management.unacked_queue) % WINDOW else f"{text}<r xmlns='{SM}'/>"
