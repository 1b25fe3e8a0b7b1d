# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of a machine (namespace ``archipel:virtualmachine:snapshoting``)."""

from __future__ import annotations

import time
from dataclasses import dataclass

from archipel.agent import snapshots
from archipel.agent.dispatch import Caller, Chat, command
from archipel.agent.options import Section, seconds
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import snapshots as wire
from archipel.protocol.errors import ErrorCode
from archipel.protocol.rights import ON_VIRTUAL_MACHINE, EntityKind, Token

VM = EntityKind.VIRTUAL_MACHINE
NAME = "snapshoting"  # the founders' spelling, in [MODULES] too

TOKENS = (
    Token("snapshot_take", "Take snapshots", ON_VIRTUAL_MACHINE),
    Token("snapshot_get", "See all snapshots", ON_VIRTUAL_MACHINE),
    Token("snapshot_current", "See the current snapshot", ON_VIRTUAL_MACHINE),
    Token("snapshot_delete", "Delete snapshots", ON_VIRTUAL_MACHINE),
    Token("snapshot_revert", "Go back to a snapshot, within the domain policy", ON_VIRTUAL_MACHINE),
)


@dataclass(frozen=True, kw_only=True)
class SnapshotSettings:
    """How long libvirt may take."""

    timeout: float = Section("SNAPSHOTS").option(
        "snapshot_timeout", seconds(1, 86400), "1800", "Time for taking, deleting or going back; memory is written to the disk."
    )


SETTINGS = SnapshotSettings


def _within(vm: VirtualMachine) -> float:
    settings: SnapshotSettings = vm.services.settings.capabilities[NAME]
    return settings.timeout


def _say_one(snapshot: wire.Snapshot | None) -> str:
    if snapshot is None:
        return "I have no snapshot."
    made = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(snapshot.created))
    what = ("external, " if snapshot.external else "") + ("with memory" if snapshot.memory else "without memory")
    return f"{snapshot.name}: {snapshot.state}, {what}, {made}" + (f" - {snapshot.description}" if snapshot.description else "")


def _say_all(found: tuple[wire.Snapshot, ...]) -> str:
    return "\n".join(("* " if snapshot.current else "  ") + _say_one(snapshot) for snapshot in found) or _say_one(None)


@command(
    wire.TakeSnapshot,
    on=VM,
    right="snapshot_take",
    failure=ErrorCode.TAKE_SNAPSHOT,
    chat=Chat(("snapshot take [name]",), lambda _: "The snapshot is taken."),
)
async def take(vm: VirtualMachine, request: wire.TakeSnapshot, caller: Caller) -> None:
    """Take a snapshot of this machine, with its memory if it runs."""
    await snapshots.take(vm, request, caller, _within(vm))


@command(wire.GetSnapshots, on=VM, right="snapshot_get", failure=ErrorCode.GET_SNAPSHOTS, chat=Chat(("snapshots",), _say_all))
async def get(vm: VirtualMachine, _request: wire.GetSnapshots, _caller: Caller) -> tuple[wire.Snapshot, ...]:
    """All snapshots of this machine."""
    return snapshots.describe(await snapshots.read_all(vm))


@command(
    wire.GetCurrentSnapshot,
    on=VM,
    right="snapshot_current",
    failure=ErrorCode.CURRENT_SNAPSHOT,
    chat=Chat(("snapshot current",), _say_one),
)
async def get_current(vm: VirtualMachine, _request: wire.GetCurrentSnapshot, _caller: Caller) -> wire.Snapshot | None:
    """The snapshot that was taken or gone back to last."""
    current = await snapshots.read_current(vm)
    return None if current is None else snapshots.describe([current])[0]


@command(
    wire.DeleteSnapshot,
    on=VM,
    right="snapshot_delete",
    failure=ErrorCode.DELETE_SNAPSHOT,
    chat=Chat(
        ("snapshot delete {name}",),
        lambda _: "The snapshot is deleted.",
        questions={"name": "Which snapshot?"},
        confirm="I cannot go back to a snapshot that is deleted.",
    ),
)
async def delete(vm: VirtualMachine, request: wire.DeleteSnapshot, caller: Caller) -> None:
    """Delete a snapshot; those that were taken after it stay."""
    await snapshots.delete(vm, request.name, caller, _within(vm), children=request.children)


@command(
    wire.RevertToSnapshot,
    on=VM,
    right="snapshot_revert",
    failure=ErrorCode.REVERT_SNAPSHOT,
    chat=Chat(
        ("snapshot revert {name}",),
        lambda _: "I am as I was then.",
        questions={"name": "Which snapshot?"},
        confirm="What was written since that snapshot is lost.",
    ),
)
async def revert(vm: VirtualMachine, request: wire.RevertToSnapshot, caller: Caller) -> None:
    """Go back to a snapshot: what the disks hold now is lost."""
    await snapshots.revert(vm, request.name, caller, _within(vm))
