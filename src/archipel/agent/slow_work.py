# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work on whole files takes minutes: it has threads of its own, so that nobody who only looks waits behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, ParamSpec, TypeVar

from archipel.agent.daemon_threads import DaemonThreads

SLOW_THREADS: Final = 4  # more would only take the disk from each other
QUICK_THREADS: Final = 4  # for all else that asyncio.to_thread does, however many cores the host has

P = ParamSpec("P")
Result = TypeVar("Result")
_threads: Final = DaemonThreads(SLOW_THREADS, "archipel-slow")


async def in_slow_thread(function: Callable[P, Result], *args: P.args, **kwargs: P.kwargs) -> Result:
    """Do what :func:`asyncio.to_thread` does, for what reads or writes a whole file; it waits while others are at that."""
    return await asyncio.wrap_future(_threads.submit(function, *args, **kwargs))


def bound_quick_threads() -> None:
    """Let the running loop have a fixed number of threads: by itself it takes four more than there are cores."""
    threads = ThreadPoolExecutor(QUICK_THREADS, thread_name_prefix="archipel-quick")
    asyncio.get_running_loop().set_default_executor(threads)
