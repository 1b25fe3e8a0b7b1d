# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What guests say of themselves, in the words of the modules."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.directory import NamedMachine, find_machines

if TYPE_CHECKING:
    from archipel.client import Hypervisor
    from archipel.client.guest import Guest

SYSTEM = ("hostname", "os", "name", "version", "kernel", "machine", "timezone")


async def read_guests(hypervisor: Hypervisor, machines: list[str], parts: list[str]) -> list[dict[str, Any]]:
    """Return what is wanted of the guests; the first failure is raised."""
    entities = await find_machines(hypervisor, machines)
    return list(await asyncio.gather(*(_read_guest(entity, parts) for entity in entities)))


async def _read_guest(named: NamedMachine, parts: list[str]) -> dict[str, Any]:
    guest = named.entity.guest
    found: dict[str, Any] = {"name": named.name, "jid": named.entity.bare}
    if "frozen" in parts:
        found["frozen"] = await guest.is_frozen()
    if "clock" in parts:
        found["clock_offset"] = (await guest.clock()).offset
    return found | (await _read_system(guest) if "system" in parts else {})


async def _read_system(guest: Guest) -> dict[str, Any]:
    told = await guest.info()
    return {
        "system": {part: getattr(told, part) for part in SYSTEM},
        "interfaces": [
            {"name": card.name, "mac": card.mac, "addresses": [{"address": one.address, "prefix": one.prefix} for one in card.addresses]}
            for card in told.interfaces
        ],
        "users": [{"name": user.name, "login_time": user.login_time} for user in told.users],
        "filesystems": [
            {"mountpoint": system.mountpoint, "type": system.type, "total": system.total, "used": system.used}
            for system in told.filesystems
        ],
    }
