# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A storage pool of libvirt as module ``storage_pool`` declares it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.asked_together import ask_together
from ansible_collections.archipel.platform.plugins.module_utils.libvirt_resource import (
    ABSENT,
    ACTIVE,
    INACTIVE,
    PRESENT,
    StartedResource,
    next_definition,
)
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Change, Values
from ansible_collections.archipel.platform.plugins.module_utils.xml_specification import SingleOptions, Specification

try:
    from archipel.protocol import pool_options
    from archipel.protocol.drives import MEBIBYTE
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from xml.etree import ElementTree as ET

    from archipel.client import Hypervisor
    from archipel.protocol.storage_pools import Pool, PoolDescription


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


def read_specification(arguments: Mapping[str, Any]) -> Specification:
    """Return what is declared; raises :class:`ValueError`, which names the option."""
    declared = pool_options.read_declaration({name: arguments[name] for name in POOL_OPTIONS})
    return SingleOptions(pool_options.POOL, declared, pool_options.make_pool, pool_options.change_pool)


class DeclaredPool(StartedResource):
    """One pool; its values are the declared options, and whether it waits for a restart."""

    what = "pool"
    specify = staticmethod(read_specification)

    def __init__(self, hypervisor: Hypervisor, arguments: Mapping[str, Any], *, check_mode: bool) -> None:
        super().__init__(arguments)
        self.hypervisor = hypervisor
        self.pools = hypervisor.storage_pools
        self.build = bool(arguments["build"])
        self.check_mode = check_mode
        self._pool: Pool | None = None
        self._found: PoolDescription | None = None

    # -- what is --------------------------------------------------------------------------------------------------------

    async def read(self) -> Values:
        """Return what is declared, as it stands in the definition of the next start."""
        self.waiting = []
        listed = await list_pools(self.hypervisor)
        pool = self._pool = next((one for one in listed if one.name == self.title), None)
        self._found = None if pool is None or self.state == ABSENT else await self.pools.describe(self.title)
        if pool is None:
            return {"state": ABSENT}
        self.refuse_other(pool.uuid)
        stored = self.definition
        if stored is None:
            return {"state": PRESENT}
        self.waiting = self._unlike_running(stored)
        return self.with_restart(self.describe(stored, self.state_of(active=pool.active, persistent=pool.persistent), pool.autostart))

    @property
    def definition(self) -> ET.Element | None:
        """The definition of the next start."""
        return None if self._found is None else next_definition(self._found, self.title, self.what)

    def _unlike_running(self, definition: ET.Element) -> list[str]:
        """Return what of a definition is not so while the pool is active."""
        running = None if self._found is None else self._found.running
        return [] if running is None else self.specification.differences(running, definition)

    # -- what shall be --------------------------------------------------------------------------------------------------

    def desired(self, current: Values) -> Values:
        """Return the declared values."""
        if self.state == ABSENT:
            return {"state": ABSENT}
        wanted = self.wanted_definition()
        self.waiting = [] if self.restart or self.state == INACTIVE else self._unlike_running(wanted)
        return self.with_restart(self.describe(wanted, self.state, self.autostart))

    # -- from one to the other ------------------------------------------------------------------------------------------

    async def apply(self, current: Values, desired: Values) -> None:
        """Define the pool, make what it consists of, and bring it to its declared state."""
        pool = self._pool
        active = pool is not None and pool.active
        if self.state == ABSENT:
            await self._remove()
            return
        wanted = self.wanted_definition()
        if self.redefines(current, desired):
            autostart = self.autostart if self.autostart is not None else pool is not None and pool.autostart
            await self.pools.define(wanted, autostart=autostart)
        restarts = active and self.restart and self.state != INACTIVE and bool(self._unlike_running(wanted))
        if active and (restarts or self.state == INACTIVE):
            await self.pools.stop(self.title)
        if restarts or (self.state == ACTIVE and not active):
            await self.pools.start(self.title, build=self.build and not active)

    async def _remove(self) -> None:
        pool = self._pool
        if pool is not None and pool.active:
            await self.pools.stop(self.title)
        if pool is not None and pool.persistent:
            await self.pools.undefine(self.title)

    # -- what is told ---------------------------------------------------------------------------------------------------

    def report(self, change: Change) -> dict[str, Any]:
        """Return the pool as it was last read; sizes in MiB, null where it is not active."""
        pool = self._pool
        if pool is None:
            told = dict.fromkeys(("uuid", "autostart", "type", "path", "capacity", "allocation", "available"))
            return {"name": self.title, "state": ABSENT, **told, **self.tell_waiting()}
        sizes = {name: getattr(pool, name) // MEBIBYTE if pool.active else None for name in ("capacity", "allocation", "available")}
        facts = {"uuid": pool.uuid, "autostart": pool.autostart, "type": pool.type, "path": pool.path}
        return {"name": self.title, "state": ACTIVE if pool.active else INACTIVE, **facts, **sizes, **self.tell_waiting()}


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
