# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work on whole files takes minutes: it has threads of its own, so that nobody who only looks waits behind it.

They are daemons, as those of ``concurrent.futures`` are not: a file that is being unpacked must not keep the agent from stopping. What
was begun is thrown away at the next start, as it is after a crash.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, Final, ParamSpec, TypeVar

SLOW_THREADS: Final = 4  # made when they are needed; more would only take the disk from each other
QUICK_THREADS: Final = 4  # for all else that asyncio.to_thread does, however many cores the host has

P = ParamSpec("P")
Result = TypeVar("Result")
_jobs: Final[SimpleQueue[tuple[Future[Any], Callable[[], Any]]]] = SimpleQueue()
_threads: Final[list[threading.Thread]] = []


async def in_slow_thread(function: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
    """Do what :func:`asyncio.to_thread` does, for what reads or writes a whole file; it waits while others are at that."""
    future: Future[Result] = Future()
    if len(_threads) < SLOW_THREADS:
        _hire()
    _jobs.put((future, functools.partial(function, *args, **kwargs)))
    return await asyncio.wrap_future(future)


def _hire() -> None:
    """Start one more thread; a host that has no more of them leaves the work to those that there are. Raises :class:`RuntimeError`."""
    thread = threading.Thread(target=_work, name=f"archipel-slow-{len(_threads)}", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        if not _threads:
            raise
    else:
        _threads.append(thread)


def _work() -> None:
    while True:
        future, function = _jobs.get()
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(function())
            except BaseException as error:  # noqa: BLE001 - whatever it is belongs to who waits for it, and the thread must live on
                future.set_exception(error)
        del future, function  # else an idle thread keeps the last result alive


def bound_quick_threads() -> None:
    """Let the running loop have a fixed number of threads: by itself it takes four more than there are cores."""
    threads = ThreadPoolExecutor(QUICK_THREADS, thread_name_prefix="archipel-quick")
    asyncio.get_running_loop().set_default_executor(threads)
