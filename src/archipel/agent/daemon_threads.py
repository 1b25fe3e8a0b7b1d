# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Threads for work that may take minutes, or for ever: they keep neither those who only look waiting nor the agent from stopping.

The threads of ``concurrent.futures`` are joined when the interpreter ends: a mount whose server is dead would then hold the agent.
These are daemons; what one of them has begun is found unfinished at the next start, as it is after a crash.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
Result = TypeVar("Result")
_Job = tuple[Future[Any], Callable[[], Any]]


class DaemonThreads(Executor):
    """At most ``most`` threads called ``name-0`` and so on, made when they are needed, that stay; jobs begin in order."""

    def __init__(self, most: int, name: str) -> None:
        self._most, self._name = most, name
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []

    def submit(self, function: Callable[P, Result], /, *args: P.args, **kwargs: P.kwargs) -> Future[Result]:
        """Have a function called in one of the threads. Raises :class:`RuntimeError` if the host allows not even one."""
        future: Future[Result] = Future()
        if len(self._threads) < self._most:
            self._hire()
        self._jobs.put((future, functools.partial(function, *args, **kwargs)))
        return future

    def _hire(self) -> None:
        """Start one more thread; a host that has no more of them leaves the work to those that there are."""
        thread = threading.Thread(target=_work, args=(self._jobs,), name=f"{self._name}-{len(self._threads)}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            if not self._threads:
                raise
        else:
            self._threads.append(thread)

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = False) -> None:
        """Let each thread end after its job; nobody waits for that, which is what these threads are for."""
        for _ in self._threads:
            self._jobs.put(None)
        self._threads.clear()


def _work(jobs: SimpleQueue[_Job | None]) -> None:
    while (job := jobs.get()) is not None:
        future, function = job
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001 - whatever it is belongs to who waits for it, and the thread must live on
                future.set_exception(error)
        del future, function, job  # else an idle thread keeps the last result alive
