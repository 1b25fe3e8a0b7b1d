# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a job runs: the fields of a request, what the absent ones mean, and what they come to in a time zone."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger

from archipel.protocol.errors import BadRequest
from archipel.protocol.scheduler import FIELDS, describe_fields, fill_fields

LEAST_INTERVAL: Final = 10  # seconds between two runs of a job
HORIZON: Final = timedelta(days=50 * 366)  # a job whose next run is later than that has none

_EXPRESSION: Final = re.compile(r"[0-9A-Za-z*/, -]+")
_NUMBER: Final = re.compile(r"[0-9]{1,4}")
_OF_WEEKDAY: Final = "day_of_week"  # APScheduler's name of the field


class Trigger(Protocol):
    """What APScheduler asks for the next run."""

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
        """Return the first run after ``previous`` (None: not before ``now``), or None."""


@dataclass(frozen=True)
class Times:
    """When a job runs: the texts of all six fields, and of ``weekday`` if it was given; a job for once has a ``moment``."""

    fields: Mapping[str, str]
    zone: ZoneInfo
    moment: datetime | None = None

    def trigger(self, end: datetime | None = None) -> Trigger:
        """Return what APScheduler runs the job by; nothing comes after ``end``."""
        if self.moment is not None:
            once: Trigger = DateTrigger(self.moment)
            return once
        names = {"weekday": _OF_WEEKDAY}
        repeated: Trigger = CronTrigger(
            **{names.get(name, name): text for name, text in self.fields.items()}, timezone=self.zone, end_date=end
        )
        return repeated

    def describe(self) -> str:
        """Return the founders' words for it."""
        return describe_fields(self.fields)


def read_times(given: Mapping[str, str | None], zone: ZoneInfo, now: datetime) -> Times:
    """Return when a job shall run; :class:`BadRequest` names the field that is wrong.

    What is absent beside a larger field is its smallest value (an hour alone means its first second), any value otherwise. Six
    numbers are one moment.
    """
    if not any((text or "").strip() for text in given.values()):
        raise BadRequest(f"{', '.join(FIELDS)}: one of them must say when")
    fields = fill_fields(given)
    check_fields(fields)
    if "weekday" not in fields and all(_NUMBER.fullmatch(text) for text in fields.values()):
        return Times(MappingProxyType(fields), zone, _read_moment(fields, zone, now))
    times = Times(MappingProxyType(fields), zone)
    if times.trigger(now + HORIZON).get_next_fire_time(None, now) is None:
        raise BadRequest(f"{', '.join(fields)}: no moment from now on is described by {' '.join(fields.values())}")
    return times


def check_fields(fields: Mapping[str, str]) -> None:
    """Raise :class:`BadRequest` if these are not the texts of a job's time, all of them."""
    if {*fields} - {"weekday"} != {*FIELDS}:
        raise BadRequest(f"{', '.join(FIELDS)}: all of them must be said")
    for name, text in fields.items():
        _check(name, text)
    _refuse_rush(fields)


def _check(name: str, text: str) -> None:
    """Raise if APScheduler does not understand a field."""
    if not _EXPRESSION.fullmatch(text):
        raise BadRequest(f"{name}: must be a number, * or a cron expression such as */5, 1-5 or 8,20, not {text[:40]!r}")
    try:
        CronTrigger(**{_OF_WEEKDAY if name == "weekday" else name: text}, timezone=UTC)
    except ValueError as error:
        raise BadRequest(f"{name}: {error}") from error


def _refuse_rush(fields: Mapping[str, str]) -> None:
    """Raise if two runs can come closer together than :data:`LEAST_INTERVAL`."""
    seconds, minutes = _values("second", fields["second"]), _values("minute", fields["minute"])
    gaps = [after - before for before, after in itertools.pairwise(seconds)]
    if any((minute + 1) % 60 in minutes for minute in minutes):
        gaps.append(seconds[0] + 60 - seconds[-1])
    if min(gaps, default=LEAST_INTERVAL) < LEAST_INTERVAL:
        raise BadRequest(f"second: a job runs every {LEAST_INTERVAL} seconds at most, {fields['second']!r} is more often")


def _values(name: str, text: str) -> list[int]:
    """Return the values from 0 to 59 that an expression means."""
    trigger = CronTrigger(**{name: text}, timezone=UTC)
    field = next(found for found in trigger.fields if found.name == name)
    moments = (datetime(2000, 1, 1, 0, value, value, tzinfo=UTC) for value in range(60))
    return [moment.second for moment in moments if field.get_next_value(moment) == moment.second]


def _read_moment(fields: Mapping[str, str], zone: ZoneInfo, now: datetime) -> datetime:
    year, month, day, hour, minute, second = (int(fields[name]) for name in FIELDS)
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=zone)
    except ValueError as error:
        raise BadRequest(f"day: {year}-{month}-{day} is no date ({error})") from error
    told = f"{moment:%Y-%m-%d %H:%M:%S} ({zone.key})"
    if moment.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != moment.replace(tzinfo=None):
        raise BadRequest(f"hour: {told} is left out when the clocks go forward")
    if moment <= now:
        raise BadRequest(f"year: {told} is over")
    if moment > now + HORIZON:
        raise BadRequest(f"year: {told} is too far away")
    return moment
