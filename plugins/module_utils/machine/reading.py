# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Machines as module ``vm_info`` reads them: all at once, filtered, with as much as was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.directory import Directory, find_entities
from ansible_collections.archipel.platform.plugins.module_utils.machine.host import Host
from ansible_collections.archipel.platform.plugins.module_utils.machine.snapshot import Snapshot

if TYPE_CHECKING:
    from archipel.client import Hypervisor, VirtualMachine


async def read_machines(hypervisor: Hypervisor, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the machines that were asked for, sorted by name."""
    machines = await _choose(hypervisor, arguments["names"])
    host = Host(Directory(hypervisor, ()))
    found = await asyncio.gather(*(_read(machine, host, arguments) for machine in machines))
    return sorted((machine for machine in found if machine is not None), key=lambda machine: (machine["name"], machine["uuid"]))


async def _choose(hypervisor: Hypervisor, names: list[str] | None) -> list[VirtualMachine]:
    if names is not None:
        return [named.entity for named in await find_entities(hypervisor, names)]
    directory = await Directory.load(hypervisor, ())
    return [directory.open(entry) for entry in directory.entries if entry.managed]


async def _read(machine: VirtualMachine, host: Host, arguments: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return one machine, or ``None`` if it is filtered out."""
    wanted, told = arguments["tags"] or [], {}
    if wanted or "tags" in arguments["gather"]:
        told["tags"] = sorted(await host.tags_of(machine.bare))
        if not set(wanted) <= set(told["tags"]):
            return None
    snapshot = await Snapshot.take(machine)
    if arguments["states"] is not None and str(snapshot.state) not in arguments["states"]:
        return None
    parts = [part for part in dict.fromkeys(arguments["gather"]) if part in PARTS]
    values = await asyncio.gather(*(PARTS[part](snapshot) for part in parts))
    return {**snapshot.report(), **told, **dict(zip(parts, values, strict=True))}


async def _read_definition(snapshot: Snapshot) -> str | None:
    definition = await snapshot.machine.definition(inactive=True)
    return None if definition is None else definition.to_text()


async def _read_addresses(snapshot: Snapshot) -> list[dict[str, Any]]:
    return [asdict(address) for address in await snapshot.machine.addresses()] if snapshot.active else []


async def _read_counters(snapshot: Snapshot) -> list[dict[str, Any]]:
    return [asdict(card) for card in await snapshot.machine.network_info()] if snapshot.active else []


async def _read_roster(snapshot: Snapshot) -> list[dict[str, Any]]:
    return [asdict(contact) for contact in await snapshot.machine.roster()]


async def _read_organisation(snapshot: Snapshot) -> dict[str, Any]:
    return asdict((await snapshot.machine.vcard()).organisation)


PARTS: Mapping[str, Callable[[Snapshot], Awaitable[Any]]] = {
    "definition": _read_definition,
    "addresses": _read_addresses,
    "counters": _read_counters,
    "roster": _read_roster,
    "organisation": _read_organisation,
}
