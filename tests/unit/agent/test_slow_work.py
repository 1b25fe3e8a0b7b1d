# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that takes minutes keeps nobody waiting who only looks, and the agent's threads are counted."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from archipel.agent.slow_work import QUICK_THREADS, SLOW_THREADS, bound_quick_threads, in_slow_thread


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What work in threads waits for; it is opened in any case, so that no thread is left."""
    event = threading.Event()
    yield event
    event.set()


async def test_who_only_looks_does_not_wait_for_whole_files(gate: threading.Event):
    copies = [asyncio.create_task(in_slow_thread(gate.wait)) for _ in range(3 * SLOW_THREADS)]

    assert await asyncio.to_thread(lambda: "seen") == "seen"

    assert not any(copy.done() for copy in copies)
    gate.set()
    assert all(await asyncio.gather(*copies))


async def test_what_goes_wrong_is_raised_to_who_asked_for_it():
    with pytest.raises(ValueError, match="invalid literal"):
        await in_slow_thread(int, "x")


async def test_quick_work_has_as_many_threads_as_are_counted(gate: threading.Event):
    bound_quick_threads()
    names: set[str] = set()
    begun = threading.Semaphore(0)

    def work() -> None:
        names.add(threading.current_thread().name)
        begun.release()
        gate.wait()

    tasks = [asyncio.create_task(asyncio.to_thread(work)) for _ in range(3 * QUICK_THREADS)]
    await in_slow_thread(lambda: [begun.acquire() for _ in range(QUICK_THREADS)])

    assert len([thread for thread in threading.enumerate() if thread.name.startswith("archipel-quick")]) == QUICK_THREADS
    gate.set()
    await asyncio.gather(*tasks)
    assert len(names) == QUICK_THREADS
