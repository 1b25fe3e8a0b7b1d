# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a machine that is to come: whether they are here already, and room for those that are not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from archipel.agent import migration_store
from archipel.agent.drive_work import in_plain_words, work_on
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.migration_plan import MARK
from archipel.agent.migration_store import Incoming
from archipel.agent.virt.image_chain import FORMATS
from archipel.protocol import migration as wire
from archipel.protocol.errors import CommandError, Condition

log = logging.getLogger(__name__)

LOOKS, PAUSE = 6, 0.5  # a network file system may take some seconds to show what another host just wrote


async def make_room(hypervisor: Hypervisor, incoming: Incoming, request: wire.Expect) -> tuple[bool, list[str]]:
    """Return whether both hosts see the machine's folder, and the targets of the disks whose contents must be sent.

    For those in the machine's folder images are made; libvirt makes others if a pool has their folder. Raises :class:`CommandError`
    for what cannot come.
    """
    base = hypervisor.services.settings.machines.base_path
    folder = base / incoming.uuid
    if request.folder and Path(request.base_folder) != base:
        text = f"the folders of machines are in {base} here, and in {request.base_folder} there: vm_base_path must be the same"
        raise CommandError(text, condition=Condition.NOT_ACCEPTABLE)
    shared = not request.folder or await is_shared(folder, incoming.attempt)
    if not shared:
        await asyncio.to_thread(_refuse_occupied, folder)
    await asyncio.to_thread(refuse_missing, folder, request.files, shared=shared)
    copied = [disk for disk in request.disks if not await asyncio.to_thread(_is_here, folder, disk, shared=shared)]
    await _make_images(hypervisor, incoming, folder, [disk for disk in copied if Path(disk.path).parent == folder])
    return shared, [disk.target for disk in copied]


async def is_shared(folder: Path, attempt: str) -> bool:
    """Whether the other host's file shows up in the folder."""
    for _ in range(LOOKS):
        if not await asyncio.to_thread(folder.is_dir):
            return False
        if await asyncio.to_thread((folder / f"{MARK}{attempt}").exists):
            return True
        await asyncio.sleep(PAUSE)
    return False


def _refuse_occupied(folder: Path) -> None:
    try:
        occupied = folder.is_dir() and any(folder.iterdir())
    except OSError as error:
        raise CommandError(f"the machine's folder cannot be read: {error}") from error
    if occupied:
        text = f"{folder} holds files here, and is not the folder of the other host: an administrator must look at them"
        raise CommandError(text, condition=Condition.CONFLICT)


def refuse_missing(folder: Path, files: Sequence[wire.NeededFile], *, shared: bool) -> None:
    """Raise what the machine reads that is not here, or is something else here."""
    for found in files:
        path = Path(found.path)
        if path.parent == folder and shared:
            continue
        try:
            size = path.stat().st_size
        except OSError:
            text = f"{path} is missing here, which the machine reads: copy it, or take the medium out"
            raise CommandError(text, condition=Condition.NOT_ACCEPTABLE) from None
        if found.size and size != found.size:
            text = f"{path} is another file here (of {size} bytes, not {found.size}), and the machine reads it"
            raise CommandError(text, condition=Condition.NOT_ACCEPTABLE)


def _is_here(folder: Path, disk: wire.MovedDisk, *, shared: bool) -> bool:
    """Whether a disk that the machine writes lies where both hosts see it."""
    path = Path(disk.path)
    if path.parent == folder and ".." not in path.parts:
        return shared
    if ".." in path.parts or path.is_relative_to(folder.parent):
        raise CommandError(f"{disk.target}: {path} is neither in the machine's folder nor elsewhere", condition=Condition.NOT_ACCEPTABLE)
    if path.exists():
        text = f"{disk.target}: {path} is here, too, and nothing shows that it is the same file: move it into the machine's folder"
        raise CommandError(text, condition=Condition.CONFLICT)
    return False


async def _make_images(hypervisor: Hypervisor, incoming: Incoming, folder: Path, disks: Sequence[wire.MovedDisk]) -> None:
    """Make the images that contents are sent into; what is made is noted before."""
    if not disks:
        return
    for disk in disks:
        if disk.format not in FORMATS:
            raise CommandError(
                f"{disk.target}: only {' and '.join(FORMATS)} are sent, not {disk.format}", condition=Condition.NOT_ACCEPTABLE
            )
    noted = replace(incoming, made=(str(folder), *(disk.path for disk in disks)))
    await migration_store.keep_incoming(hypervisor.services.store, noted)
    with in_plain_words():
        await asyncio.to_thread(folder.mkdir, mode=0o755, parents=True, exist_ok=True)
        for disk in disks:
            await work_on(hypervisor).qemu_img.create(Path(disk.path), disk.format, disk.capacity)


def remove_made(incoming: Incoming) -> None:
    """Remove what was made for a machine that did not come."""
    folder, *files = incoming.made or ("",)
    for path in map(Path, files):
        path.unlink(missing_ok=True)
    if folder:
        try:
            Path(folder).rmdir()
        except OSError as error:  # somebody's files are in it, or it was never made
            log.debug("%s stays: %s", folder, error)
