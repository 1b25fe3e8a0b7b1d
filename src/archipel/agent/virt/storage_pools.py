# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The storage pools of a host and their volumes, for asyncio."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar
from xml.etree import ElementTree as ET

from archipel.agent.virt.binding import REFUSED_FLAGS, VirFailure
from archipel.agent.virt.binding import describe as describe_failure
from archipel.agent.virt.connection import LibvirtConnection
from archipel.agent.virt.listing import those_there
from archipel.agent.virt.pool import READ_TIMEOUT, Lane
from archipel.agent.virt.session import Session
from archipel.agent.virt.storage_binding import NO_SUCH_STORAGE, SHRINK, XML_INACTIVE, VirPool, VirVolume, storage_of
from archipel.protocol.errors import CommandError, Condition
from archipel.protocol.storage_pools import Pool, PoolDescription, Volume

READ_SECONDS: Final = max(READ_TIMEOUT, 30.0)  # a pool on a slow server takes its time

T = TypeVar("T")


@dataclass(frozen=True)
class Backing:
    """The file that a new volume stands on, and the format it is read in; ``size``, in bytes, is what a guest sees of it."""

    path: Path
    format: str
    size: int


@dataclass(frozen=True)
class LookedThrough:
    """What libvirt found in pools: their ``folders``, and which file each volume stands on, None: on no other."""

    folders: set[Path] = field(default_factory=set)
    backing: dict[Path, Path | None] = field(default_factory=dict)


@dataclass(frozen=True)
class PoolVolume:
    """A volume, and the pool that it is in."""

    pool: str
    told: Volume


class StoragePools:
    """All pools of a connection; reads go one after the other, changes too. Each method raises what ``LibvirtConnection.call`` raises."""

    def __init__(self, connection: LibvirtConnection) -> None:
        self._connection = connection
        self._reads = Lane()
        self._changes = Lane()

    async def list(self) -> tuple[Pool, ...]:
        """Read all pools, in the order of their names."""

        def read(session: Session) -> tuple[Pool, ...]:
            return tuple(sorted(those_there(_describe_pool, storage_of(session).listAllStoragePools(0)), key=lambda pool: pool.name))

        return await self._read("pools", read)

    async def describe(self, name: str) -> PoolDescription:
        """Read what a pool's next start will use, and what is in force if it is active."""

        def read(session: Session) -> PoolDescription:
            pool = storage_of(session).storagePoolLookupByName(name)
            running = _parse(pool.XMLDesc(0)) if pool.isActive() == 1 else None
            stored = _parse(pool.XMLDesc(_stored_flag(pool))) if pool.isPersistent() == 1 else None
            return PoolDescription(stored=stored, running=running)

        return await self._read(f"definition of pool {name}", read)

    async def volumes(self, pool: str) -> tuple[Volume, ...]:
        """Read the volumes of a pool, in the order of their names."""

        def read(session: Session) -> tuple[Volume, ...]:
            found = storage_of(session).storagePoolLookupByName(pool).listAllVolumes(0)
            return tuple(sorted(those_there(_describe_volume, found), key=lambda volume: volume.name))

        return await self._read(f"volumes of pool {pool}", read)

    async def look_through(self) -> LookedThrough:
        """Have libvirt, which may read all headers, read those of the volumes of all active pools now."""

        def look(session: Session) -> LookedThrough:
            found = LookedThrough()
            for pool in storage_of(session).listAllStoragePools(0):
                _look_through(pool, found)
            return found

        return await self._read("backing files of volumes", look)

    async def volume(self, pool: str, name: str) -> Volume:
        """Read one volume."""
        return await self._read(f"volume {name}", lambda session: _describe_volume(_volume(session, pool, name)))

    async def find_volume(self, path: str) -> PoolVolume | None:
        """Read the volume of an active pool that a path is."""

        def read(session: Session) -> PoolVolume | None:
            try:
                volume = storage_of(session).storageVolLookupByPath(path)
            except VirFailure as failure:
                if describe_failure(failure).code in NO_SUCH_STORAGE:
                    return None
                raise
            return PoolVolume(volume.storagePoolLookupByVolume().name(), _describe_volume(volume))

        return await self._read("volume at a path", read)

    async def volume_path(self, pool: str, volume: str) -> Path:
        """Read where a volume is."""
        return await self._read(f"path of volume {volume}", lambda session: Path(_volume(session, pool, volume).path()))

    async def define(self, xml: str, *, autostart: bool) -> None:
        """Define a pool, or one anew."""

        def define(session: Session) -> None:
            storage = storage_of(session)
            known = {pool.UUIDString() for pool in storage.listAllStoragePools(0)}
            pool = storage.storagePoolDefineXML(xml, 0)
            try:
                pool.setAutostart(int(autostart))
            except VirFailure:
                if pool.UUIDString() not in known:
                    pool.undefine()
                raise

        await self._change("define pool", define)

    async def start(self, name: str, *, build: bool) -> None:
        """Start a pool, after making what it consists of."""

        def start(pool: VirPool) -> None:
            if build:
                pool.build(0)
            pool.create(0)

        await self._change_pool("start", name, start)

    async def stop(self, name: str) -> None:
        """Stop a pool."""
        await self._change_pool("stop", name, lambda pool: pool.destroy())

    async def undefine(self, name: str) -> None:
        """Forget a pool that is stopped."""
        await self._change_pool("undefine", name, lambda pool: pool.undefine())

    async def refresh(self, name: str) -> None:
        """Have libvirt look again what is in a pool."""
        await self._change_pool("refresh", name, lambda pool: pool.refresh(0))

    async def make_volume(
        self, pool: str, name: str, size: int, volume_format: str, allocation: int = 0, backing: Backing | None = None
    ) -> None:
        """Make an empty volume of ``size`` bytes; beyond ``allocation`` they take room as they are written where the pool can do that.

        Raises :class:`CommandError` for a format that the pool does not have.
        """

        def make(found: VirPool) -> None:
            root = ET.Element("volume")
            ET.SubElement(root, "name").text = name
            ET.SubElement(root, "capacity", unit="bytes").text = str(size)
            if _type_of(found) == "logical":  # its volumes are raw, and have all their room
                _refuse_format(pool, volume_format)
            else:
                ET.SubElement(root, "allocation", unit="bytes").text = str(allocation)
                ET.SubElement(ET.SubElement(root, "target"), "format", type=volume_format)
            if backing is not None:
                below = ET.SubElement(root, "backingStore")
                ET.SubElement(below, "path").text = str(backing.path)
                ET.SubElement(below, "format", type=backing.format)
            found.createXML(ET.tostring(root, "unicode"), 0)

        await self._change_pool("make volume in", pool, make)

    async def delete_volume(self, pool: str, name: str) -> None:
        """Delete a volume."""
        await self._change(f"delete volume {name}", lambda session: _volume(session, pool, name).delete(0))

    async def resize_volume(self, pool: str, name: str, size: int, *, shrink: bool) -> None:
        """Give a volume another size, in bytes."""
        await self._change(f"resize volume {name}", lambda session: _volume(session, pool, name).resize(size, SHRINK if shrink else 0))

    async def _read(self, call: str, function: Callable[[Session], T]) -> T:
        return await self._connection.call(call, function, within=READ_SECONDS, lane=self._reads)

    async def _change(self, call: str, function: Callable[[Session], object]) -> None:
        await self._connection.call(call, function, within=self._connection.change_timeout, lane=self._changes)

    async def _change_pool(self, call: str, name: str, function: Callable[[VirPool], object]) -> None:
        await self._change(f"{call} pool {name}", lambda session: function(storage_of(session).storagePoolLookupByName(name)))


def _look_through(pool: VirPool, found: LookedThrough) -> None:
    try:
        if pool.isActive() != 1:
            return
        pool.refresh(0)
        volumes = {Path(volume.path()): _parse(volume.XMLDesc(0)) for volume in pool.listAllVolumes(0)}
        folder = Path(_parse(pool.XMLDesc(0)).findtext("target/path", ""))
    except VirFailure:
        return  # what libvirt knew of it may no longer be so
    found.folders.add(folder)
    for path, described in volumes.items():
        backing = described.findtext("backingStore/path")
        found.backing[path] = Path(backing) if backing else None


def _volume(session: Session, pool: str, name: str) -> VirVolume:
    return storage_of(session).storagePoolLookupByName(pool).storageVolLookupByName(name)


def _refuse_format(pool: str, volume_format: str) -> None:
    if volume_format != "raw":
        text = f"format: volumes of the group {pool} are raw, not {volume_format}: leave it out"
        raise CommandError(text, condition=Condition.NOT_ACCEPTABLE)


def _stored_flag(pool: VirPool) -> int:
    """Return the flag that asks for the stored definition; the test driver has one only, and takes none."""
    try:
        pool.XMLDesc(XML_INACTIVE)
    except VirFailure as failure:
        if describe_failure(failure).code not in REFUSED_FLAGS:
            raise
        return 0
    return XML_INACTIVE


def _type_of(pool: VirPool) -> str:
    return _parse(pool.XMLDesc(0)).get("type", "")


def _describe_pool(pool: VirPool) -> Pool:
    _state, capacity, allocation, available = pool.info()
    described, active = _parse(pool.XMLDesc(0)), pool.isActive() == 1
    return Pool(
        name=pool.name(),
        uuid=pool.UUIDString(),
        type=described.get("type", ""),
        active=active,
        persistent=pool.isPersistent() == 1,
        autostart=pool.autostart() == 1,
        capacity=capacity if active else 0,
        allocation=allocation if active else 0,
        available=available if active else 0,
        path=described.findtext("target/path", ""),
    )


def _describe_volume(volume: VirVolume) -> Volume:
    described = _parse(volume.XMLDesc(0))
    _type, capacity, allocation = volume.info()
    backing = described.findtext("backingStore/path") or None
    return Volume(
        name=volume.name(),
        path=volume.path(),
        format=_format_in(described, "target") or "raw",
        capacity=capacity,
        allocation=allocation,
        backing=backing,
        backing_format=None if backing is None else _format_in(described, "backingStore"),
    )


def _format_in(volume: ET.Element, part: str) -> str | None:
    found = volume.find(f"{part}/format")
    return None if found is None else found.get("type")


def _parse(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 - libvirt's own
