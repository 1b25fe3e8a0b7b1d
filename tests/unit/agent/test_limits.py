# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Token buckets that fill with time, and a gate that nobody can occupy alone."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pytest

from archipel.agent.admission import Admission
from archipel.agent.limits import Gate, TokenBuckets, TooManyWaiting
from archipel.agent.virtual_machine import VirtualMachine
from tests.unit.agent.conftest import go_online
from tests.unit.agent.fakes import ADMIN, OWNER, STRANGER, Caller, make_settings


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    "rate, burst, steps, admitted",
    [
        (1, 3, [(0, 5)], 3),
        (1, 3, [(0, 5), (1, 2)], 4),
        (1, 3, [(0, 5), (100, 5)], 6),
        (0.5, 1, [(0, 1), (1, 1), (1, 1)], 2),
        (10, 1, [(0.1, 1)] * 20, 20),
        (100, 2000, [(5, 1)] * 1000, 1000),  # a seat polled by a teacher, for more than an hour
        (100, 2000, [(0, 50)], 50),
        (100, 2000, [(0, 5000)], 2000),
    ],
)
def test_as_many_pass_as_tokens_are_there(rate: float, burst: int, steps: list[tuple[float, int]], admitted: int):
    clock = Clock()
    buckets = TokenBuckets(rate, burst, clock)
    passed = 0
    for pause, requests in steps:
        clock.now += pause
        passed += sum(buckets.take("eve") == 0 for _ in range(requests))
    assert passed == admitted


def test_who_must_wait_is_told_how_long_and_passes_then():
    clock = Clock()
    buckets = TokenBuckets(0.5, 1, clock)
    assert [buckets.take("eve"), buckets.take("eve")] == [0, 2]
    clock.now += 2
    assert buckets.take("eve") == 0


def test_nobody_pays_for_another():
    buckets = TokenBuckets(1, 1, Clock())
    assert [buckets.take(name) for name in ("eve", "eve", "bob")] == [0, 1, 0]


def test_a_flood_of_many_senders_takes_no_more_memory_than_allowed_and_passes_no_faster():
    clock = Clock()
    buckets = TokenBuckets(1, 10, clock, most=100)
    passed = sum(buckets.take(number) == 0 for number in range(10_000))
    assert (len(buckets), passed) == (100, 110)
    clock.now += 10
    assert buckets.take("new") == 0
    assert len(buckets) == 1


def test_a_clock_that_stands_still_gives_nothing():
    buckets = TokenBuckets(10_000, 1, Clock())
    assert [buckets.take("eve") > 0 for _ in range(3)] == [False, True, True]


class Works:
    """Pieces of work in a gate that end when told."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.begun: list[str] = []
        self.tasks: dict[str, list[asyncio.Task[None]]] = {}
        self.ends: dict[str, list[asyncio.Event]] = {}

    async def add(self, sender: str, count: int = 1) -> None:
        for _ in range(count):
            self.tasks.setdefault(sender, []).append(asyncio.create_task(self._do(sender)))
        await settle()

    async def end(self, sender: str) -> None:
        self.ends[sender].pop(0).set()
        await settle()

    async def _do(self, sender: str) -> None:
        await self.gate.enter(sender)
        self.begun.append(sender)
        end = asyncio.Event()
        self.ends.setdefault(sender, []).append(end)
        try:
            await end.wait()
        finally:
            self.gate.leave(sender)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize("senders", [1, 2, 3, 5])
async def test_equal_senders_share_equally_and_there_is_room_for_one_more(senders: int):
    works = Works(Gate(60, 10_000))
    for number in range(senders):
        await works.add(f"s{number}", 100)
    for _ in range(300):  # what one got while he was alone goes to the others as it ends
        busiest = max(works.ends, key=lambda sender: len(works.ends[sender]))
        await works.end(busiest)
        await works.add(busiest)
    shares = [len(works.ends[f"s{number}"]) for number in range(senders)]
    assert max(shares) - min(shares) <= 1 + senders
    assert sum(shares) < 60
    begun = len(works.begun)
    await works.add("late")
    assert works.begun[begun:] == ["late"]


async def test_all_that_waits_is_done_each_sender_in_turn():
    works = Works(Gate(10, 100))
    await works.add("eve", 9)
    await works.add("bob", 5)
    for _ in range(14):
        await works.end(next(sender for sender in ("eve", "bob") if works.ends.get(sender)))
    assert sorted(works.begun) == ["bob"] * 5 + ["eve"] * 9
    assert (works.gate.under_way, works.gate.waiting, works.gate._free) == (0, 0, 10)


async def test_when_too_many_wait_who_waits_may_not_add_more_and_others_may():
    works = Works(Gate(2, 3))
    await works.add("eve", 4)
    with pytest.raises(TooManyWaiting):
        await works.gate.enter("eve")
    await works.add("bob")
    assert (works.begun, works.gate.waiting) == (["eve", "bob"], 3)


async def test_who_gives_up_leaves_no_trace():
    works = Works(Gate(2, 100))
    await works.add("eve", 3)
    works.tasks["eve"][1].cancel()
    await settle()
    assert works.gate.waiting == 1
    works.tasks["eve"][0].cancel()  # at once: the place that this frees goes to one that has just gone
    works.tasks["eve"][2].cancel()
    await settle()
    assert (works.gate.under_way, works.gate.waiting, works.gate._free) == (0, 0, 2)


async def test_who_gives_up_a_place_that_he_just_got_gives_it_to_the_next():
    works = Works(Gate(2, 100))
    await works.add("eve", 3)
    works.ends["eve"][0].set()
    await asyncio.sleep(0)  # the first one ends and lets the second one in, which has not noticed yet
    works.tasks["eve"][1].cancel()
    await settle()
    assert (works.begun, works.gate.under_way, works.gate.waiting) == (["eve", "eve"], 1, 0)
    assert math.isclose(works.gate._free, 1)


async def test_each_class_of_senders_has_the_limits_of_the_file(machine: VirtualMachine, tmp_path: Path):
    more = """[LIMITS]
request_rate = 2
request_burst = 3
admin_request_rate = 4
admin_request_burst = 5
stranger_request_rate = 0.5
stranger_request_burst = 1
requests_under_way = 10
requests_waiting = 11
"""
    clock = Clock()
    admission = Admission(make_settings(tmp_path, more).limits, clock)
    assert admission.delay(machine, STRANGER) == 0
    assert admission.delay(machine, STRANGER) == 0, "before the roster was read nobody knows who is a stranger"
    await go_online(machine)
    told = {caller: [admission.delay(machine, caller) for _ in range(7)] for caller in (STRANGER, OWNER, ADMIN)}
    assert [delays.count(0) for delays in told.values()] == [1, 3, 5]
    assert [delays[-1] for delays in told.values()] == [2, 0.5, 0.25]
    assert (admission.gate._free, admission.gate._most_waiting, admission.refused) == (10, 11, 12)
    server = Caller("lab.example", "lab.example")
    assert not any(admission.delay(machine, server) for _ in range(100)), "the server asks whether we still live"
