# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The storage pools of a hypervisor's host, and their volumes."""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree as ET

from archipel.client.concern import LONG_WORK, Concern
from archipel.client.drives import MEBIBYTES
from archipel.protocol import storage_pools as commands
from archipel.protocol.storage_pools import Pool, PoolDescription, Volume

NO_POOL: Final = 49  # libvirt's virErrorNumber


class StoragePools(Concern):
    """libvirt's storage pools (docs/storage-pools.md names the rights)."""

    async def list(self) -> tuple[Pool, ...]:
        """Return all pools, sizes in bytes."""
        return await self.ask(commands.GetPools())

    async def describe(self, pool: str) -> PoolDescription | None:
        """Return what a pool's next start will use, and what is in force (right ``storage_pools``), ``None`` if there is no pool."""
        return await self.ask_unless_missing(commands.DescribePool(name=pool), NO_POOL)

    async def define(self, definition: ET.Element, *, autostart: bool = False) -> None:
        """Define a pool by libvirt's XML."""
        await self.ask(commands.DefinePool(pool=definition, autostart=autostart))

    async def start(self, pool: str, *, build: bool = False) -> None:
        """Start a pool; ``build`` makes its folder before."""
        await self.ask(commands.CreatePool(name=pool, build=build), LONG_WORK)

    async def stop(self, pool: str) -> None:
        """Stop a pool; what is in it stays."""
        await self.ask(commands.DestroyPool(name=pool))

    async def undefine(self, pool: str) -> None:
        """Forget a pool that is stopped; what is in it stays."""
        await self.ask(commands.UndefinePool(name=pool))

    async def refresh(self, pool: str) -> None:
        """Have libvirt look again what is in a pool."""
        await self.ask(commands.RefreshPool(name=pool), LONG_WORK)


class Volumes(Concern):
    """The volumes of pools; sizes that are said are in MiB."""

    async def list(self, pool: str) -> tuple[Volume, ...]:
        """Return the volumes of a pool, sizes in bytes."""
        return await self.ask(commands.GetVolumes(pool=pool))

    async def create(
        self,
        pool: str,
        name: str,
        size: int | None = None,
        *,
        format: str | None = None,  # noqa: A002 - libvirt's word
        allocation: int | None = None,
        backing: str | None = None,
        backing_pool: str | None = None,
        backing_format: str | None = None,
    ) -> None:
        """Make an empty volume; ``allocation`` is how much room it has from the start, none unless said.

        One that stands on a ``backing`` file, a volume of ``backing_pool`` (of the same pool unless said) or a path, is a qcow2 that
        holds what differs from that, and as large unless ``size`` is said; others are raw unless said. ``backing_format`` (raw, qcow2)
        is how the file is read.
        """
        request = commands.CreateVolume(
            pool=pool,
            name=name,
            size=size,
            unit=MEBIBYTES,
            format=format,
            allocation=allocation,
            backing=backing,
            backing_pool=backing_pool,
            backing_format=backing_format,
        )
        await self.ask(request, LONG_WORK)

    async def delete(self, pool: str, name: str) -> None:
        """Delete a volume that nobody uses."""
        await self.ask(commands.DeleteVolume(pool=pool, name=name), LONG_WORK)

    async def resize(self, pool: str, name: str, size: int, *, shrink: bool = False) -> None:
        """Make a volume that nobody uses larger, or with ``shrink`` smaller, which cuts off its end."""
        await self.ask(commands.ResizeVolume(pool=pool, name=name, size=size, unit=MEBIBYTES, shrink=shrink), LONG_WORK)
