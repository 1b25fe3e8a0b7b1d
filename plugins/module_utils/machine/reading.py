# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Machines as module ``vm_info`` reads them: all at once, filtered, with as much as was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.directory import Directory, find_machines
from ansible_collections.archipel.platform.plugins.module_utils.machine.host import Host
from ansible_collections.archipel.platform.plugins.module_utils.machine.snapshot import Snapshot

try:
    from archipel.protocol.declaration import Part

    DESCRIBED = {"definition": Part.DEFINITION, "roster": Part.ROSTER, "organisation": Part.ORGANISATION}
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from archipel.client import Hypervisor, VirtualMachine
    from archipel.client.declaration import MachineDescription


async def read_machines(hypervisor: Hypervisor, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the machines that were asked for, sorted by name."""
    host = Host(Directory(hypervisor, ()))
    machines = await _keep_tagged(await _choose(hypervisor, arguments["names"]), host, arguments)
    snapshots = await _take_snapshots(machines, host, arguments)
    found = await asyncio.gather(*(_read(snapshot, host, arguments) for snapshot in snapshots))
    return sorted(found, key=lambda machine: (machine["name"], machine["uuid"]))


async def _choose(hypervisor: Hypervisor, names: list[str] | None) -> list[VirtualMachine]:
    if names is not None:
        return [named.entity for named in await find_machines(hypervisor, names)]
    directory = await Directory.load(hypervisor, ())
    return [directory.open(entry) for entry in directory.entries if entry.managed]


async def _keep_tagged(machines: list[VirtualMachine], host: Host, arguments: Mapping[str, Any]) -> list[VirtualMachine]:
    wanted = set(arguments["tags"] or ())
    return [machine for machine in machines if wanted <= set(await host.tags_of(machine.bare))] if wanted else machines


async def _take_snapshots(machines: list[VirtualMachine], host: Host, arguments: Mapping[str, Any]) -> list[Snapshot]:
    """Return how the machines are that are in a wanted state; of the others no more than that state is asked for."""
    states, uuids = arguments["states"], [machine.uuid for machine in machines]
    more = [DESCRIBED[part] for part in arguments["gather"] if part in DESCRIBED]
    await host.preload(uuids, [Part.INFO, *(more if states is None else ())])
    snapshots = await asyncio.gather(*(Snapshot.take(machine, host) for machine in machines))
    if states is None:
        return snapshots
    kept = [snapshot for snapshot in snapshots if str(snapshot.state) in states]
    if more:
        await host.preload([snapshot.machine.uuid for snapshot in kept], more)
    return [replace(snapshot, description=host.take_description(snapshot.machine.uuid)) for snapshot in kept]


async def _read(snapshot: Snapshot, host: Host, arguments: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if arguments["tags"] or "tags" in arguments["gather"]:
        told["tags"] = sorted(await host.tags_of(snapshot.machine.bare))
    parts = [part for part in dict.fromkeys(arguments["gather"]) if part in PARTS]
    values = await asyncio.gather(*(PARTS[part](snapshot) for part in parts))
    return {**snapshot.report(), **told, **dict(zip(parts, values, strict=True))}


async def _read_definition(snapshot: Snapshot) -> str | None:
    described = _given(snapshot, Part.DEFINITION)
    definition = described.stored if described else await snapshot.machine.definition(inactive=True)
    return None if definition is None else definition.to_text()


async def _read_addresses(snapshot: Snapshot) -> list[dict[str, Any]]:
    return [asdict(address) for address in await snapshot.machine.addresses()] if snapshot.active else []


async def _read_counters(snapshot: Snapshot) -> list[dict[str, Any]]:
    return [asdict(card) for card in await snapshot.machine.network_info()] if snapshot.active else []


async def _read_roster(snapshot: Snapshot) -> list[dict[str, Any]]:
    described = _given(snapshot, Part.ROSTER)
    return [asdict(contact) for contact in (described.roster if described else await snapshot.machine.roster())]


async def _read_organisation(snapshot: Snapshot) -> dict[str, Any]:
    described = _given(snapshot, Part.ORGANISATION)
    return asdict(described.organisation if described else (await snapshot.machine.vcard()).organisation)


def _given(snapshot: Snapshot, part: Part) -> MachineDescription | None:
    """Return the description of a machine if this part is in it; whatever is not is asked of the machine, which says why."""
    described = snapshot.description
    return described if described is not None and described.gives(part) else None


PARTS: Mapping[str, Callable[[Snapshot], Awaitable[Any]]] = {
    "definition": _read_definition,
    "addresses": _read_addresses,
    "counters": _read_counters,
    "roster": _read_roster,
    "organisation": _read_organisation,
}
