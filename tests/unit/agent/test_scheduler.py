# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scheduled jobs: whose rights they run by, what a crash and a time without an agent leave, and what is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from sqlalchemy.orm import Session

from archipel.agent import migrating, schedule_book
from archipel.agent.capabilities import scheduler as capability
from archipel.agent.entity import Entity
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.removal import remove_record
from archipel.agent.schedule_actions import KINDS
from archipel.agent.schedule_book import JobRecord
from archipel.agent.scheduler import Scheduler
from archipel.agent.store import StoreError
from archipel.agent.virt.lifecycle import DomainState
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import CommandError, Condition
from archipel.protocol.events import events_node
from archipel.protocol.scheduler import FIELDS
from tests.unit.agent.conftest import ask, finish_work, go_online
from tests.unit.agent.fake_xmpp import FakeXmpp
from tests.unit.agent.fakes import ADMIN, HYP, OWNER, STUDENT, UUID, VM, FakeAudit, FakeHost, failure
from tests.wire.waiting import eventually

SCHEDULER = "archipel:entity:scheduler"
UID = "5d6f8a10-c5f5-11ef-9f5e-0242ac120002"
GRACE = 60.0
YEAR = timedelta(days=365)
LEAP_DAYS = {"year": "*", "month": "2", "day": "29"}  # none of them while these tests run


def job(action: str = "create", *, due: timedelta = timedelta(0), once: bool = True, **more: Any) -> JobRecord:
    """A job that is due now, or ``due`` later."""
    moment = datetime.now(UTC) + due
    values: dict[str, Any] = {
        "entity": VM,
        "uid": UID,
        "action": action,
        "parameter": "",
        "fields": dict.fromkeys(FIELDS, "0") | ({} if once else LEAP_DAYS),
        "zone": "UTC",
        "moment": moment if once else None,
        "comment": "",
        "creator": OWNER.bare,
        "due": moment,
    }
    return JobRecord(**(values | more))


@pytest.fixture
async def scheduler(hypervisor: Hypervisor, machine: VirtualMachine) -> AsyncIterator[Scheduler]:
    """A scheduler that runs nothing yet, and whose entities are online."""
    await go_online(hypervisor)
    await go_online(machine)
    scheduler = await capability.scheduler_of(machine)
    yield scheduler
    scheduler.close()


@pytest.fixture
def told(xmpp: FakeXmpp):
    """Wait until the entity pushed so much about its jobs, and return it."""

    async def wait(count: int = 1, owner: str = VM) -> list[str]:
        def look() -> list[str]:
            found = [change for topic, change in xmpp.pushes(owner) if topic == "scheduler"]
            return found if len(found) >= count else []

        return await eventually(look)

    return wait


def reasons(xmpp: FakeXmpp) -> list[str]:
    """What stands in the pushes of the machine about its jobs."""
    items = [payload for payload, _publisher in xmpp.nodes[events_node(VM)].items.values() if payload is not None]
    return [part.text or "" for item in items for part in item if part.tag == "{archipel:push:scheduler}job"]


async def rows(entity: Entity) -> tuple[JobRecord, ...]:
    return await schedule_book.read_jobs(entity.services.store)


class TestRunning:
    async def test_it_runs_by_the_rights_of_its_creator_and_is_audited(
        self, scheduler: Scheduler, machine: VirtualMachine, host: FakeHost, audit: FakeAudit, told
    ) -> None:
        await scheduler.add(job())
        scheduler.go()
        assert await told() == ["jobexecuted"]
        assert host.known[UUID].state_now is DomainState.RUNNING
        entry = audit.entries[-1]
        assert (entry["caller"], entry["action"], entry["phrase"], entry["outcome"]) == (OWNER.bare, "create", f"scheduled job {UID}", "ok")
        assert await settle(machine) == ()

    async def test_who_lost_the_right_has_nothing_done(
        self, scheduler: Scheduler, machine: VirtualMachine, host: FakeHost, xmpp: FakeXmpp, told
    ) -> None:
        await scheduler.add(job(once=False))
        await machine.services.rights.revoke(VM, OWNER.bare, "all")
        await machine.services.rights.grant(VM, OWNER.bare, "message", granted_by=HYP)
        scheduler.go()
        assert await told() == ["jobfailed"]
        assert "create" not in host.known[UUID].calls
        assert "'create'" in reasons(xmpp)[0]
        [row] = await settle(machine)
        assert (row.started, row.due > datetime.now(UTC)) == (None, True)

    async def test_a_failure_of_libvirt_is_told(self, scheduler: Scheduler, host: FakeHost, xmpp: FakeXmpp, told) -> None:
        host.known[UUID].refuse["create"] = failure("no room")
        await scheduler.add(job())
        scheduler.go()
        assert await told() == ["jobfailed"]
        assert reasons(xmpp) == ["no room"]

    @pytest.mark.parametrize(
        "before, after, change",
        [
            (DomainState.RUNNING, DomainState.PAUSED, "jobexecuted"),
            (DomainState.PAUSED, DomainState.RUNNING, "jobexecuted"),
            (DomainState.SHUTOFF, DomainState.SHUTOFF, "jobfailed"),
        ],
    )
    async def test_pause_goes_by_the_state_that_is_read(
        self, scheduler: Scheduler, host: FakeHost, told, before: DomainState, after: DomainState, change: str
    ) -> None:
        host.known[UUID].state_now = before
        await scheduler.add(job("pause"))
        scheduler.go()
        assert await told() == [change]
        assert host.known[UUID].state_now is after

    @pytest.mark.parametrize(
        "action, before, after, call",
        [
            ("create", DomainState.SHUTOFF, DomainState.RUNNING, "create"),
            ("shutdown", DomainState.RUNNING, DomainState.RUNNING, "shutdown"),  # the guest is asked to
            ("destroy", DomainState.RUNNING, DomainState.SHUTOFF, "destroy"),
            ("suspend", DomainState.RUNNING, DomainState.PAUSED, "suspend"),
            ("resume", DomainState.PAUSED, DomainState.RUNNING, "resume"),
            ("reboot", DomainState.RUNNING, DomainState.RUNNING, "reboot"),
        ],
    )
    async def test_what_changes_a_machines_state_is_done(
        self, scheduler: Scheduler, host: FakeHost, told, action: str, before: DomainState, after: DomainState, call: str
    ) -> None:
        host.known[UUID].state_now = before
        await scheduler.add(job(action))
        scheduler.go()
        assert await told() == ["jobexecuted"]
        assert (host.known[UUID].state_now, call in host.known[UUID].calls) == (after, True)

    async def test_a_machine_sets_out_for_another_hypervisor(
        self, scheduler: Scheduler, machine: VirtualMachine, told, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun: list[tuple[VirtualMachine, str, str]] = []

        async def begin(*what: Any) -> None:
            begun.append(what)

        monkeypatch.setattr(migrating, "begin", begin)
        await scheduler.add(job("migrate", parameter="other@lab.example/other"))
        scheduler.go()
        assert await told() == ["jobexecuted"]
        assert begun == [(machine, OWNER.bare, "other@lab.example/other")]

    def test_all_that_a_machine_can_be_scheduled_to_do_is_tried_here_or_beside_libvirt(self) -> None:
        tried = {"create", "shutdown", "destroy", "suspend", "resume", "reboot", "migrate", "pause", "snapshot", "alloc", "free"}
        assert {kind.name for kind in KINDS} == tried

    async def test_a_hypervisor_frees_a_machine(self, scheduler: Scheduler, hypervisor: Hypervisor, told) -> None:
        await scheduler.add(job("free", entity=HYP, parameter=VM, creator=ADMIN.bare))
        scheduler.go()
        assert await told(owner=HYP) == ["jobexecuted"]
        assert hypervisor.machines == {}

    async def test_what_cannot_be_written_down_is_not_begun(
        self, scheduler: Scheduler, host: FakeHost, monkeypatch: pytest.MonkeyPatch, told
    ) -> None:
        await scheduler.add(job())

        async def refuse(*_: object) -> None:
            raise StoreError("disk full")

        monkeypatch.setattr(schedule_book, "keep_job", refuse)
        scheduler.go()
        assert await told() == ["jobfailed"]
        assert "create" not in host.known[UUID].calls


async def settle(entity: Entity) -> tuple[JobRecord, ...]:
    """Return the rows when no job runs any more."""
    async with asyncio.timeout(30):
        while True:
            found = await rows(entity)
            if all(row.started is None and row.due > datetime.now(UTC) for row in found):
                return found
            await asyncio.sleep(0.01)


class TestStart:
    """What a new life of the agent does with the jobs of the last one."""

    @pytest.fixture
    async def again(self, hypervisor: Hypervisor, machine: VirtualMachine) -> AsyncIterator[Any]:
        await go_online(machine)
        scheduler = Scheduler(hypervisor, GRACE, 50)

        async def start(*jobs: JobRecord) -> Scheduler:
            for record in jobs:
                await schedule_book.keep_job(hypervisor.services.store, record)
            await scheduler.open()
            scheduler.go()
            return scheduler

        yield start
        scheduler.close()

    async def test_what_was_about_to_run_is_not_run_again_but_told(
        self, again: Any, machine: VirtualMachine, host: FakeHost, xmpp: FakeXmpp, told
    ) -> None:
        await again(job(started=datetime.now(UTC)))
        assert await told() == ["jobfailed"]
        assert "is not known" in reasons(xmpp)[0]
        assert "create" not in host.known[UUID].calls
        assert await rows(machine) == ()

    async def test_what_is_late_within_the_grace_is_run(self, again: Any, host: FakeHost, told) -> None:
        await again(job(due=-timedelta(seconds=GRACE / 2)))
        assert await told() == ["jobexecuted"]
        assert host.known[UUID].calls.count("create") == 1

    async def test_what_is_later_is_told_and_forgotten(self, again: Any, machine: VirtualMachine, host: FakeHost, told) -> None:
        await again(job(due=-2 * YEAR))
        assert await told() == ["jobmissed"]
        assert "create" not in host.known[UUID].calls
        assert await rows(machine) == ()

    async def test_a_repeated_job_that_was_missed_for_years_is_told_once_and_goes_on(self, again: Any, told) -> None:
        scheduler = await again(job(once=False, due=-2 * YEAR))
        assert (await told())[0] == "jobmissed"
        [(_record, following)] = scheduler.jobs(VM)
        assert following is not None
        assert following > datetime.now(UTC) - timedelta(seconds=GRACE)

    @pytest.mark.parametrize("trouble", [{"due": -2 * YEAR}, {"due": YEAR, "started": datetime.now(UTC)}])
    async def test_what_was_told_is_not_told_again_after_the_next_start(
        self, again: Any, hypervisor: Hypervisor, machine: VirtualMachine, told, trouble: dict[str, Any]
    ) -> None:
        scheduler = await again(job(once=False, **trouble))
        first = await told()
        scheduler.close()
        [row] = await rows(machine)
        assert (row.started, row.due > datetime.now(UTC) - timedelta(seconds=GRACE)) == (None, True)
        another = Scheduler(hypervisor, GRACE, 50)
        await another.open()
        await finish_work(machine)
        assert await told() == first
        another.close()

    async def test_a_time_zone_that_is_gone_is_utc(self, again: Any, caplog: pytest.LogCaptureFixture) -> None:
        scheduler = await again(job(once=False, due=YEAR, zone="Mars/Olympus"))
        assert len(scheduler.jobs(VM)) == 1
        assert "Mars/Olympus" in caplog.text


class TestCommands:
    async def schedule(self, entity: Entity, attributes: str, caller: Any = OWNER) -> None:
        await ask(entity, SCHEDULER, f"<archipel action='schedule' {attributes}/>", caller)

    async def list_jobs(self, entity: Entity) -> list[dict[str, str]]:
        return [item.attrib for item in await ask(entity, SCHEDULER, "<archipel action='jobs'/>")]

    async def test_a_job_is_listed_until_it_is_unscheduled(self, scheduler: Scheduler, machine: VirtualMachine, told) -> None:
        await self.schedule(machine, f"job='shutdown' hour='22' weekday='fri' comment='save power' uid='{UID}'")
        [found] = await self.list_jobs(machine)
        assert (found["action"], found["uid"], found["date"], found["comment"]) == ("shutdown", UID, "*-*-* @ 22 : 00 : 00", "save power")
        assert (found["creator"], found["weekday"]) == (OWNER.bare, "fri")
        assert "T22:00:00" in found["next"]
        await ask(machine, SCHEDULER, f"<archipel action='unschedule' uid='{UID}'/>")
        assert (await self.list_jobs(machine), await rows(machine)) == ([], ())
        assert await told(2) == ["scheduled", "unscheduled"]

    async def test_a_uid_stands_for_one_job_of_an_entity(
        self, scheduler: Scheduler, machine: VirtualMachine, hypervisor: Hypervisor
    ) -> None:
        await self.schedule(machine, f"job='create' hour='8' uid='{UID}'")
        await self.schedule(hypervisor, f"job='alloc' hour='8' uid='{UID}'", ADMIN)
        with pytest.raises(CommandError, match="already") as refusal:
            await self.schedule(machine, f"job='create' hour='9' uid='{UID}'")
        assert (refusal.value.code, refusal.value.condition) == (-1, Condition.CONFLICT)

    async def test_an_unknown_uid_is_told(self, scheduler: Scheduler, machine: VirtualMachine) -> None:
        with pytest.raises(CommandError, match="no job") as refusal:
            await ask(machine, SCHEDULER, f"<archipel action='unschedule' uid='{UID}'/>")
        assert (refusal.value.code, refusal.value.condition) == (-1, Condition.ITEM_NOT_FOUND)

    async def test_an_entity_has_so_many_jobs_and_no_more(self, hypervisor: Hypervisor, machine: VirtualMachine) -> None:
        scheduler = Scheduler(hypervisor, GRACE, 2)
        await scheduler.open()
        for number in range(2):
            await scheduler.add(job(uid=f"{number}", due=YEAR))
        with pytest.raises(CommandError, match="2 jobs") as refusal:
            await scheduler.add(job(due=YEAR))
        assert refusal.value.condition is Condition.RESOURCE_CONSTRAINT
        await scheduler.add(job(entity=HYP, due=YEAR))
        scheduler.close()

    async def test_only_what_the_agent_can_do_is_offered(
        self, scheduler: Scheduler, machine: VirtualMachine, hypervisor: Hypervisor
    ) -> None:
        names = [
            [item.text for item in await ask(entity, SCHEDULER, "<archipel action='actions'/>", ADMIN)] for entity in (machine, hypervisor)
        ]
        registry = machine.services.registry
        expected = ["create", "shutdown", "destroy", "suspend", "resume", "reboot", "pause"]
        assert [name for name in names[0] if name not in {"migrate", "snapshot"}] == expected
        assert ("migrate" in names[0]) == (registry.find(machine.kind, "archipel:vm:control", "migrate") is not None)
        assert names[1] == ["alloc", "free"]

    async def test_jobs_of_a_machine_that_leaves_go_with_it(self, scheduler: Scheduler, machine: VirtualMachine) -> None:
        await self.schedule(machine, "job='create' hour='8'")
        await remove_record(machine)
        assert (await rows(machine), scheduler.jobs(VM)) == ((), [])

    async def test_a_conversation_can_schedule_list_and_unschedule(self, scheduler: Scheduler, machine: VirtualMachine) -> None:
        from archipel.agent.chat import reply

        assert await reply(machine, "jobs", OWNER) == "I have no jobs."
        assert "noted" in await reply(machine, "schedule daily 8 30 create", OWNER)
        [found] = await self.list_jobs(machine)
        assert "create at *-*-* @ 8 : 30 : 00" in await reply(machine, "jobs", OWNER)
        assert "forgotten" in await reply(machine, f"unschedule {found['uid']}", OWNER)
        assert "pause" in await reply(machine, "job actions", OWNER)

    async def test_who_has_no_right_learns_which(self, scheduler: Scheduler, machine: VirtualMachine) -> None:
        await machine.services.rights.grant(VM, STUDENT.bare, "message", granted_by=HYP)
        with pytest.raises(CommandError, match="scheduler_schedule"):
            await self.schedule(machine, "job='create' hour='8'", STUDENT)


async def test_the_table_keeps_what_a_job_is(machine: VirtualMachine) -> None:
    record = job("snapshot", parameter="night", comment="d\u00e9j\u00e0", started=datetime.now(UTC))
    await schedule_book.keep_job(machine.services.store, record)
    await schedule_book.keep_job(machine.services.store, replace(record, started=None))
    assert await rows(machine) == (replace(record, started=None),)

    def count(session: Session) -> int:
        return len(session.connection().exec_driver_sql("SELECT * FROM scheduled_jobs").fetchall())

    assert await machine.services.store.run(count) == 1


def test_a_snapshot_is_named_after_its_moment() -> None:
    from archipel.agent.schedule_actions import KINDS

    kind = next(found for found in KINDS if found.name == "snapshot")
    request = kind.request("night")
    assert (request.findtext("domainsnapshot/name") or "").startswith("night-20")
    assert ET.tostring(request).count(b"<name>") == 1
