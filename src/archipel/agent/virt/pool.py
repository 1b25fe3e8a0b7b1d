# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The threads in which libvirt is called, so that nothing ever blocks the asyncio loop.

A call that exceeds its time-out is abandoned: its caller gets :class:`LibvirtTimeout` at once, its thread goes on waiting for
libvirt (nobody can interrupt it), and what it brings back late is dropped. Until then its :class:`Lane` stays taken, so one
machine that hangs costs one thread, however often it is asked. When every thread hangs, calls fail at once with
:class:`LibvirtBusy`, which says with what the threads are occupied; the first one that comes back ends that state.

Own threads instead of ``concurrent.futures``: that one joins its threads when the interpreter ends, so that one call that
hangs would keep the agent from stopping. These are daemons.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from archipel.agent.virt.errors import LibvirtBusy, LibvirtTimeout

log = logging.getLogger(__name__)

THREADS = 8  # libvirtd itself serves one client with five to twenty workers; more threads here only wait there
CHANGE_TIMEOUT = 60.0  # seconds; libvirt itself waits 30 s for a domain's lock and up to 15 s for QEMU to end
READ_TIMEOUT = 10.0  # seconds; reading takes a millisecond, and bulk reads were seen to take 4.5 s once

_OUTCOMES: dict[type[Exception], str] = {LibvirtTimeout: "timeout", LibvirtBusy: "busy"}

T = TypeVar("T")


class _Job:
    """One call: queued, then run by a thread, or given up before that."""

    __slots__ = ("_claimed", "call", "function", "future", "lane", "overdue", "since", "timer")

    def __init__(self, call: str, function: Callable[[], Any], future: asyncio.Future[Any], lane: Lane | None) -> None:
        self.call = call
        self.function = function
        self.future = future
        self.lane = lane
        self.timer: asyncio.TimerHandle | None = None
        self.overdue = False
        self.since = time.monotonic()
        self._claimed = threading.Lock()

    def claim(self) -> bool:
        """Decide once, whoever comes first: a thread that runs the job, or a caller that gives it up unrun."""
        return self._claimed.acquire(blocking=False)

    def __str__(self) -> str:
        return f"{self.call} ({time.monotonic() - self.since:.0f} s)"


class Occupant(Protocol):
    """What has the turn in a lane; its text says so in errors. Who comes while it is ``overdue`` does not wait."""

    @property
    def overdue(self) -> bool:
        """Whether libvirt should have answered long ago."""


class Lane:
    """Calls that go one after the other, such as the changes of one domain; belongs to one asyncio loop."""

    __slots__ = ("_lock", "_occupant")

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._occupant: Occupant | None = None

    @property
    def busy(self) -> bool:
        """Whether a call is under way here."""
        return self._lock.locked()

    async def enter(self, call: str, deadline: float | None) -> None:
        """Wait for one's turn; raises :class:`LibvirtBusy` when that does not come in time, or will not."""
        if self._occupant is not None and self._occupant.overdue:
            raise LibvirtBusy(call, f"it still works on {self._occupant}")
        try:
            async with asyncio.timeout_at(deadline):
                await self._lock.acquire()
        except TimeoutError:
            raise LibvirtBusy(call, f"it still works on {self._occupant}") from None

    async def take(self, occupant: Occupant) -> bool:
        """Take the turn and say who has it, unless somebody has; returns whether that was done."""
        if self._lock.locked():
            return False
        await self._lock.acquire()
        self._occupant = occupant
        return True

    def occupy(self, occupant: Occupant) -> None:
        """Say who has the turn."""
        self._occupant = occupant

    def leave(self) -> None:
        """Give the turn to the next."""
        self._occupant = None
        self._lock.release()


class CallPool:
    """A fixed number of named daemon threads that run blocking calls for one asyncio loop."""

    def __init__(self, threads: int = THREADS) -> None:
        self._size = threads
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._jobs: set[_Job] = set()
        self._hanging = 0
        self.counts: Counter[str] = Counter()
        """How many calls ended how: ok, failed, timeout, busy."""

    @property
    def hanging(self) -> int:
        """How many threads are in calls that were abandoned."""
        return self._hanging

    @property
    def size(self) -> int:
        """How many threads there are."""
        return self._size

    @property
    def queued(self) -> int:
        """How many calls wait for a thread."""
        return self._queue.qsize()

    @property
    def busy(self) -> int:
        """How many threads are in a call."""
        return min(self._size, max(0, len(self._jobs) - self.queued))

    def start(self) -> None:
        """Start the threads."""
        for number in range(len(self._threads), self._size):
            thread = threading.Thread(target=self._work, name=f"libvirt-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """End each thread after the call it is in; does not wait for them."""
        for _ in self._threads:
            self._queue.put(None)
        self._threads.clear()

    async def run(self, call: str, function: Callable[[], T], *, within: float | None = READ_TIMEOUT, lane: Lane | None = None) -> T:
        """Run ``function`` in a thread and return what it returns, or raise what it raises.

        ``call`` is its name in errors and logs; ``within`` is its time-out in seconds and covers waiting for the lane and for a thread.
        Raises :class:`LibvirtTimeout` when it runs longer, :class:`LibvirtBusy` when it could not be begun. Cancelling
        gives up a call that was not begun; one that was goes on unheard.
        """
        try:
            result = await self._run_job(call, function, within, lane)
        except Exception as error:  # whatever it is, it is counted and raised again
            self.counts[_OUTCOMES.get(type(error), "failed")] += 1
            raise
        self.counts["ok"] += 1
        return result

    async def _run_job(self, call: str, function: Callable[[], T], within: float | None, lane: Lane | None) -> T:
        loop = asyncio.get_running_loop()
        deadline = None if within is None else loop.time() + within
        if lane is not None:
            await lane.enter(call, deadline)
        job = _Job(call, function, loop.create_future(), lane)
        self._submit(job)
        if within is not None and deadline is not None:
            job.timer = loop.call_at(deadline, self._expire, job, within)
        try:
            result: T = await job.future
        except asyncio.CancelledError:
            if job.claim():
                self._forget(job)
            raise
        return result

    def _submit(self, job: _Job) -> None:
        if job.lane is not None:
            job.lane.occupy(job)
        self._jobs.add(job)
        if self._hanging >= self._size:
            self._forget(job)
            raise LibvirtBusy(job.call, self._list_hanging())
        self._queue.put(job)

    def _forget(self, job: _Job) -> None:
        self._jobs.discard(job)
        if job.timer is not None:
            job.timer.cancel()
        if job.lane is not None:
            job.lane.leave()

    def _list_hanging(self) -> str:
        hanging = sorted((job for job in self._jobs if job.overdue), key=lambda job: job.since)
        return f"all its {self._size} threads are busy; calls that hang: {', '.join(map(str, hanging)) or 'none'}"

    def _expire(self, job: _Job, within: float) -> None:
        if job.claim():
            self._forget(job)
            job.future.set_exception(LibvirtBusy(job.call, self._list_hanging()))
            return
        job.overdue = True
        self._hanging += 1
        if not job.future.done():  # else its caller was cancelled
            job.future.set_exception(LibvirtTimeout(job.call, within))

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            if job.claim():
                # A closed loop has nobody left who waits for the outcome.
                with contextlib.suppress(RuntimeError):
                    job.future.get_loop().call_soon_threadsafe(self._finish, job, _run(job))
            del job  # else an idle thread keeps the last outcome alive, and with it perhaps a connection

    def _finish(self, job: _Job, report: Callable[[], None]) -> None:
        self._forget(job)
        if job.overdue:
            self._hanging -= 1
            log.warning("libvirt ended %s after its time-out; what it brought is dropped", job)
        if not job.future.done():
            report()


def _run(job: _Job) -> Callable[[], None]:
    """Run the call in this thread; return what tells its future the outcome."""
    try:
        return functools.partial(job.future.set_result, job.function())
    except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the caller, and the thread must live on
        return functools.partial(job.future.set_exception, error)
