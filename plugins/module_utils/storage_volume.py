# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A volume of a storage pool as module ``storage_volume`` declares it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.asked_together import ask_together
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Change, Resource, Values
from ansible_collections.archipel.platform.plugins.module_utils.storage_pool import list_pools

try:
    from archipel.protocol.domain.options import mebibytes
    from archipel.protocol.drives import MEBIBYTE
    from archipel.protocol.errors import CommandError
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
    "backing": {
        "type": "dict",
        "options": {
            "volume": {"type": "str"},
            "pool": {"type": "str"},
            "path": {"type": "str"},
            "format": {"type": "str", "choices": ["raw", "qcow2"], "required": True},
        },
        "mutually_exclusive": [("volume", "path"), ("pool", "path")],
        "required_one_of": [("volume", "path")],
    },
}


async def list_volumes(hypervisor: Hypervisor, pool: str) -> tuple[Volume, ...]:
    """Return the volumes of a pool as they are now."""
    return await ask_together(hypervisor.session, (hypervisor.bare, "volumes", pool), lambda: hypervisor.volumes.list(pool))


class DeclaredVolume(Resource):
    """One volume; its values are the declared ones of size (MiB), format and backing file."""

    def __init__(self, hypervisor: Hypervisor, arguments: Mapping[str, Any], *, check_mode: bool) -> None:
        self.hypervisor = hypervisor
        self.pool, self.name = arguments["pool"], arguments["name"]
        self.title = f"{self.pool}/{self.name}"
        self.state = arguments["state"] or PRESENT
        self.size = self._read_size(arguments, "size")
        self.allocation = self._read_size(arguments, "allocation", nothing=True)
        self.format = arguments["format"]
        self.shrink = bool(arguments["shrink"])
        self.backing = self._read_backing(arguments)
        self.check_mode = check_mode
        self.below: DeclaredVolume | None = None
        """The declared volume that this one stands on: it is made before, so one that is not there yet is no mistake."""
        self.waits_for: list[DeclaredVolume] = []
        self._volume: Volume | None = None
        self._base: Volume | None = None

    def _read_backing(self, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return what the volume stands on: path and format, or pool, volume and format."""
        declared = {name: value for name, value in (arguments["backing"] or {}).items() if value is not None}
        if not declared:
            return None
        self._refuse_unless("path" not in declared or declared["path"].startswith("/"), "backing: path: it must begin with a slash")
        return declared if "path" in declared else {"pool": declared.get("pool") or self.pool, **declared}

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
        self._base = await self._find_base()
        if found is None:
            return {"state": ABSENT}
        values: dict[str, Any] = {"state": PRESENT}
        if self.state == PRESENT:
            values |= {} if self.size is None else {"size": await self._size_of(found)}
            values |= {} if self.format is None else {"format": found.format}
            values |= {} if self.backing is None else {"backing": self._backing_of(found)}
        return values

    def find_below(self, declared: Mapping[tuple[str, str], DeclaredVolume]) -> None:
        """Look for the volume that this one stands on among the declared ones, by pool and name."""
        if self.backing is not None and "volume" in self.backing:
            self.below = declared.get((self.backing["pool"], self.backing["volume"]))

    async def _find_base(self) -> Volume | None:
        """Return the volume that it shall stand on; ``None`` if that is a path, or not made yet."""
        if self.state == ABSENT or self.backing is None or "path" in self.backing:
            return None
        pool, name = self.backing["pool"], self.backing["volume"]
        coming = self.below is not None and self.below.state == PRESENT and self.check_mode
        try:
            listed = await list_volumes(self.hypervisor, pool)
        except CommandError:
            if coming:  # and so may its pool
                return None
            raise
        found = next((one for one in listed if one.name == name), None)
        self._refuse_unless(found is not None or coming, f"backing: there is no volume {name} in pool {pool}")
        return found

    def _backing_of(self, found: Volume) -> dict[str, Any] | None:
        """Return what the volume stands on, in the declared words if it is that."""
        declared, base = self.backing or {}, self._base
        place = declared.get("path") if base is None else base.path
        if found.backing == place and found.backing_format in {None, declared["format"]}:
            return declared
        return None if found.backing is None else {"path": found.backing, "format": found.backing_format}

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
        if self._volume is None:
            self._refuse_new()
        else:
            self._refuse_change(self._volume, current)
        declared = {"size": self.size, "format": self.format, "backing": self.backing}
        return {"state": PRESENT, **{name: value for name, value in declared.items() if value is not None}}

    def _refuse_new(self) -> None:
        if self.backing is None:
            self._refuse_unless(self.size is not None, "size: say how large the new volume is, such as 4 GiB")
            return
        self._refuse_unless(self.format in {None, "qcow2"}, f"format: a volume that stands on another file is qcow2, not {self.format}")
        least = 0 if self._base is None else self._base.capacity
        self._refuse_unless(
            self.size is None or self.size * MEBIBYTE >= least,
            f"size: {self.backing.get('volume')} has {least} bytes, and what stands on it no fewer: make it larger",
        )

    def _refuse_change(self, found: Volume, current: Values) -> None:
        self._refuse_unless(
            self.format in {None, found.format}, f"format: it is {found.format}, which cannot change: remove it, and make it anew"
        )
        smaller = self.size is not None and current["size"] != self.size and self.size * MEBIBYTE < found.capacity
        self._refuse_unless(
            self.shrink or not smaller, f"size: it has {found.capacity} bytes; shrink: true makes it smaller, which cuts off its end"
        )
        other = self.backing is not None and current["backing"] != self.backing
        self._refuse_unless(
            not other, f"backing: it stands on {found.backing or 'no other file'}, which cannot change: remove it, and make it anew"
        )

    def _refuse_unless(self, right: bool, text: str) -> None:
        if not right:
            raise ValueError(f"{self.title}: {text}")

    async def apply(self, current: Values, desired: Values) -> None:
        """Make, resize or delete the volume; the agent refuses what somebody uses."""
        volumes = self.hypervisor.volumes
        if self.state == ABSENT:
            await volumes.delete(self.pool, self.name)
        elif self._volume is None:
            below = self.backing or {}
            await volumes.create(
                self.pool,
                self.name,
                self.size,
                format=self.format or ("qcow2" if below else "raw"),
                allocation=self.allocation,
                backing=below.get("volume") or below.get("path"),
                backing_pool=below.get("pool"),
                backing_format=below.get("format"),
            )
        else:
            await volumes.resize(self.pool, self.name, self.size or 0, shrink=self.shrink)

    def report(self, change: Change) -> dict[str, Any]:
        """Return the volume as it was last read; sizes in bytes."""
        found = self._volume
        known = {"pool": self.pool, "name": self.name, "state": ABSENT if found is None else PRESENT}
        told = {name: getattr(found, name, None) for name in ("path", "format", "capacity", "allocation")}
        backing = None if found is None or found.backing is None else {"path": found.backing, "format": found.backing_format}
        return {**known, **told, "backing": backing}


def order(volumes: Iterable[DeclaredVolume]) -> None:
    """Let each of these volumes know the one of them that it stands on: they are made upwards, and go downwards.

    Raises :class:`ValueError` for some that stand on one another in a circle.
    """
    by_place = {(volume.pool, volume.name): volume for volume in volumes}
    for volume in by_place.values():
        volume.find_below(by_place)
    for volume in by_place.values():
        _refuse_circle(volume)
        if volume.below is not None and volume.state == PRESENT:
            volume.waits_for = [volume.below]
        elif volume.below is not None:
            volume.below.waits_for = [*volume.below.waits_for, volume]


def _refuse_circle(volume: DeclaredVolume) -> None:
    below, seen = volume.below, set[str]()
    while below is not None and below.title not in seen:
        if below is volume:
            raise ValueError(f"{volume.title}: backing: it would stand on itself")
        seen.add(below.title)
        below = below.below


async def describe_all(hypervisor: Hypervisor) -> list[dict[str, Any]]:
    """Return all volumes of active pools whose size, format and backing file can be declared, in the words of ``KIND``."""
    pools = [pool.name for pool in await hypervisor.storage_pools.list() if pool.active]
    listed = await asyncio.gather(*(hypervisor.volumes.list(pool) for pool in pools))
    found = [(pool, volume) for pool, volumes in zip(pools, listed, strict=True) for volume in volumes]
    places = {volume.path: (pool, volume.name) for pool, volume in found}
    return [_describe(pool, volume, places) for pool, volume in found if _can_be_declared(volume)]


def _can_be_declared(volume: Volume) -> bool:
    formats = KIND["format"]["choices"]
    known = volume.format in formats and (volume.backing is None or volume.backing_format in formats)
    return known and bool(volume.capacity) and not volume.capacity % MEBIBYTE


def _describe(pool: str, volume: Volume, places: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    described = {"pool": pool, "name": volume.name, "size": str(volume.capacity // MEBIBYTE), "format": volume.format}
    if volume.backing is None:
        return described
    below = dict(zip(("pool", "volume"), places[volume.backing], strict=True)) if volume.backing in places else {"path": volume.backing}
    return {**described, "backing": {**below, "format": volume.backing_format}}
