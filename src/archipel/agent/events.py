# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An entity's events node: who may read it, and what is published there (docs/events.md)."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import Counter
from typing import Final
from xml.etree import ElementTree as ET

from archipel.protocol.errors import CommandError, Condition
from archipel.protocol.events import Push, Topic, events_node
from archipel.xmpp.errors import WireError
from archipel.xmpp.pubsub import PubSub

log = logging.getLogger(__name__)

CONFIGURATION: Final = {
    "pubsub#access_model": "whitelist",
    "pubsub#publish_model": "publishers",
    "pubsub#persist_items": "0",
    "pubsub#deliver_notifications": "1",
    "pubsub#deliver_payloads": "1",
    "pubsub#notify_retract": "0",
    "pubsub#send_last_published_item": "never",
    "pubsub#notification_type": "headline",
}
EPOCH: Final = uuid.uuid4().hex[:12]
"""This life of the agent: sequence numbers begin anew with each."""


class EventsNode:
    """The events node of the entity with the bare JID ``owner``."""

    def __init__(self, pubsub: PubSub, owner: str, counts: Counter[str] | None = None) -> None:
        self._pubsub = pubsub
        self._owner = owner
        self._node = events_node(owner)
        self._readers: set[str] = set()
        self._admitting = asyncio.Lock()
        self._usable = False
        self.sequence = 0
        self._counts = Counter() if counts is None else counts

    async def prepare(self, readers: set[str]) -> None:
        """Make the node if it is missing, and let ``readers`` and nobody else subscribe.

        A node of that name which is somebody else's is a trap for subscribers: nothing is published there.
        """
        self._usable = False
        try:
            found = await self._pubsub.affiliations(self._node)
            await self._correct(readers)
        except CommandError as error:
            if error.condition != Condition.ITEM_NOT_FOUND:
                log.error("%s belongs to somebody else (%s): an administrator must delete it; no events until then", self._node, error.text)
                return
            await self._pubsub.create(self._node, CONFIGURATION)
            found = {self._owner: "owner"}
        self._usable = True
        self._readers = {jid for jid, affiliation in found.items() if affiliation == "member"}
        await self.admit(readers)

    async def _correct(self, readers: set[str]) -> None:
        """Close a node that was open: the founding agent's let everybody subscribe, and ejabberd goes on serving who did."""
        if "pubsub#access_model" in await self._pubsub.correct(self._node, CONFIGURATION):
            log.warning("%s was open to all; it is not any more", self._node)
            await self._end_subscriptions(await self._pubsub.subscribers(self._node) - readers - {self._owner})

    async def admit(self, readers: set[str]) -> None:
        """Let exactly ``readers`` read the node from now on."""
        async with self._admitting:  # what is set depends on what was: one after the other
            if self._usable and readers - {self._owner} != self._readers:
                await self._admit(readers - {self._owner})

    async def _admit(self, readers: set[str]) -> None:
        gone = self._readers - readers
        # ejabberd goes on delivering to a subscriber who is no member any more. First: a crash in between leaves him a member,
        # whom the next start dismisses. Again afterwards: a client may have subscribed anew at once.
        await self._end_subscriptions(gone)
        await self._pubsub.set_affiliations(self._node, dict.fromkeys(readers - self._readers, "member") | dict.fromkeys(gone, "none"))
        await self._end_subscriptions(gone)
        self._readers = set(readers)

    async def _end_subscriptions(self, accounts: set[str]) -> None:
        if accounts:
            await self._pubsub.end_subscriptions(self._node, accounts)

    async def push(self, topic: Topic | str, change: str, *details: ET.Element, by: str = "") -> None:
        """Publish a change, with ``details`` in it; a failure is logged, never raised: what was done stays done.

        ``by`` is whose doing it was (bare JID), if that is certain.
        """
        self.sequence += 1
        push = Push(topic, change, self.sequence, EPOCH, by=by)
        if not self._usable:
            self._counts["lost"] += 1
            return
        try:
            await self._pubsub.publish(self._node, push.write(*details), str(uuid.uuid4()))
            self._counts["published"] += 1
        except (CommandError, WireError) as error:
            self._counts["lost"] += 1
            log.warning("%s: push %s %s was lost: %s", self._owner, topic, change, error)

    async def remove(self) -> None:
        """Delete the node; one that is not there is removed already."""
        try:
            await self._pubsub.delete(self._node)
        except CommandError as error:
            if error.condition != Condition.ITEM_NOT_FOUND:
                raise
