# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What killed the founding agent: machines that are started and destroyed in a loop, while people watch.

Half of the machines are asked over XMPP, half are changed in libvirt behind the agent's back. Each is destroyed and started at once
after another, and again when the first watcher has heard of both: as fast as agent and server go.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import libvirt

from archipel.protocol.errors import CommandError
from archipel.protocol.presence import status_of_state
from archipel.protocol.virtual_machine import Create, Destroy, GetInfo
from archipel.xmpp import stanzas
from archipel.xmpp.errors import WireError
from archipel.xmpp.stream import Stream
from benchmarks.answers import wait_for_all
from benchmarks.process import count_files, count_threads, cpu_seconds, resident_megabytes
from benchmarks.watchers import Watcher, invite_watchers
from benchmarks.world import World, open_world, start_agent

MACHINES, WATCHERS = 50, 20
SAMPLE: Final = 1.0  # seconds between two looks at the agent's process
PATIENCE: Final = 60.0  # seconds for the last push to arrive
WARM_UP: Final = 1 / 3  # of the time, after which memory and files may not grow any more
POINTS: Final = 12  # of the curve that is shown
WINDOW: Final = 1 / 6  # of the time: what is compared at the end of the warm-up and at the end


@dataclass
class Outcome:
    """What happened; ``faults`` is what was lost, doubled, out of order, wrong in the end, or not answered as it should be."""

    seconds: float = 0.0
    changes: int = 0
    pushes: int = 0
    faults: list[str] = field(default_factory=list)
    memory_mb: tuple[float, float] = (0.0, 0.0)
    memory_curve_mb: list[float] = field(default_factory=list)
    files: tuple[int, int] = (0, 0)
    threads: tuple[int, int] = (0, 0)
    cpu_ms_per_change: float = 0.0
    load: float = 0.0

    @property
    def growth_mb(self) -> float:
        """How much the agent's memory grew after the warm-up, in MB."""
        return round(self.memory_mb[1] - self.memory_mb[0], 2)


async def measure_stress(seconds: float, machines: int = MACHINES, watchers: int = WATCHERS) -> Outcome:
    """Run it for so long, in a world of its own."""
    with tempfile.TemporaryDirectory(prefix="archipel-stress-") as folder, open_world(Path(folder)) as world:
        await world.add_machines(machines)
        people = await invite_watchers(world, watchers)
        await start_agent(world)
        admin = await world.log_in()
        await wait_for_all(admin, world, time.monotonic())
        await asyncio.gather(*(watcher.log_in(world) for watcher in people))
        outcome = await Stress(world, admin, people).run(seconds)
        await asyncio.gather(*(watcher.log_out() for watcher in people), admin.logout())
    return outcome


class Stress:
    """One run in a world that is ready."""

    def __init__(self, world: World, admin: Stream, watchers: list[Watcher]) -> None:
        self._world = world
        self._admin = admin
        self._watchers = watchers
        self._connection: Any = libvirt.open(world.libvirtd.uri)
        self._domains = [self._connection.lookupByUUIDString(uuid) for uuid in world.machines]
        self._made = [0] * len(world.machines)
        self._samples: list[tuple[float, int, int]] = []
        self._outcome = Outcome()

    async def run(self, seconds: float) -> Outcome:
        """Change all machines for so long, wait for the last push, look at everything."""
        pid = self._world.agent.pid
        assert pid is not None
        last = [(info.epoch, info.sequence) for info in await self._read_all()]
        for watcher in self._watchers:
            watcher.begin(last)
        started, cpu = time.monotonic(), cpu_seconds(pid)
        sampler = asyncio.create_task(self._sample(pid))
        await asyncio.gather(*(self._exercise(number, started + seconds) for number in range(len(self._made))))
        outcome = self._outcome
        outcome.seconds, outcome.changes = round(time.monotonic() - started, 1), sum(self._made)
        outcome.cpu_ms_per_change = round((cpu_seconds(pid) - cpu) / outcome.changes * 1000, 2)
        sampler.cancel()
        await self._settle()
        await self._compare(last)
        self._connection.close()
        self._conclude(self._world.agent.pid == pid)
        return outcome

    # -- changes --------------------------------------------------------------------------------------------------------

    async def _exercise(self, number: int, until: float) -> None:
        """Destroy and start one machine until then; every third stays destroyed in the end."""
        try:
            while time.monotonic() < until:
                await self._destroy(number)
                await self._create(number)
                async with asyncio.timeout(PATIENCE):
                    await self._hear(self._watchers[0], number)
            if number % 3 == 0:
                await self._destroy(number)
        except (CommandError, WireError, TimeoutError, libvirt.libvirtError) as error:
            self._outcome.faults.append(f"machine {number}, change {self._made[number]}: {error!r}")

    async def _destroy(self, number: int) -> None:
        await self._change(number, Destroy(), self._domains[number].destroy)

    async def _create(self, number: int) -> None:
        await self._change(number, Create(), self._domains[number].create)

    async def _change(self, number: int, request: Create | Destroy, directly: Any) -> None:
        self._made[number] += 1
        if number % 2:
            await asyncio.to_thread(directly)
        else:
            await self._admin.request(stanzas.command(request, self._world.machine(number)), PATIENCE)

    async def _hear(self, watcher: Watcher, number: int) -> None:
        """Wait until a watcher has heard all of a machine."""
        while watcher.heard[number] < self._made[number]:
            watcher.arrived[number].clear()
            await watcher.arrived[number].wait()

    # -- looking --------------------------------------------------------------------------------------------------------

    async def _sample(self, pid: int) -> None:
        while True:
            self._samples.append((resident_megabytes(pid), count_files(pid), count_threads(pid)))
            await asyncio.sleep(SAMPLE)

    async def _read_all(self) -> list[Any]:
        """Ask all machines how they are, after what they pushed so far."""
        answers = [self._admin.request(stanzas.command(GetInfo(), self._world.machine(number), "get")) for number in range(len(self._made))]
        return [GetInfo.read_answer(answer[0]) for answer in await asyncio.gather(*answers)]

    async def _settle(self) -> None:
        """Wait until every watcher has heard everything, or long enough, and a moment for what nobody should hear."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                for watcher in self._watchers:
                    for number in range(len(self._made)):
                        await self._hear(watcher, number)
        await asyncio.sleep(SAMPLE)

    async def _compare(self, last: list[tuple[str, int]]) -> None:
        """Note where libvirt, the agent's answers and what watchers saw do not agree."""
        infos = await self._read_all()
        for number, (info, (epoch, before)) in enumerate(zip(infos, last, strict=True)):
            state = (await asyncio.to_thread(self._domains[number].state))[0]
            if (info.state, info.epoch, info.sequence) != (state, epoch, before + self._made[number]):
                self._outcome.faults.append(f"machine {number} is in state {state} after {self._made[number]} changes, and says {info}")
            status = status_of_state(state)
            for watcher in self._watchers:
                if status is None or watcher.shown.get(number) != status.text:
                    watcher.note(f"machine {number} is in state {state} and shows {watcher.shown.get(number)!r}")
                if watcher.heard[number] != self._made[number]:
                    watcher.note(f"machine {number}: {watcher.heard[number]} of {self._made[number]} changes were heard of")

    def _conclude(self, lives: bool) -> None:
        outcome, count = self._outcome, len(self._samples)
        outcome.pushes = sum(sum(watcher.heard) for watcher in self._watchers)
        outcome.faults += [fault for watcher in self._watchers for fault in watcher.faults]
        outcome.faults += ["a watcher's session has ended" for watcher in self._watchers if watcher.lost]
        if not lives:
            outcome.faults.append("the agent did not live through it")
        width = max(1, int(count * WINDOW))
        begin = int(count * WARM_UP)
        windows = self._samples[begin : begin + width], self._samples[-width:]
        memory, files, threads = zip(*(map(statistics.median, zip(*window, strict=True)) for window in windows), strict=True)
        outcome.memory_mb = (round(memory[0], 2), round(memory[1], 2))
        outcome.files, outcome.threads = (int(files[0]), int(files[1])), (int(threads[0]), int(threads[1]))
        outcome.memory_curve_mb = [round(self._samples[count * step // POINTS][0], 1) for step in range(POINTS)]
        outcome.load = round(os.getloadavg()[0], 2)
