# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A storage pool of libvirt as module ``storage_pool`` declares it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.asked_together import ask_together
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Change, Resource, Values
from ansible_collections.archipel.platform.plugins.module_utils.xml_specification import SingleOptions

try:
    from archipel.protocol import pool_options
    from archipel.protocol.drives import MEBIBYTE
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from xml.etree import ElementTree as ET

    from archipel.client import Hypervisor
    from archipel.protocol.storage_pools import Pool, PoolDescription

ABSENT, PRESENT, ACTIVE, INACTIVE, TRANSIENT = "absent", "present", "active", "inactive", "transient"
NEEDS_RESTART = "needs_restart"

# The names are those of archipel.protocol.pool_options.
POOL_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "type": {"type": "str", "choices": ["dir", "fs", "netfs", "logical"]},
    "source": {
        "type": "dict",
        "options": {
            "devices": {"type": "list", "elements": "str"},
            "host": {"type": "str"},
            "dir": {"type": "str"},
            "name": {"type": "str"},
            "format": {"type": "str"},
        },
    },
    "path": {"type": "str"},
    "permissions": {"type": "dict", "options": {"mode": {"type": "str"}, "owner": {"type": "int"}, "group": {"type": "int"}}},
}
KIND: Mapping[str, Mapping[str, Any]] = {
    "name": {"type": "str"},
    "uuid": {"type": "str"},
    "state": {"type": "str", "choices": [PRESENT, ACTIVE, INACTIVE, ABSENT]},
    "autostart": {"type": "bool"},
    **POOL_OPTIONS,
    "build": {"type": "bool"},
    "restart": {"type": "bool"},
}


async def list_pools(hypervisor: Hypervisor) -> tuple[Pool, ...]:
    """Return the pools of the host as they are now."""
    return await ask_together(hypervisor.session, (hypervisor.bare, "pools"), hypervisor.storage_pools.list)


class DeclaredPool(Resource):
    """One pool; its values are the declared options, and whether it waits for a restart."""

    def __init__(self, hypervisor: Hypervisor, arguments: Mapping[str, Any], *, check_mode: bool) -> None:
        self.hypervisor = hypervisor
        self.pools = hypervisor.storage_pools
        self.title = arguments["name"]
        self.uuid = arguments["uuid"]
        self.state = arguments["state"] or PRESENT
        self.autostart = arguments["autostart"]
        self.build, self.restart = bool(arguments["build"]), bool(arguments["restart"])
        self.check_mode = check_mode
        try:
            declared = pool_options.read_declaration({name: arguments[name] for name in POOL_OPTIONS})
        except ValueError as error:
            raise ValueError(f"{self.title}: {error}") from None
        self.specification = SingleOptions(pool_options.POOL, declared, pool_options.make_pool, pool_options.change_pool)
        self._pool: Pool | None = None
        self._found: PoolDescription | None = None
        self._waiting: list[str] = []

    # -- what is --------------------------------------------------------------------------------------------------------

    async def read(self) -> Values:
        """Return what is declared, as it stands in the definition of the next start."""
        self._waiting = []
        listed = await list_pools(self.hypervisor)
        pool = self._pool = next((one for one in listed if one.name == self.title), None)
        self._found = None if pool is None or self.state == ABSENT else await self.pools.describe(self.title)
        if pool is None:
            return {"state": ABSENT}
        if self.uuid is not None and pool.uuid != self.uuid:
            raise ValueError(f"{self.title}: uuid: the pool has {pool.uuid}, which cannot change: leave it out, or remove the pool")
        if self._found is None:
            return {"state": PRESENT}
        stored, running = self._definition(), self._found.running
        values = {"state": self._state_of(pool), **self._with_autostart(pool.autostart), **self.specification.describe(stored)}
        self._waiting = [] if running is None else self.specification.differences(running, stored)
        return {**values, NEEDS_RESTART: True} if self._waiting else values

    def _definition(self) -> ET.Element:
        found = self._found
        definition = None if found is None else found.stored if found.stored is not None else found.running
        if definition is None:
            raise ValueError(f"{self.title}: the agent told no definition of the pool")
        return definition

    def _state_of(self, pool: Pool) -> str:
        if not pool.persistent:
            return TRANSIENT
        return (ACTIVE if pool.active else INACTIVE) if self.state in {ACTIVE, INACTIVE} else PRESENT

    def _with_autostart(self, autostart: bool) -> dict[str, Any]:
        return {} if self.autostart is None else {"autostart": autostart}

    # -- what shall be --------------------------------------------------------------------------------------------------

    def desired(self, current: Values) -> Values:
        """Return the declared values."""
        if self.state == ABSENT:
            return {"state": ABSENT}
        wanted = self._wanted()
        values = {"state": self.state, **self._with_autostart(bool(self.autostart)), **self.specification.describe(wanted)}
        running = self._found.running if self._found is not None and self.state != INACTIVE else None
        waiting = [] if running is None else self.specification.differences(running, wanted)
        self._waiting = [] if self.restart else waiting
        return {**values, NEEDS_RESTART: True} if self._waiting else values

    def _wanted(self) -> ET.Element:
        if self._found is None:
            return self.specification.make(self.title, self.uuid)
        return self.specification.change(self._definition())

    # -- from one to the other ------------------------------------------------------------------------------------------

    async def apply(self, current: Values, desired: Values) -> None:
        """Define the pool, make what it consists of, and bring it to its declared state."""
        pool = self._pool
        active = pool is not None and pool.active
        if self.state == ABSENT:
            await self._remove()
            return
        wanted = self._wanted()
        differs = any(current.get(name) != value for name, value in desired.items() if name not in {"state", NEEDS_RESTART})
        if differs or current["state"] in {ABSENT, TRANSIENT}:
            autostart = self.autostart if self.autostart is not None else pool is not None and pool.autostart
            await self.pools.define(wanted, autostart=autostart)
        restarts = active and self.restart and self.state != INACTIVE and self._waits(wanted)
        if active and (restarts or self.state == INACTIVE):
            await self.pools.stop(self.title)
        if restarts or (self.state == ACTIVE and not active):
            await self.pools.start(self.title, build=self.build and not active)

    def _waits(self, wanted: ET.Element) -> bool:
        running = None if self._found is None else self._found.running
        return running is not None and bool(self.specification.differences(running, wanted))

    async def _remove(self) -> None:
        pool = self._pool
        if pool is not None and pool.active:
            await self.pools.stop(self.title)
        if pool is not None and pool.persistent:
            await self.pools.undefine(self.title)

    # -- what is told ---------------------------------------------------------------------------------------------------

    def report(self, change: Change) -> dict[str, Any]:
        """Return the pool as it was last read; sizes in MiB, null where it is not active."""
        waiting = {
            NEEDS_RESTART: bool(self._waiting),
            "restart_reasons": [f"{name} takes effect at the next start" for name in self._waiting],
        }
        pool = self._pool
        if pool is None:
            told = dict.fromkeys(("uuid", "autostart", "type", "path", "capacity", "allocation", "available"))
            return {"name": self.title, "state": ABSENT, **told, **waiting}
        sizes = {name: getattr(pool, name) // MEBIBYTE if pool.active else None for name in ("capacity", "allocation", "available")}
        facts = {"uuid": pool.uuid, "autostart": pool.autostart, "type": pool.type, "path": pool.path}
        return {"name": self.title, "state": ACTIVE if pool.active else INACTIVE, **facts, **sizes, **waiting}


async def describe_all(hypervisor: Hypervisor) -> list[dict[str, Any]]:
    """Return all pools that are defined and of a type that can be declared, in the words of ``KIND``."""
    pools = [pool for pool in await hypervisor.storage_pools.list() if pool.persistent and pool.type in pool_options.TYPES]
    found = await asyncio.gather(*(hypervisor.storage_pools.describe(pool.name) for pool in pools))
    return [
        {
            "name": pool.name,
            "state": ACTIVE if pool.active else INACTIVE,
            "autostart": pool.autostart,
            **pool_options.describe_pool(one.stored),
        }
        for pool, one in zip(pools, found, strict=True)
        if one is not None and one.stored is not None
    ]
