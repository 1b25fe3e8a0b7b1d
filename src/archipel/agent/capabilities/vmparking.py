# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parked machines (namespaces ``archipel:hypervisor:vmparking`` and ``archipel:vm:vmparking``)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from xml.etree import ElementTree as ET

from archipel.agent import parked_machines, parking, shelving, unparking
from archipel.agent.dispatch import Caller, Chat, command
from archipel.agent.hypervisor import Hypervisor, parse_machine_uuid
from archipel.agent.names import name_key
from archipel.agent.parking_settings import ParkingSettings
from archipel.agent.store import StoreError
from archipel.agent.virt.errors import VirtError
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import parking as wire
from archipel.protocol.errors import BadRequest, CommandError, Condition
from archipel.protocol.parking import ParkingCode
from archipel.protocol.rights import ANY_ENTITY, ON_HYPERVISOR, EntityKind, Token
from archipel.xmpp.errors import WireError

SETTINGS = ParkingSettings
HYPERVISOR, VM = EntityKind.HYPERVISOR, EntityKind.VIRTUAL_MACHINE

TOKENS = (
    Token("vmparking_park", "Park machines: take them off the host, with disks, account and rights kept", ANY_ENTITY),
    Token("vmparking_list", "See the parked machines", ON_HYPERVISOR),
    Token("vmparking_unpark", "Bring parked machines back, within the domain policy", ON_HYPERVISOR),
    Token("vmparking_delete", "Delete parked machines with their disks", ON_HYPERVISOR),
    Token("vmparking_edit_definition", "Change the definition of parked machines, within the domain policy", ON_HYPERVISOR),
    Token("vmparking_updatexml", "Change the definition of parked machines, as the founding web client asks for it", ON_HYPERVISOR),
    Token("vmparking_create_parked", "Make machines that are parked from the beginning, within the domain policy", ON_HYPERVISOR),
)


def _say_parked(found: tuple[wire.ParkedMachine, ...]) -> str:
    lines = [f"{machine.name} ({machine.uuid}), parked by {machine.parker} on {machine.date}" for machine in found]
    return "\n".join(lines) or "No machine is parked here."


@command(
    wire.ListParked,
    on=HYPERVISOR,
    right="vmparking_list",
    failure=ParkingCode.LIST,
    chat=Chat(("park list", "parked [filter]"), _say_parked),
)
async def list_parked(hypervisor: Hypervisor, request: wire.ListParked, _caller: Caller) -> tuple[wire.ParkedMachine, ...]:
    """The parked machines, thirty at a time."""
    await parking.wait_finished(hypervisor)
    return parked_machines.show_page(await shelving.all_parked(hypervisor), request.page, request.filter)


@command(
    wire.Park,
    on=HYPERVISOR,
    right="vmparking_park",
    failure=ParkingCode.PARK,
    chat=Chat(
        ("park {named}",),
        lambda _: "Parked.",
        confirm="Those that run are switched off as by pulling the plug: what their guests have not saved is lost.",
    ),
)
async def park(hypervisor: Hypervisor, request: wire.Park, caller: Caller) -> None:
    """Switch machines off and park them: names or UUIDs, with commas between."""
    uuids = [parse_machine_uuid(item.uuid, "uuid") for item in request.items]

    async def park_one(reference: str) -> None:
        machine = hypervisor.find(reference)
        await parking.take_off(machine, caller.bare, force=True)
        await parking.finish(hypervisor, machine, caller.bare)

    await _do_each("park", _some([*uuids, *_split(request.named)]), park_one)


@command(
    wire.Unpark,
    on=HYPERVISOR,
    right="vmparking_unpark",
    failure=ParkingCode.UNPARK,
    chat=Chat(("unpark {named}",), lambda _: "I bring back what is parked; I say when it is there."),
)
async def unpark(hypervisor: Hypervisor, request: wire.Unpark, caller: Caller) -> None:
    """Bring parked machines back: names or UUIDs, with commas between."""
    wanted = {parse_machine_uuid(item.identifier, "identifier"): item.start for item in request.items}
    wanted |= {await _find_uuid(hypervisor, reference): False for reference in _split(request.named)}
    _some(wanted)
    for uuid in [uuid for uuid in wanted if uuid in hypervisor.machines]:
        del wanted[uuid]  # it is here already, which is what was asked for
    for uuid in wanted:
        parked = await unparking.find_parked(hypervisor, uuid)
        await unparking.refuse_hindered(hypervisor, parked)
        await shelving.refuse_unreachable(hypervisor, parked)
    for uuid, start in wanted.items():
        hypervisor.spawn(unparking.run(hypervisor, caller, uuid, start=start))


@command(wire.DeleteParked, on=HYPERVISOR, right="vmparking_delete", failure=ParkingCode.DELETE)
async def delete(hypervisor: Hypervisor, request: wire.DeleteParked, caller: Caller) -> None:
    """Delete parked machines, with disks and accounts."""
    uuids = dict.fromkeys(parse_machine_uuid(item.identifier, "identifier") for item in request.items)
    for uuid in _some(uuids):
        await shelving.refuse_unreachable(hypervisor, await unparking.find_parked(hypervisor, uuid))
        await parked_machines.refuse_in_libvirt(hypervisor, uuid)
    for uuid in uuids:
        hypervisor.spawn(parked_machines.run_deletion(hypervisor, caller.bare, uuid))


@command(wire.EditDefinition, on=HYPERVISOR, right="vmparking_edit_definition", failure=ParkingCode.EDIT)
async def edit_definition(hypervisor: Hypervisor, request: wire.EditDefinition, caller: Caller) -> None:
    """Change the definition of a parked machine."""
    await _edit(hypervisor, request.identifier, request.domain, caller)


@command(wire.UpdateXml, on=HYPERVISOR, right="vmparking_updatexml", failure=ParkingCode.EDIT)
async def update_xml(hypervisor: Hypervisor, request: wire.UpdateXml, caller: Caller) -> None:
    """Change the definition of a parked machine, as founding clients ask for it."""
    await _edit(hypervisor, request.identifier, request.domain, caller)


async def _edit(hypervisor: Hypervisor, identifier: str, domain: ET.Element, caller: Caller) -> None:
    await parked_machines.change_definition(hypervisor, caller, parse_machine_uuid(identifier, "identifier"), domain)
    hypervisor.push(wire.TOPIC, wire.Change.UPDATED)


@command(wire.CreateParked, on=HYPERVISOR, right="vmparking_create_parked", failure=ParkingCode.CREATE)
async def create_parked(hypervisor: Hypervisor, request: wire.CreateParked, caller: Caller) -> None:
    """Make machines that are parked from the beginning."""
    domains = {parse_machine_uuid(item.uuid, "uuid"): item.domain for item in request.items}

    async def create_one(uuid: str) -> None:
        await parked_machines.create(hypervisor, caller, uuid, domains[uuid])
        hypervisor.push(wire.TOPIC, wire.Change.PARKED)

    await _do_each("create_parked", _some(domains), create_one)


@command(
    wire.ParkMachine,
    on=VM,
    right="vmparking_park",
    failure=ParkingCode.PARK,
    chat=Chat(
        ("park [force]",),
        lambda _: "See you.",
        confirm="With force I am switched off as by pulling the plug if I run: what my guest has not saved is lost.",
        confirm_when="force",
    ),
)
async def park_machine(vm: VirtualMachine, request: wire.ParkMachine, caller: Caller) -> None:
    """Park this machine; while it runs only with force."""
    await parking.take_off(vm, caller.bare, force=request.force)
    # The answer still goes out through this entity: what ends it comes after.
    parking.finish_soon(vm.hypervisor, vm, caller.bare)


def _split(named: str) -> list[str]:
    return [part.strip() for part in named.split(",") if part.strip()]


def _some(found: Iterable[str]) -> list[str]:
    if not (listed := list(dict.fromkeys(found))):
        raise BadRequest("item: is missing, at least one machine must be named")
    return listed


async def _find_uuid(hypervisor: Hypervisor, reference: str) -> str:
    """Return the UUID of the parked machine that a name or a UUID means."""
    await parking.wait_finished(hypervisor)
    parked = await shelving.all_parked(hypervisor)
    found = [one.uuid for one in parked if one.uuid == reference.lower() or name_key(one.name) == name_key(reference)]
    if not found:
        raise CommandError(f"named: no machine {reference!r} is parked on {hypervisor.name}", condition=Condition.ITEM_NOT_FOUND)
    if len(found) > 1:
        raise CommandError(f"named: {reference!r} can mean {' or '.join(found)}: give the UUID", condition=Condition.CONFLICT)
    return found[0]


async def _do_each(action: str, references: Iterable[str], work: Callable[[str], Awaitable[None]]) -> None:
    """Try each; the error of a single one is its own, of several it names those that failed, the others are done."""
    failed: dict[str, Exception] = {}
    for reference in (listed := list(references)):
        try:
            await work(reference)
        except (CommandError, VirtError, WireError, StoreError) as error:
            failed[reference] = error
    if len(listed) == 1 and failed:
        raise failed[listed[0]]
    if failed:
        raise CommandError(f"{action} failed for " + "; ".join(f"{name}: {error}" for name, error in failed.items()))
