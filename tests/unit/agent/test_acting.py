# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change is put down to somebody only where that is certain."""

from __future__ import annotations

import asyncio

import pytest

from archipel.agent import acting
from archipel.agent.virt.lifecycle import DomainEvent, LifecycleEvent, StoppedDetail

TEACHER, STUDENT = "teacher@example.org", "student@example.org"


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("archipel.agent.acting.time.monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def acts(clock: Clock) -> acting.Acts:
    return acting.Acts()


def event(kind: LifecycleEvent, detail: int = 0) -> DomainEvent:
    return DomainEvent.decode("6f0c0000-0000-4000-8000-000000000001", "web", kind, detail)


STARTED, STOPPED = event(LifecycleEvent.STARTED), event(LifecycleEvent.STOPPED, StoppedDetail.DESTROYED)
FOLLOWED = event(LifecycleEvent.STOPPED, StoppedDetail.SHUTDOWN)


async def test_what_is_done_within_a_command_is_its_givers_doing(acts: acting.Acts) -> None:
    assert acting.person() == ""
    with acts.of(TEACHER, "setmemory"):
        assert acting.person() == TEACHER
    assert acting.person() == ""


async def test_what_a_command_left_running_is_nobodys_doing_once_it_is_answered(acts: acting.Acts) -> None:
    answered = asyncio.Event()

    async def work() -> str:
        await answered.wait()
        return acting.person()

    with acts.of(TEACHER, "clone"):
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
    answered.set()
    assert await task == ""


async def test_an_event_of_libvirt_is_put_down_to_the_command_that_leads_to_it(acts: acting.Acts, clock: Clock) -> None:
    with acts.of(TEACHER, "create"):
        assert acts.cause_of(STARTED) == TEACHER
        assert acts.cause_of(STOPPED) == ""
    clock.now += acting.GRACE
    assert acts.cause_of(STARTED) == TEACHER
    clock.now += 0.1
    assert acts.cause_of(STARTED) == ""


async def test_a_guest_may_take_its_time_to_shut_down(acts: acting.Acts, clock: Clock) -> None:
    with acts.of(TEACHER, "shutdown"):
        pass
    clock.now += acting.SHUTDOWN_PATIENCE
    assert acts.cause_of(FOLLOWED) == TEACHER
    assert acts.cause_of(STOPPED) == "", "somebody pulled the plug meanwhile"
    clock.now += 0.1
    assert acts.cause_of(FOLLOWED) == ""


async def test_of_two_people_neither_is_named(acts: acting.Acts) -> None:
    with acts.of(TEACHER, "destroy"), acts.of(STUDENT, "destroy"):
        assert acts.cause_of(STOPPED) == ""
    with acts.of(STUDENT, "create"), acts.of(STUDENT, "create"):
        assert acts.cause_of(STARTED) == STUDENT


async def test_old_commands_are_forgotten(acts: acting.Acts, clock: Clock) -> None:
    for _ in range(1000):
        with acts.of(TEACHER, "suspend"):
            clock.now += 1
    assert len(acts._acts) <= acting.SHUTDOWN_PATIENCE + 1


def test_something_may_be_done_on_behalf_of_somebody() -> None:
    with acting.on_behalf_of(TEACHER):
        assert acting.person() == TEACHER
    with acting.on_behalf_of(""):
        assert acting.person() == ""
    assert acting.person() == ""
