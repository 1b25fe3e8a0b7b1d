# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest

from archipel.agent.virt.errors import LibvirtBusy, LibvirtTimeout
from archipel.agent.virt.pool import CallPool, Lane

SHORT = 0.05
Until = Callable[[Callable[[], bool]], Awaitable[None]]


@pytest.fixture
async def pool() -> AsyncIterator[CallPool]:
    pool = CallPool(threads=2)
    pool.start()
    yield pool
    pool.stop()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What calls that hang wait for; open at the end, so that no thread outlives its test."""
    gate = threading.Event()
    yield gate
    gate.set()


async def occupy(pool: CallPool, call: Callable[[], object], lane: Lane | None = None) -> asyncio.Task[object]:
    """Start a call and return when a thread is in it."""
    loop, begun = asyncio.get_running_loop(), asyncio.Event()

    def report_and_call() -> object:
        loop.call_soon_threadsafe(begun.set)
        return call()

    task = asyncio.create_task(pool.run("occupied", report_and_call, lane=lane))
    await begun.wait()
    return task


async def hang(pool: CallPool, gate: threading.Event, name: str = "hanging", lane: Lane | None = None) -> None:
    with pytest.raises(LibvirtTimeout):
        await pool.run(name, gate.wait, within=SHORT, lane=lane)


async def test_a_call_runs_in_a_named_thread_and_returns_its_result(pool: CallPool) -> None:
    assert (await pool.run("name", lambda: threading.current_thread().name)).startswith("libvirt-")


async def test_what_a_call_raises_reaches_its_caller(pool: CallPool) -> None:
    with pytest.raises(ZeroDivisionError):
        await pool.run("division", lambda: 1 // 0)


async def test_even_an_exit_in_a_call_leaves_its_thread_alive(pool: CallPool) -> None:
    def leave() -> None:
        raise GeneratorExit

    for _ in range(3):  # more often than there are threads
        with pytest.raises(GeneratorExit):
            await pool.run("leave", leave)
    assert await pool.run("after", lambda: 1) == 1


async def test_the_number_of_threads_is_fixed_and_stop_ends_them() -> None:
    pool = CallPool(threads=3)
    before = set(threading.enumerate())
    pool.start()
    await asyncio.gather(*(pool.run("call", lambda: None) for _ in range(50)))
    threads = set(threading.enumerate()) - before
    pool.stop()
    for thread in threads:
        await asyncio.to_thread(thread.join, 10)
    assert len(threads) == 3
    assert all(thread.daemon and not thread.is_alive() for thread in threads)


async def test_calls_in_one_lane_go_one_after_the_other_in_the_order_of_their_callers(pool: CallPool) -> None:
    lane, order, inside, together = Lane(), [], [], []

    def work(number: int) -> None:
        inside.append(number)
        together.append(len(inside))
        order.append(number)
        inside.remove(number)

    await asyncio.gather(*(pool.run("work", lambda number=number: work(number), lane=lane) for number in range(100)))
    assert order == list(range(100))
    assert set(together) == {1}
    assert not lane.busy


async def test_a_slow_call_in_one_lane_does_not_hold_up_another_lane(pool: CallPool, gate: threading.Event) -> None:
    slow = await occupy(pool, gate.wait, Lane())
    assert await pool.run("quick", lambda: "answer", lane=Lane()) == "answer"
    assert not slow.done()


async def test_a_call_that_takes_too_long_is_named_in_its_error(pool: CallPool, gate: threading.Event) -> None:
    with pytest.raises(LibvirtTimeout, match=r"did not answer create of domain web within 0.05 s") as failure:
        await pool.run("create of domain web", gate.wait, within=SHORT)
    assert (failure.value.call, failure.value.seconds) == ("create of domain web", SHORT)


async def test_what_comes_too_late_is_dropped_and_logged_once(
    pool: CallPool, gate: threading.Event, caplog: pytest.LogCaptureFixture, until: Until
) -> None:
    lane = Lane()
    await hang(pool, gate, "destroy", lane)
    with caplog.at_level(logging.WARNING):
        gate.set()
        await until(lambda: not lane.busy)
    assert [record.getMessage().startswith("libvirt ended destroy") for record in caplog.records] == [True]


async def test_a_lane_stays_taken_until_the_abandoned_call_ends(pool: CallPool, gate: threading.Event, until: Until) -> None:
    lane = Lane()
    await hang(pool, gate, "destroy of domain web", lane)
    with pytest.raises(LibvirtBusy, match=r"not asked for info: it still works on destroy of domain web"):
        await pool.run("info", lambda: 1, lane=lane)
    assert await pool.run("elsewhere", lambda: 1, lane=Lane()) == 1
    gate.set()
    await until(lambda: not lane.busy)
    assert await pool.run("info", lambda: 1, lane=lane) == 1


async def test_who_waits_too_long_for_a_lane_is_told_who_has_it(pool: CallPool, gate: threading.Event) -> None:
    lane = Lane()
    await occupy(pool, gate.wait, lane)
    with pytest.raises(LibvirtBusy, match="still works on occupied"):
        await pool.run("info", lambda: 1, within=SHORT, lane=lane)


async def test_when_all_threads_hang_a_call_fails_at_once_and_says_where_they_hang(
    pool: CallPool, gate: threading.Event, until: Until
) -> None:
    await asyncio.gather(hang(pool, gate, "create of a"), hang(pool, gate, "create of b"))
    with pytest.raises(LibvirtBusy, match=r"all its 2 threads are busy; calls that hang: create of a \(\d+ s\), create of b"):
        await pool.run("info", lambda: 1, within=None)
    gate.set()
    await until(lambda: not pool.hanging)
    assert await pool.run("info", lambda: 1) == 1


async def test_a_call_that_no_thread_took_in_time_is_never_made(pool: CallPool, gate: threading.Event) -> None:
    made: list[str] = []
    lane = Lane()
    tasks = [await occupy(pool, gate.wait) for _ in range(2)]
    with pytest.raises(LibvirtBusy):
        await pool.run("destroy", lambda: made.append("destroy"), within=SHORT, lane=lane)
    gate.set()
    await asyncio.gather(*tasks)
    await asyncio.gather(*(pool.run("flush", lambda: None) for _ in range(10)))
    assert made == []
    assert not lane.busy


async def test_a_call_cancelled_before_a_thread_took_it_is_never_made(pool: CallPool, gate: threading.Event) -> None:
    made: list[str] = []
    lane = Lane()
    tasks = [await occupy(pool, gate.wait) for _ in range(2)]
    waiting = asyncio.create_task(pool.run("destroy", lambda: made.append("destroy"), lane=lane))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    gate.set()
    await asyncio.gather(*tasks)
    await asyncio.gather(*(pool.run("flush", lambda: None) for _ in range(10)))
    assert waiting.cancelled()
    assert made == []
    assert not lane.busy


async def test_a_call_cancelled_under_way_keeps_its_lane_until_it_ends(pool: CallPool, gate: threading.Event) -> None:
    lane = Lane()
    running = await occupy(pool, gate.wait, lane)
    running.cancel()
    await asyncio.wait({running})
    assert lane.busy
    gate.set()
    assert await pool.run("next", lambda: 1, lane=lane) == 1


async def test_a_cancelled_call_that_hangs_counts_as_hanging_when_its_time_is_over(
    pool: CallPool, gate: threading.Event, until: Until
) -> None:
    lane = Lane()
    running = asyncio.create_task(pool.run("cancelled", gate.wait, within=SHORT, lane=lane))
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait({running})
    if lane.busy:  # else no thread had taken it yet
        await until(lambda: pool.hanging == 1)
        with pytest.raises(LibvirtBusy, match="still works on cancelled"):
            await pool.run("next", lambda: 1, lane=lane)
    else:
        assert await pool.run("next", lambda: 1, lane=lane) == 1
