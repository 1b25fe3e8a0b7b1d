# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the jobs of all entities of an agent, each by the rights that its creator has at that moment.

The database is the truth; APScheduler keeps the time and is filled anew at each start. What is about to run is written down
first: after a crash it is not run a second time, but told (``jobfailed``).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import weakref
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobEvent
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from archipel.agent import schedule_book
from archipel.agent.dispatch import Caller, run_command
from archipel.agent.entity import Entity
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.schedule_actions import entity_of, find_command
from archipel.agent.schedule_book import JobRecord
from archipel.agent.schedule_times import Times
from archipel.agent.store import StoreError
from archipel.protocol.errors import CommandError, Condition
from archipel.protocol.events import Topic
from archipel.protocol.scheduler import ScheduleChange

log = logging.getLogger(__name__)

Key = tuple[str, str]


class Scheduler:
    """The jobs of an agent's entities; ``grace`` is how many seconds late a job may begin, ``most`` how many one entity has."""

    def __init__(self, hypervisor: Hypervisor, grace: float, most: int) -> None:
        self._hypervisor = weakref.ref(hypervisor)
        self._store = hypervisor.services.store
        self._grace = grace
        self._most = most
        self._jobs: dict[Key, JobRecord] = {}
        self._turn = asyncio.Lock()
        self._open = False
        self._clock = AsyncIOScheduler(timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": max(1, round(grace))})
        self._clock.add_listener(self._note_missed, EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)
        logging.getLogger("apscheduler").setLevel(logging.ERROR)  # what it warns of is told by us

    # -- life -----------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Read the jobs, once; nothing runs before :meth:`go`. Raises :class:`StoreError`."""
        async with self._turn:
            if self._open:
                return
            records = await schedule_book.read_jobs(self._store)
            self._clock.start(paused=True)
            self._open = True
            for record in records:
                await self._take_up(record)

    def go(self) -> None:
        """Begin to run what is due."""
        self._clock.resume()

    def close(self) -> None:
        """Run nothing any more; what runs is given up."""
        if self._open:
            self._open = False
            self._clock.shutdown(wait=False)

    async def _take_up(self, record: JobRecord) -> None:
        """Take a job over from the last life of the agent, in which it may have been about to run, or missed its time since."""
        now = datetime.now(UTC)
        oldest = now - timedelta(seconds=self._grace)
        start: datetime | None = record.due
        if record.started is not None:
            log.error("job %s of %s (%s): the agent ended while it ran", record.uid, record.entity, record.action)
            self._tell_later(record, ScheduleChange.FAILED, "the agent ended while the job ran: whether it was done is not known")
            start = _next_after(record, record.due)
        if start is not None and start < oldest:
            log.warning("job %s of %s (%s) was due at %s, when no agent ran", record.uid, record.entity, record.action, start)
            self._tell_later(record, ScheduleChange.MISSED, f"it was due at {start.isoformat(timespec='seconds')}, when no agent ran")
            start = _next_after(record, oldest)
        if start is None:
            await schedule_book.drop_job(self._store, record.key)
            return
        current = replace(record, started=None, due=start)
        if current != record:  # what was told is not told again by the next life
            await schedule_book.keep_job(self._store, current)
        self._add(current)

    # -- jobs -----------------------------------------------------------------------------------------------------------

    def jobs(self, entity: str) -> list[tuple[JobRecord, datetime | None]]:
        """Return the jobs of an entity (bare JID), and when each comes next."""
        return [(job, self._next_run(job)) for job in self._jobs.values() if job.entity == entity]

    def _next_run(self, job: JobRecord) -> datetime | None:
        found: Any = self._clock.get_job(_name(job.key))
        return None if found is None else found.next_run_time

    async def add(self, record: JobRecord) -> None:
        """Take in a new job. Raises ``conflict`` for a second one of that uid, ``resource-constraint`` for one too many."""
        async with self._turn:
            if record.key in self._jobs:
                raise CommandError(f"uid: there is a job {record.uid} already: unschedule it first", condition=Condition.CONFLICT)
            if len(self.jobs(record.entity)) >= self._most:
                text = f"there are {self._most} jobs here already, the most that an entity has: unschedule one"
                raise CommandError(text, condition=Condition.RESOURCE_CONSTRAINT)
            await schedule_book.keep_job(self._store, record)
            self._add(record)

    def _add(self, record: JobRecord) -> None:
        self._jobs[record.key] = record
        trigger = times_of(record).trigger()
        self._clock.add_job(self._run, trigger, args=(record.key,), id=_name(record.key), next_run_time=record.due)

    async def take_in(self, entity: str) -> None:
        """Take over the jobs that an entity brought into the store."""
        async with self._turn:
            for record in await schedule_book.read_jobs(self._store):
                if record.entity == entity and record.key not in self._jobs:
                    await self._take_up(record)

    async def remove(self, entity: str, uid: str) -> None:
        """Forget a job; what runs already runs on. Raises ``item-not-found``."""
        async with self._turn:
            if (entity, uid) not in self._jobs:
                raise CommandError(f"uid: there is no job {uid}: the action jobs lists them", condition=Condition.ITEM_NOT_FOUND)
            await schedule_book.drop_job(self._store, (entity, uid))
            self._forget((entity, uid))

    async def drop(self, entity: str) -> None:
        """Forget all jobs of an entity that leaves."""
        async with self._turn:
            await schedule_book.drop_jobs(self._store, entity)
            for job, _next in self.jobs(entity):
                self._forget(job.key)

    def _forget(self, key: Key) -> None:
        self._jobs.pop(key, None)
        with contextlib.suppress(JobLookupError):
            self._clock.remove_job(_name(key))

    # -- running --------------------------------------------------------------------------------------------------------

    async def _run(self, key: Key) -> None:
        """Run a job that is due, and tell what became of it; never raises."""
        try:
            await self._run_recorded(key)
        except asyncio.CancelledError:
            log.warning("job %s of %s was given up: the agent ends", key[1], key[0])
        except Exception:  # a fault of ours in one job must not reach APScheduler's own log, nor end anything
            log.exception("job %s of %s", key[1], key[0])

    async def _run_recorded(self, key: Key) -> None:
        async with self._turn:
            record, entity = self._jobs.get(key), self._find(key[0])
            if record is None or entity is None:
                return
            following = self._next_run(record)
            record = replace(record, started=datetime.now(UTC), due=following or record.due)
            try:
                await schedule_book.keep_job(self._store, record)
            except StoreError as error:
                self._fail(entity, record, f"it was not begun, because that cannot be written down: {error}")
                return
        await self._do(entity, record)
        async with self._turn:
            await self._note_end(replace(record, started=None), last=following is None)

    async def _do(self, entity: Entity, record: JobRecord) -> None:
        caller = Caller(record.creator, record.creator)
        try:
            command, request = await find_command(entity, record.action, record.parameter)
            await run_command(entity, command, request, caller, f"scheduled job {record.uid}")
        except CommandError as error:
            self._fail(entity, record, error.text)
        else:
            entity.push(Topic.SCHEDULER, ScheduleChange.EXECUTED)

    async def _note_end(self, record: JobRecord, *, last: bool) -> None:
        """Write down that a job does not run any more, or forget it; meanwhile it may have been removed."""
        if record.key not in self._jobs:
            return
        try:
            if last:
                await schedule_book.drop_job(self._store, record.key)
            else:
                await schedule_book.keep_job(self._store, record)
        except StoreError as error:
            log.error("job %s of %s: that it ran cannot be written down: %s", record.uid, record.entity, error)
        if last:
            self._forget(record.key)

    # -- telling --------------------------------------------------------------------------------------------------------

    def _fail(self, entity: Entity, record: JobRecord, why: str) -> None:
        log.warning("job %s of %s (%s) failed: %s", record.uid, record.entity, record.action, why)
        entity.push(Topic.SCHEDULER, ScheduleChange.FAILED, _detail(record, why))

    def _note_missed(self, event: JobEvent) -> None:
        """Tell of a job that began too late, or whose last run had not ended; one for once is over."""
        key = _key(event.job_id)
        record, entity = self._jobs.get(key), self._find(key[0])
        if record is None or entity is None:
            return
        log.warning("job %s of %s (%s) missed its time", record.uid, record.entity, record.action)
        entity.push(
            Topic.SCHEDULER, ScheduleChange.MISSED, _detail(record, "the agent was busy at that time, or the run before had not ended")
        )
        entity.spawn(self._pass_over(record))

    async def _pass_over(self, record: JobRecord) -> None:
        async with self._turn:
            following = self._next_run(record)
            await self._note_end(replace(record, due=following or record.due), last=following is None)

    def _tell_later(self, record: JobRecord, change: ScheduleChange, why: str) -> None:
        """Push as soon as the entity is online: before that nothing is heard."""
        entity = self._find(record.entity)
        if entity is not None:
            entity.spawn(_tell(entity, change, _detail(record, why)))

    def _find(self, bare: str) -> Entity | None:
        hypervisor = self._hypervisor()
        return None if hypervisor is None else entity_of(hypervisor, bare)


async def _tell(entity: Entity, change: ScheduleChange, detail: ET.Element) -> None:
    await entity.online.wait()
    entity.push(Topic.SCHEDULER, change, detail)


def _detail(record: JobRecord, why: str) -> ET.Element:
    detail = ET.Element("job", {"action": record.action, "uid": record.uid})
    detail.text = why
    return detail


def times_of(record: JobRecord) -> Times:
    """Return when a job runs; a zone that is gone is UTC."""
    try:
        zone = ZoneInfo(record.zone)
    except (ZoneInfoNotFoundError, ValueError):
        log.error("job %s of %s: the time zone %s is not known here any more: UTC instead", record.uid, record.entity, record.zone)
        zone = ZoneInfo("UTC")
    return Times(record.fields, zone, record.moment)


def _next_after(record: JobRecord, moment: datetime) -> datetime | None:
    """Return the next run after ``moment``; a job for once has none."""
    if record.moment is not None:
        return None
    return times_of(record).trigger().get_next_fire_time(None, moment + timedelta(microseconds=1))


def _name(key: Key) -> str:
    return f"{key[1]} {key[0]}"


def _key(name: str) -> Key:
    uid, _, entity = name.partition(" ")
    return entity, uid
