# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for what will be so, with a deadline that only a fault exceeds."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

DEADLINE = 30.0  # seconds; generous, because the machine that runs the tests may be busy with others
PAUSE = 0.02


async def eventually(look: Callable[[], T | Awaitable[T]], what: str = "", deadline: float = DEADLINE) -> T:
    """Call ``look`` again and again until it returns something true, and return that."""
    until = time.monotonic() + deadline
    while True:
        found = look()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < until, f"not so after {deadline:g} s: {what or inspect.getsource(look).strip()}"
        await asyncio.sleep(PAUSE)
