# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""archipel:entity:scheduler on the wire: jobs run at their time, by the rights of who scheduled them, and outlive the agent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import libvirt
import pytest
import pytest_asyncio

from testbed.certificates import Authority
from tests.wire.matching import assert_error, assert_payload, child, show
from tests.wire.person import Person
from tests.wire.platform import ADMIN, Machine, Platform, open_platform
from tests.wire.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

SCHEDULER = "archipel:entity:scheduler"
UTC_OPTION = {("SCHEDULER", "timezone"): "UTC"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def platform(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A platform of its own: its agent is killed."""
    async with open_platform(tmp_path_factory.mktemp("scheduler"), authority, "jobs.localhost", UTC_OPTION) as platform:
        await platform.meet_hypervisor(await platform.enter(ADMIN))
        yield platform
        assert "Traceback" not in platform.log, platform.log


@pytest.fixture
def admin(platform: Platform) -> Person:
    return platform.people[0]


@pytest_asyncio.fixture(loop_scope="session")
async def machine(platform: Platform, admin: Person) -> Machine:
    machine = await platform.make_machine(admin)
    await admin.subscribe_to_events(machine.bare, platform.pubsub)
    return machine


def soon(seconds: float = 2) -> str:
    """The fields of a moment that comes in a second or two."""
    moment = datetime.now(UTC) + timedelta(seconds=1 + seconds)
    return " ".join(f"{name}='{getattr(moment, name)}'" for name in ("year", "month", "day", "hour", "minute", "second"))


async def schedule(person: Person, address: str, attributes: str) -> ET.Element:
    return await person.command(address, SCHEDULER, f"<archipel action='schedule' {attributes}/>", "get")


async def list_jobs(person: Person, address: str) -> list[dict[str, str]]:
    answer = await person.command(address, SCHEDULER, "<archipel action='jobs'/>", "get")
    return [dict(job.attrib) for job in child(answer, "query")]


def state_of(platform: Platform, machine: Machine) -> int:
    with platform.libvirt() as connection:
        state: int = connection.lookupByUUIDString(machine.uuid).state()[0]
        return state


async def test_a_job_for_once_runs_at_its_moment_and_is_audited(platform: Platform, admin: Person, machine: Machine):
    assert_payload(await schedule(admin, machine.full, f"job='create' {soon()} comment='wake up'"), SCHEDULER, "")
    await admin.expect_push(machine.bare, "scheduler", "scheduled")
    [job] = await list_jobs(admin, machine.full)
    assert (job["action"], job["comment"], job["creator"], job["zone"]) == ("create", "wake up", admin.bare, "UTC")
    await admin.expect_push(machine.bare, "scheduler", "jobexecuted")
    assert state_of(platform, machine) == libvirt.VIR_DOMAIN_RUNNING
    await eventually(lambda: platform.rows("SELECT uid FROM scheduled_jobs WHERE entity = ?", machine.bare) == [])
    entries = [json.loads(line) for line in platform.audit.splitlines()]
    [entry] = [entry for entry in entries if entry.get("phrase") == f"scheduled job {job['uid']}"]
    assert (entry["who"], entry["entity"], entry["action"], entry["outcome"]) == (admin.bare, machine.bare, "create", "ok")


async def test_a_job_of_somebody_who_lost_the_right_does_nothing(platform: Platform, admin: Person, machine: Machine):
    student = await platform.enter()
    await platform.grant(admin, machine.full, student, "scheduler_schedule")
    assert_payload(await schedule(student, machine.full, f"job='create' {soon()}"), SCHEDULER, "")
    before = len(admin.received)
    await admin.expect_push(machine.bare, "scheduler", "jobfailed")
    told = "".join(show(stanza) for stanza in admin.received[before:])
    assert "lacks the right 'create'" in told.replace("&apos;", "'")
    assert state_of(platform, machine) == libvirt.VIR_DOMAIN_SHUTOFF


async def test_a_job_that_is_unscheduled_does_not_run_and_an_unknown_one_is_told(admin: Person, machine: Machine):
    await schedule(admin, machine.full, "job='create' hour='8' minute='*' second='0' year='*' month='*' day='*'")
    [job] = await list_jobs(admin, machine.full)
    assert job["date"] == "*-*-* @ 8 hour(s) and * minute(s) and 0 second(s)"
    request = f"<archipel action='unschedule' uid='{job['uid']}'/>"
    assert_payload(await admin.command(machine.full, SCHEDULER, request), SCHEDULER, "")
    await admin.expect_push(machine.bare, "scheduler", "unscheduled")
    assert await list_jobs(admin, machine.full) == []
    answer = await admin.command(machine.full, SCHEDULER, request)
    assert_error(answer, code=-1, condition="item-not-found", mentions=job["uid"], action="unschedule")


async def test_a_hypervisor_makes_a_machine_at_its_time(platform: Platform, admin: Person):
    await admin.subscribe_to_events(platform.hypervisor, platform.pubsub)
    await schedule(admin, platform.host, f"job='alloc' param='planned' {soon()}")
    await admin.expect_push(platform.hypervisor, "scheduler", "jobexecuted")
    assert platform.rows("SELECT name FROM virtual_machines WHERE name = 'planned'") == [("planned",)]


async def test_jobs_outlive_a_crash_and_what_was_missed_meanwhile_is_caught_up(platform: Platform, admin: Person, machine: Machine):
    """Within the grace of a minute a job for once runs when the agent is back, and the repeated one goes on."""
    await schedule(admin, machine.full, f"job='create' {soon()}")
    await schedule(admin, machine.full, "job='shutdown' month='2'")
    await asyncio.to_thread(platform.agent.kill)
    await asyncio.sleep(3)
    await asyncio.to_thread(platform.agent.start)
    await admin.expect_push(machine.bare, "scheduler", "jobexecuted")
    assert state_of(platform, machine) == libvirt.VIR_DOMAIN_RUNNING
    assert [job["action"] for job in await list_jobs(admin, machine.full)] == ["shutdown"]


async def test_jobs_of_a_freed_machine_are_forgotten(platform: Platform, admin: Person, machine: Machine):
    await schedule(admin, machine.full, "job='create' hour='8'")
    await admin.command(machine.full, "archipel:vm:control", "<archipel action='free'/>")
    await eventually(lambda: platform.rows("SELECT uid FROM scheduled_jobs WHERE entity = ?", machine.bare) == [])
