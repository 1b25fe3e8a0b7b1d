# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""libvirt's storage pools and volumes (namespace ``archipel:hypervisor:storage``)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from archipel.agent import options as kinds
from archipel.agent.dispatch import Caller, Chat, command
from archipel.agent.drive_work import work_on
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.one_each import one_per_hypervisor
from archipel.agent.options import list_of
from archipel.agent.pool_rules import read_pool, refuse_forbidden_pool, refuse_machine_folders
from archipel.agent.settings import STORAGE
from archipel.agent.virt.storage_pools import Backing, StoragePools
from archipel.agent.volume_backing import open_backing
from archipel.agent.volume_users import refuse_running_users, refuse_users
from archipel.protocol import storage_pools as wire
from archipel.protocol.drives import LIMITS, MEBIBYTE, size_in_bytes
from archipel.protocol.errors import BadRequest, CommandError, Condition
from archipel.protocol.rights import DOMAIN_POLICY_BYPASS, ON_HYPERVISOR, EntityKind, Token
from archipel.protocol.storage_pools import StorageCode

HYPERVISOR = EntityKind.HYPERVISOR

TOKENS = (
    Token("storage_pools", "See the storage pools", ON_HYPERVISOR),
    Token("storage_pooldefine", "Define storage pools of folders that the configuration allows", ON_HYPERVISOR),
    Token("storage_poolcreate", "Start storage pools", ON_HYPERVISOR),
    Token("storage_pooldestroy", "Stop storage pools", ON_HYPERVISOR),
    Token("storage_poolundefine", "Forget storage pools", ON_HYPERVISOR),
    Token("storage_poolrefresh", "Have storage pools looked through again", ON_HYPERVISOR),
    Token("storage_volumes", "See the volumes of storage pools", ON_HYPERVISOR),
    Token("storage_volumecreate", "Make volumes", ON_HYPERVISOR),
    Token("storage_volumedelete", "Delete volumes", ON_HYPERVISOR),
    Token("storage_volumeresize", "Change the size of volumes", ON_HYPERVISOR),
)


@dataclass(frozen=True, kw_only=True)
class PoolSettings:
    """Where pools may be."""

    folders: tuple[Path, ...] = STORAGE.option(
        "pool_folders",
        list_of(kinds.PATH, blanks=False),
        "%(archipel_folder_data)s/pools",
        "Folders in which storage pools of folders may be defined without the right domain_policy_bypass.",
    )


SETTINGS = PoolSettings


@one_per_hypervisor
def _pools_of(hypervisor: Hypervisor) -> StoragePools:
    return StoragePools(hypervisor.services.libvirt)


def _done(_answer: object) -> str:
    return "Done."


def _say_pools(found: tuple[wire.Pool, ...]) -> str:
    lines = [f"{one.name}: {one.type}, {f'{one.available // MEBIBYTE} MiB free' if one.active else 'not active'}" for one in found]
    return "\n".join(lines) or "There is no storage pool."


def _say_volumes(found: tuple[wire.Volume, ...]) -> str:
    return "\n".join(f"{one.name}: {one.format}, {one.capacity // MEBIBYTE} MiB" for one in found) or "There is no volume in it."


@command(wire.GetPools, on=HYPERVISOR, right="storage_pools", failure=StorageCode.POOLS, chat=Chat(("pools",), _say_pools))
async def get_pools(hypervisor: Hypervisor, _request: wire.GetPools, _caller: Caller) -> tuple[wire.Pool, ...]:
    """The storage pools of this host."""
    return await _pools_of(hypervisor).list()


@command(wire.DescribePool, on=HYPERVISOR, right="storage_pools", failure=StorageCode.POOL_DESCRIBE)
async def describe_pool(hypervisor: Hypervisor, request: wire.DescribePool, _caller: Caller) -> wire.PoolDescription:
    """The definitions of a storage pool."""
    return await _pools_of(hypervisor).describe(request.name)


@command(wire.DefinePool, on=HYPERVISOR, right="storage_pooldefine", failure=StorageCode.POOL_DEFINE)
async def define_pool(hypervisor: Hypervisor, request: wire.DefinePool, caller: Caller) -> None:
    """Define a storage pool."""
    pool, settings = read_pool(request.pool), hypervisor.services.settings
    machines = settings.machines
    own: PoolSettings = settings.capabilities["storage_pools"]

    def judge() -> None:
        refuse_machine_folders(pool, (machines.base_path, *machines.iso_folders, *machines.golden_folders))
        if not hypervisor.decide(caller.bare, DOMAIN_POLICY_BYPASS).allowed:
            refuse_forbidden_pool(pool, own.folders)

    await asyncio.to_thread(judge)
    await _refuse_redefinition(hypervisor, pool, caller)
    await _pools_of(hypervisor).define(ET.tostring(pool, "unicode"), autostart=request.autostart)
    hypervisor.push(wire.TOPIC, wire.StorageChange.POOL_DEFINED)


async def _refuse_redefinition(hypervisor: Hypervisor, pool: ET.Element, caller: Caller) -> None:
    """Raise ``conflict`` if there is a pool of that name or UUID, which only those with the host may define anew."""
    name, uuid = pool.findtext("name", ""), pool.findtext("uuid", "").strip().lower()
    there = [one for one in await _pools_of(hypervisor).list() if one.name == name or one.uuid == uuid]
    if there and not hypervisor.decide(caller.bare, DOMAIN_POLICY_BYPASS).allowed:
        raise CommandError(f"pool: there is a pool {there[0].name} already: choose another name and UUID", condition=Condition.CONFLICT)


@command(
    wire.CreatePool,
    on=HYPERVISOR,
    right="storage_poolcreate",
    failure=StorageCode.POOL_CREATE,
    chat=Chat(("start pool {name}",), _done),
)
async def create_pool(hypervisor: Hypervisor, request: wire.CreatePool, _caller: Caller) -> None:
    """Start a storage pool."""
    await _pools_of(hypervisor).start(request.name, build=request.build)
    hypervisor.push(wire.TOPIC, wire.StorageChange.POOL_CREATED)


@command(
    wire.DestroyPool,
    on=HYPERVISOR,
    right="storage_pooldestroy",
    failure=StorageCode.POOL_DESTROY,
    chat=Chat(("stop pool {name}",), _done, confirm="No machine whose disks are in the pool starts until that is started again."),
)
async def destroy_pool(hypervisor: Hypervisor, request: wire.DestroyPool, _caller: Caller) -> None:
    """Stop a storage pool; what is in it stays."""
    paths = {volume.path for volume in await _pools_of(hypervisor).volumes(request.name)}
    await refuse_running_users(hypervisor, request.name, paths)
    await _pools_of(hypervisor).stop(request.name)
    hypervisor.push(wire.TOPIC, wire.StorageChange.POOL_DESTROYED)


@command(
    wire.UndefinePool,
    on=HYPERVISOR,
    right="storage_poolundefine",
    failure=StorageCode.POOL_UNDEFINE,
    chat=Chat(("forget pool {name}",), _done, confirm="To have the pool again it must be defined again; what is in it stays."),
)
async def undefine_pool(hypervisor: Hypervisor, request: wire.UndefinePool, _caller: Caller) -> None:
    """Forget a storage pool that is stopped; what is in it stays."""
    await _pools_of(hypervisor).undefine(request.name)
    hypervisor.push(wire.TOPIC, wire.StorageChange.POOL_UNDEFINED)


@command(
    wire.RefreshPool,
    on=HYPERVISOR,
    right="storage_poolrefresh",
    failure=StorageCode.POOL_REFRESH,
    chat=Chat(("refresh pool {name}",), _done),
)
async def refresh_pool(hypervisor: Hypervisor, request: wire.RefreshPool, _caller: Caller) -> None:
    """Look again what is in a storage pool."""
    await _pools_of(hypervisor).refresh(request.name)
    hypervisor.push(wire.TOPIC, wire.StorageChange.POOL_REFRESHED)


@command(wire.GetVolumes, on=HYPERVISOR, right="storage_volumes", failure=StorageCode.VOLUMES, chat=Chat(("volumes {pool}",), _say_volumes))
async def get_volumes(hypervisor: Hypervisor, request: wire.GetVolumes, _caller: Caller) -> tuple[wire.Volume, ...]:
    """The volumes of a storage pool."""
    return await _pools_of(hypervisor).volumes(request.pool)


@command(
    wire.CreateVolume,
    on=HYPERVISOR,
    right="storage_volumecreate",
    failure=StorageCode.VOLUME_CREATE,
    chat=Chat(("create volume {pool} {name} {size} {unit} [format]",), _done),
)
async def create_volume(hypervisor: Hypervisor, request: wire.CreateVolume, caller: Caller) -> None:
    """Make an empty volume of so many M or G."""
    pools = _pools_of(hypervisor)
    async with open_backing(hypervisor, request, caller, pools) as backing:
        size = _size_of_new(request, backing)
        room = 0 if request.allocation is None else _size_of(request.allocation, request.unit, "allocation")
        if room > size:
            raise BadRequest(f"allocation: must be no more than the size is, not {request.allocation} {request.unit}")
        image_format = request.format or ("raw" if backing is None else "qcow2")
        await pools.make_volume(request.pool, request.name, size, image_format, room, backing)
    hypervisor.push(wire.TOPIC, wire.StorageChange.VOLUME_CREATED)


def _size_of_new(request: wire.CreateVolume, backing: Backing | None) -> int:
    if request.size is None:
        if backing is None:
            raise BadRequest("size: is missing")
        return backing.size
    size = _size_of(request.size, request.unit)
    if backing is not None and size < backing.size:
        raise BadRequest(f"size: {request.backing} has {backing.size} bytes, and what stands on it no fewer: make it larger")
    return size


@contextlib.asynccontextmanager
async def _unused(hypervisor: Hypervisor, pool: str, volume: str) -> AsyncIterator[None]:
    """Keep a volume, which nobody uses, as it is."""
    pools = _pools_of(hypervisor)
    with work_on(hypervisor).take(await pools.volume_path(pool, volume)):
        await refuse_users(hypervisor, pool, volume, pools)
        yield


@command(
    wire.DeleteVolume,
    on=HYPERVISOR,
    right="storage_volumedelete",
    failure=StorageCode.VOLUME_DELETE,
    chat=Chat(("delete volume {pool} {name}",), _done, confirm="What is in the volume is lost for ever."),
)
async def delete_volume(hypervisor: Hypervisor, request: wire.DeleteVolume, _caller: Caller) -> None:
    """Delete a volume that nobody uses."""
    async with _unused(hypervisor, request.pool, request.name):
        await _pools_of(hypervisor).delete_volume(request.pool, request.name)
    hypervisor.push(wire.TOPIC, wire.StorageChange.VOLUME_DELETED)


@command(
    wire.ResizeVolume,
    on=HYPERVISOR,
    right="storage_volumeresize",
    failure=StorageCode.VOLUME_RESIZE,
    chat=Chat(("resize volume {pool} {name} {size} {unit}",), _done),
)
async def resize_volume(hypervisor: Hypervisor, request: wire.ResizeVolume, _caller: Caller) -> None:
    """Make a volume that nobody uses larger, to so many M or G."""
    size = _size_of(request.size, request.unit)
    async with _unused(hypervisor, request.pool, request.name):
        await _pools_of(hypervisor).resize_volume(request.pool, request.name, size, shrink=request.shrink)
    hypervisor.push(wire.TOPIC, wire.StorageChange.VOLUME_RESIZED)


def _size_of(size: int, unit: str, field: str = "size") -> int:
    if size >= LIMITS[unit]:
        raise BadRequest(f"{field}: must be less than {LIMITS[unit]} {unit}, not {size}")
    return size_in_bytes(size, unit)
