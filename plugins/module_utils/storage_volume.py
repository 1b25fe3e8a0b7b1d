# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A volume of a storage pool as module ``storage_volume`` declares it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.asked_together import ask_together
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Change, Resource, Values
from ansible_collections.archipel.platform.plugins.module_utils.storage_pool import list_pools

try:
    from archipel.protocol.domain.options import mebibytes
    from archipel.protocol.drives import MEBIBYTE
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from archipel.client import Hypervisor
    from archipel.protocol.storage_pools import Volume

ABSENT, PRESENT = "absent", "present"
EXTENT = 4  # MiB; LVM's unless somebody chose another (vgcreate(8)): a volume has as many as its size takes

KIND: Mapping[str, Mapping[str, Any]] = {
    "pool": {"type": "str"},
    "name": {"type": "str"},
    "state": {"type": "str", "choices": [PRESENT, ABSENT]},
    "size": {"type": "str"},
    "format": {"type": "str", "choices": ["raw", "qcow2"]},
    "allocation": {"type": "str"},
    "shrink": {"type": "bool"},
}


async def list_volumes(hypervisor: Hypervisor, pool: str) -> tuple[Volume, ...]:
    """Return the volumes of a pool as they are now."""
    return await ask_together(hypervisor.session, (hypervisor.bare, "volumes", pool), lambda: hypervisor.volumes.list(pool))


class DeclaredVolume(Resource):
    """One volume; its values are the declared ones of size (MiB) and format."""

    def __init__(self, hypervisor: Hypervisor, arguments: Mapping[str, Any], *, check_mode: bool) -> None:
        self.hypervisor = hypervisor
        self.pool, self.name = arguments["pool"], arguments["name"]
        self.title = f"{self.pool}/{self.name}"
        self.state = arguments["state"] or PRESENT
        self.size = self._read_size(arguments, "size")
        self.allocation = self._read_size(arguments, "allocation", nothing=True)
        self.format = arguments["format"]
        self.shrink = bool(arguments["shrink"])
        self.check_mode = check_mode
        self._volume: Volume | None = None

    def _read_size(self, arguments: Mapping[str, Any], name: str, *, nothing: bool = False) -> int | None:
        value = arguments[name]
        if value is None or (nothing and value == "0"):
            return None
        try:
            return int(mebibytes(value))
        except ValueError as error:
            raise ValueError(f"{self.title}: {name}: {error}") from None

    async def read(self) -> Values:
        """Return what is declared, as it stands."""
        listed = await list_volumes(self.hypervisor, self.pool)
        found = self._volume = next((one for one in listed if one.name == self.name), None)
        if found is None:
            return {"state": ABSENT}
        values: dict[str, Any] = {"state": PRESENT}
        if self.state == PRESENT:
            values |= {} if self.size is None else {"size": await self._size_of(found)}
            values |= {} if self.format is None else {"format": found.format}
        return values

    async def _size_of(self, found: Volume) -> int | str:
        """Return the size in MiB, or in words if that is not a whole number; LVM's rounding up is no difference."""
        beyond = found.capacity - (self.size or 0) * MEBIBYTE
        if 0 < beyond < EXTENT * MEBIBYTE and await self._is_logical():
            return self.size or 0
        return found.capacity // MEBIBYTE if not found.capacity % MEBIBYTE else f"{found.capacity} bytes"

    async def _is_logical(self) -> bool:
        pools = await list_pools(self.hypervisor)
        return any(pool.name == self.pool and pool.type == "logical" for pool in pools)

    def desired(self, current: Values) -> Values:
        """Return the declared values; refuse those that nothing leads to."""
        if self.state == ABSENT:
            return {"state": ABSENT}
        found = self._volume
        if found is None:
            self._refuse_unless(self.size is not None, "size: say how large the new volume is, such as 4 GiB")
        else:
            self._refuse_unless(
                self.format in {None, found.format}, f"format: it is {found.format}, which cannot change: remove it, and make it anew"
            )
            smaller = self.size is not None and current["size"] != self.size and self.size * MEBIBYTE < found.capacity
            self._refuse_unless(
                self.shrink or not smaller, f"size: it has {found.capacity} bytes; shrink: true makes it smaller, which cuts off its end"
            )
        size = {} if self.size is None else {"size": self.size}
        return {"state": PRESENT, **size, **({} if self.format is None else {"format": self.format})}

    def _refuse_unless(self, right: bool, text: str) -> None:
        if not right:
            raise ValueError(f"{self.title}: {text}")

    async def apply(self, current: Values, desired: Values) -> None:
        """Make, resize or delete the volume; the agent refuses what somebody uses."""
        volumes = self.hypervisor.volumes
        if self.state == ABSENT:
            await volumes.delete(self.pool, self.name)
        elif self._volume is None:
            await volumes.create(self.pool, self.name, self.size or 0, format=self.format or "raw", allocation=self.allocation)
        else:
            await volumes.resize(self.pool, self.name, self.size or 0, shrink=self.shrink)

    def report(self, change: Change) -> dict[str, Any]:
        """Return the volume as it was last read; sizes in bytes."""
        found = self._volume
        known = {"pool": self.pool, "name": self.name, "state": ABSENT if found is None else PRESENT}
        return {**known, **{name: getattr(found, name, None) for name in ("path", "format", "capacity", "allocation")}}


async def describe_all(hypervisor: Hypervisor) -> list[dict[str, Any]]:
    """Return all volumes of active pools whose size and format can be declared, in the words of ``KIND``."""
    pools = [pool.name for pool in await hypervisor.storage_pools.list() if pool.active]
    listed = await asyncio.gather(*(hypervisor.volumes.list(pool) for pool in pools))
    return [
        {"pool": pool, "name": volume.name, "size": str(volume.capacity // MEBIBYTE), "format": volume.format}
        for pool, volumes in zip(pools, listed, strict=True)
        for volume in volumes
        if volume.format in KIND["format"]["choices"] and volume.capacity and not volume.capacity % MEBIBYTE
    ]
