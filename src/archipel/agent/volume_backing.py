# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file that a new volume shall stand on: a volume of a pool that the caller may use, or a golden drive, with all that it stands on."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from archipel.agent.dispatch import Caller
from archipel.agent.drive_checks import naming, read_info
from archipel.agent.drive_work import in_plain_words, work_on
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.virt.confined_paths import confine
from archipel.agent.virt.errors import LibvirtError
from archipel.agent.virt.image_chain import follow_chain, read_image
from archipel.agent.virt.storage_binding import NO_SUCH_STORAGE
from archipel.agent.virt.storage_pools import Backing, PoolVolume, StoragePools
from archipel.agent.volume_users import refuse_writers
from archipel.protocol.errors import BadRequest, CommandError, Condition, PermissionDenied
from archipel.protocol.rights import DOMAIN_POLICY_BYPASS
from archipel.protocol.storage_pools import CreateVolume


@contextlib.asynccontextmanager
async def open_backing(hypervisor: Hypervisor, request: CreateVolume, caller: Caller, pools: StoragePools) -> AsyncIterator[Backing | None]:
    """Find what a volume shall stand on, if anything, and keep everybody off it who would change it.

    Raises:
        BadRequest: the request says too little or too much of it, or the file leads out of golden folders and pools.
        PermissionDenied: the caller may not use its pool.
        CommandError: it is not there, cannot be followed, or a machine writes to it.
    """
    if request.backing is None:
        _refuse_rest(request)
        yield None
        return
    image_format = _check_formats(request)
    golden = hypervisor.services.settings.machines.golden_folders
    folders = (*golden, *await _find_folders(hypervisor, caller, pools))
    path, volume = await _find(hypervisor, request, caller, pools)

    def follow() -> Path:
        # A file in a pool's folder that is no volume of it may be one of a pool below, by another spelling of its path.
        end = confine(str(path), golden if volume is None else folders)
        follow_chain(str(path), image_format, folders, read_image)
        return end

    end = await naming("backing", request.backing, follow)
    with work_on(hypervisor).share(end):
        await refuse_writers(hypervisor, path, volume)
        yield Backing(path, image_format, await _size_of(hypervisor, path, image_format) if volume is None else volume.told.capacity)


async def _size_of(hypervisor: Hypervisor, path: Path, image_format: str) -> int:
    with in_plain_words():
        return (await read_info(work_on(hypervisor).qemu_img, path, image_format)).virtual_size


def _refuse_rest(request: CreateVolume) -> None:
    for name, value in (("backingpool", request.backing_pool), ("backingformat", request.backing_format)):
        if value is not None:
            raise BadRequest(f"{name}: say in backing what the volume shall stand on")


def _check_formats(request: CreateVolume) -> str:
    """Return the format that the file is read in."""
    if request.format not in {None, "qcow2"}:
        raise BadRequest(f"format: a volume that stands on another file is qcow2, not {request.format}")
    if request.backing_format is None:
        raise BadRequest("backingformat: say raw or qcow2; what the file itself says may be a guest's word")
    return request.backing_format


async def _find_folders(hypervisor: Hypervisor, caller: Caller, pools: StoragePools) -> tuple[Path, ...]:
    """Return where the file, and each that it stands on, may lie beside golden folders: in pools that the caller may use."""
    found = [one for one in await pools.list() if one.active and one.path and _may_use(hypervisor, caller, one.name)]
    return tuple(Path(one.path) for one in found)


def _may_use(hypervisor: Hypervisor, caller: Caller, pool: str) -> bool:
    return hypervisor.services.settings.policy.allows_pool(pool) or hypervisor.decide(caller.bare, DOMAIN_POLICY_BYPASS).allowed


async def _find(hypervisor: Hypervisor, request: CreateVolume, caller: Caller, pools: StoragePools) -> tuple[Path, PoolVolume | None]:
    """Return where the file is, and the volume that it is; a path may lead to a golden drive as well."""
    told, pool = request.backing or "", request.backing_pool or request.pool
    if told.startswith("/"):
        if request.backing_pool is not None:
            raise BadRequest("backingpool: goes with the name of a volume, not with a path")
        found = await pools.find_volume(told)
        if found is not None:
            _refuse_pool(hypervisor, caller, found.pool)
        return Path(told), found
    _refuse_pool(hypervisor, caller, pool)
    try:
        volume = await pools.volume(pool, told)
    except LibvirtError as error:
        if error.code not in NO_SUCH_STORAGE:
            raise
        raise CommandError(f"backing: there is no volume {told} in pool {pool}", condition=Condition.ITEM_NOT_FOUND) from error
    return Path(volume.path), PoolVolume(pool, volume)


def _refuse_pool(hypervisor: Hypervisor, caller: Caller, pool: str) -> None:
    if not _may_use(hypervisor, caller, pool):
        text = f"backing: volumes of pools in [POLICY] allowed_pools are for everybody, and {pool[:200]} is none of them"
        raise PermissionDenied(text, DOMAIN_POLICY_BYPASS)
