# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine in the shared folder needs of the hosts: its own folder, and the files that it reads elsewhere."""

from __future__ import annotations

import asyncio
from pathlib import Path

from archipel.agent import arrival_files, migration_plan
from archipel.agent.definition import read_stored
from archipel.agent.migration_plan import MARK
from archipel.agent.parking_store import ParkedRecord
from archipel.agent.shelf_entry import Shelved
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import CommandError, Condition
from archipel.protocol.migration import MovedDisk, NeededFile


class StaysHere(CommandError):
    """A machine cannot be had at other hosts; says why."""

    condition = Condition.NOT_ACCEPTABLE


def list_files(machine: VirtualMachine, parked: ParkedRecord) -> tuple[NeededFile, ...]:
    """Return what a machine reads outside of its folder. Raises :class:`StaysHere` if it writes, or keeps, anything there; blocks."""
    definition, written = read_stored(parked.definition), []
    for disk in definition.disks:
        if not migration_plan.is_written(disk) or disk.type == "network":
            continue
        if disk.type != "file" or not disk.path or Path(disk.path).parent != machine.folder:
            raise StaysHere(f"its disk {disk.target} is not in its own folder, {machine.folder}")
        written.append(MovedDisk(target=disk.target or "", path=disk.path, format=disk.format or "raw", capacity=0))
    if migration_plan.keeps_elsewhere(machine, definition):
        raise StaysHere("this host keeps its firmware's variables, or its TPM")
    files = migration_plan.needed_files(definition, written)
    return tuple(file for file in files if Path(file.path).parent != machine.folder)


async def mark_anew(machine: VirtualMachine) -> str:
    """Leave a file in the machine's folder, made if need be, by which other hosts know it again, and return its word."""
    mark = migration_plan.new_attempt()
    await asyncio.to_thread(clear_marks, machine.folder)
    await migration_plan.mark_folder(machine, mark)
    return mark


def clear_marks(folder: Path) -> None:
    """Have the folder, without such files. Raises :class:`CommandError`."""
    try:
        folder.mkdir(mode=0o755, exist_ok=True)
        for path in list(folder.glob(f"{MARK}*")):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise CommandError(f"the machine's folder cannot be written to: {error.strerror}") from error


async def refuse_elsewhere(base_folder: Path, shelved: Shelved) -> None:
    """Raise ``not-acceptable`` if the files of a machine are not here, where machines have their folders in ``base_folder``."""
    folder = base_folder / shelved.uuid
    if shelved.base_folder != base_folder:
        text = f"the folders of machines are in {base_folder} here, and in {shelved.base_folder} at {shelved.source}"
        raise CommandError(f"{text}: vm_base_path must be the same", condition=Condition.NOT_ACCEPTABLE)
    if not await arrival_files.is_shared(folder, shelved.mark):
        text = f"{folder} is not as {shelved.source} left it: the folder is not shared, or the machine was unparked since: unpark it there"
        raise CommandError(text, condition=Condition.NOT_ACCEPTABLE)
    await asyncio.to_thread(arrival_files.refuse_missing, folder, shelved.files, shared=True)
