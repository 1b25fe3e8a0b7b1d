# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests and their round trips, as an external client sees them."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol
from xml.etree import ElementTree as ET

import libvirt

from archipel.protocol import hypervisor, namespaces, virtual_machine
from archipel.protocol.errors import CommandError
from archipel.xmpp import stanzas
from archipel.xmpp.errors import WireError
from archipel.xmpp.stream import Stream
from benchmarks.world import DOMAIN, World

RETRY = 0.1  # seconds between two tries at a machine that is not back yet


@dataclass(frozen=True)
class Delay:
    """Milliseconds: the median, and what 99 of 100 stay under."""

    p50: float
    p99: float

    @classmethod
    def of(cls, seconds: list[float]) -> Delay:
        """Return the figures of a series."""
        cuts = statistics.quantiles(seconds, n=100)
        return cls(round(cuts[49] * 1000, 2), round(cuts[98] * 1000, 2))


def ping_server() -> ET.Element:
    """Return a ping of the server: what the way there and back costs."""
    return stanzas.iq("get", DOMAIN, ET.Element(f"{{{namespaces.PING}}}ping"))


def ping_machine(world: World) -> ET.Element:
    """Return a ping of a machine's account: what any answer of an entity costs."""
    return stanzas.iq("get", world.machine(0), ET.Element(f"{{{namespaces.PING}}}ping"))


def measure_libvirt(world: World, count: int) -> Delay:
    """Return how long libvirt takes for the two questions behind ``info``, asked by nobody else and in no other thread."""
    connection: Any = libvirt.open(world.libvirtd.uri)
    domain = connection.lookupByUUIDString(world.machines[0])
    times = []
    for _ in range(count):
        start = time.perf_counter()
        domain.info()
        domain.autostart()
        times.append(time.perf_counter() - start)
    connection.close()
    return Delay.of(times)


def ask_info(world: World, number: int = 0) -> ET.Element:
    """Return the request for a machine's state."""
    return stanzas.command(virtual_machine.GetInfo(), world.machine(number), "get")


def ask_roster(world: World) -> ET.Element:
    """Return the request for the list of machines."""
    return stanzas.command(hypervisor.RosterVM(), world.hypervisor, "get")


class Client(Protocol):
    """Whoever sends an IQ and waits for its result."""

    async def request(self, iq: ET.Element, /) -> object:
        """Send it, and return when the result is there."""


async def measure(stream: Client, make: Callable[[], ET.Element], count: int) -> list[float]:
    """Return the seconds of ``count`` requests, one after the other."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        await stream.request(make())
        times.append(time.perf_counter() - start)
    return times


async def measure_in_turn(stream: Client, kinds: dict[str, Callable[[], ET.Element]], rounds: int, burst: int = 50) -> dict[str, Delay]:
    """Measure several kinds of requests in alternating bursts, so that other load on the machine meets all of them alike."""
    series: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, make in kinds.items():
            series[name] += await measure(stream, make, burst)
    return {name: Delay.of(times) for name, times in series.items()}


async def wait_for_all(stream: Stream, world: World, since: float) -> float:
    """Return the seconds from ``since`` (monotonic) until every machine has answered ``info``."""

    async def wait_for(number: int) -> None:
        while True:
            try:
                await stream.request(ask_info(world, number), 5)
            except (CommandError, WireError):
                await asyncio.sleep(RETRY)
            else:
                return

    await asyncio.gather(*(wait_for(number) for number in range(len(world.machines))))
    return round(time.monotonic() - since, 2)
