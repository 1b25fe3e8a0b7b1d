# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting a drive's file in the place of another, definition and all, so that a crash at any moment loses nothing.

A note says what is replaced. Then the new file is there, then the definition names it, then the old one goes. Whoever finds
the note later, because the agent was killed or libvirt did not answer, reads the definition and removes the file it does not name.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from archipel.agent.definition import read_stored
from archipel.agent.dispatch import Caller
from archipel.agent.domain_rules import refuse_forbidden
from archipel.agent.drive_checks import Drive
from archipel.agent.drive_work import DriveWork
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.slow_work import in_slow_thread
from archipel.agent.virt import binding
from archipel.agent.virt.binding import VirDomain
from archipel.agent.virt.disk_files import Definitions
from archipel.agent.virt.errors import DomainNotFound, LibvirtTimeout, LibvirtUnavailable, VirtError
from archipel.agent.virt.unfinished_files import Replacement, make_durable, read_notes, sweep, write_note
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.domain.devices import Disk
from archipel.protocol.domain.domain import Domain
from archipel.protocol.errors import CommandError

log = logging.getLogger(__name__)


async def replace(
    work: DriveWork, machine: VirtualMachine, drive: Drive, new: Path, image_format: str, caller: Caller, put: Callable[[], object]
) -> None:
    """Have ``put`` (blocking) make ``new``, let the definition name it instead of the drive's file, and remove that.

    An error leaves everything as it was; the caller holds the machine's ``changing``.
    """
    note = await asyncio.to_thread(write_note, Replacement(drive.file, new), work.host)
    try:
        await in_slow_thread(put)
        if drive.attached:
            await _name_in_definition(machine, drive, machine.folder / new.name, image_format, caller)
    except (CommandError, VirtError, OSError) as error:
        if _may_have_happened(error):
            work.unsettled.set()
        else:
            await asyncio.to_thread(_remove, new, note)
        raise
    except asyncio.CancelledError:
        work.unsettled.set()
        raise
    await asyncio.to_thread(_remove, drive.file, note)


def _may_have_happened(error: Exception) -> bool:
    """Whether libvirt may have taken the definition although it did not say so."""
    return isinstance(error, LibvirtTimeout) or (isinstance(error, LibvirtUnavailable) and error.in_flight)


def _remove(file: Path, note: Path) -> None:
    file.unlink(missing_ok=True)
    make_durable(file.parent)
    note.unlink(missing_ok=True)


async def _name_in_definition(machine: VirtualMachine, drive: Drive, new: Path, image_format: str, caller: Caller) -> None:
    def follow(_domain: Domain, disk: Disk) -> None:
        disk.path, disk.format = str(new), image_format
        for chain in disk.element.findall("backingStore"):  # of the file that was; libvirt reads the new one's header
            disk.element.remove(chain)

    await _change_disks(machine, drive, caller, follow)


async def take_out(machine: VirtualMachine, drive: Drive, caller: Caller) -> None:
    """Remove the disks that are this drive from the definition for the next start; the caller holds ``changing``."""

    def remove(domain: Domain, disk: Disk) -> None:
        for devices in domain.element.findall("devices"):
            if disk.element in list(devices):
                devices.remove(disk.element)

    await _change_disks(machine, drive, caller, remove)


async def _change_disks(machine: VirtualMachine, drive: Drive, caller: Caller, change: Callable[[Domain, Disk], None]) -> None:
    """Define the machine with its disks that are this drive changed; libvirt's DEFINED event tells everybody."""
    stored = drive.definitions.stored
    if stored is not None:
        wanted = Domain.from_element(stored.element)
        for disk in Definitions(wanted).stored_disks(drive.file):
            change(wanted, disk)
        await refuse_forbidden(machine, wanted, stored, caller)
        await machine.domain.define(wanted.to_text())


async def settle_all(work: DriveWork, hypervisor: Hypervisor) -> bool:
    """Finish or undo what was left half done; returns whether nothing of it is left."""
    left = False
    for machine in list(hypervisor.machines.values()):
        try:
            await _settle(work, machine)
        except (VirtError, CommandError, OSError) as error:
            log.warning("%s: what was done to its drives cannot be finished now, it will be later: %s", machine.bare, error)
            left = True
    return not left


async def _settle(work: DriveWork, machine: VirtualMachine) -> None:
    swept = await asyncio.to_thread(sweep, machine.folder, work.host)
    if swept:
        log.warning("%s: %d unfinished files of an earlier run are removed", machine.bare, len(swept))
    async with machine.changing:
        if machine.freeing:
            return
        for note, replacement in await asyncio.to_thread(lambda: list(read_notes(machine.folder, work.host))):
            if replacement is None:
                await asyncio.to_thread(note.unlink)
            else:
                await _finish(machine, note, replacement)


async def _finish(machine: VirtualMachine, note: Path, replacement: Replacement) -> None:
    """Keep the one of two complete files that the definition names; without one, the new."""
    definitions = await _read_after_changes(machine)
    kept, gone = replacement.new, replacement.old

    def finish() -> None:
        nonlocal kept, gone
        if not kept.exists() or _uses(definitions, gone):
            kept, gone = gone, kept
        if _uses(definitions, gone):
            log.error("%s: its definition names both %s and %s: neither is removed", machine.bare, kept.name, gone.name)
            note.unlink()
        elif kept.exists():
            _remove(gone, note)

    await asyncio.to_thread(finish)
    log.warning("%s: the replacement of %s by %s is settled: %s stays", machine.bare, replacement.old.name, replacement.new.name, kept.name)


def _uses(definitions: Definitions, file: Path) -> bool:
    return bool(definitions.stored_disks(file) or definitions.running_disks(file))


async def _read_after_changes(machine: VirtualMachine) -> Definitions:
    """Read the definitions when every change that libvirt was asked for is over."""

    def read(domain: VirDomain) -> Definitions:
        stored = read_stored(domain.XMLDesc(binding.XML_INACTIVE))
        return Definitions(stored, read_stored(domain.XMLDesc(0)) if domain.isActive() else None)

    try:
        return await machine.domain.change("read after changes", read)
    except DomainNotFound:
        return Definitions()
