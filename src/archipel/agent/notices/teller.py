# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is told what, when, and by whom: everything beside the requests that it is about.

A few notices come from the entities themselves; more at once come as one digest from the hypervisor. What happens in somebody's quiet
hours, or while he is away who has said what he wants, waits for him, as one digest as well.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from archipel.agent.limits import TokenBuckets
from archipel.agent.notices.preferences import Preference, Preferences
from archipel.agent.notices.words import Level, Notice, digest, is_wanted
from archipel.xmpp import stanzas

if TYPE_CHECKING:
    from archipel.agent.entity import Entity
    from archipel.agent.hypervisor import Hypervisor

log = logging.getLogger(__name__)

GATHER: Final = 1.0  # seconds in which what happens together becomes one message
CHECK: Final = 15.0  # seconds between looks at who is back, and whose quiet hours are over
FEW: Final = 3  # notices that come from their entities; more are a digest
BURST, PER_SECOND = 3, 1 / 20  # messages to one person at once, and after that
MOST_INCOMING: Final = 2000  # notices that have not been looked at; the oldest give way
MOST_KEPT: Final = 200  # notices that wait for one person
MOST_PEOPLE: Final = 1000  # whom notices wait for


@dataclass
class Waiting:
    """What one person has not been told yet: ``due`` now, ``held`` until he is back or his quiet hours are over."""

    due: deque[Notice] = field(default_factory=lambda: deque(maxlen=MOST_KEPT))
    held: deque[Notice] = field(default_factory=lambda: deque(maxlen=MOST_KEPT))
    left_out: int = 0
    left_out_of_held: int = 0

    def add(self, notice: Notice) -> None:
        """Keep what is due; the oldest gives way."""
        self.left_out += len(self.due) == MOST_KEPT
        self.due.append(notice)

    def hold(self, notice: Notice) -> None:
        """Keep what comes later; the oldest gives way."""
        self.left_out_of_held += len(self.held) == MOST_KEPT
        self.held.append(notice)

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self.due and not self.held


class Teller:
    """One per hypervisor: for all its entities. ``kind`` is what those are sent who have set nothing: ``headline`` or ``chat``."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        preferences: Preferences,
        kind: str = "headline",
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.preferences = preferences
        self._hypervisor = hypervisor
        self._kind = kind
        self._now = now
        self._pace = TokenBuckets(PER_SECOND, BURST, clock)
        self._incoming: deque[Notice] = deque(maxlen=MOST_INCOMING)
        self._people: dict[str, Waiting] = {}
        self._wake = asyncio.Event()

    # -- taking in --------------------------------------------------------------------------------------------------------

    def tell(self, notice: Notice) -> None:
        """Take a notice in, for those of its entity's roster whom it concerns; they are found later."""
        self._incoming.append(notice)
        self._wake.set()

    def shout(self, entity: Entity, text: str) -> None:
        """Tell a founding entity's news: at once to who has set nothing, as he likes it to who has."""
        notice = Notice(entity.bare, entity.name, Level.CHANGE, text)
        for bare in self._listeners(entity):
            preference = self.preferences.of(entity.bare, bare)
            if not preference.own:
                entity.stream.transmit(stanzas.headline(bare, text))
            elif not text.startswith(f"{bare} "):  # by whom news are is their first word
                self._sort(entity, bare, notice, preference)
        self._wake.set()

    def _listeners(self, entity: Entity) -> Iterator[str]:
        """Yield whom an entity may tell something: its roster, as far as it is known."""
        own = {self._hypervisor.bare, entity.bare}
        return (bare for bare in list(entity.contacts) if bare not in own and entity.knows(bare))

    # -- working ----------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Tell, for ever."""
        while True:
            try:
                async with asyncio.timeout(CHECK if self._people else None):
                    await self._wake.wait()
                await asyncio.sleep(GATHER)
            except TimeoutError:
                pass
            self._wake.clear()
            await self.work()

    async def work(self) -> None:
        """Look at what came in, and send what is due."""
        while self._incoming:
            self._spread(self._incoming.popleft())
            await asyncio.sleep(0)  # others have their turn between two
        for bare, waiting in list(self._people.items()):
            self._send_due(bare, waiting)
            self._send_held(bare, waiting)
            if waiting.empty:
                del self._people[bare]
            await asyncio.sleep(0)

    def _spread(self, notice: Notice) -> None:
        entity = self._find(notice.entity)
        if entity is None:
            return
        for bare in self._listeners(entity):
            if bare != notice.who:
                self._sort(entity, bare, notice, self.preferences.of(entity.bare, bare))

    def _sort(self, entity: Entity, bare: str, notice: Notice, preference: Preference) -> None:
        """Keep a notice for somebody, if he wants it."""
        if not is_wanted(notice.level, preference.verbosity) or (bare not in self._people and len(self._people) >= MOST_PEOPLE):
            return
        passes = notice.level is Level.ALARM and preference.alarms
        away = entity.contacts.is_online(bare) is False
        if away and not preference.own:
            return  # who has said nothing hears what is said while he is there, as from the founders' entities
        waiting = self._people.setdefault(bare, Waiting())
        if away or (preference.is_quiet(self._now()) and not passes):
            waiting.hold(notice)
        else:
            waiting.add(notice)

    def _find(self, bare: str) -> Entity | None:
        if bare == self._hypervisor.bare:
            return self._hypervisor
        return self._hypervisor.machines.get(bare.partition("@")[0])

    # -- sending ----------------------------------------------------------------------------------------------------------

    def _send_due(self, bare: str, waiting: Waiting) -> None:
        """Send what is due: a few from their entities, more as a digest, and what comes too fast later."""
        while 0 < len(waiting.due) <= FEW and not waiting.left_out:
            if self._pace.take(bare):
                return
            self._send_one(bare, waiting.due.popleft())
        if waiting.due and not self._pace.take(bare):
            self._send_digest(bare, list(waiting.due), waiting.left_out)
            waiting.due.clear()
            waiting.left_out = 0

    def _send_one(self, bare: str, notice: Notice) -> None:
        entity = self._find(notice.entity)
        if entity is not None and entity.knows(bare):
            entity.stream.transmit(self._message(bare, notice.own, [notice]))

    def _send_held(self, bare: str, waiting: Waiting) -> None:
        """Send what waited, as one message, when nothing speaks against it any more."""
        now = self._now()
        still = {notice.entity for notice in waiting.held if self._holds(notice.entity, bare, now)}
        ready = [notice for notice in waiting.held if notice.entity not in still]
        if not ready or self._pace.take(bare):
            return
        left_out, waiting.left_out_of_held = waiting.left_out_of_held, 0
        waiting.held = deque((notice for notice in waiting.held if notice.entity in still), MOST_KEPT)
        self._send_digest(bare, ready, left_out, "Meanwhile:\n")

    def _holds(self, entity_bare: str, bare: str, now: datetime) -> bool:
        entity = self._find(entity_bare)
        if entity is None:
            return False
        return entity.contacts.is_online(bare) is False or self.preferences.of(entity_bare, bare).is_quiet(now)

    def _send_digest(self, bare: str, notices: list[Notice], left_out: int, head: str = "") -> None:
        """Tell several things at once, in the hypervisor's name; not of an entity that does not know him any more."""
        told = [notice for notice in notices if (entity := self._find(notice.entity)) is not None and entity.knows(bare)]
        if told:
            self._hypervisor.stream.transmit(self._message(bare, f"{head}{digest(told, left_out)}", told))

    def _message(self, bare: str, text: str, about: list[Notice]) -> ET.Element:
        as_chat = self._kind == "chat" or any(self.preferences.of(notice.entity, bare).own for notice in about)
        return stanzas.chat(bare, text) if as_chat else stanzas.headline(bare, text)
