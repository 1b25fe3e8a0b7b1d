# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose work is done when."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

import pytest

from archipel.agent.turns import Turns, Work

EVE, BOB = "eve@lab.example", "bob@lab.example"


class Workshop:
    """Does work in tasks, and notes what was done in which order."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(work))

    def piece(self, name: str, until: asyncio.Event | None = None) -> Work:
        async def work() -> None:
            if until is not None:
                await until.wait()
            self.done.append(name)

        return work

    async def finish(self) -> None:
        while waiting := [task for task in self.tasks if not task.done()]:
            await asyncio.wait(waiting)


@pytest.fixture
def workshop() -> Workshop:
    return Workshop()


async def test_each_sender_s_work_is_done_in_its_order_and_others_come_in_between(workshop: Workshop) -> None:
    turns = Turns(workshop.spawn, at_once=1, most_waiting=10)
    for number in range(4):
        assert turns.take(EVE, workshop.piece(f"eve {number}"))
    assert turns.take(BOB, workshop.piece("bob"))
    await workshop.finish()
    assert workshop.done == ["eve 0", "bob", "eve 1", "eve 2", "eve 3"]


async def test_no_more_is_under_way_than_allowed(workshop: Workshop) -> None:
    turns, gate = Turns(workshop.spawn, at_once=2, most_waiting=10), asyncio.Event()
    for number in range(5):
        turns.take(EVE, workshop.piece(str(number), gate))
    await asyncio.sleep(0)
    assert len(workshop.tasks) == 2
    gate.set()
    await workshop.finish()
    assert workshop.done == list("01234")


async def test_what_is_beyond_is_refused_until_there_is_room(workshop: Workshop) -> None:
    turns = Turns(workshop.spawn, at_once=1, most_waiting=2)
    assert [turns.take(EVE, workshop.piece("x")) for _ in range(5)] == [True] * 3 + [False] * 2
    assert turns.take(BOB, workshop.piece("y"))
    assert [turns.note_refusal(EVE), turns.note_refusal(EVE), turns.note_refusal(BOB)] == [True, False, True]
    await workshop.finish()
    assert turns.take(EVE, workshop.piece("x"))
    assert turns.note_refusal(EVE)
    await workshop.finish()


async def test_work_that_fails_keeps_nothing_waiting(workshop: Workshop) -> None:
    async def fail() -> None:
        raise RuntimeError("broken")

    turns = Turns(workshop.spawn, at_once=1, most_waiting=10)
    turns.take(EVE, fail)
    turns.take(EVE, workshop.piece("next"))
    await workshop.finish()
    assert workshop.done == ["next"]
    assert str(workshop.tasks[0].exception()) == "broken"


async def test_what_was_cleared_is_not_begun(workshop: Workshop) -> None:
    turns = Turns(workshop.spawn, at_once=1, most_waiting=10)
    for number in range(3):
        turns.take(EVE, workshop.piece(str(number)))
    turns.clear()
    await workshop.finish()
    assert workshop.done == ["0"]


async def test_who_is_served_is_forgotten(workshop: Workshop) -> None:
    turns = Turns(workshop.spawn, at_once=1, most_waiting=2)
    for number in range(100):
        turns.take(f"{number}@lab.example", workshop.piece("x"))
        turns.take(f"{number}@lab.example", workshop.piece("x"))
    await workshop.finish()
    assert (dict(turns._under_way), turns._waiting, turns._refused) == ({}, {}, set())
