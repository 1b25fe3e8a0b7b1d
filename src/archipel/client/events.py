# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens on the platform, as a stream of typed events (docs/events.md is the contract of the pushes).

::

    async with session.events(["hyp1@example.org"]) as events:
        async for event in events:
            match event:
                case Resynced(entity): ...  # ask this entity for its state, then trust the pushes that follow
                case Pushed(entity, push): ...
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from archipel.client.addresses import bare_address
from archipel.protocol.errors import CommandError, Condition
from archipel.protocol.events import Push, events_node, owner_of_events_node
from archipel.protocol.presence import Status
from archipel.xmpp.errors import WireError
from archipel.xmpp.pubsub import Notification

if TYPE_CHECKING:
    from archipel.client.session import Session

MOST_WAITING: Final = 10_000  # events not yet read; beyond it the reader is too slow and has to ask for the state anyway
LOOK_SOON: Final = 0.2  # seconds from the first sign that something changed to a look at all: such signs come in crowds
FIRST_LOOK: Final = 2.0  # seconds until entities that are away, or refused the subscription, are looked for; doubles each time ...
LOOK_AGAIN: Final = 30.0  # ... up to this


class Reason(enum.StrEnum):
    """Why the state of an entity must be asked (again)."""

    BEGIN = "begin"
    """The subscription stands: what is asked from now on, and the pushes, miss nothing between them."""
    RECONNECTED = "reconnected"
    """This session was lost and is back."""
    GAP = "gap"
    """Pushes were lost on the way."""
    RESTARTED = "restarted"
    """The agent began a new epoch: its pushes count from 1 again."""
    RETURNED = "returned"
    """The entity was offline and is back."""
    OVERFLOW = "overflow"
    """Events were dropped here, because nobody read them."""


@dataclass(frozen=True)
class Pushed:
    """An entity (bare JID) announced a change."""

    entity: str
    push: Push


@dataclass(frozen=True)
class Resynced:
    """The state of this entity (bare JID) must be asked: pushes may have been missed before this point."""

    entity: str
    reason: Reason


@dataclass(frozen=True)
class PresenceChanged:
    """An entity (bare JID) shows another status; ``None``: it is offline."""

    entity: str
    status: Status | None


@dataclass(frozen=True)
class SubscriptionRefused:
    """An entity's events node cannot be read; tried again now and then, told once."""

    entity: str
    error: CommandError


@dataclass(frozen=True)
class Said:
    """An entity (bare JID) said something without being asked: a headline, or a chat message."""

    entity: str
    text: str


Event = Pushed | Resynced | PresenceChanged | SubscriptionRefused | Said
"""Whatever :meth:`archipel.client.session.Session.events` yields."""


class Events:
    """Events of some entities: an asynchronous iterator that is closed by leaving its ``async with``, or :meth:`aclose`.

    It ends with :class:`~archipel.xmpp.errors.Disconnected` when the connection is lost, unless the session reconnects: then
    it goes on for ever, with a :class:`Resynced` for each entity after each loss that could not be bridged (XEP-0198).
    """

    def __init__(self, session: Session, entities: Iterable[str], *, pushes: bool = True) -> None:
        self.entities = tuple(dict.fromkeys(bare_address(entity) for entity in entities))
        self._session = session
        self._pushes = pushes
        self._waiting: asyncio.Queue[Event | WireError] = asyncio.Queue(MOST_WAITING)
        self._counted: dict[str, tuple[str, int]] = {}
        self._subscribed: set[str] = set()
        self._refused: set[str] = set()
        self._away: set[str] = set()
        self._included: dict[str, tuple[str, int]] = {}
        self._look = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # -- the reader's side ----------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        await self._open()
        while True:
            event = await self._waiting.get()
            if isinstance(event, WireError):
                self._put(event)  # whoever goes on reading gets it again
                raise event
            if not self._is_included(event):
                return event

    async def wait(self, seconds: float) -> Event | None:
        """Return the next event, or ``None`` if there is none within so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                return await anext(self)
        except TimeoutError:
            return None

    def synced(self, entity: str, epoch: str, sequence: int) -> None:
        """Tell that a state was read which includes the pushes of ``epoch`` up to ``sequence`` (both stand in an ``Info``).

        Those pushes are not yielded any more, and a gap right after them is noticed.
        """
        entity = bare_address(entity)
        self._included[entity] = (epoch, sequence)
        counted = self._counted.get(entity)
        if epoch and (counted is None or counted[0] != epoch or counted[1] < sequence):
            self._counted[entity] = (epoch, sequence)

    async def add(self, *entities: str) -> None:
        """Listen to further entities (JIDs) from now on."""
        self.entities = tuple(dict.fromkeys((*self.entities, *map(bare_address, entities))))
        if self._task is not None:
            await self._follow(Reason.BEGIN)

    async def aclose(self) -> None:
        """Stop listening; the subscriptions stay, as other clients of the account share them."""
        self._session.feeds.discard(self)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    # -- the session's side ---------------------------------------------------------------------------------------------

    def take_notification(self, notification: Notification) -> None:
        """Take in what the PubSub service sent."""
        entity = owner_of_events_node(notification.node)
        if entity in self._subscribed:
            for item in notification.items:
                push = None if item.payload is None else Push.read(item.payload)
                if push is not None:
                    self._take_push(entity, push)

    def take_presence(self, entity: str, status: Status | None) -> None:
        """Take in that an account changed its presence."""
        if entity in self.entities:
            self._put(PresenceChanged(entity, status))
            if status is None:
                self._away.add(entity)
                self._look.set()
                return
            if entity in self._away:
                self._away.discard(entity)
                self._put(Resynced(entity, Reason.RETURNED))
            if entity in self._refused:
                self._look.set()  # it may have made its node meanwhile

    def take_message(self, sender: str, text: str) -> None:
        """Take in that somebody said something."""
        if sender in self.entities:
            self._put(Said(sender, text))

    async def reconnected(self) -> None:
        """Set up again what a new session does not have; an error ends that session."""
        self._subscribed.clear()
        await self._follow(Reason.RECONNECTED)
        self._look.set()  # entities may come back later than this session

    def end(self, error: WireError) -> None:
        """The session ended for good."""
        self._put(error)

    # -- inside ---------------------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        if self._task is None:
            self._session.feeds.add(self)
            self._session.become_available(hear_pushes=self._pushes)
            await self._follow(Reason.BEGIN)
            self._task = asyncio.create_task(self._look_again())

    async def _follow(self, reason: Reason) -> None:
        """Ask everybody for presence, and subscribe where that is still missing."""
        for entity in self.entities:
            if self._session.presences.full_jid(entity) is None:
                self._session.greet(entity)
        if self._pushes:
            await asyncio.gather(*(self._subscribe(entity, reason) for entity in self.entities if entity not in self._subscribed))

    async def _look_again(self) -> None:
        """Try again, for ever, what an entity that is away or a missing right prevented."""
        pause = FIRST_LOOK
        while True:
            try:
                async with asyncio.timeout(pause):
                    await self._look.wait()
            except TimeoutError:
                pause = min(2 * pause, LOOK_AGAIN)
            else:
                await asyncio.sleep(LOOK_SOON)
                pause = FIRST_LOOK
            self._look.clear()
            self._away.update(entity for entity in self.entities if self._session.presences.full_jid(entity) is None)
            with contextlib.suppress(WireError):  # the session itself notices that it is lost
                await self._follow(Reason.BEGIN)

    async def _subscribe(self, entity: str, reason: Reason) -> None:
        node = events_node(entity)
        self._subscribed.add(entity)  # before the answer: the first push may overtake it
        try:
            async with self._session.slots:
                await self._check_owner(entity, node)
                await self._session.pubsub.subscribe(node)
        except CommandError as error:
            self._subscribed.discard(entity)
            if entity not in self._refused:
                self._put(SubscriptionRefused(entity, error))
            self._refused.add(entity)
            return
        except WireError:
            self._subscribed.discard(entity)
            raise
        self._refused.discard(entity)
        self._put(Resynced(entity, reason))

    async def _check_owner(self, entity: str, node: str) -> None:
        """Anybody may create a node of any name: pushes count only from a node that the entity owns."""
        owners = await self._session.pubsub.owners(node)
        if owners != {entity}:
            who = ", ".join(sorted(owners)) or "nobody known"
            raise CommandError(
                f"{node} belongs to {who}, not to the entity: its pushes are not trusted", condition=Condition.NOT_ACCEPTABLE
            )

    def _take_push(self, entity: str, push: Push) -> None:
        if entity in self._away:
            self._look.set()  # it is online, and has not heard that somebody listens
        last = self._counted.get(entity)
        if push.epoch:
            if last is not None and last[0] == push.epoch and push.sequence <= last[1]:
                return  # delivered twice
            self._counted[entity] = (push.epoch, push.sequence)
            if last is not None and last[0] != push.epoch:
                self._put(Resynced(entity, Reason.RESTARTED))
            elif last is not None and push.sequence != last[1] + 1:
                self._put(Resynced(entity, Reason.GAP))
        self._put(Pushed(entity, push))

    def _is_included(self, event: Event) -> bool:
        """Whether a push is part of a state that was read since."""
        if not isinstance(event, Pushed) or not event.push.epoch:
            return False
        epoch, sequence = self._included.get(event.entity, ("", 0))
        return event.push.epoch == epoch and event.push.sequence <= sequence

    def _put(self, event: Event | WireError) -> None:
        try:
            self._waiting.put_nowait(event)
        except asyncio.QueueFull:
            while not self._waiting.empty():
                self._waiting.get_nowait()
            for entity in self.entities:
                self._waiting.put_nowait(Resynced(entity, Reason.OVERFLOW))
            if isinstance(event, WireError):
                self._waiting.put_nowait(event)
