# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel drive``, ``archipel snapshot``, ``archipel clone``: what a machine keeps, and copies of it."""

from __future__ import annotations

import datetime
from pathlib import PurePath
from typing import Any

import click

from archipel.cli.parameters import Size, argument, flag, option, size_of, waiting
from archipel.cli.subcommands import Answer, Subcommand, make_group, name_of
from archipel.client.drives import Drives
from archipel.client.hypervisor import Hypervisor
from archipel.client.snapshots import Snapshots
from archipel.client.virtual_machine import VirtualMachine
from archipel.protocol.drives import FORMATS, Drive
from archipel.protocol.snapshots import Snapshot

DRIVE = argument("drive")
FORMAT = click.Choice(FORMATS)


def _file(drive: Drive) -> str:
    return PurePath(drive.path).name


def _backing(drive: Drive) -> str:
    return PurePath(drive.backing_file or "").name


def _moment(snapshot: Snapshot) -> str:
    return f"{datetime.datetime.fromtimestamp(snapshot.created):%Y-%m-%d %H:%M:%S}"


def _drive(name: str, help: str, call: Any, *parameters: click.Parameter, **more: Any) -> Subcommand:  # noqa: A002 - click's word
    return Subcommand(name, help, call, parameters, concern=Drives, **more)


def _snapshot(name: str, help: str, call: Any, *parameters: click.Parameter, **more: Any) -> Subcommand:  # noqa: A002 - click's word
    return Subcommand(name, help, call, parameters, concern=Snapshots, **more)


drive = make_group(
    "drive",
    "Make and change the drives of a machine. A DRIVE is named by its file's name; sizes are 500M, 10G or 1T.",
    (
        _drive(
            "list",
            "List the drives in a machine's folder.",
            Drives.list,
            columns={
                "DRIVE": _file,
                "FORMAT": "format",
                "SIZE": lambda found: found.problem or size_of(found.virtual_size),
                "TAKES": lambda found: size_of(found.disk_size),
                "STANDS ON": _backing,
            },
            none="no drives",
        ),
        _drive(
            "create",
            "Make a drive, empty or standing on a golden one.",
            Drives.create,
            argument("name"),
            argument("size", kind=Size()),
            option("--format", "Its format.", kind=FORMAT, default="qcow2", show_default=True),
            option("--golden", "The golden drive that it stands on.", metavar="NAME"),
            flag("--preallocate", "Make all tables of a qcow2 drive at once."),
            says="{on}: drive {answer} made",
        ),
        _drive(
            "delete",
            "Delete a drive; what is on it is lost.",
            Drives.delete,
            DRIVE,
            flag("--undefine", "Take it out of the machine's definition first."),
            says="{on}: drive {drive} deleted",
        ),
        _drive(
            "convert",
            "Change the format of a drive; the definition follows.",
            Drives.convert,
            DRIVE,
            argument("format", kind=FORMAT),
            says="{on}: drive {drive} is {answer} now",
        ),
        _drive(
            "rename",
            "Give a drive another name; its ending stays, and the definition follows.",
            Drives.rename,
            DRIVE,
            argument("name"),
            says="{on}: drive {drive} is called {answer} now",
        ),
        _drive(
            "resize",
            "Make a drive larger, while the machine runs too.",
            Drives.resize,
            DRIVE,
            argument("size", kind=Size()),
            flag("--shrink", "Let it become smaller: its end is cut off."),
            says="{on}: drive {drive} has {size} now",
        ),
        _drive(
            "goldens",
            "List the golden drives, on which new ones may stand.",
            Drives.goldens,
            columns={"NAME": "name", "PATH": "path"},
            none="no golden drives",
        ),
        _drive(
            "make-golden",
            "Make the golden drive NAME of a copy of a drive.",
            Drives.make_golden,
            DRIVE,
            argument("name"),
            flag("--replace", "In place of the golden drive of that name, if nothing stands on it."),
            says="{on}: golden drive {name} made of {drive}",
        ),
        _drive("isos", "List the images for CD drives.", Drives.isos, columns={"NAME": "name", "PATH": "path"}, none="no images"),
    ),
)

snapshot = make_group(
    "snapshot",
    "Take snapshots of a machine, and go back to them.",
    (
        _snapshot(
            "list",
            "List the snapshots of a machine, parents before their children.",
            Snapshots.list,
            columns={
                "NAME": "name",
                "CURRENT": "current",
                "TAKEN": _moment,
                "STATE": "state",
                "PARENT": lambda found: found.parent.name if found.parent else "",
                "DESCRIPTION": "description",
            },
            none="no snapshots",
        ),
        _snapshot(
            "take",
            "Take a snapshot; without NAME one is made up.",
            Snapshots.take,
            argument("name", metavar="[NAME]", default=""),
            option("--description", "What it is for.", default=""),
            flag("--memory/--no-memory", "With what is in memory, or without [default: as the machine runs or not].", default=None),
            flag("--external", "Into new files in the machine's folder."),
            flag("--quiesce/--no-quiesce", "Freeze the guest's file systems meanwhile, or do not [default: if that can be].", default=None),
            says="{on}: snapshot taken",
        ),
        _snapshot(
            "revert",
            "Go back to a snapshot: what the disks hold now is lost.",
            Snapshots.revert,
            argument("name"),
            says="{on}: back at {name}",
        ),
        _snapshot(
            "delete",
            "Delete a snapshot; what stands on it stays.",
            Snapshots.delete,
            argument("name"),
            flag("--children", "Delete what stands on it, too."),
            says="{on}: snapshot {name} deleted",
        ),
    ),
)


async def _clone(machine: VirtualMachine, name: str, linked: bool, wait: float | None) -> VirtualMachine:
    """Copy a machine by its own hypervisor, which its resource names."""
    hypervisor = Hypervisor(machine.session, f"{await _hypervisor_of(machine)}")
    return await hypervisor.clone(machine.uuid, name, linked=linked, wait=wait)


async def _hypervisor_of(machine: VirtualMachine) -> str:
    full = await machine.full_jid()
    return f"{full.partition('/')[2]}@{machine.jid.domain}"


def _show_clone(answer: Answer) -> None:
    copy, output = answer.value, answer.run.output
    if output.as_json:
        output.json({"machine": answer.entity.bare, "name": copy.name, "uuid": copy.uuid, "jid": str(copy.jid)})
    else:
        done = "copied" if answer.options["wait"] is not None else "is being copied"
        output.line(f"{name_of(answer.entity)}: {done} to {copy.bare}")


clone = Subcommand(
    "clone",
    "Copy a machine that is off, with its drives.",
    _clone,
    (
        argument("name", metavar="[NAME]", default=""),
        flag("--linked", "Drives on golden ones go on standing on them: only what differs is copied."),
        *waiting(),
    ),
    show=_show_clone,
).command()
