# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine that is to move consists of: read and judged at its present host, before anything is begun."""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid as uuids
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from archipel.agent.definition import read_stored
from archipel.agent.lasting_definition import read_lasting
from archipel.agent.virt.errors import VirtError
from archipel.agent.virt.image_chain import ImageFacts, ImageUnreadable, read_image
from archipel.agent.virt.lifecycle import DomainState
from archipel.agent.virt.migration import read_capacity
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.domain.devices import Disk
from archipel.protocol.domain.domain import Domain
from archipel.protocol.errors import CommandError, Condition, Unavailable
from archipel.protocol.migration import MovedDisk, NeededFile

MARK: Final = ".archipel-migration-"
"""How the file is called, with the attempt behind it, by which two hosts find out that they see the same folder."""
_SCHEMES: Final = frozenset({"qemu", "qemu+tls", "qemu+tcp", "qemu+ssh", "qemu+libssh", "qemu+libssh2"})
LONGEST_CHAIN: Final = 50
MOVABLE: Final = frozenset({DomainState.RUNNING, DomainState.PAUSED, DomainState.SHUTOFF, DomainState.CRASHED})


@dataclass(frozen=True)
class Freight:
    """A machine that can move: its definition with secrets, the disks that it writes, the files that it reads."""

    definition: Domain
    state: DomainState
    autostart: bool
    disks: tuple[MovedDisk, ...]
    files: tuple[NeededFile, ...]
    keeps_elsewhere: bool
    """Whether libvirt keeps what the machine needs at its next start outside of its folder: its firmware's variables, a TPM."""

    @property
    def running(self) -> bool:
        """Whether there is a running half to move."""
        return not self.state.is_off


async def read_freight(machine: VirtualMachine) -> Freight:
    """Return what is to move, or raise why it cannot."""
    info, definition = await read_lasting(machine, "which would not go along")
    if info.state not in MOVABLE:
        text = f"{machine.name} can move when it runs, is paused or off, not while it is {info.state.name.lower()}"
        raise CommandError(text, condition=Condition.UNEXPECTED_REQUEST)
    running = definition if info.state.is_off else read_stored(await machine.domain.xml(secure=True))
    disks = [await _moved_disk(machine, disk) for disk in running.disks if is_written(disk)]
    files = await asyncio.to_thread(needed_files, running, [disk for disk in disks if disk is not None])
    return Freight(
        definition=definition,
        state=info.state,
        autostart=info.autostart,
        disks=tuple(disk for disk in disks if disk is not None),
        files=files,
        keeps_elsewhere=keeps_elsewhere(machine, definition),
    )


def is_written(disk: Disk) -> bool:
    """Whether the machine writes what this disk shows."""
    return disk.device in {"disk", "lun"} and not disk.readonly


async def _moved_disk(machine: VirtualMachine, disk: Disk) -> MovedDisk | None:
    """Return a file that the machine writes; ``None`` for what lies in the network, which every host reaches alike."""
    if disk.type == "network":
        return None
    if disk.type != "file" or not disk.path or not disk.target:
        text = f"{machine.name}: the disk {disk.target} is no file ({disk.type}): only files and network disks move"
        raise CommandError(text, condition=Condition.NOT_ACCEPTABLE)
    try:
        capacity = await read_capacity(machine.domain, disk.target)
    except VirtError as error:
        raise CommandError(f"{machine.name}: the disk {disk.target} cannot be read: {error}") from error
    return MovedDisk(target=disk.target, path=disk.path, format=disk.format or "raw", capacity=capacity)


def needed_files(domain: Domain, written: list[MovedDisk]) -> tuple[NeededFile, ...]:
    """Return media, read-only disks and whatever images stand on: all that must be at the other host, too."""
    own = {disk.path for disk in written}
    found = {disk.path for disk in domain.disks if disk.type == "file" and disk.path and disk.path not in own}
    found |= {path for path in (domain.operating_system.kernel, domain.operating_system.initrd) if path}
    for disk in written:
        found.update(_backing_files(disk.path, disk.format))
    return tuple(NeededFile(path=path, size=_size_of(path)) for path in sorted(found - own))


def _backing_files(path: str, image_format: str) -> Iterator[str]:
    """Yield the images below one; what cannot be read is judged where machines are started."""
    for _ in range(LONGEST_CHAIN):
        facts = _facts(path, image_format)
        if facts is None or facts.backing is None:
            return
        path, image_format = os.path.join(os.path.dirname(path), facts.backing), facts.backing_format or "raw"
        yield os.path.normpath(path)


def _facts(path: str, image_format: str) -> ImageFacts | None:
    try:
        return read_image(Path(path), image_format) if image_format != "raw" else None
    except (ImageUnreadable, OSError):
        return None


def _size_of(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def keeps_elsewhere(machine: VirtualMachine, domain: Domain) -> bool:
    """Whether libvirt keeps what the machine needs outside of its folder, on its host."""
    system = domain.operating_system
    outside = system.nvram is not None and not Path(system.nvram).is_relative_to(machine.folder)
    return outside or system.firmware == "efi" or domain.element.find("devices/tpm") is not None


def refuse_busy(machine: VirtualMachine) -> None:
    """Raise :class:`Unavailable` if somebody is at work on a machine."""
    machine.refuse_leaving()
    machine.refuse_copied()
    if machine.changing.locked():
        raise Unavailable(f"{machine.name} is being changed, or a snapshot is at work: wait until that is done")
    if machine.uuid in machine.hypervisor.in_hand:
        raise Unavailable(f"{machine.name} is being worked on: wait until that is done")


def check_uri(uri: str) -> None:
    """Raise :class:`CommandError` for an address of another libvirt that makes this host's run a program, or that is its own."""
    try:
        found = urlsplit(uri)
        names = {name.lower() for name, _value in parse_qsl(found.query, keep_blank_values=True)}
    except ValueError:
        names, found = set(), urlsplit("")
    if found.scheme not in _SCHEMES or not found.hostname or "command" in names:
        text = f"its libvirt is said to be at {uri[:100]!r}: machines go to {', '.join(sorted(_SCHEMES))} with a host, without a command"
        raise CommandError(text, condition=Condition.NOT_ACCEPTABLE)


def new_attempt() -> str:
    """Return a word for an attempt to move a machine, which nobody guesses."""
    return str(uuids.uuid4())


async def mark_folder(machine: VirtualMachine, attempt: str) -> bool:
    """Leave a file in the machine's folder by which others know it again; return whether there is a folder."""

    def mark() -> bool:
        if not machine.folder.is_dir():
            return False
        (machine.folder / f"{MARK}{attempt}").touch(mode=0o600, exist_ok=True)
        return True

    try:
        return await asyncio.to_thread(mark)
    except OSError as error:
        raise CommandError(f"the machine's folder cannot be written to: {error.strerror}") from error


async def unmark_folder(folder: Path, attempt: str) -> None:
    """Remove that file."""

    def remove() -> None:
        with contextlib.suppress(OSError):
            (folder / f"{MARK}{attempt}").unlink()

    await asyncio.to_thread(remove)
