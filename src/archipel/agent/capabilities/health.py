# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How host and machines fare (namespaces ``archipel:hypervisor:health`` and ``archipel:vm:health``)."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final, TypeVar

from archipel.agent.dispatch import Caller, Chat, command
from archipel.agent.health_collector import Collector, HealthSettings
from archipel.agent.health_history import HOST, Tier, series_of
from archipel.agent.health_samples import HostSample, MachineSample
from archipel.agent.hooks import in_background, when_leaving
from archipel.agent.host_figures import FileSystem, percent_of, uptime
from archipel.agent.hypervisor import Hypervisor, has_hardware_virtualisation
from archipel.agent.log_lines import LineKeeper, read_tail
from archipel.agent.logs import JsonFormatter, TextFormatter
from archipel.agent.one_each import one_per_hypervisor
from archipel.agent.settings import LogFormat
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import health as wire
from archipel.protocol.errors import ErrorCode, Unavailable
from archipel.protocol.payload import Payload
from archipel.protocol.rights import ANY_ENTITY, ON_HYPERVISOR, EntityKind, Token

HYPERVISOR, VM = EntityKind.HYPERVISOR, EntityKind.VIRTUAL_MACHINE
MOST_STATS: Final = 200
LARGEST_ANSWER: Final = 150_000  # characters; servers end the stream of who sends them much more in one stanza
STAT_SIZE, NETWORK_SIZE, LINE_SIZE = 500, 60, 100  # about what one takes of that, besides its texts
TIERS: Final = dict(zip(wire.STEPS, Tier, strict=True))
T = TypeVar("T")

SETTINGS = HealthSettings
TOKENS = (
    Token("health_info", "See CPU, memory, disks and network traffic as they are now", ANY_ENTITY),
    Token("health_history", "See CPU, memory, disks and network traffic as they were", ANY_ENTITY),
    Token("health_logs", "See the agent's log, with what everybody did", ON_HYPERVISOR),
)


@one_per_hypervisor
def collector_of(hypervisor: Hypervisor) -> Collector:
    """Return what collects the figures of a hypervisor and its machines."""
    return Collector(hypervisor, hypervisor.services.settings.capabilities["health"])


@one_per_hypervisor
def keeper_of(hypervisor: Hypervisor) -> LineKeeper:
    """Return what keeps the last lines of the log."""
    json = hypervisor.services.settings.logging.format is LogFormat.JSON
    return LineKeeper(JsonFormatter() if json else TextFormatter())


@in_background
async def collect(hypervisor: Hypervisor) -> None:
    """Collect figures and lines of the log until the agent ends."""
    keeper, file = keeper_of(hypervisor), hypervisor.services.settings.logging.file
    if file is not None:
        keeper.put_before(await asyncio.to_thread(read_tail, file))
    logging.getLogger().addHandler(keeper)
    try:
        await collector_of(hypervisor).run()
    finally:
        logging.getLogger().removeHandler(keeper)


@when_leaving
async def forget(machine: VirtualMachine) -> None:
    """Forget the figures of a machine that leaves."""
    await collector_of(machine.hypervisor).forget(machine.uuid)


# -- the host -----------------------------------------------------------------------------------------------------------


def _date(at: float) -> str:
    return datetime.fromtimestamp(at).strftime(wire.DATE_FORMAT)


def _memory(sample: HostSample) -> wire.Memory:
    figures = {name: round(getattr(sample, name)) for name in ("free", "used", "total", "swapped", "shared")}
    return wire.Memory(date=_date(sample.at), **figures)


def _cpu(sample: HostSample) -> wire.Cpu:
    return wire.Cpu(date=_date(sample.at), idle=round(sample.idle, 2))


def _load(sample: HostSample) -> wire.Load:
    return wire.Load(date=_date(sample.at), one=round(sample.one, 2), five=round(sample.five, 2), fifteen=round(sample.fifteen, 2))


def _networks(sample: HostSample) -> wire.Networks:
    return wire.Networks(networks=tuple(wire.Network(name=name, delta=delta) for name, delta in sorted(sample.networks.items())))


def _disk(found: list[FileSystem]) -> wire.Disk:
    used, free = sum(each.used for each in found), sum(each.free for each in found)
    partitions = tuple(
        wire.Partition(
            partition=each.device,
            blocks=each.size // 1024,
            used=each.used,
            available=each.free,
            capacity=f"{each.percent}%",
            mount=each.mount,
        )
        for each in found
    )
    return wire.Disk(used=used, available=free, capacity=f"{percent_of(used, free)}%", partitions=partitions)


def _system() -> tuple[Payload, ...]:
    minutes, host = int(uptime() // 60), os.uname()
    return (
        wire.Uptime(up=f"{minutes // 1440}d {minutes // 60 % 24}h"),
        wire.Uname(krelease=host.sysname, kname=host.release, machine=host.machine, os="GNU/Linux"),
    )


@command(wire.GetHealth, on=HYPERVISOR, right="health_info", failure=ErrorCode.HEALTH_INFO)
async def get_health(hypervisor: Hypervisor, _request: wire.GetHealth, _caller: Caller) -> tuple[Payload, ...]:
    """How this host fares: CPU, memory, disks, networks, load, versions."""
    collector = collector_of(hypervisor)
    file_systems, versions = await collector.file_systems(), await collector.find_versions()
    sample = await collector.newest()
    if sample is None:
        raise Unavailable("the host's figures cannot be read just now; its log says why", ErrorCode.HEALTH_INFO)
    told: tuple[Payload, ...] = ()
    if versions is not None:
        told = wire.LibvirtVersion(**versions[0]._asdict()), wire.DriverVersion(**versions[1]._asdict())
    vmx = wire.Virtualisation(vmx=await asyncio.to_thread(has_hardware_virtualisation))
    return (_memory(sample), _cpu(sample), _disk(file_systems), _networks(sample), _load(sample), *_system(), *told, vmx)


def _say_stats(stats: tuple[wire.Stat, ...]) -> str:
    lines = (
        f"{stat.memory.date[:19]}: CPU {stat.cpu.idle} % idle, load {stat.load.one} {stat.load.five} {stat.load.fifteen}, "
        f"memory {stat.memory.used // 1024} of {stat.memory.total // 1024} MiB used, {stat.memory.swapped // 1024} MiB swapped"
        for stat in stats
    )
    return "\n".join(lines) or "Nothing is measured yet."


@command(
    wire.GetHistory,
    on=HYPERVISOR,
    right="health_history",
    failure=ErrorCode.HEALTH_HISTORY,
    chat=Chat(("health [limit]",), _say_stats, right="health_info"),
)
async def get_history(hypervisor: Hypervisor, request: wire.GetHistory, _caller: Caller) -> tuple[wire.Stat, ...]:
    """How this host fared, newest first."""
    found = await collector_of(hypervisor).host.newest(HOST, TIERS[request.step], min(request.limit, MOST_STATS), _moment(request.before))
    return tuple(map(_stat, _fit(found, lambda sample: STAT_SIZE + NETWORK_SIZE * len(sample.networks))))


def _stat(sample: HostSample) -> wire.Stat:
    return wire.Stat(
        seconds=round(sample.seconds, 1), memory=_memory(sample), cpu=_cpu(sample), load=_load(sample), networks=_networks(sample)
    )


def _moment(before: float | None) -> float:
    """Return the end of what a request asks for."""
    wire.refuse_infinite(before, "before")
    now = time.time() + 1
    return now if before is None else min(before, now)


def _fit(found: Iterable[T], size: Callable[[T], int]) -> list[T]:
    """Return as many of the first as one answer holds."""
    kept, room = [], LARGEST_ANSWER
    for each in found:
        room -= size(each)
        if room < 0:
            break
        kept.append(each)
    return kept


@command(
    wire.GetLogs,
    on=HYPERVISOR,
    right="health_logs",
    failure=ErrorCode.HEALTH_LOGS,
    chat=Chat(("logs [limit]",), lambda lines: "\n".join(line.line for line in lines) or "Nothing was logged yet."),
)
async def get_logs(hypervisor: Hypervisor, request: wire.GetLogs, _caller: Caller) -> tuple[wire.LogLine, ...]:
    """The last lines of the agent's log."""
    newest = reversed(keeper_of(hypervisor).last(request.limit))
    found = _fit(newest, lambda line: LINE_SIZE + 2 * len(line.text))
    return tuple(wire.LogLine(level=line.level, date=line.at.strftime(wire.DATE_FORMAT), line=line.text) for line in reversed(found))


# -- machines -----------------------------------------------------------------------------------------------------------


def _say_machine(stat: wire.MachineStat | None) -> str:
    if stat is None:
        return "I do not run, or not for long enough to be measured."
    parts = (
        ("CPU {} % of the host", stat.cpu),
        ("memory {} MiB", None if stat.memory is None else stat.memory // 1024),
        ("{} bytes read", stat.disk_read),
        ("{} written", stat.disk_written),
        ("{} received", stat.received),
        ("{} sent", stat.sent),
    )
    told = ", ".join(words.format(value) for words, value in parts if value is not None)
    return f"{stat.date[:19]}, {stat.seconds} s: {told or 'libvirt counts nothing here'}"


@command(
    wire.GetMachineHealth,
    on=VM,
    right="health_info",
    failure=ErrorCode.HEALTH_INFO,
    chat=Chat(("health",), _say_machine),
)
async def get_machine_health(vm: VirtualMachine, _request: wire.GetMachineHealth, _caller: Caller) -> wire.MachineStat | None:
    """How this machine fares: CPU, memory, disks, network."""
    sample = collector_of(vm.hypervisor).latest_of.get(vm.uuid)
    return None if sample is None else _machine_stat(sample)


@command(
    wire.GetMachineHistory,
    on=VM,
    right="health_history",
    failure=ErrorCode.HEALTH_HISTORY,
    chat=Chat(("health history [limit]",), lambda stats: "\n".join(map(_say_machine, stats)) or "I was not measured yet."),
)
async def get_machine_history(vm: VirtualMachine, request: wire.GetMachineHistory, _caller: Caller) -> tuple[wire.MachineStat, ...]:
    """How this machine fared, newest first."""
    history = collector_of(vm.hypervisor).machines
    found = await history.newest(series_of(vm.uuid), TIERS[request.step], min(request.limit, MOST_STATS), _moment(request.before))
    return tuple(map(_machine_stat, found))


def _machine_stat(sample: MachineSample) -> wire.MachineStat:
    names = ("memory", "resident", "disk_read", "disk_written", "received", "sent")
    counted = {name: _whole(getattr(sample, name)) for name in names}
    cpu = None if math.isnan(sample.cpu) else round(sample.cpu, 2)
    return wire.MachineStat(date=_date(sample.at), seconds=round(sample.seconds, 1), cpu=cpu, **counted)


def _whole(value: float) -> int | None:
    return None if math.isnan(value) else round(value)
