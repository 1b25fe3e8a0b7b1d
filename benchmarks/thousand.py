# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One agent with a thousand machines, in a world of its own."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.answers import ask_info, ask_roster, measure_in_turn, ping_server, wait_for_all
from benchmarks.process import count_files, count_threads, cpu_seconds, resident_megabytes
from benchmarks.pushes import measure_pushes
from benchmarks.world import World, open_world, start_agent

THOUSAND: Final = 1000


async def measure_thousand(machines: int = THOUSAND, *, settle: float, rest: float) -> dict[str, Any]:
    """Return start, memory, rest, and round trips in relation to a ping of the server."""
    with tempfile.TemporaryDirectory(prefix="archipel-thousand-") as folder, open_world(Path(folder)) as world:
        await world.add_machines(machines)
        figures = {"thousand_start_accounts_to_be_made_s": await _time_start(world)}
        await asyncio.to_thread(world.agent.stop)
        figures["thousand_start_accounts_exist_s"] = await _time_start(world)
        return figures | await _look(world, settle, rest)


async def _time_start(world: World) -> float:
    admin = await world.log_in()
    since = time.monotonic()
    await start_agent(world)
    seconds = await wait_for_all(admin, world, since)
    await admin.logout()
    return seconds


async def _look(world: World, settle: float, rest: float) -> dict[str, Any]:
    pid = world.agent.pid
    assert pid is not None
    await asyncio.sleep(settle)
    before = cpu_seconds(pid)
    await asyncio.sleep(rest)
    figures: dict[str, Any] = {
        "thousand_idle_cpu_percent": round((cpu_seconds(pid) - before) / rest * 100, 2),
        "thousand_memory_mb": round(resident_megabytes(pid), 1),
        "thousand_threads": count_threads(pid),
        "thousand_files": count_files(pid),
    }
    admin = await world.log_in()
    kinds = {"ping": ping_server, "info": lambda: ask_info(world), "list": lambda: ask_roster(world)}
    delays = await measure_in_turn(admin, kinds, rounds=5, burst=20)
    await admin.logout()
    pushes = await measure_pushes(world, 100)
    return figures | {
        "thousand_info_over_ping": round(delays["info"].p50 / delays["ping"].p50, 2),
        "thousand_list": delays["list"],
        "thousand_list_over_ping": round(delays["list"].p50 / delays["ping"].p50, 1),
        "thousand_push": pushes,
        "thousand_push_over_ping": round(pushes.p50 / delays["ping"].p50, 1),
    }
