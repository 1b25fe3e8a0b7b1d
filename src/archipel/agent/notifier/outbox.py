# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What waits for one route, and the work that takes it there: never too fast, never for ever, and nobody waits for it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Final

from archipel.agent.limits import TokenBuckets
from archipel.agent.notifier.occurrences import Occurrence
from archipel.agent.notifier.routes import Route
from archipel.agent.notifier.ways import DeliveryFailed, Letter

log = logging.getLogger(__name__)

MOST_WAITING: Final = 500  # occurrences of a route; later ones are counted only
GATHER: Final = 1.0  # seconds in which what happens together becomes one letter
PAUSES: Final = (2.0, 10.0, 60.0, 300.0)  # seconds before each further attempt at a letter
SENT, FAILED, DROPPED = "sent", "failed", "dropped"

Send = Callable[[Letter], Awaitable[None]]
Sleep = Callable[[float], Awaitable[None]]


class Outbox:
    """The letters of one route; ``counts`` has how many occurrences were sent, failed and dropped."""

    def __init__(
        self,
        route: Route,
        host: str,
        send: Send,
        *,
        count: Callable[[str, int], None] = lambda _result, _number: None,
        sleep: Sleep = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.route = route
        self.counts: Counter[str] = Counter()
        self.trouble = ""
        self._host = host
        self._send = send
        self._count = count
        self._sleep = sleep
        self._pace = TokenBuckets(route.per_minute / 60, route.per_minute, clock)
        self._waiting: deque[Occurrence] = deque()
        self._left_out = 0
        self._wake = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many occurrences have not been sent yet."""
        return len(self._waiting) + self._left_out

    def offer(self, what: Occurrence) -> None:
        """Take something in, to be sent later."""
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(what)
        else:
            self._left_out += 1
            self._note(DROPPED, 1)
        self._wake.set()

    async def run(self) -> None:
        """Send what comes in, for ever."""
        while True:
            await self._wake.wait()
            await self._sleep(GATHER)
            await self._wait_turn()
            self._wake.clear()
            letter = Letter(self._host, self.route.name, tuple(self._waiting), self._left_out)
            self._waiting.clear()
            self._left_out = 0
            await self._deliver(letter)

    async def send_now(self, what: Occurrence) -> None:
        """Send one occurrence past all others, once. Raises :class:`DeliveryFailed`; it counts for the pace."""
        if wait := self._pace.take(self.route.name):
            raise DeliveryFailed(f"as much was sent as one minute allows: try again in {wait:.0f} s")
        await self._attempt(Letter(self._host, self.route.name, (what,)))

    async def _wait_turn(self) -> None:
        while wait := self._pace.take(self.route.name):
            await self._sleep(wait)

    async def _deliver(self, letter: Letter) -> None:
        for pause in (*PAUSES, None):
            try:
                await self._attempt(letter)
            except DeliveryFailed as error:
                if pause is None or error.lasting:
                    self._note(FAILED, len(letter.occurrences))
                    return
                await self._sleep(pause)
            else:
                self._note(SENT, len(letter.occurrences))
                return

    async def _attempt(self, letter: Letter) -> None:
        try:
            await self._send(letter)
        except DeliveryFailed as error:
            if not self.trouble:
                log.error("the notifier's route %s fails: %s", self.route.name, error)
            self.trouble = str(error)
            raise
        if self.trouble:
            log.info("the notifier's route %s works again", self.route.name)
        self.trouble = ""

    def _note(self, result: str, number: int) -> None:
        self.counts[result] += number
        self._count(result, number)
