# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that takes minutes keeps nobody waiting who only looks, and the agent's threads are counted."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from archipel.agent import slow_work
from archipel.agent.daemon_threads import DaemonThreads
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


async def test_what_nobody_waits_for_any_more_is_not_begun(gate: threading.Event):
    begun: list[str] = []
    copies = [asyncio.create_task(in_slow_thread(gate.wait)) for _ in range(SLOW_THREADS)]
    given_up = asyncio.create_task(in_slow_thread(begun.append, "given up"))
    await asyncio.sleep(0)

    given_up.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await given_up
    gate.set()
    await asyncio.gather(*copies)
    await in_slow_thread(begun.append, "the next")

    assert begun == ["the next"]


SLOW_FILE = """
import asyncio, time
from archipel.agent.slow_work import in_slow_thread
async def main():
    work = asyncio.create_task(in_slow_thread(time.sleep, 3600))
    await asyncio.sleep(0.05)
asyncio.run(main())
"""
DEAD_SHELF = """
import asyncio, time
from pathlib import Path
from archipel.agent import shelf
shelf.ANSWER_SECONDS = 0.05
shelf.check_folder = lambda folder: time.sleep(3600)
try:
    asyncio.run(shelf.Shelf(Path("/nowhere"), "hypervisor@example.org", "example.org").entries())
except shelf.Unavailable:
    pass
"""


@pytest.mark.parametrize("program", [SLOW_FILE, DEAD_SHELF], ids=["a file that is worked on", "a mount whose server is dead"])
def test_nothing_keeps_the_agent_from_stopping(program: str):
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0


async def test_threads_that_were_let_go_end():
    threads = DaemonThreads(2, "archipel-passing")
    first, second = (asyncio.wrap_future(threads.submit(threading.current_thread)) for _ in range(2))
    workers = {await first, await second}
    threads.shutdown()
    for worker in workers:
        await asyncio.to_thread(worker.join, 30)
        assert not worker.is_alive()


async def test_what_goes_wrong_is_raised_to_who_asked_for_it():
    with pytest.raises(ValueError, match="invalid literal"):
        await in_slow_thread(int, "x")


async def test_a_thread_that_cannot_be_started_now_is_not_counted(monkeypatch: pytest.MonkeyPatch):
    """Else, after a moment without threads, whoever unpacks or copies a file would wait for ever."""
    monkeypatch.setattr(slow_work, "_threads", DaemonThreads(SLOW_THREADS, "archipel-slow"))
    with monkeypatch.context() as bare:
        bare.setattr(threading.Thread, "start", refuse_start)
        for _ in range(SLOW_THREADS):
            with pytest.raises(RuntimeError, match="can't start new thread"):
                await in_slow_thread(int, "7")
    assert await asyncio.wait_for(in_slow_thread(int, "7"), 10) == 7
    monkeypatch.setattr(threading.Thread, "start", refuse_start)
    assert await asyncio.wait_for(in_slow_thread(int, "8"), 10) == 8, "those that there are do it"


def refuse_start(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


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
