# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who uses the volumes of a storage pool: domains, managed or not, and images that stand on them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from archipel.agent.hypervisor import Hypervisor
from archipel.agent.image_users import Volumes, find_images_on, read_sources_of_all
from archipel.agent.virt.disk_files import read_sources, read_written
from archipel.agent.virt.errors import DomainNotFound
from archipel.agent.virt.storage_pools import PoolVolume, StoragePools
from archipel.protocol.errors import CommandError, Condition

_MOST_NAMED: Final = 5
ReadSources = Callable[[str], list[ET.Element]]
"""Returns those sources of a definition's disks that matter."""


async def refuse_users(hypervisor: Hypervisor, pool: str, volume: str, pools: StoragePools) -> None:
    """Raise ``conflict`` if a domain of the host has the volume, or an image of the host stands on it.

    Images are looked for in all of the host's ``pools``. Raises ``not-acceptable`` where one may be that neither the agent nor libvirt
    can read.
    """
    path = await pools.volume_path(pool, volume)
    users = await _find_domains(hypervisor, pool, volume, {str(path)}, running=False)
    if not users:
        folders = {path.parent, *(Path(one.path) for one in await pools.list() if one.path)}
        sources = await read_sources_of_all(hypervisor.services.host)
        volumes = Volumes(folders, await pools.look_through())
        users = [image.name for image in await find_images_on(hypervisor.services, path, sources, volumes)]
    if users:
        raise CommandError(f"name: {volume} is in use: {', '.join(users[:_MOST_NAMED])}", condition=Condition.CONFLICT)


async def refuse_writers(hypervisor: Hypervisor, path: Path, volume: PoolVolume | None) -> None:
    """Raise ``conflict`` if a domain of the host, managed or not, writes to the file when it runs: what stands on it would be spoilt."""
    pool, name = (None, None) if volume is None else (volume.pool, volume.told.name)
    users = await _find_domains(hypervisor, pool, name, {str(path)}, running=False, sources=read_written)
    if users:
        text = f"backing: {path.name} is a disk of {', '.join(users[:_MOST_NAMED])}, and what stands on it would be spoilt"
        raise CommandError(text, condition=Condition.CONFLICT)


async def refuse_running_users(hypervisor: Hypervisor, pool: str, paths: Collection[str]) -> None:
    """Raise ``conflict`` if a running domain has a volume of the pool, whose volumes are at ``paths``."""
    users = await _find_domains(hypervisor, pool, None, paths, running=True)
    if users:
        text = f"name: {', '.join(users[:_MOST_NAMED])} run on volumes of {pool}: shut them down first"
        raise CommandError(text, condition=Condition.CONFLICT)


async def _find_domains(
    hypervisor: Hypervisor,
    pool: str | None,
    volume: str | None,
    paths: Collection[str],
    *,
    running: bool,
    sources: ReadSources = read_sources,
) -> list[str]:
    """Return the names of the domains, if told so of the running ones alone, that have the volume (None: any), or one of the paths."""
    host, found = hypervisor.services.host, list[str]()
    for entry in await host.domains():
        if entry.active or not running:
            domain = host.domain(entry.uuid)
            with contextlib.suppress(DomainNotFound):
                texts = [await domain.xml()] if entry.active else []
                texts += [] if running else [await domain.xml(inactive=True)]
                if await asyncio.to_thread(_have, texts, pool, volume, paths, sources):
                    found.append(entry.name)
    return found


def _have(texts: list[str], pool: str | None, volume: str | None, paths: Collection[str], sources: ReadSources) -> bool:
    places = {Path(path).resolve() for path in paths}
    return any(_is_of(source, pool, volume, places) for text in texts for source in sources(text))


def _is_of(source: ET.Element, pool: str | None, volume: str | None, places: set[Path]) -> bool:
    if pool is not None and source.get("pool") == pool and volume in (None, source.get("volume")):
        return True
    path = source.get("file") or source.get("dev")
    return bool(path) and "\0" not in (path or "") and Path(path or "").resolve() in places
