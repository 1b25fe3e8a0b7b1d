# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that entities do later, or again and again (namespace ``archipel:entity:scheduler``)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Final

from archipel.protocol import namespaces as ns
from archipel.protocol.changes import Change, about
from archipel.protocol.events import Topic
from archipel.protocol.payload import Payload, Request, at_most_characters, attribute, not_empty, payload, text

FIELDS: Final = ("year", "month", "day", "hour", "minute", "second")
_SMALLEST: Final = {"month": "1", "day": "1", "hour": "0", "minute": "0", "second": "0"}
_ANY: Final = "*"
_SHORT = at_most_characters(100)  # an expression that lists every second has more; nobody needs that
_COMMENT = at_most_characters(500)
_PARAMETER = at_most_characters(1000)


def fill_fields(given: Mapping[str, str | None]) -> dict[str, str]:
    """Return the texts of all of :data:`FIELDS`, and of ``weekday`` if it is given.

    What is absent beside a larger field is its smallest value (an hour alone means its first second), any value otherwise.
    """
    said = {name: (text or "").strip() for name, text in given.items()}
    weekday, fields, larger = said.get("weekday", ""), dict[str, str](), False
    for name in FIELDS:
        dated = name in {"year", "month", "day"}  # with a weekday these say which weeks
        fields[name] = said.get(name) or (_SMALLEST[name] if larger and not (weekday and dated) else _ANY)
        larger = larger or bool(said.get(name)) or (name == "day" and bool(weekday))
    return fields | ({"weekday": weekday} if weekday else {})


def describe_fields(fields: Mapping[str, str]) -> str:
    """Return the founders' words for a job's times."""
    year, month, day, hour, minute, second = (fields[name] for name in FIELDS)
    date = f"{year}-{month}-{day} @ {hour}"
    if minute.isdigit() and second.isdigit():
        return f"{date} : {int(minute):02} : {int(second):02}"
    return f"{date} hour(s) and {minute} minute(s) and {second} second(s)"


@about(Topic.SCHEDULER)
class ScheduleChange(Change):
    """What happens to an entity's jobs; a ``<job action='' uid=''>`` in the push of one that was not done says why."""

    SCHEDULED = "scheduled", "a [job](scheduler.md) was noted"
    UNSCHEDULED = "unscheduled", "a job was taken off the list"
    EXECUTED = "jobexecuted", "a job was done"
    FAILED = "jobfailed", "a job failed; a `<job action='' uid=''>` in the push says why"
    MISSED = "jobmissed", "a job was not done in time; a `<job action='' uid=''>` in the push says why"


@payload
class Schedule(Request[None], namespace=ns.SCHEDULER, action="schedule"):
    """Do ``job`` at the moments that the fields describe: numbers, ``*``, or cron expressions such as ``*/5``, ``1-5``, ``8,20``.

    ``weekday`` (``mon`` to ``sun``, or 0 for Monday to 6) and ``uid`` (the identity that the job shall have) are new here.
    """

    job: str = attribute(not_empty, _SHORT)
    year: str | None = attribute(_SHORT, default=None)
    month: str | None = attribute(_SHORT, default=None)
    day: str | None = attribute(_SHORT, default=None)
    weekday: str | None = attribute(_SHORT, default=None)
    hour: str | None = attribute(_SHORT, default=None)
    minute: str | None = attribute(_SHORT, default=None)
    second: str | None = attribute(_SHORT, default=None)
    comment: str = attribute(_COMMENT, default="")
    param: str = attribute(_PARAMETER, default="")
    uid: uuid.UUID | None = attribute(default=None)


@payload
class Unschedule(Request[None], namespace=ns.SCHEDULER, action="unschedule"):
    """Forget a job."""

    uid: uuid.UUID = attribute()


@payload
class Job(Payload, tag="job"):
    """A job of an entity; ``date`` is for people.

    New here: whose rights it runs by (``creator``, a bare JID), its time zone, when it comes next (ISO 8601 with the zone's
    offset; empty while it runs for the last time), its parameter and weekdays where it has any, and all fields of its time.
    """

    action: str = attribute()
    uid: str = attribute()
    date: str = attribute()
    comment: str = attribute(default="")
    creator: str = attribute(default="")
    zone: str = attribute(default="")
    next_run: str = attribute(name="next", default="")
    param: str | None = attribute(default=None)
    weekday: str | None = attribute(default=None)
    year: str | None = attribute(default=None)
    month: str | None = attribute(default=None)
    day: str | None = attribute(default=None)
    hour: str | None = attribute(default=None)
    minute: str | None = attribute(default=None)
    second: str | None = attribute(default=None)


@payload
class ListJobs(Request[tuple[Job, ...]], namespace=ns.SCHEDULER, action="jobs", reads=True):
    """The jobs of an entity."""


@payload
class JobAction(Payload, tag="action"):
    """Something that a job can do."""

    name: str = text()


@payload
class ListJobActions(Request[tuple[JobAction, ...]], namespace=ns.SCHEDULER, action="actions", reads=True):
    """What jobs of an entity can do."""
