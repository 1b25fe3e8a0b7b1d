# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes of the server from which agents take orders: who is an administrator, which rules count everywhere.

Whoever could publish there would rule every machine. So a node counts only if all who may publish there are trusted by the
settings, an item only if its publisher is (where the server tells it), a notification only as a hint to read the node again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from archipel.agent.jids import MalformedJid, bare_jid
from archipel.agent.store import StoreError
from archipel.protocol.errors import CommandError
from archipel.xmpp.errors import WireError
from archipel.xmpp.pubsub import Item

if TYPE_CHECKING:
    from archipel.agent.hypervisor import Hypervisor

log = logging.getLogger(__name__)

LOOK_AGAIN: Final = 10.0  # seconds; nobody is told that a node was made, nor that a subscription went with the old one


@dataclass(frozen=True)
class Contents:
    """What a node holds: its name, what that is in words, and what takes its trusted items in; ``None``: none of it is trusted."""

    node: str
    words: str
    take: Callable[[Hypervisor, Sequence[Item] | None], Awaitable[None]]


class TrustedNode:
    """A node as one hypervisor follows it."""

    def __init__(self, hypervisor: Hypervisor, contents: Contents) -> None:
        self.name = contents.node
        self._hypervisor = hypervisor
        self._contents = contents
        self._title = f"{contents.words} ({contents.node})"
        self._follows: bool | None = None  # not known before it was tried
        self._turn = asyncio.Lock()
        self._asked = False

    async def follow(self) -> None:
        """Subscribe to the node and read it; without one, what was known before counts."""
        if await self._subscribe() is not None:
            await self.refresh()

    async def look_out(self) -> None:
        """Find the node that is made after the agent was started, or made anew, and read again what could not be read."""
        while True:
            await asyncio.sleep(LOOK_AGAIN)
            await self._hypervisor.online.wait()
            with contextlib.suppress(WireError):
                is_new = await self._subscribe()
                if is_new or (is_new is False and not self._follows):
                    await self.refresh()

    async def _subscribe(self) -> bool | None:
        """Subscribe to the node; returns whether that was needed, ``None`` if there is none to be read."""
        try:
            return await self._hypervisor.pubsub.subscribe(self.name)
        except CommandError as error:
            self._miss(logging.INFO, f"no {self._title}: {error.text}")
            return None

    async def refresh(self) -> None:
        """Read the node, one reading after the other; who asks while another waits to begin is served by that."""
        if self._asked:
            return
        self._asked = True
        async with self._turn:
            self._asked = False
            try:
                await self._contents.take(self._hypervisor, await self._read())
                self._follows = True
            except (CommandError, WireError, StoreError) as error:
                self._miss(logging.WARNING, f"{self._title}: cannot be read, all stays as it was: {error}")

    def _miss(self, level: int, words: str) -> None:
        log.log(logging.DEBUG if self._follows is False else level, "%s", words)
        self._follows = False

    async def _read(self) -> list[Item] | None:
        trusted = frozenset(self._hypervisor.services.settings.xmpp.trusted_publishers)
        writers = await self._hypervisor.pubsub.writers(self.name)
        if writers is None:
            log.error("%s: everybody may publish there: it is ignored; set its publish model to publishers", self._title)
            return None
        others = sorted({_key(writer) for writer in writers} - trusted)
        if others or not writers:
            log.error("%s: in the hands of %s, not trusted: it is ignored", self._title, ", ".join(others) or "nobody")
            return None
        return [item for item in await self._hypervisor.pubsub.items(self.name) if self._trusts(item, trusted)]

    def _trusts(self, item: Item, trusted: frozenset[str]) -> bool:
        if item.publisher is None or _key(item.publisher) in trusted:
            return True
        log.error("%s: item %s is from %s, who is not trusted: it is ignored", self._title, item.id, item.publisher)
        return False


def _key(jid: str) -> str:
    """Return a bare JID for comparison; what is no JID here is nobody whom the settings could name."""
    try:
        return bare_jid(jid)
    except MalformedJid:
        return jid
