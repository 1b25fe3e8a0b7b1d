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


def test_a_file_that_is_being_worked_on_does_not_keep_the_agent_from_stopping():
    program = (
        "import asyncio, time\n"
        "from archipel.agent.slow_work import in_slow_thread\n"
        "async def main():\n"
        "    work = asyncio.create_task(in_slow_thread(time.sleep, 3600))\n"
        "    await asyncio.sleep(0.05)\n"
        "asyncio.run(main())\n"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0


async def test_what_goes_wrong_is_raised_to_who_asked_for_it():
    with pytest.raises(ValueError, match="invalid literal"):
        await in_slow_thread(int, "x")


async def test_a_thread_that_cannot_be_started_now_is_not_counted(monkeypatch: pytest.MonkeyPatch):
    """Else, after a moment without threads, whoever unpacks or copies a file would wait for ever."""
    monkeypatch.setattr(slow_work, "_threads", [])
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
