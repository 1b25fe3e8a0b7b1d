# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast somebody may ask, and how much all may ask at once: token buckets, and one gate that is fair between senders."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

MOST_BUCKETS: Final = 20_000  # of one class of senders; a bucket takes some 200 bytes


@dataclass
class _Bucket:
    tokens: float
    since: float


class TokenBuckets:
    """A bucket of ``burst`` tokens for each key, which fills at ``rate`` tokens a second.

    A bucket that is full again is forgotten. When there are too many that are not, all further keys share one: a flood of many
    senders takes no more memory than that.
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic, most: int = MOST_BUCKETS) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._clock = clock
        self._most = most
        self._buckets: OrderedDict[Hashable, _Bucket] = OrderedDict()  # those that were used longest ago first
        self._shared = _Bucket(self._burst, clock())

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: Hashable) -> float:
        """Take a token; return 0, or in how many seconds there will be one."""
        now = self._clock()
        bucket = self._find(key, now)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.since) * self._rate)
        bucket.since = now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / self._rate
        bucket.tokens -= 1
        return 0

    def _find(self, key: Hashable, now: float) -> _Bucket:
        bucket = self._buckets.get(key)
        if bucket is not None:
            self._buckets.move_to_end(key)
            return bucket
        self._forget_full(now)
        if len(self._buckets) >= self._most:
            return self._shared
        bucket = self._buckets[key] = _Bucket(self._burst, now)
        return bucket

    def _forget_full(self, now: float) -> None:
        """Forget the buckets that were not used for as long as an empty one takes to fill."""
        while self._buckets:
            oldest = next(iter(self._buckets))
            if now - self._buckets[oldest].since < self._burst / self._rate:
                return
            del self._buckets[oldest]


class TooManyWaiting(Exception):
    """So much waits already that somebody who has work waiting may not add more."""


class Gate:
    """At most ``most`` pieces of work at once, by who asked for them.

    A sender may begin another piece while he has fewer under way than there are places free: one gets half of all at most, two get
    a third each, and there is always room for one more. Who waits is served in turn, one piece for each sender.
    """

    def __init__(self, most: int, most_waiting: int) -> None:
        self._free = most
        self._most_waiting = most_waiting
        self._under_way: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self.waiting = 0

    @property
    def under_way(self) -> int:
        """How much is being worked on."""
        return self._under_way.total()

    async def enter(self, sender: str) -> None:
        """Wait for a place, which :meth:`leave` gives back; raises :class:`TooManyWaiting`."""
        if sender not in self._waiting and self._may_begin(sender):
            self._begin(sender)
            return
        queue = self._waiting.get(sender)
        if queue and self.waiting >= self._most_waiting:
            raise TooManyWaiting
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(sender, deque()).append(turn)
        self.waiting += 1
        try:
            await turn
        except asyncio.CancelledError:
            self._give_up(sender, turn)
            raise

    def leave(self, sender: str) -> None:
        """Give a place back, and let in who waits."""
        self._free += 1
        self._under_way[sender] -= 1
        if not self._under_way[sender]:
            del self._under_way[sender]
        if self._waiting:
            self._admit()

    def _may_begin(self, sender: str) -> bool:
        return self._free > 0 and self._under_way.get(sender, 0) < self._free

    def _begin(self, sender: str) -> None:
        self._free -= 1
        self._under_way[sender] += 1

    def _admit(self) -> None:
        """Let in who may begin: one piece of each sender in turn."""
        admitted = True
        while admitted and self._free > 0:
            admitted = False
            for sender in list(self._waiting):
                if self._may_begin(sender):
                    admitted = self._let_in(sender) or admitted

    def _let_in(self, sender: str) -> bool:
        queue = self._waiting.pop(sender)
        turn = queue.popleft()
        self.waiting -= 1
        if queue:
            self._waiting[sender] = queue  # at the end: the others come first
        if not turn.done():  # else whoever waited has gone
            self._begin(sender)
            turn.set_result(None)
        return True

    def _give_up(self, sender: str, turn: asyncio.Future[None]) -> None:
        queue = self._waiting.get(sender)
        if not turn.cancelled():
            self.leave(sender)
        elif queue and turn in queue:
            queue.remove(turn)
            self.waiting -= 1
            if not queue:
                del self._waiting[sender]
