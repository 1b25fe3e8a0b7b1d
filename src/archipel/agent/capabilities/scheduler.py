# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: RUF009 (Section.option returns dataclasses.field, which is no shared default)
"""Commands for later (namespace ``archipel:entity:scheduler``)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tzlocal import get_localzone

from archipel.agent.dispatch import EVERY_KIND, Caller, Chat, command
from archipel.agent.entity import Entity
from archipel.agent.hooks import in_background, when_arrived, when_leaving
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.one_each import one_per_hypervisor
from archipel.agent.options import Kind, Section, integer, optional, seconds
from archipel.agent.schedule_actions import check_job, offered
from archipel.agent.schedule_book import JobRecord
from archipel.agent.schedule_times import read_times
from archipel.agent.scheduler import Scheduler, times_of
from archipel.agent.store import StoreError
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import scheduler as wire
from archipel.protocol.errors import ErrorCode
from archipel.protocol.events import Topic
from archipel.protocol.rights import ANY_ENTITY, Token
from archipel.protocol.scheduler import FIELDS, ScheduleChange

log = logging.getLogger(__name__)

SETTLE: Final = 2.0  # seconds after which a new session knows the platform's administrators, who may be creators of jobs
ONLINE_WAIT: Final = 30.0  # seconds; who is an administrator is known when the hypervisor is online, yet jobs do not need a server
RETRY: Final = 30.0  # seconds; the database cannot be read just now

TOKENS = (
    Token("scheduler_jobs", "See the scheduled jobs", ANY_ENTITY),
    Token("scheduler_schedule", "Schedule jobs, which run by the rights that one has when they run", ANY_ENTITY),
    Token("scheduler_unschedule", "Remove scheduled jobs, also those of others", ANY_ENTITY),
    Token("scheduler_actions", "See what can be scheduled", ANY_ENTITY),
)


def _parse_zone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{text!r} is no time zone that this host knows") from None


ZONE: Final = Kind("the name of a time zone, such as Europe/Paris", _parse_zone)
SCHEDULER = Section("SCHEDULER")


@dataclass(frozen=True, kw_only=True)
class SETTINGS:
    """Options of the scheduler."""

    timezone: ZoneInfo | None = SCHEDULER.option(
        "timezone", optional(ZONE), "", "Time zone of jobs that are scheduled from now on; left out, the host's."
    )
    misfire_grace: float = SCHEDULER.option(
        "misfire_grace", seconds(10, 3600), "60", "How late a job may begin after its time; later it is missed until its next time."
    )
    most_jobs: int = SCHEDULER.option("most_jobs", integer(1, 1000), "50", "Most jobs of one entity.")


@one_per_hypervisor
def _scheduler(hypervisor: Hypervisor) -> Scheduler:
    settings = _settings(hypervisor)
    return Scheduler(hypervisor, settings.misfire_grace, settings.most_jobs)


async def scheduler_of(entity: Entity) -> Scheduler:
    """Return the scheduler of an entity's agent, opened. Raises :class:`StoreError`."""
    scheduler = _scheduler(entity.hypervisor)
    await scheduler.open()
    return scheduler


def _settings(entity: Entity) -> SETTINGS:
    found: SETTINGS = entity.services.settings.capabilities["scheduler"]
    return found


@cache
def host_zone() -> ZoneInfo:
    """Return the host's time zone, or UTC if it has none with a name."""
    try:
        return ZoneInfo(str(get_localzone()))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        log.warning("the host's time zone has no name (%s): jobs are in UTC; name one in [SCHEDULER] timezone", error)
        return ZoneInfo("UTC")


@in_background
async def run_jobs(hypervisor: Hypervisor) -> None:
    """Run the jobs of all entities until the agent ends."""
    scheduler = await _open_patiently(hypervisor)
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ONLINE_WAIT):
                await hypervisor.online.wait()
                await asyncio.sleep(SETTLE)
        scheduler.go()
        await asyncio.Event().wait()
    finally:
        scheduler.close()


async def _open_patiently(hypervisor: Hypervisor) -> Scheduler:
    while True:
        try:
            return await scheduler_of(hypervisor)
        except StoreError as error:
            log.error("scheduled jobs cannot be read now, and do not run: %s", error)
        await asyncio.sleep(RETRY)


@when_leaving
async def forget_jobs(machine: VirtualMachine) -> None:
    """Forget the jobs of a machine that leaves."""
    await (await scheduler_of(machine)).drop(machine.bare)


@when_arrived
async def take_jobs_in(machine: VirtualMachine) -> None:
    """Run the jobs that a machine brought along."""
    await (await scheduler_of(machine)).take_in(machine.bare)


def _say_jobs(jobs: tuple[wire.Job, ...]) -> str:
    return "\n".join(map(_say_job, jobs)) or "I have no jobs."


def _say_job(job: wire.Job) -> str:
    parts = [f"{job.action} {job.param}" if job.param else job.action, f"at {job.date}"]
    parts += [f"on {job.weekday}"] if job.weekday else []
    parts += [f"({job.zone}), next {job.next_run or 'now'}", f"for {job.creator}", job.comment, f"- {job.uid}"]
    return " ".join(part for part in parts if part)


@command(
    wire.Schedule,
    on=EVERY_KIND,
    right="scheduler_schedule",
    failure=ErrorCode.SCHEDULER,
    chat=Chat(("schedule daily {hour} {minute} {job} [param]",), lambda _: "I have noted it; jobs tells what I shall do."),
)
async def schedule(entity: Entity, request: wire.Schedule, caller: Caller) -> None:
    """Do something later, once or again and again, by the rights of who asks for it."""
    check_job(entity, request.job, request.param)
    now = datetime.now(UTC)
    zone = _settings(entity).timezone or host_zone()
    times = read_times({name: getattr(request, name) for name in (*FIELDS, "weekday")}, zone, now)
    due = times.moment or times.trigger().get_next_fire_time(None, now)
    assert due is not None  # noqa: S101 - or read_times would have refused
    record = JobRecord(
        entity=entity.bare,
        uid=str(request.uid or uuid.uuid4()),
        action=request.job,
        parameter=request.param.strip(),
        fields=times.fields,
        zone=zone.key,
        moment=times.moment,
        comment=request.comment,
        creator=caller.bare,
        due=due,
    )
    await (await scheduler_of(entity)).add(record)
    entity.push(Topic.SCHEDULER, ScheduleChange.SCHEDULED)


@command(
    wire.Unschedule,
    on=EVERY_KIND,
    right="scheduler_unschedule",
    failure=ErrorCode.SCHEDULER,
    chat=Chat(("unschedule {uid}",), lambda _: "I have forgotten it."),
)
async def unschedule(entity: Entity, request: wire.Unschedule, _caller: Caller) -> None:
    """Forget a scheduled job."""
    await (await scheduler_of(entity)).remove(entity.bare, str(request.uid))
    entity.push(Topic.SCHEDULER, ScheduleChange.UNSCHEDULED)


@command(wire.ListJobs, on=EVERY_KIND, right="scheduler_jobs", failure=ErrorCode.SCHEDULER, chat=Chat(("jobs",), _say_jobs))
async def list_jobs(entity: Entity, _request: wire.ListJobs, _caller: Caller) -> tuple[wire.Job, ...]:
    """What is scheduled here."""
    jobs = (await scheduler_of(entity)).jobs(entity.bare)
    return tuple(_describe(job, next_run) for job, next_run in jobs)


def _describe(job: JobRecord, next_run: datetime | None) -> wire.Job:
    times = times_of(job)
    return wire.Job(
        action=job.action,
        uid=job.uid,
        date=times.describe(),
        comment=job.comment,
        creator=job.creator,
        zone=job.zone,
        next_run="" if next_run is None else next_run.astimezone(times.zone).isoformat(timespec="seconds"),
        param=job.parameter or None,
        **{name: job.fields.get(name) for name in (*FIELDS, "weekday")},
    )


@command(
    wire.ListJobActions,
    on=EVERY_KIND,
    right="scheduler_actions",
    failure=ErrorCode.SCHEDULER,
    chat=Chat(("job actions",), lambda actions: ", ".join(action.name for action in actions)),
)
async def list_job_actions(entity: Entity, _request: wire.ListJobActions, _caller: Caller) -> tuple[wire.JobAction, ...]:
    """What can be scheduled here."""
    return tuple(wire.JobAction(name=name) for name in offered(entity))
