# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the audit log of an entity: who asked for what, by which rule it was allowed or refused, and how it ended."""

from __future__ import annotations

import enum
import re
from datetime import UTC, datetime
from typing import Any, Final

from archipel.protocol import namespaces as ns
from archipel.protocol.payload import Payload, Request, at_least, at_most_characters, attribute, children, not_empty, payload

MOST_ENTRIES: Final = 500  # of one answer; ``next`` asks for more
DEFAULT_ENTRIES: Final = 20
LONGEST_WORD: Final = 200  # characters of what is looked for; no entry holds a longer one
_POSITION = re.compile(r"(?P<time>[0-9T:.Z-]{20,30})/(?P<told>[0-9]{1,6})")


class Outcome(enum.StrEnum):
    """What may be looked for: what was done, or what was refused, failed or was not finished."""

    OK = "ok"
    FAILED = "failed"


def parse_time(text: str) -> datetime:
    """Return a point in time from ISO 8601; without an offset it is UTC. Raises :class:`ValueError`."""
    moment = datetime.fromisoformat(text.strip())
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def parse_position(text: str) -> tuple[datetime, int]:
    """Return the time of the last entry told, and how many of that time were told. Raises :class:`ValueError`."""
    found = _POSITION.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no position")
    return parse_time(found["time"]), int(found["told"])


def write_position(moment: datetime, told: int) -> str:
    """Return the position that :func:`parse_position` reads."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}/{told}"


def _is_time(value: str) -> str | None:
    return _try(parse_time, value, "must be a time such as 2026-11-21T08:30:00Z")


def _is_position(value: str) -> str | None:
    return _try(parse_position, value, "must be what an answer gave as 'next'")


def _is_outcome(value: str) -> str | None:
    return _try(Outcome, value, f"must be {' or '.join(Outcome)}")


def _try(parse: Any, value: str, otherwise: str) -> str | None:
    try:
        parse(value)
    except (ValueError, OverflowError):
        return f"{otherwise}, not {value[:40]!r}"
    return None


def _is_few(value: int) -> str | None:
    return None if value <= MOST_ENTRIES else f"must be {MOST_ENTRIES} or less, not {value}"


@payload
class AuditEntry(Payload, tag="entry"):
    """One request; ``arguments`` is JSON without secrets, ``milliseconds`` how long it took, ``time`` when it was over (UTC).

    ``jid`` is the full JID of who asked, ``entity`` the bare one of who was asked.
    """

    time: str = attribute()
    who: str = attribute(default="")
    jid: str = attribute(default="")
    entity: str = attribute(default="")
    namespace: str = attribute(default="")
    command: str = attribute(default="")
    phrase: str | None = attribute(default=None)
    arguments: str | None = attribute(default=None)
    rule: str = attribute(default="")
    outcome: str = attribute(default="")
    milliseconds: float | None = attribute(default=None)


@payload
class AuditPage(Payload, tag="audit"):
    """Entries, newest first; ``next`` is the position to go on from, if there may be more.

    ``malformed`` counts lines of the log that were passed over because they are no entries.
    """

    entries: tuple[AuditEntry, ...] = children()
    next: str | None = attribute(default=None)
    malformed: int = attribute(default=0)


@payload
class GetAudit(Request[AuditPage], namespace=ns.AUDIT, action="entries", reads=True):
    """Read the audit log backwards; all that is given must fit.

    ``since`` and ``until`` are times in ISO 8601, ``who`` and ``entity`` bare JIDs, ``command`` an action such as ``destroy``,
    ``position`` what the last answer gave as ``next``.
    """

    limit: int = attribute(at_least(1), _is_few, default=DEFAULT_ENTRIES)
    since: str | None = attribute(_is_time, default=None)
    until: str | None = attribute(_is_time, default=None)
    who: str | None = attribute(not_empty, at_most_characters(3071), default=None)
    entity: str | None = attribute(not_empty, at_most_characters(3071), default=None)
    command: str | None = attribute(not_empty, at_most_characters(LONGEST_WORD), default=None)
    outcome: str | None = attribute(_is_outcome, default=None)
    position: str | None = attribute(_is_position, default=None)
