# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tells systemd that the loop lives, so that an agent that hangs is started again (sd_watchdog_enabled(3))."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping


def interval(environment: Mapping[str, str] = os.environ) -> float | None:
    """Return how often to tell, in seconds; ``None`` if nobody wants to be told, or it is another process that should tell."""
    microseconds, process = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not (microseconds.isascii() and microseconds.isdigit() and int(microseconds)) or process not in ("", str(os.getpid())):
        return None
    return int(microseconds) / 1_000_000 / 2


async def feed_watchdog(notify: Callable[[str], None], environment: Mapping[str, str] = os.environ) -> None:
    """Tell for ever, twice as often as systemd wants it; return at once where it wants nothing."""
    pause = interval(environment)
    while pause is not None:
        notify("WATCHDOG=1")
        await asyncio.sleep(pause)
