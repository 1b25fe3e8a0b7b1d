# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel show``: one machine in full."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import asdict
from typing import Any, TypeVar

import click

from archipel.cli.finder import FAILURES
from archipel.cli.invocation import Run, in_session
from archipel.client.failures import describe
from archipel.client.machine_state import MachineState
from archipel.client.virtual_machine import VirtualMachine
from archipel.protocol.domain.devices import Disk, Interface
from archipel.protocol.domain.domain import Domain
from archipel.protocol.vcard import VCard
from archipel.protocol.virtual_machine import Info

KIB_PER_MIB = 1024
ResultT = TypeVar("ResultT")


@click.command()
@click.argument("machine")
@click.option("--xml", is_flag=True, help="Print the definition as libvirt has it, and nothing else.")
@click.option("--inactive", is_flag=True, help="The definition that the next start uses, where it differs.")
@in_session
async def show(run: Run, machine: str, xml: bool, inactive: bool) -> None:
    """Show a machine: state, devices, tags, owner, and your rights on it."""
    found = await run.finder.machine(machine)
    if xml:
        await _show_xml(run, found, inactive=inactive)
        return
    unread: dict[str, str] = {}
    info, domain, card, tags, rights = await asyncio.gather(
        found.info(),
        _try(found.definition(inactive=inactive), "definition", unread),
        _try(found.vcard(), "vcard", unread),
        _try(found.tags(), "tags", unread),
        _try(found.rights_of(run.session.jid), "rights", unread),
    )
    facts = {"name": found.name or (card.name if card else ""), "uuid": found.uuid, "jid": str(found.jid), **_facts(info, domain, card)}
    if inactive and domain is not None:
        facts |= _of_next_start(domain)
    facts |= {"tags": list(tags or ()), "rights": sorted(rights or ()), "unread": unread}
    run.output.json(facts) if run.output.as_json else run.output.facts(_lines(facts))


async def _show_xml(run: Run, machine: VirtualMachine, *, inactive: bool) -> None:
    domain = await machine.definition(inactive=inactive)
    text = "" if domain is None else domain.to_text()
    run.output.json({"xml": text or None}) if run.output.as_json else run.output.line(text)


async def _try(reading: Awaitable[ResultT], name: str, unread: dict[str, str]) -> ResultT | None:
    """Return what is read, or ``None`` and say in ``unread`` why not: who lacks one right may still see the rest."""
    try:
        return await reading
    except FAILURES as error:
        unread[name] = describe(error)
        return None


def _facts(info: Info | None, domain: Domain | None, card: VCard | None) -> dict[str, Any]:
    facts: dict[str, Any] = {"state": str(MachineState.of(info))}
    if info is not None:
        facts |= {
            "hypervisor": info.hypervisor,
            "memory_kib": info.memory,
            "max_memory_kib": info.max_memory,
            "vcpus": info.vcpus,
            "cpu_percent": info.cpu_percent,
            "autostart": info.autostart,
        }
    if domain is not None:
        facts |= {"disks": [_disk(disk) for disk in domain.disks], "interfaces": [_interface(card) for card in domain.interfaces]}
    if card is not None:
        facts |= {"organisation": asdict(card.organisation)}
    return facts


def _of_next_start(domain: Domain) -> dict[str, Any]:
    """Return what ``info`` tells of the running machine, as the definition has it."""
    memory = domain.memory or 0
    return {"memory_kib": domain.current_memory or memory, "max_memory_kib": memory, "vcpus": domain.vcpus}


def _disk(disk: Disk) -> dict[str, str | None]:
    volume = f"{disk.pool}/{disk.volume}" if disk.pool else None
    source = disk.path or disk.block or volume or disk.network_name
    return {"target": disk.target, "device": disk.device, "bus": disk.bus, "source": source, "format": disk.format}


def _interface(card: Interface) -> dict[str, str | None]:
    return {"mac": card.mac, "type": card.type, "source": card.network or card.bridge or card.host_device, "model": card.model}


def _lines(facts: dict[str, Any]) -> list[tuple[str, str]]:
    lines = [(name, str(facts.get(name, ""))) for name in ("name", "state", "uuid", "jid", "hypervisor")]
    if "vcpus" in facts:
        memory = f"{facts['memory_kib'] // KIB_PER_MIB} MiB of {facts['max_memory_kib'] // KIB_PER_MIB} MiB"
        lines += [("memory", memory), ("vcpus", f"{facts['vcpus']} (at {facts['cpu_percent']} % of the host)")]
        lines += [("autostart", "yes" if facts["autostart"] else "no")]
    lines += [("owner", facts.get("organisation", {}).get("userid", "")), ("tags", " ".join(facts["tags"]))]
    lines += [("disk", _words(disk)) for disk in facts.get("disks", ())]
    lines += [("interface", _words(card)) for card in facts.get("interfaces", ())]
    lines += [("rights", " ".join(facts["rights"]))]
    return lines + [(f"{name}?", why) for name, why in facts["unread"].items()]


def _words(device: dict[str, str | None]) -> str:
    return " ".join(value for value in device.values() if value)
