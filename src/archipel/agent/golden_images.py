# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The golden images of a host: who stands on them, and how one goes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from archipel.agent.drive_checks import naming, read_info
from archipel.agent.drive_work import work_on
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.image_users import Sources, Volumes, find_images_on, read_sources_of_all
from archipel.agent.virt.disk_files import find_golden, list_goldens
from archipel.agent.virt.qemu_img import QemuImgFailed
from archipel.agent.virt.storage_pools import StoragePools
from archipel.protocol import golden_images as wire
from archipel.protocol.errors import CommandError, Condition

_MOST_NAMED: Final = 5


async def list_all(hypervisor: Hypervisor) -> tuple[wire.GoldenImage, ...]:
    """Return all golden images, with what stands on each."""
    files = await asyncio.to_thread(list_goldens, hypervisor.services.settings.machines.golden_folders)
    sources = await read_sources_of_all(hypervisor.services.host)
    volumes = await _look_through_pools(hypervisor)
    found = [await _describe(hypervisor, file, sources, volumes) for file in files]
    return tuple(one for one in found if one is not None)


async def _describe(hypervisor: Hypervisor, file: Path, sources: Sources, volumes: Volumes) -> wire.GoldenImage | None:
    """Return what is known of a golden image; ``None`` if it is gone by now."""
    try:
        told = await asyncio.to_thread(file.stat)
    except FileNotFoundError:
        return None
    problem, size, users = None, None, tuple[wire.GoldenUser, ...]()
    try:
        size = (await read_info(work_on(hypervisor).qemu_img, file, file.suffix.lower().lstrip("."))).virtual_size
        images = await find_images_on(hypervisor.services, file, sources, volumes)
        users = tuple(wire.GoldenUser(image=str(image), machine=_machine_of(hypervisor, image, sources)) for image in images)
    except (QemuImgFailed, CommandError, OSError) as error:
        problem = str(error)
    return wire.GoldenImage(
        name=file.name,
        path=str(file),
        virtual_size=size,
        disk_size=told.st_blocks * 512,
        modified=told.st_mtime,
        problem=problem,
        users=users,
    )


def _machine_of(hypervisor: Hypervisor, image: Path, sources: Sources) -> str | None:
    """Return the name of the machine whose disk an image is, or in whose folder it lies."""
    for (_uuid, name), files in sources.named.items():
        if image in files:
            return name
    return next((machine.name for machine in hypervisor.machines.values() if image.is_relative_to(machine.folder.resolve())), None)


async def delete(hypervisor: Hypervisor, name: str) -> Path:
    """Delete a golden image on which nothing of this host stands, and return what it was."""
    folders = hypervisor.services.settings.machines.golden_folders
    file = await naming("name", name, lambda: find_golden(name, folders))
    with work_on(hypervisor).take(file):
        sources = await read_sources_of_all(hypervisor.services.host)
        users = [f"a disk of {domain}" for (_uuid, domain), files in sources.named.items() if file.resolve() in files]
        users += [image.name for image in await find_images_on(hypervisor.services, file, sources, await _look_through_pools(hypervisor))]
        if users:
            text = f"name: {len(users)} stand on {name}, such as {', '.join(users[:_MOST_NAMED])}: they would be spoilt"
            raise CommandError(text, condition=Condition.CONFLICT)
        await asyncio.to_thread(file.unlink)
    return file


async def _look_through_pools(hypervisor: Hypervisor) -> Volumes:
    pools = StoragePools(hypervisor.services.libvirt)
    folders = {Path(one.path) for one in await pools.list() if one.path}
    return Volumes(folders, await pools.look_through())
