# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a new snapshot is to be: decided from the request and the machine's definition, and refused where libvirt could not do it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from archipel.agent.virt.snapshots import DiskPart, Plan, StoredSnapshot
from archipel.protocol.domain.devices import Disk
from archipel.protocol.domain.domain import Domain
from archipel.protocol.errors import CommandError, Condition, ErrorCode
from archipel.protocol.snapshots import TakeSnapshot

GUEST_AGENT: Final = "org.qemu.guest_agent.0"
_ON_HOST: Final = frozenset({"file", "block", "volume"})


def choose_name(wanted: str, stored: Sequence[StoredSnapshot]) -> str:
    """Return the name of a new snapshot, made of the time (UTC) where none is wanted; raises ``conflict`` if it is taken."""
    taken = {snapshot.name for snapshot in stored}
    if wanted in taken:
        raise CommandError(f"name: there is a snapshot {wanted!r} already: choose another name", condition=Condition.CONFLICT)
    if wanted:
        return wanted
    made = time.strftime("%Y-%m-%d-%H%M%S", time.gmtime())
    return next(name for number in range(1, len(taken) + 2) if (name := made if number == 1 else f"{made}-{number}") not in taken)


def make_plan(name: str, request: TakeSnapshot, present: Domain, *, running: bool, folder: Path) -> Plan:
    """Return what libvirt is to be asked for; ``present`` is the definition in force, ``folder`` is for new files.

    Raises :class:`CommandError`, which names the field that asks for what cannot be done.
    """
    written = [disk for disk in present.disks if disk.device in {"disk", "lun"} and not disk.readonly]
    if not any(disk.type == "file" for disk in written):
        raise CommandError("there is no disk in a file that a snapshot could be taken of", ErrorCode.NO_DISK_FOR_SNAPSHOT)
    memory = _decide_memory(request, running=running)
    quiesce = _decide_quiesce(request, present, possible=running and request.external and not memory)
    for disk in written:
        _refuse_disk(disk, external=request.external)
    base = folder / f"snapshot-{secrets.token_hex(8)}"
    return Plan(
        name=name,
        description=request.description,
        memory=memory,
        external=request.external,
        quiesce=quiesce,
        disks=tuple(_parts(present, written, base if request.external else None)),
        memory_file=Path(f"{base}.memory") if memory and request.external else None,
    )


def _decide_memory(request: TakeSnapshot, *, running: bool) -> bool:
    memory = running if request.memory is None else request.memory
    if memory and not running:
        raise _refuse("memory: the machine is off, there is none: leave it out, or start the machine")
    if running and not memory and not request.external:
        raise _refuse("memory: an internal snapshot of a running machine has its memory: leave it out, say external='1', or shut it down")
    return memory


def _decide_quiesce(request: TakeSnapshot, present: Domain, *, possible: bool) -> bool:
    connected = any(channel.name == GUEST_AGENT and channel.state == "connected" for channel in present.channels)
    if request.quiesce and not possible:
        raise _refuse("quiesce: only for external snapshots of a running machine without its memory (external='1' memory='0')")
    if request.quiesce and not connected:
        raise _refuse("quiesce: the guest agent is not connected: install qemu-guest-agent in the guest, or say quiesce='0'")
    return possible and connected if request.quiesce is None else request.quiesce


def _refuse_disk(disk: Disk, *, external: bool) -> None:
    if external and (disk.type != "file" or disk.path is None):
        raise _refuse(f"external: disk {disk.target} is of type {disk.type}: only an image in a file can have another put on it")
    if not external and disk.type in _ON_HOST and disk.format != "qcow2":
        text = f"disk {disk.target} is {disk.format or 'raw'}, and internal snapshots need qcow2: say external='1', or convert the disk"
        raise _refuse(text)


def _parts(present: Domain, written: Sequence[Disk], base: Path | None) -> Iterator[DiskPart]:
    targets = [disk.target for disk in written]
    for number, disk in enumerate(present.disks, 1):
        target = disk.target or ""
        if target not in targets:
            yield DiskPart(target, "no")
        elif base is None:
            yield DiskPart(target, "internal")
        else:
            yield DiskPart(target, "external", Path(f"{base}-{number}.qcow2"))


def _refuse(text: str) -> CommandError:
    return CommandError(text, condition=Condition.NOT_ACCEPTABLE)
