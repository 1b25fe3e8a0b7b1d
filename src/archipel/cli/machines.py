# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which machines there are (``manage``, ``free`` ...), and what they have (``autostart``, ``memory``, ``vcpus``, ``device``, ``oom``)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import click

from archipel.cli.parameters import Size, XmlFile, argument, flag
from archipel.cli.subcommands import On, Subcommand, make_group, show_facts
from archipel.client.errors import AmbiguousMachine, MachineNotFound
from archipel.client.hypervisor import Hypervisor
from archipel.client.oom import OomKiller
from archipel.client.virtual_machine import VirtualMachine
from archipel.protocol.oom import Oom

KIB_PER_MIB = 1024
DEVICE = (argument("device", metavar="FILE.xml", kind=XmlFile()), flag("--live", "The running machine alone, not its definition."))
MACHINES = argument("machines", metavar="MACHINE...", nargs=-1, required=True)


async def _manage(hypervisor: Hypervisor, machines: tuple[str, ...]) -> str:
    await hypervisor.manage(*await _find(hypervisor, machines, managed=False))
    return " ".join(machines)


async def _unmanage(hypervisor: Hypervisor, machines: tuple[str, ...]) -> str:
    await hypervisor.unmanage(*await _find(hypervisor, machines, managed=True))
    return " ".join(machines)


async def _find(hypervisor: Hypervisor, references: Iterable[str], *, managed: bool) -> list[str]:
    """Return the UUIDs of machines that are managed or not, which go by name, UUID or JID."""
    entries = [entry for entry in await hypervisor.machines() if entry.managed is managed]
    found = {reference: [entry.uuid for entry in entries if entry.answers_to(reference)] for reference in references}
    for reference, uuids in found.items():
        if not uuids:
            raise MachineNotFound(f"{hypervisor.bare} has no {'machine' if managed else 'domain that is not managed'} {reference!r}")
        if len(uuids) > 1:
            raise AmbiguousMachine(f"{reference!r} can be {' or '.join(uuids)}: name one by its UUID")
    return [uuid for uuids in found.values() for uuid in uuids]


async def _free(machine: VirtualMachine, keep_disks: bool) -> None:
    await machine.free(keep_disks=keep_disks)


async def _autostart(machine: VirtualMachine, value: str) -> None:
    await machine.set_autostart(value == "on")


async def _memory(machine: VirtualMachine, size: int) -> None:
    await machine.set_memory(size * KIB_PER_MIB)


def _oom(found: Oom) -> Iterator[tuple[str, str]]:
    """Yield how the kernel sees a machine, for people."""
    yield "oom_score_adj", str(found.kernel)
    yield "oom_adj", str(found.adjust)
    yield "score now", str(found.score)


ROWS = (
    Subcommand(
        "manage",
        "Take existing libvirt domains in, as they are, while they run.",
        _manage,
        (MACHINES,),
        on=On.HYPERVISOR,
        says="{on}: manages {answer}",
    ),
    Subcommand(
        "unmanage",
        "Let machines go: their domains stay as they are, their accounts and rights do not.",
        _unmanage,
        (MACHINES,),
        on=On.HYPERVISOR,
        says="{on}: manages {answer} no more",
    ),
    Subcommand(
        "free",
        "Destroy a machine: domain, account, and its folder with all drives.",
        _free,
        (flag("--keep-disks", "Leave the folder where it is."),),
        says="{on}: destroyed",
    ),
    Subcommand(
        "autostart",
        "Say whether a machine starts with its host.",
        _autostart,
        (argument("value", metavar="on|off", kind=click.Choice(["on", "off"])),),
        says="{on}: autostart is {value}",
    ),
    Subcommand(
        "memory",
        "Set how much memory a machine has now, up to what its definition allows.",
        _memory,
        (argument("size", kind=Size()),),
        says="{on}: has {size}",
    ),
    Subcommand(
        "vcpus",
        "Set how many processors a machine has now, up to what its definition allows.",
        VirtualMachine.set_vcpus,
        (argument("count", kind=click.IntRange(1)),),
        says="{on}: has {count} processors",
    ),
    Subcommand(
        "addresses",
        "List the addresses of a guest, as far as anybody knows them, and who told them.",
        VirtualMachine.addresses,
        columns={"INTERFACE": "interface", "MAC": "mac", "ADDRESS": "address", "TOLD BY": "source"},
        none="nobody knows an address",
    ),
)

device = make_group(
    "device",
    "Plug devices into a machine, while it runs too, and out of it; FILE.xml holds libvirt's XML of one device, - is standard input.",
    (
        Subcommand("attach", "Plug a device in.", VirtualMachine.attach_device, DEVICE, says="{on}: device attached"),
        Subcommand("detach", "Unplug a device.", VirtualMachine.detach_device, DEVICE, says="{on}: device detached"),
        Subcommand(
            "update",
            "Change a device in place, such as the medium of a CD drive.",
            VirtualMachine.update_device,
            DEVICE,
            says="{on}: device changed",
        ),
    ),
)

oom = make_group(
    "oom",
    "See and change how likely the kernel ends a machine when its host runs out of memory.",
    (
        Subcommand(
            "show", "Show what is in force, or will be at the next start.", OomKiller.read, concern=OomKiller, show=show_facts(_oom)
        ),
        Subcommand(
            "set",
            "Set the kernel's oom_score_adj: -1000 is never, 0 the kernel's own choice, 1000 first of all.",
            OomKiller.adjust,
            (argument("score_adj", metavar="VALUE", kind=click.IntRange(-1000, 1000)),),
            concern=OomKiller,
            says="{on}: oom_score_adj is {score_adj}",
            settings={"ignore_unknown_options": True},  # a value below zero is no option
        ),
    ),
)


def commands() -> list[click.Command]:
    """Return a command for each row, and the groups."""
    return [*(row.command() for row in ROWS), device, oom]
