# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many machines in one answer, against a question to each of them: what declaring them and the inventory ask."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

from archipel.client import Session
from archipel.client.declaration import MachineDescription
from archipel.protocol.declaration import Part
from benchmarks.answers import Delay, measure, ping_machine, wait_for_all
from benchmarks.world import World, open_world, start_agent

SIZES: Final = (40, 300, 1000)
DECLARING: Final = (Part.INFO, Part.DEFINITION, Part.ORGANISATION)
SURVEYING: Final = (Part.INFO, Part.ORGANISATION)
PINGS: Final = 100


async def measure_descriptions(sizes: Sequence[int] = SIZES, rounds: int = 3) -> dict[str, Any]:
    """Return the seconds of both ways for growing numbers of machines that run: medians of rounds in turn, and their ratio.

    Beside it: what somebody else waits for a sign of life of a machine while all are described, again and again.
    """
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="archipel-descriptions-") as folder, open_world(Path(folder)) as world:
        for size in sizes:
            await world.add_machines(size - len(world.machines))
            await start_agent(world)
            figures |= {f"describe_{size}_{name}": value for name, value in (await _measure(world, rounds)).items()}
            await asyncio.to_thread(world.agent.stop)
    return figures


async def _measure(world: World, rounds: int) -> dict[str, Any]:
    other = await world.log_in("other")
    await wait_for_all(other, world, time.monotonic())
    figures: dict[str, Any] = {}
    async with world.session() as session:
        for name, parts in (("declaring", DECLARING), ("surveying", SURVEYING)):
            times: dict[str, list[float]] = {"one_s": [], "each_s": []}
            for _ in range(rounds):
                times["one_s"].append(await _time(lambda parts=parts: _describe(session, world, parts)))
                times["each_s"].append(await _time(lambda parts=parts: _ask_each(session, world, parts)))
            medians = {way: statistics.median(series) for way, series in times.items()}
            figures |= {f"{name}_{way}": round(seconds, 3) for way, seconds in medians.items()}
            figures[f"{name}_ratio"] = round(medians["each_s"] / medians["one_s"], 1)
        alone = await measure(other, lambda: ping_machine(world), PINGS)
        asking = asyncio.create_task(_describe_on(session, world))
        meanwhile = await measure(other, lambda: ping_machine(world), PINGS)
        asking.cancel()
    await other.logout()
    return figures | {"ping_alone": Delay.of(alone), "ping_meanwhile": Delay.of(meanwhile)}


async def _time(work: Callable[[], Awaitable[object]]) -> float:
    start = time.perf_counter()
    await work()
    return time.perf_counter() - start


async def _describe(session: Session, world: World, parts: tuple[Part, ...]) -> dict[str, MachineDescription]:
    found = await session.hypervisor(world.hypervisor).describe(None, parts)
    assert len(found) == len(world.machines)
    assert all(machine.whole for machine in found.values())
    return found


async def _describe_on(session: Session, world: World) -> None:
    while True:
        await _describe(session, world, DECLARING)


async def _ask_each(session: Session, world: World, parts: tuple[Part, ...]) -> None:
    """Ask all machines at once, each as a module does: the definition in force of one that runs after its state."""
    await asyncio.gather(*(_ask_one(session, world.machine(number), parts) for number in range(len(world.machines))))


async def _ask_one(session: Session, jid: str, parts: tuple[Part, ...]) -> None:
    machine = session.machine(jid)
    if Part.DEFINITION in parts:
        await asyncio.gather(machine.info(), machine.vcard(), machine.definition(inactive=True))
        await machine.definition()
    else:
        await asyncio.gather(machine.info(), machine.vcard())
