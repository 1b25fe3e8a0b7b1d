# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes in unasked: messages, presences, requests; each is taken to whoever waits for it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol
from xml.etree import ElementTree as ET

from archipel.client.addresses import bare_address
from archipel.client.errors import MalformedAddress, NotOnline
from archipel.client.presences import Presences
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import CommandError, Condition, NotImplementedByEntity, read_error
from archipel.protocol.presence import Status
from archipel.protocol.xml import namespace_of
from archipel.xmpp import stanzas
from archipel.xmpp.errors import NoAnswer
from archipel.xmpp.pubsub import Notification, read_notification
from archipel.xmpp.stream import Stream

_BODY = f"{{{ns.CLIENT}}}body"
_THREAD = f"{{{ns.CLIENT}}}thread"


@dataclass(frozen=True)
class Reply:
    """What an entity said; ``failure``: why it did not do what it was asked, where it says so beside its words."""

    text: str
    failure: Condition | None = None

    @property
    def error(self) -> CommandError | None:
        """The error that the same command would have been answered with, had it not been said."""
        return None if self.failure is None else CommandError(self.text, condition=self.failure)


class Listener(Protocol):
    """Who hears what comes in (:class:`archipel.client.events.Events`)."""

    def take_notification(self, notification: Notification) -> None:
        """Take in a notification of the PubSub service."""

    def take_presence(self, entity: str, status: Status | None) -> None:
        """Take in the presence of an account."""

    def take_message(self, sender: str, text: str) -> None:
        """Take in a message that answers nothing."""


class Inbox:
    """Takes over what a stream receives."""

    def __init__(self, stream: Stream, service: str, presences: Presences, listeners: Iterable[Listener]) -> None:
        self._stream = stream
        self._service = service
        self._listeners = listeners
        self._conversations: dict[str, tuple[str, asyncio.Future[Reply]]] = {}
        stream.on_message = self._take_message
        stream.on_presence = presences.take
        stream.on_request = self._answer
        presences.listeners.add(self._tell_presence)

    async def converse(self, full_jid: str, text: str, timeout: float) -> Reply:
        """Send a chat message and return the reply to it, which has the same thread (RFC 6121, 5.2.5)."""
        thread = str(uuid.uuid4())
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._conversations[thread] = (bare_address(full_jid), future)
        message = stanzas.chat(full_jid, text, thread)
        message.set("id", thread)
        self._stream.transmit(message)
        try:
            async with asyncio.timeout(timeout):
                return await future
        except TimeoutError:
            raise NoAnswer(f"{full_jid} did not reply within {timeout:g} s") from None
        finally:
            del self._conversations[thread]

    def _take_message(self, message: ET.Element) -> None:
        notification = read_notification(message, self._service)
        if notification is not None:
            for listener in tuple(self._listeners):
                listener.take_notification(notification)
            return
        try:
            sender = bare_address(message.get("from", ""))
        except MalformedAddress:
            return  # a server's announcement
        if message.get("type") == "error":
            self._take_bounce(message, sender)
        else:
            self._take_text(message, sender)

    def _take_text(self, message: ET.Element, sender: str) -> None:
        text = message.findtext(_BODY)
        if text is None:
            return
        partner, future = self._conversations.get(message.findtext(_THREAD) or "", (None, None))
        if future is not None and partner == sender and not future.done():
            future.set_result(Reply(text, stanzas.failure_of(message)))
            return
        for listener in tuple(self._listeners):
            listener.take_message(sender, text)

    def _take_bounce(self, message: ET.Element, sender: str) -> None:
        partner, future = self._conversations.get(message.get("id", ""), (None, None))
        if future is not None and partner == sender and not future.done():
            future.set_exception(NotOnline(f"{message.get('from')} cannot be reached: {read_error(message).text}"))

    def _tell_presence(self, entity: str, status: Status | None) -> None:
        for listener in tuple(self._listeners):
            listener.take_presence(entity, status)

    def _answer(self, iq: ET.Element) -> None:
        """Answer a request: servers end sessions that do not answer pings (XEP-0199)."""
        namespace = namespace_of(iq[0].tag) if len(iq) else ""
        known = namespace in {ns.PING, ns.IQ_ROSTER}
        error = NotImplementedByEntity("a client of the platform takes no commands")
        self._stream.transmit(stanzas.result_of(iq) if known else stanzas.error_of(iq, error, namespace, ""))
