# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a contact wants to be told by an entity (namespace ``archipel:contact:preferences``), which is new here.

What somebody sets at a hypervisor counts for all its machines at which he has set nothing.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from datetime import datetime, time
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from archipel.protocol import namespaces as ns
from archipel.protocol.payload import Payload, Request, at_most_characters, attribute, not_empty, payload

FAILURE: Final = -17001
NO_HOURS: Final = ""
"""Quiet hours of somebody who wants none."""

_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+/-]{0,63}")
_HOURS: Final = re.compile(r"([0-9]{1,2})(?::([0-9]{2}))? *(?:-|to|until) *([0-9]{1,2})(?::([0-9]{2}))?", re.IGNORECASE)
_NONE: Final = frozenset({"", "off", "never", "none", "no"})
_NO_ALARMS: Final = re.compile(r"(?:even |without |and )?no alarms|without alarms", re.IGNORECASE)


class Verbosity(enum.StrEnum):
    """How much somebody is told; each word includes those before it."""

    SILENT = "silent"
    ALARMS = "alarms"
    CHANGES = "changes"
    ALL = "all"


_SYNONYMS: Final[Mapping[str, Verbosity]] = {
    "nothing": Verbosity.SILENT,
    "everything": Verbosity.ALL,
    **{str(word): word for word in Verbosity},
}


def read_verbosity(text: str) -> Verbosity:
    """Return what a word means; raises :class:`ValueError`."""
    try:
        return _SYNONYMS[text.strip().lower()]
    except KeyError:
        raise ValueError(f"must be one of {', '.join(_SYNONYMS)}, not {text[:40]!r}") from None


def read_hours(text: str) -> str:
    """Return quiet hours as they are kept, ``HH:MM-HH:MM``, or :data:`NO_HOURS`; raises :class:`ValueError`."""
    if text.strip().lower() in _NONE:
        return NO_HOURS
    found = _HOURS.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"must be two times of day, such as 22:00-07:00, or off, not {text[:40]!r}")
    begin, end = _time(found[1], found[2]), _time(found[3], found[4])
    if begin == end:
        raise ValueError("must begin and end at different times; the verbosity silent is for always")
    return f"{begin:%H:%M}-{end:%H:%M}"


def _time(hour: str, minute: str | None) -> time:
    if int(hour) > 24 or (int(hour) == 24 and int(minute or 0)) or int(minute or 0) > 59:
        raise ValueError(f"{hour}:{minute or '00'} is no time of day")
    return time(int(hour) % 24, int(minute or 0))


def read_zone(text: str) -> ZoneInfo:
    """Return the time zone of that name; raises :class:`ValueError`."""
    try:
        if _ZONE.fullmatch(text):
            return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    raise ValueError(f"{text[:40]!r} is not a time zone, such as Europe/Berlin")


def read_wish(text: str) -> tuple[str, str | None, bool | None]:
    """Return hours, zone and whether alarms come nevertheless, from words such as ``22 to 7 Europe/Berlin no alarms``.

    What is not said is ``None``. Raises :class:`ValueError`.
    """
    told = " ".join(text.split())
    without = _NO_ALARMS.search(told)
    told = _NO_ALARMS.sub("", told).strip(" ,")
    head, _, last = told.rpartition(" ")
    zone = last if head and last[:1].isalpha() and last.lower() not in _NONE else None
    if zone is not None:
        read_zone(zone)
    return read_hours(head if zone is not None else told), zone, False if without else None


def covers(hours: str, zone: ZoneInfo, moment: datetime) -> bool:
    """Whether quiet hours are at a moment."""
    if hours == NO_HOURS:
        return False
    begin, end = (time.fromisoformat(part) for part in hours.split("-"))
    local = moment.astimezone(zone).time()
    return begin <= local < end if begin < end else local >= begin or local < end


def _is_verbosity(value: str) -> str | None:
    return _wrong(read_verbosity, value)


def _are_hours(value: str) -> str | None:
    return _wrong(read_hours, value)


def _is_wish(value: str) -> str | None:
    return _wrong(read_wish, value)


def _is_zone(value: str) -> str | None:
    return _wrong(read_zone, value)


def _wrong(read: object, value: str) -> str | None:
    try:
        read(value)  # type: ignore[operator] # one of the readers above
    except ValueError as error:
        return str(error)
    return None


@payload
class Preferences(Payload, tag="preferences"):
    """What counts for the asker here: ``quiet`` hours (empty: none) in ``zone``, and whether ``alarms`` come in them nevertheless.

    ``origin`` is ``own`` (set here), ``hypervisor`` (set at the machine's hypervisor) or ``default``.
    """

    verbosity: str = attribute()
    quiet: str = attribute()
    zone: str = attribute()
    alarms: bool = attribute()
    origin: str = attribute()


@payload
class GetPreferences(Request[Preferences], namespace=ns.CONTACT_PREFERENCES, action="get", reads=True):
    """What the asker is told by this entity, and when."""


@payload
class SetPreferences(Request[Preferences], namespace=ns.CONTACT_PREFERENCES, action="set"):
    """Change what the asker is told; what is left out stays as it is."""

    verbosity: str | None = attribute(_is_verbosity, default=None)
    quiet: str | None = attribute(_are_hours, default=None)
    zone: str | None = attribute(_is_zone, default=None)
    alarms: bool | None = attribute(default=None)


@payload
class SetQuietHours(Request[Preferences], namespace=ns.CONTACT_PREFERENCES, action="sethours"):
    """Set quiet hours in words: ``22 to 7``, ``22:00-07:00 Europe/Berlin no alarms``, ``off``."""

    hours: str = attribute(not_empty, at_most_characters(120), _is_wish)


@payload
class Hush(Request[Preferences], namespace=ns.CONTACT_PREFERENCES, action="hush"):
    """Tell the asker nothing any more."""


@payload
class ResetPreferences(Request[Preferences], namespace=ns.CONTACT_PREFERENCES, action="reset"):
    """Forget what the asker set here."""
