# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel health``: how hosts and machines fare."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from archipel.cli.invocation import Run, in_session
from archipel.cli.parameters import size_of
from archipel.cli.subcommands import as_object, name_of, plain
from archipel.client.entity import Entity
from archipel.client.health import HostHealth, MachineHealth
from archipel.client.virtual_machine import VirtualMachine
from archipel.protocol import health as parts
from archipel.protocol.health import STEPS, MachineStat, Stat
from archipel.protocol.payload import Payload

KIBIBYTE = 1024
NO_FIGURES = "there are no figures yet"


@click.command()
@click.argument("where", required=False, metavar="[MACHINE|HYPERVISOR]")
@click.option("--history", "limit", type=click.IntRange(1, 200), metavar="N", help="The newest N entries instead of what is now.")
@click.option("--step", type=click.Choice(STEPS), default=STEPS[0], show_default=True, help="What an entry of the history sums up.")
@in_session
async def health(run: Run, where: str | None, limit: int | None, step: str) -> None:
    """Show how a host or a machine fares; without a name the only hypervisor known."""
    entity = await run.finder.entity(where) if where else await run.finder.only_hypervisor()
    concern = MachineHealth(entity) if isinstance(entity, VirtualMachine) else HostHealth(entity)
    async with run.working(f"waiting for {entity.bare}"):
        now = await concern.now() if limit is None else None
        history = () if limit is None else await concern.history(limit, step=step)
    if limit is None:
        _show_now(run, entity, now)
    else:
        _show_history(run, history)


def _show_now(run: Run, entity: Entity, found: tuple[Payload, ...] | MachineStat | None) -> None:
    if run.output.as_json:
        listed = {part.tag: as_object(part) for part in found} if isinstance(found, tuple) else plain(found)
        run.output.json({"on": entity.bare, "health": listed})
    elif found is None:
        run.output.line(f"{name_of(entity)}: there are no figures: it does not run, or was not measured twice yet")
    else:
        run.output.facts(_machine_lines(found) if isinstance(found, MachineStat) else _host_lines(found))


def _show_history(run: Run, found: tuple[Stat, ...] | tuple[MachineStat, ...]) -> None:
    if run.output.as_json:
        run.output.json([as_object(stat) for stat in found])
    elif found and isinstance(found[0], MachineStat):
        run.output.table(
            ("UNTIL", "CPU", "MEMORY", "READ", "WRITTEN", "RECEIVED", "SENT"), [_machine_row(stat) for stat in found], NO_FIGURES
        )
    else:
        run.output.table(("UNTIL", "CPU", "MEMORY USED", "LOAD"), [_host_row(stat) for stat in found if isinstance(stat, Stat)], NO_FIGURES)


def _host_row(stat: Stat) -> tuple[str, ...]:
    memory = f"{size_of(KIBIBYTE * stat.memory.used)} of {size_of(KIBIBYTE * stat.memory.total)}"
    return (_moment(stat.memory.date), f"{100 - stat.cpu.idle:.0f} %", memory, f"{stat.load.one:.2f}")


def _machine_row(stat: Any) -> tuple[str, ...]:
    memory = None if stat.memory is None else KIBIBYTE * stat.memory
    traffic = (memory, stat.disk_read, stat.disk_written, stat.received, stat.sent)
    return (_moment(stat.date), _percent(stat.cpu), *map(size_of, traffic))


def _machine_lines(stat: MachineStat) -> Iterator[tuple[str, str]]:
    names = ("until", "cpu", "memory", "read", "written", "received", "sent")
    return zip(names, _machine_row(stat), strict=True)


def _host_lines(found: tuple[Payload, ...]) -> Iterator[tuple[str, str]]:
    for part in found:
        match part:
            case parts.Cpu(idle=idle):
                yield "cpu", _percent(100 - idle)
            case parts.Memory(used=used, total=total, swapped=swapped):
                swap = f", {size_of(KIBIBYTE * swapped)} swapped" if swapped else ""
                yield "memory", f"{size_of(KIBIBYTE * used)} of {size_of(KIBIBYTE * total)}{swap}"
            case parts.Load(one=one, five=five, fifteen=fifteen):
                yield "load", f"{one:.2f} {five:.2f} {fifteen:.2f}"
            case parts.Disk(partitions=partitions):
                for one_of in partitions:
                    yield one_of.mount, f"{one_of.capacity} in use, {size_of(one_of.available)} free"
            case parts.Uptime(up=up):
                yield "up", up
            case parts.Uname(os=system, kname=kernel, machine=machine):
                yield "system", f"{system} {kernel} {machine}"
            case parts.LibvirtVersion(major=major, minor=minor, release=release):
                yield "libvirt", f"{major}.{minor}.{release}"
            case parts.DriverVersion(major=major, minor=minor, release=release):
                yield "driver", f"{major}.{minor}.{release}"


def _percent(value: float | None) -> str:
    return "?" if value is None else f"{value:.0f} %"


def _moment(date: str) -> str:
    return date.partition(".")[0]
