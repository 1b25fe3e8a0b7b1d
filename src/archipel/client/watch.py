# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that happens on some hypervisors and their machines, also on machines that come later, with the names people know.

::

    async with log_in(settings) as session, Watch(session, ["hyp1@example.org"]) as watch:
        async for who, event in watch: ...
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from archipel.client.addresses import as_uuid, bare_address
from archipel.client.events import Event, Events, PresenceChanged, Pushed, Resynced
from archipel.client.failures import EXPECTED, describe
from archipel.client.session import Session
from archipel.client.settings import ConnectionSettings
from archipel.protocol.errors import PermissionDenied
from archipel.protocol.events import Topic
from archipel.protocol.rights import EntityKind
from archipel.xmpp.connection import FIRST_RETRY, LONGEST_RETRY, with_jitter
from archipel.xmpp.errors import LoginFailed, ServerUnreachable

log = logging.getLogger(__name__)

LIST_AGAIN: Final = 30.0  # seconds until a hypervisor that did not tell its machines is asked again
NOTHING_DUE: Final = 3600.0  # seconds; there is nothing to look after meanwhile
_NEW_MACHINES: Final = frozenset({Topic.HYPERVISOR, "vmparking"})  # topics after which a hypervisor's list may be another


@contextlib.asynccontextmanager
async def log_in(settings: ConnectionSettings) -> AsyncIterator[Session]:
    """Yield a session that reconnects, as soon as there is a server to log in to.

    Who is refused need not try again: raises :class:`~archipel.xmpp.errors.LoginRefused` or
    :class:`~archipel.xmpp.errors.UntrustedServer`.
    """
    session = Session(settings, reconnect=True)
    pause = FIRST_RETRY
    while True:
        try:
            await session.__aenter__()
            break
        except (ServerUnreachable, LoginFailed) as failure:
            if pause == FIRST_RETRY:
                log.warning("no connection yet: %s", failure)
        await asyncio.sleep(with_jitter(pause))
        pause = min(2 * pause, LONGEST_RETRY)
    try:
        yield session
    finally:
        await session.__aexit__(None, None, None)


@dataclass(frozen=True)
class Watched:
    """An entity that is watched; ``jid`` and ``hypervisor`` are bare JIDs, ``uuid`` is empty for a hypervisor."""

    jid: str
    name: str
    kind: EntityKind
    hypervisor: str
    uuid: str = ""

    def answers_to(self, reference: str) -> bool:
        """Whether ``reference`` is its name, UUID or account."""
        return reference in {self.jid, self.name} or (bool(self.uuid) and as_uuid(reference) == self.uuid)


@dataclass(frozen=True)
class Absent:
    """A hypervisor (bare JID) has been offline for so many seconds, while this session was there to see it."""

    entity: str
    seconds: float


@dataclass(frozen=True)
class Returned:
    """A hypervisor (bare JID) that was told to be absent is back."""

    entity: str


Sighting = tuple[Watched, Event | Absent | Returned]


class Watch:
    """An asynchronous iterator of who did what; it ends like :class:`~archipel.client.events.Events`, or never if the session reconnects.

    ``wanted`` chooses among the machines, ``absence`` is how many seconds a hypervisor is offline before that is told.
    """

    def __init__(
        self, session: Session, hypervisors: Iterable[str], *, wanted: Callable[[Watched], bool] = lambda _: True, absence: float = 30.0
    ) -> None:
        self.session = session
        self.known: dict[str, Watched] = {}
        for jid in map(bare_address, hypervisors):
            self.known[jid] = Watched(jid, jid.partition("@")[0], EntityKind.HYPERVISOR, jid)
        self._wanted = wanted
        self._absence = absence
        self._missing: dict[str, float] = {}
        self._absent: set[str] = set()
        self._pending: deque[Sighting] = deque()
        self._unlisted: set[str] = set()
        self._silent: dict[str, asyncio.TimerHandle | None] = {}
        self._wake = asyncio.Event()
        self._lister: asyncio.Task[None] | None = None
        self._events: Events = session.events(self.known)

    async def __aenter__(self) -> Self:
        for jid in self.known:
            self._miss(jid)
        await self._events.__aenter__()
        self._lister = asyncio.create_task(self._keep_listing())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._lister is not None:
            self._lister.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._lister
        for jid in self._silent:
            self._end_pause(jid)
        await self._events.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sighting:
        while not self._pending:
            self._tell_absent()
            if self._pending:
                break
            event = await self._events.wait(self._next_due())
            if event is not None:
                self._take(event)
        return self._pending.popleft()

    # -- what comes in --------------------------------------------------------------------------------------------------

    def _take(self, event: Event) -> None:
        who = self.known.get(event.entity)
        if who is None:
            return
        self._pending.append((who, event))
        if who.kind is EntityKind.HYPERVISOR:
            self._follow_hypervisor(who, event)

    def _follow_hypervisor(self, who: Watched, event: Event) -> None:
        match event:
            case PresenceChanged(status=None):
                self._miss(who.jid)
            case PresenceChanged():
                self._missing.pop(who.jid, None)
                if who.jid in self._absent:
                    self._absent.discard(who.jid)
                    self._pending.append((who, Returned(who.jid)))
            case Resynced():
                self._list_soon(who.jid)
                self._miss(who.jid)
            case Pushed(push=push) if push.topic in _NEW_MACHINES:
                self._list_soon(who.jid)

    # -- who is away ----------------------------------------------------------------------------------------------------

    def _miss(self, jid: str) -> None:
        if jid not in self._absent:
            self._missing.setdefault(jid, asyncio.get_running_loop().time() + self._absence)

    def _next_due(self) -> float:
        now = asyncio.get_running_loop().time()
        return max(0.001, min(self._missing.values(), default=now + NOTHING_DUE) - now)

    def _tell_absent(self) -> None:
        """Tell who has been away for long enough; as long as this session is away itself nobody can know."""
        now = asyncio.get_running_loop().time()
        for jid in [jid for jid, due in self._missing.items() if due <= now]:
            del self._missing[jid]
            if self.session.ended:
                self._miss(jid)
            elif self.session.presences.status(jid) is None:
                self._absent.add(jid)
                self._pending.append((self.known[jid], Absent(jid, self._absence)))

    # -- which machines there are ---------------------------------------------------------------------------------------

    def _list_soon(self, jid: str) -> None:
        self._end_pause(jid)
        self._unlisted.add(jid)
        self._wake.set()

    async def _keep_listing(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            hypervisors, self._unlisted = self._unlisted, set()
            await asyncio.gather(*map(self._list, hypervisors))

    async def _list(self, jid: str) -> None:
        """Listen to the machines of a hypervisor; one that is away is asked when it is back, others again after a while."""
        try:
            entries = await self.session.hypervisor(jid).machines()
            found = [Watched(entry.bare, entry.name, EntityKind.VIRTUAL_MACHINE, jid, entry.uuid) for entry in entries if entry.managed]
            wanted = {machine.jid: machine for machine in found if self._wanted(machine)}
            self.known |= wanted
            await self._events.add(*wanted)
            self._silent.pop(jid, None)
        except EXPECTED as error:
            self._pause(jid, error)

    def _pause(self, jid: str, error: BaseException) -> None:
        """Say once that a hypervisor does not tell its machines; without the right to know them it is asked only when something happens."""
        if jid not in self._silent:
            log.warning("%s does not tell its machines: %s", jid, describe(error))
        again = not isinstance(error, PermissionDenied)
        self._silent[jid] = asyncio.get_running_loop().call_later(LIST_AGAIN, self._list_soon, jid) if again else None

    def _end_pause(self, jid: str) -> None:
        timer = self._silent.get(jid)
        if timer is not None:
            timer.cancel()
