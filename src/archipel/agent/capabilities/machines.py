# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hypervisor's machines: listed, made, freed, adopted, let go, renamed (namespace ``archipel:hypervisor:control``)."""

from __future__ import annotations

import dataclasses

from archipel.agent import allocation, definition
from archipel.agent.dispatch import Caller, Chat, command
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.virt.errors import DomainNotFound
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import hypervisor as wire
from archipel.protocol.changes import DefinitionChange
from archipel.protocol.errors import CommandError, Condition, ErrorCode
from archipel.protocol.events import Topic
from archipel.protocol.rights import EntityKind
from archipel.protocol.vcard import Organisation

HYPERVISOR = EntityKind.HYPERVISOR


def _say_machines(items: tuple[wire.RosterItem, ...]) -> str:
    lines = [f"{item.name} ({item.jid}){'' if item.managed else ', not managed'}" for item in items]
    return "\n".join(lines) or "There is no machine here."


@command(
    wire.RosterVM,
    on=HYPERVISOR,
    right="rostervm",
    failure=ErrorCode.ROSTER_VM,
    chat=Chat(("roster", "vms", "virtual machines", "domains"), _say_machines),
)
async def list_machines(hypervisor: Hypervisor, _request: wire.RosterVM, _caller: Caller) -> tuple[wire.RosterItem, ...]:
    """All virtual machines of this host."""
    domain = hypervisor.services.settings.xmpp.domain
    managed = [wire.RosterItem(managed=True, name=vm.name, jid=vm.full) for vm in hypervisor.machines.values()]
    others = [
        wire.RosterItem(managed=False, name=entry.name, jid=f"{entry.uuid}@{domain}")
        for entry in await hypervisor.services.host.domains()
        if entry.uuid not in hypervisor.machines and entry.persistent
    ]
    return tuple(sorted(managed + others, key=lambda item: item.jid))


@command(
    wire.Alloc, on=HYPERVISOR, right="alloc", failure=ErrorCode.ALLOC, chat=Chat(("alloc [name]",), lambda made: f"I made {made.jid}.")
)
async def alloc(hypervisor: Hypervisor, request: wire.Alloc, caller: Caller) -> wire.MachineAddress:
    """Make a virtual machine, with this name or one that I choose."""
    organisation = Organisation(request.orgname, request.orgunit, request.locality, request.userid, request.categories)
    wish = allocation.Wish(request.name.strip(), organisation, request.uuid, request.domain)
    machine = await allocation.allocate(hypervisor, caller, wish)
    return wire.MachineAddress(jid=machine.bare)


@command(
    wire.Free,
    on=HYPERVISOR,
    right="free",
    failure=ErrorCode.FREE,
    chat=Chat(
        ("free {jid}",),
        lambda gone: f"{gone.jid} is gone.",
        questions={"jid": "Which machine (name, UUID or JID)?"},
        confirm="This removes the machine with its disks, for ever.",
    ),
)
async def free(hypervisor: Hypervisor, request: wire.Free, caller: Caller) -> wire.MachineAddress:
    """Destroy a virtual machine, named by name, UUID or JID, with its disks."""
    keep_disks = allocation.keeps_disks(request.keep)
    machine = hypervisor.find(request.jid)
    await allocation.destroy(machine, keep_disks=keep_disks)
    await allocation.finish_free(hypervisor, machine, caller.bare)
    return wire.MachineAddress(jid=request.jid)


@command(wire.Manage, on=HYPERVISOR, right="manage", failure=ErrorCode.MANAGE)
async def manage(hypervisor: Hypervisor, request: wire.Manage, caller: Caller) -> None:
    """Take existing domains in."""
    await allocation.adopt(hypervisor, caller, [reference.jid for reference in request.machines])


@command(wire.Unmanage, on=HYPERVISOR, right="unmanage", failure=ErrorCode.UNMANAGE)
async def unmanage(hypervisor: Hypervisor, request: wire.Unmanage, _caller: Caller) -> None:
    """Let machines go, as they are."""
    await allocation.let_go(hypervisor, [reference.jid for reference in request.machines])


@command(wire.SetOrganisation, on=HYPERVISOR, right="setorginfo", failure=ErrorCode.SET_ORGANISATION)
async def set_organisation(hypervisor: Hypervisor, request: wire.SetOrganisation, _caller: Caller) -> wire.MachineAddress:
    """Change name and organisation of a machine that is off."""
    machine = hypervisor.find(request.target)
    machine.refuse_migrating()
    if not await _is_off(machine):
        raise CommandError(f"{machine.name} is running: shut it down first", condition=Condition.UNEXPECTED_REQUEST)
    name = (request.name or machine.name).strip()
    renamed = name != machine.name
    if renamed:
        await definition.rename(machine, name)  # libvirt's event of it is pushed
    fields = {field.name: getattr(request, field.name) for field in dataclasses.fields(Organisation)}
    organisation = dataclasses.replace(machine.organisation, **{name: value for name, value in fields.items() if value is not None})
    await hypervisor.services.store.set_organisation(machine.uuid, organisation)
    await machine.rename(machine.name, organisation)
    if not renamed:
        machine.push(Topic.VM_DEFINITION, DefinitionChange.DEFINED)  # founding clients read name and organisation anew when they see it
    return wire.MachineAddress(jid=machine.full)


async def _is_off(machine: VirtualMachine) -> bool:
    try:
        return (await machine.domain.state()).is_off
    except DomainNotFound:
        return True
