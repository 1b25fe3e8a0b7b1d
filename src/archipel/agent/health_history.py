# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures gone by: single samples for an hour (in memory), minutes for a day, hours for a month (in the database).

Each tier is a ring of so many slots, so nothing grows. The database is written once a minute, and once more when the agent stops:
then the samples of the last hour are kept as well.
"""

from __future__ import annotations

import enum
import logging
import struct
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Generic, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from archipel.agent.health_samples import HostSample, MachineSample
from archipel.agent.health_tables import SampleRow
from archipel.agent.store import Store, StoreError

log = logging.getLogger(__name__)

HOUR: Final = 3600.0
MOST_UNWRITTEN: Final = 50_000  # rows that are kept for a database that cannot be written just now
HOST: Final = bytes(16)
_LENGTH: Final = struct.Struct("<I")
_AT_ONCE: Final = 500  # slots that one query asks for
S = TypeVar("S", HostSample, MachineSample)


class Tier(enum.IntEnum):
    """How fine a history is; the number stands in the database."""

    SAMPLE = 0
    MINUTE = 1
    HOUR = 2


@dataclass(frozen=True)
class _Ring:
    step: int  # seconds
    slots: int

    def number(self, at: float) -> int:
        return int(at // self.step)

    def slot(self, number: int) -> int:
        return number % self.slots


RINGS: Final = {Tier.MINUTE: _Ring(60, 24 * 60), Tier.HOUR: _Ring(3600, 30 * 24)}


class _Key(NamedTuple):
    tier: int
    slot: int
    series: bytes


class History(Generic[S]):
    """The figures of several series of one kind of sample, one every ``interval`` seconds."""

    def __init__(self, store: Store, kind: type[S], interval: float) -> None:
        self._store = store
        self._kind: type[S] = kind
        self._most = max(2, round(HOUR / interval))
        self._samples: dict[bytes, deque[bytes]] = {}
        self._sums: dict[tuple[Tier, bytes], S] = {}
        self._unwritten: dict[_Key, bytes] = {}

    def add(self, series: bytes, sample: S) -> None:
        """Take in a sample."""
        self._samples.setdefault(series, deque(maxlen=self._most)).append(sample.pack())
        for tier, ring in RINGS.items():
            before = self._sums.get((tier, series))
            if before is not None and ring.number(before.at) == ring.number(sample.at):
                self._sums[tier, series] = before.joined(sample)
                continue
            if before is not None:
                self._unwritten[self._key(tier, series, before)] = before.pack()
            self._sums[tier, series] = sample

    @staticmethod
    def _key(tier: Tier, series: bytes, sample: S) -> _Key:
        ring = RINGS[tier]
        return _Key(tier, ring.slot(ring.number(sample.at)), series)

    def _find_rows(self, *tiers: Tier) -> dict[_Key, bytes]:
        """Return spans that ended and are not written yet, and those of ``tiers`` that go on, as far as they are."""
        going_on = {self._key(tier, series, sample): sample.pack() for (tier, series), sample in self._sums.items() if tier in tiers}
        return {**self._unwritten, **going_on}

    # -- database -------------------------------------------------------------------------------------------------------

    async def load(self, now: float) -> None:
        """Go on where the last life of the agent ended. Raises :class:`StoreError`."""
        for series, data in await self._read(Tier.SAMPLE, [0]):
            recent = [packed for packed in _split(data) if now - HOUR < self._at(packed) <= now]
            self._samples[series] = deque(recent, maxlen=self._most)
        for tier, ring in RINGS.items():
            for series, data in await self._read(tier, [ring.slot(ring.number(now))]):
                sample = self._unpack(data)
                if sample is not None and ring.number(sample.at) == ring.number(now):
                    self._sums[tier, series] = sample

    async def write(self, *, last: bool = False) -> None:
        """Write what is new; ``last``: with the samples of the hour. What cannot be written now is kept for the next time."""
        rows = self._find_rows(*RINGS) if last else self._find_rows(Tier.HOUR)
        if last:
            rows |= {_Key(Tier.SAMPLE, 0, series): _join(samples) for series, samples in self._samples.items()}
        if not rows:
            return
        values = [{**key._asdict(), "data": data} for key, data in sorted(rows.items())]
        try:
            await self._store.run(lambda session: session.execute(insert(SampleRow).prefix_with("OR REPLACE"), values).close())
        except StoreError as error:
            log.warning("figures cannot be written now: %s", error)
            while len(self._unwritten) > MOST_UNWRITTEN:
                del self._unwritten[next(iter(self._unwritten))]
        else:
            self._unwritten = {key: data for key, data in self._unwritten.items() if rows.get(key) != data}

    async def forget(self, series: bytes) -> None:
        """Drop all that is known of a series. Raises :class:`StoreError`."""
        self._samples.pop(series, None)
        for tier in RINGS:
            self._sums.pop((tier, series), None)
        self._unwritten = {key: data for key, data in self._unwritten.items() if key.series != series}
        await self._store.run(lambda session: session.execute(delete(SampleRow).where(SampleRow.series == series)).close())

    async def _read(self, tier: Tier, slots: list[int], series: bytes | None = None) -> list[tuple[bytes, bytes]]:
        """Return series and data of the slots, of one series or of all of this kind."""

        def read(session: Session) -> list[tuple[bytes, bytes]]:
            query = select(SampleRow.series, SampleRow.data).where(SampleRow.tier == int(tier), SampleRow.slot.in_(slots))
            if series is not None:
                query = query.where(SampleRow.series == series)
            return [(found, data) for found, data in session.execute(query)]

        host = self._kind is HostSample
        return [row for row in await self._store.run(read) if (row[0] == HOST) is host]

    # -- reading --------------------------------------------------------------------------------------------------------

    async def newest(self, series: bytes, tier: Tier, limit: int, before: float) -> list[S]:
        """Return at most ``limit`` entries that ended earlier than ``before``, newest first. Raises :class:`StoreError`."""
        if tier is Tier.SAMPLE:
            packed: Iterable[bytes] = list(self._samples.get(series, ()))
            found = [sample for data in packed if (sample := self._unpack(data)) is not None and sample.at < before]
        else:
            found = [sample for sample in await self._read_ring(series, tier, limit, before) if sample.at < before]
        return sorted(found, key=lambda sample: -sample.at)[:limit]

    async def _read_ring(self, series: bytes, tier: Tier, limit: int, before: float) -> list[S]:
        ring = RINGS[tier]
        first = ring.number(before)
        numbers = range(first, max(first - ring.slots, -1), -1)
        kept: dict[int, S] = {}
        for (_tier, _slot, found), data in self._find_rows(tier).items():
            if (_tier, found) == (tier, series):
                self._keep(kept, ring, data)
        for start in range(0, len(numbers), _AT_ONCE):
            if len(kept) > limit:
                break
            slots = [ring.slot(number) for number in numbers[start : start + _AT_ONCE]]
            for _series, data in await self._read(tier, slots, series):
                self._keep(kept, ring, data)
        return [sample for number, sample in kept.items() if number in numbers]

    def _keep(self, kept: dict[int, S], ring: _Ring, data: bytes) -> None:
        sample = self._unpack(data)
        if sample is not None:
            kept.setdefault(ring.number(sample.at), sample)  # what is in memory is newer than what is written

    def _unpack(self, data: bytes) -> S | None:
        try:
            return self._kind.unpack(data)
        except ValueError:  # of another version of this agent
            return None

    def _at(self, data: bytes) -> float:
        sample = self._unpack(data)
        return 0.0 if sample is None else sample.at


def series_of(uuid: str) -> bytes:
    """Return the series of a machine."""
    return UUID(uuid).bytes


def _join(samples: Iterable[bytes]) -> bytes:
    return b"".join(_LENGTH.pack(len(data)) + data for data in samples)


def _split(data: bytes) -> list[bytes]:
    found, start = [], 0
    while start + _LENGTH.size <= len(data):
        (length,) = _LENGTH.unpack_from(data, start)
        start += _LENGTH.size
        found.append(data[start : start + length])
        start += length
    return found
