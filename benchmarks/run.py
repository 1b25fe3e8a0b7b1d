# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make bench``: measure everything, print it beside the goals, keep it as JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.answers import ask_info, ask_roster, measure_in_turn, measure_libvirt, ping_machine, ping_server, wait_for_all
from benchmarks.big_roster import ENTITIES, measure_big_roster
from benchmarks.collection import measure_collection, measure_inventories
from benchmarks.collection_table import table_of
from benchmarks.descriptions import SIZES, measure_descriptions
from benchmarks.migration import measure_migration
from benchmarks.plain_client import PlainClient
from benchmarks.playbooks import measure_playbooks
from benchmarks.process import count_threads, cpu_seconds, resident_megabytes
from benchmarks.pushes import measure_pushes, measure_stop
from benchmarks.stress import measure_stress
from benchmarks.thousand import THOUSAND as MOST_MACHINES
from benchmarks.thousand import measure_thousand
from benchmarks.world import World, open_world, start_agent

FEW, MANY = 100, 300
LISTENERS = 50
SERVER_PING = 60  # seconds of silence until ejabberd pings a session (ping_interval of testbed/ejabberd.yml)
MOVES = 10
CHAPTERS = EVERYDAY, COLLECTION, INVENTORY, CROWD, THOUSAND, MIGRATION, STRESS, DESCRIPTIONS = (
    "everyday",
    "collection",
    "inventory",
    "roster",
    "thousand",
    "migration",
    "stress",
    "descriptions",
)
Figures = dict[str, Any]
GOALS: Final = {
    "start_accounts_to_be_made_s": "12 or less",
    "start_accounts_exist_s": "5 or less",
    "memory_per_machine_mb": "0.2 or less",
    "threads": "20 or less, constant",
    "idle_cpu_percent": "under 1",
    "ping_of_machine_over_ping": "what any answer of an entity costs",
    "libvirt_for_info": "the two questions alone",
    "info_over_ping": "3 or less (floor 2.0)",
    "info_over_ping_by_slixmpp": "3 or less (floor 2.0)",
    "roster_100_over_ping_ms": "3 or less",
    "push_one_subscriber": "p50 5, p99 20 ms",
    "push_50_subscribers": "to each of them",
    "push_stopped": "held back 500 ms on purpose",
    "vm_loop_s": "seconds above an empty play",
    "vm_list_s": "seconds above an empty play",
    "collection_vm_loop_times_faster": "1 or more: than the peer's loop",
    "collection_fleet_s": "1 or less, above an empty play",
    "collection_fleet_times_faster": "20 or more",
    "collection_fleet_made_s": "5 or less",
    "collection_fleet_thousand_s": "10 or less",
    "collection_inventory_cold_s": "1.5 or less, above an empty one",
    "collection_inventory_cached_s": "0.3 or less",
    "collection_inventory_times_faster": "5 or more: than the peer's",
    "back_after_10_s_s": "5 or less",
    "back_after_120_s_s": "5 or less",
    "thousand_threads": "20 or less",
    "thousand_idle_cpu_percent": "under 3",
    "thousand_info_over_ping": "as with 300",
    "describe_1000_declaring_ratio": "how many times faster than a question to each",
    "migration_downtime_ms": "the limit or less where the host is not busy",
    "stress_faults": "none",
    "stress_growth_mb": "no growth after the warm-up",
    "stress_files": "no growth",
}


def main() -> int:
    """Measure what was asked for; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(".cache/bench.json"), help="JSON file (default: %(default)s)")
    parser.add_argument("--stress-minutes", type=float, default=30, help="time to start and destroy machines (default: %(default)g)")
    parser.add_argument("--only", action="append", choices=CHAPTERS, help="measure this chapter alone; may be given several times")
    parser.add_argument("--quick", action="store_true", help="shorter waits and fewer machines: a look, not a measurement")
    options = parser.parse_args()
    chapters = options.only or CHAPTERS
    figures: Figures = {"machine": f"{platform.machine()}, Python {platform.python_version()}", "load_before": round(os.getloadavg()[0], 2)}
    if EVERYDAY in chapters:
        figures |= asyncio.run(measure_all(quick=options.quick))
    figures |= asyncio.run(measure_extremes(chapters, minutes=0.2 if options.quick else options.stress_minutes, quick=options.quick))
    figures["load_after"] = round(os.getloadavg()[0], 2)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(figures, indent=2, default=lambda value: asdict(value) if is_dataclass(value) else str(value)))
    for name, value in figures.items():
        print(f"{name:32} {value!s:40} {GOALS.get(name, '')}")
    print(*table_of(figures), f"kept in {options.output}", sep="\n")
    if faults := figures.get("stress_faults"):
        print(f"the stress found faults: {faults}", file=sys.stderr)  # a figure may miss its goal; what is lost or wrong is a defect
    return 1 if faults else 0


async def measure_all(*, quick: bool) -> Figures:
    """Run all measures, one after the other, in one world."""
    few, many = (10, 30) if quick else (FEW, MANY)
    figures: Figures = {"machines": many}
    with tempfile.TemporaryDirectory(prefix="archipel-bench-") as folder, open_world(Path(folder)) as world:
        for what, measure in (
            ("the first machines", lambda: measure_few(world, few)),
            ("all machines", lambda: measure_start(world, many, few)),
            ("rest", lambda: measure_rest(world, *((0, 10) if quick else (SERVER_PING + 5, 120)))),
            ("round trips", lambda: measure_answers(world)),
            ("pushes", lambda: measure_events(world, 50 if quick else 500)),
            ("playbooks", lambda: measure_playbooks(world, rounds=1 if quick else 5)),
            ("server outages", lambda: measure_outages(world, (2,) if quick else (10, 120))),
        ):
            await _report(what, measure, figures)
    figures["memory_per_machine_mb"] = round((figures["memory_many_mb"] - figures["memory_few_mb"]) / (many - few), 3)
    return figures


async def measure_extremes(chapters: Sequence[str], *, minutes: float, quick: bool) -> Figures:
    """Run the measures that need a world of their own."""
    figures: Figures = {}
    if COLLECTION in chapters:
        await _report("the collection and its peer", lambda: measure_collection(quick=quick), figures)
    if COLLECTION in chapters or INVENTORY in chapters:
        await _report("the inventory and its peer", lambda: measure_inventories(quick=quick), figures)
    if CROWD in chapters:
        await _report("a client with a big roster", lambda: measure_big_roster(500 if quick else ENTITIES), figures)
    if THOUSAND in chapters:
        rest = {"settle": 0, "rest": 10} if quick else {"settle": SERVER_PING + 5, "rest": 120}
        await _report("an agent with a thousand machines", lambda: measure_thousand(60 if quick else MOST_MACHINES, **rest), figures)
    if DESCRIPTIONS in chapters:
        await _report("descriptions", lambda: measure_descriptions((10, 30) if quick else SIZES), figures)
    if MIGRATION in chapters:
        await _report("a guest that moves", lambda: measure_migration(2 if quick else MOVES), figures)
    if STRESS in chapters:
        await _report("stress", lambda: _measure_stress(minutes * 60), figures)
    return figures


async def _measure_stress(seconds: float) -> Figures:
    outcome = await measure_stress(seconds)
    return {f"stress_{name}": value for name, value in asdict(outcome).items()} | {"stress_growth_mb": outcome.growth_mb}


async def _report(what: str, measure: Callable[[], Awaitable[Figures]], figures: Figures) -> None:
    started = time.monotonic()
    print(f"{what} ...", end=" ", flush=True, file=sys.stderr)
    figures |= await measure()
    print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)


async def measure_few(world: World, few: int) -> Figures:
    """Start the agent with the first machines, twice; measure its memory and the list of machines the second time."""
    await world.add_machines(few)
    admin = await world.log_in()
    await _start(world)
    await wait_for_all(admin, world, time.monotonic())
    await asyncio.to_thread(world.agent.stop)
    await _start(world)
    await wait_for_all(admin, world, time.monotonic())
    pid = _pid(world)
    delays = await measure_in_turn(admin, {"ping": ping_server, "roster": lambda: ask_roster(world)}, rounds=5, burst=20)
    figures: Figures = {
        "memory_few_mb": round(resident_megabytes(pid), 1),
        "threads_few": count_threads(pid),
        f"roster_{few}": delays["roster"],
        f"roster_{few}_over_ping_ms": round(delays["roster"].p50 - delays["ping"].p50, 2),
    }
    await asyncio.to_thread(world.agent.stop)
    await admin.logout()
    return figures


async def measure_start(world: World, many: int, few: int) -> Figures:
    """Start with all machines: those added have no accounts and nodes yet; then again, when all exist."""
    await asyncio.to_thread(_forget_accounts, world)
    await world.add_machines(many - few)
    admin = await world.log_in()
    fresh = await wait_for_all(admin, world, await _start(world))
    await asyncio.to_thread(world.agent.stop)
    existing = await wait_for_all(admin, world, await _start(world))
    pid = _pid(world)
    figures: Figures = {
        "start_accounts_to_be_made_s": fresh,
        "start_accounts_exist_s": existing,
        "memory_many_mb": round(resident_megabytes(pid), 1),
        "threads": count_threads(pid),
    }
    await admin.logout()
    return figures


def _forget_accounts(world: World) -> None:
    """Remove the accounts that exist, so that all of them have to be made."""
    for machine in world.machines:
        world.ejabberd.unregister(machine)


async def measure_rest(world: World, settle: float, seconds: float) -> Figures:
    """Return the CPU that the agent uses when nobody asks for anything.

    The server pings each session a minute after it last heard of it: before the measurement, so that each minute has all pings.
    """
    pid = _pid(world)
    await asyncio.sleep(settle)
    before = cpu_seconds(pid)
    await asyncio.sleep(seconds)
    return {"idle_cpu_percent": round((cpu_seconds(pid) - before) / seconds * 100, 2)}


async def measure_answers(world: World) -> Figures:
    """Return round trips of one external client: ours, and slixmpp as it comes, whose pings are slower."""
    figures: Figures = {}
    kinds = {"ping": ping_server, "ping_of_machine": lambda: ping_machine(world), "info": lambda: ask_info(world)}
    for suffix, client in (("", await world.log_in()), ("_by_slixmpp", await PlainClient.log_in(world))):
        delays = await measure_in_turn(client, kinds, rounds=20)
        figures |= {f"{name}{suffix}": delay for name, delay in delays.items()}
        for name in ("ping_of_machine", "info"):
            figures[f"{name}_over_ping{suffix}"] = round(delays[name].p50 / delays["ping"].p50, 2)
        await client.logout()
    figures["libvirt_for_info"] = await asyncio.to_thread(measure_libvirt, world, 1000)
    return figures


async def measure_events(world: World, count: int) -> Figures:
    """Return delays of pushes."""
    return {
        "push_one_subscriber": await measure_pushes(world, count),
        f"push_{LISTENERS}_subscribers": await measure_pushes(world, count // 5, LISTENERS),
        "push_stopped": await measure_stop(world, 10),
    }


async def measure_outages(world: World, lengths: tuple[int, ...]) -> Figures:
    """Kill the server for a while; return how long after it listens again all machines answer."""
    figures: Figures = {}
    for length in lengths:
        await asyncio.to_thread(world.ejabberd.kill)
        await asyncio.sleep(length)
        await asyncio.to_thread(world.ejabberd.start)
        since = time.monotonic()
        admin = await world.log_in()
        figures[f"back_after_{length}_s_s"] = await wait_for_all(admin, world, since)
        await admin.logout()
    return figures


async def _start(world: World) -> float:
    """Start the agent and return the moment in which that began."""
    since = time.monotonic()
    await start_agent(world)
    return since


def _pid(world: World) -> int:
    pid = world.agent.pid
    assert pid is not None, world.agent.read_log()
    return pid


if __name__ == "__main__":
    sys.exit(main())
