# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What jobs can do: commands of the entity itself, as somebody could ask for them at that moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from xml.etree import ElementTree as ET

from archipel.agent.dispatch import Command
from archipel.agent.entity import Entity
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.virt.errors import VirtError
from archipel.agent.virt.lifecycle import DomainState
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import BadRequest, CommandError, Condition
from archipel.protocol.rights import EntityKind

SNAPSHOTS: Final = "archipel:virtualmachine:snapshoting"
PAUSE: Final = "pause"
VM, HYPERVISOR = EntityKind.VIRTUAL_MACHINE, EntityKind.HYPERVISOR


def _nothing(_parameter: str) -> ET.Element:
    return ET.Element("archipel")


def _named(name: str) -> Callable[[str], ET.Element]:
    """Make a request whose attribute ``name`` is the parameter, if there is one."""
    return lambda parameter: ET.Element("archipel", {name: parameter} if parameter else {})


def _snapshot(parameter: str) -> ET.Element:
    """Make a request for a snapshot; its name ends in the moment, so that each run makes its own."""
    request = ET.Element("archipel")
    snapshot = ET.SubElement(request, "domainsnapshot")
    ET.SubElement(snapshot, "name").text = f"{parameter or 'scheduled'}-{datetime.now():%Y%m%d-%H%M%S}"
    ET.SubElement(snapshot, "description").text = "taken by a scheduled job"
    return request


@dataclass(frozen=True)
class JobKind:
    """Something that jobs can do: ``commands`` (namespace, action) of which it is one, and what the parameter is.

    ``parameter`` empty: it takes none. ``optional``: it need not be there.
    """

    name: str
    on: EntityKind
    commands: tuple[tuple[str, str], ...]
    request: Callable[[str], ET.Element] = _nothing
    parameter: str = ""
    optional: bool = False


KINDS: Final = (
    *(JobKind(name, VM, ((ns.VM_CONTROL, name),)) for name in ("create", "shutdown", "destroy", "suspend", "resume", "reboot")),
    JobKind("migrate", VM, ((ns.VM_CONTROL, "migrate"),), _named("hypervisorjid"), "the full JID of the other hypervisor"),
    JobKind(PAUSE, VM, ((ns.VM_CONTROL, "suspend"), (ns.VM_CONTROL, "resume"))),
    JobKind("snapshot", VM, ((SNAPSHOTS, "take"),), _snapshot, "how the snapshots' names begin", optional=True),
    JobKind("alloc", HYPERVISOR, ((ns.HYPERVISOR_CONTROL, "alloc"),), _named("name"), "the machine's name", optional=True),
    JobKind("free", HYPERVISOR, ((ns.HYPERVISOR_CONTROL, "free"),), _named("jid"), "the machine's JID"),
)


def offered(entity: Entity) -> dict[str, JobKind]:
    """Return what jobs of this entity can do: that of which the agent has the commands."""
    registry = entity.services.registry
    kinds = (kind for kind in KINDS if kind.on is entity.kind)
    return {kind.name: kind for kind in kinds if all(registry.find(kind.on, *command) for command in kind.commands)}


def check_job(entity: Entity, name: str, parameter: str) -> None:
    """Raise :class:`BadRequest` if there is no such job, or the parameter is wrong for it."""
    kinds = offered(entity)
    kind = kinds.get(name)
    if kind is None:
        raise BadRequest(f"job: must be one of {', '.join(kinds)}, not {name[:40]!r}")
    if parameter and not kind.parameter:
        raise BadRequest(f"param: {name} takes none")
    if kind.parameter and not kind.optional and not parameter.strip():
        raise BadRequest(f"param: {name} needs {kind.parameter}")


async def find_command(entity: Entity, name: str, parameter: str) -> tuple[Command, ET.Element]:
    """Return the command that a job is at this moment, with its request; raises :class:`CommandError` if there is none."""
    check_job(entity, name, parameter)
    kind = offered(entity)[name]
    wanted = await _find_toggle(entity) if name == PAUSE else kind.commands[0]
    found = entity.services.registry.find(kind.on, *wanted)
    assert found is not None  # noqa: S101 - it would not be offered
    return found, kind.request(parameter)


async def _find_toggle(entity: Entity) -> tuple[str, str]:
    """Return what changes the state that is read now: a running machine pauses, a paused one goes on."""
    assert isinstance(entity, VirtualMachine)  # noqa: S101 - it is offered there alone
    try:
        state = await entity.domain.state()
    except VirtError as error:
        raise CommandError(f"the state cannot be read: {error}") from error
    wanted = {DomainState.RUNNING: "suspend", DomainState.PAUSED: "resume"}.get(state)
    if wanted is None:
        text = f"{entity.name} is neither running nor paused ({state.name.lower()})"
        raise CommandError(text, condition=Condition.UNEXPECTED_REQUEST)
    return ns.VM_CONTROL, wanted


def entity_of(hypervisor: Hypervisor, bare: str) -> Entity | None:
    """Return the entity of this agent with that address."""
    if bare == hypervisor.bare:
        return hypervisor
    machine = hypervisor.machines.get(bare.partition("@")[0])
    return machine if machine is not None and machine.bare == bare else None
