# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many machines in one answer (namespace ``archipel:declaration``)."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Any, Final, cast
from xml.etree import ElementTree as ET

from archipel.agent import definition
from archipel.agent.capabilities import control, rules
from archipel.agent.description_pages import make_page
from archipel.agent.dispatch import Caller, Command, command, perform
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.virt.errors import DomainNotFound
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import declaration as wire
from archipel.protocol.declaration import DeclarationCode, Part, PartItem
from archipel.protocol.errors import CommandError, Condition, LibvirtFailed, PermissionDenied
from archipel.protocol.every_entity import GetRoster
from archipel.protocol.payload import Request
from archipel.protocol.rights import EntityKind
from archipel.protocol.rules import ListRules
from archipel.protocol.scheduler import ListJobs
from archipel.protocol.snapshots import GetSnapshots, Snapshot
from archipel.protocol.virtual_machine import GetDescription, GetInfo

HYPERVISOR = EntityKind.HYPERVISOR
_QUESTIONS: Final[Mapping[Part, Request[Any]]] = {
    Part.INFO: GetInfo(),
    Part.DEFINITION: GetDescription(),
    Part.ROSTER: GetRoster(),
    Part.RIGHTS: ListRules(),
    Part.SNAPSHOTS: GetSnapshots(),
    Part.SCHEDULE: ListJobs(),
}
"""What a machine itself is asked for a part; who may not ask that gets no such part. The others everybody may see who is known."""
_NOTHING: Final = wire.Describe.of((), (), None)
_OF_LIBVIRT: Final = (Part.INFO, Part.DEFINITION)

Teller = Callable[[VirtualMachine, Any, Caller], Coroutine[Any, Any, PartItem]]
"""Returns a part, as handlers of commands return answers; its name is put in later."""


@command(wire.Describe, on=HYPERVISOR, right=None, failure=DeclarationCode.DESCRIBE)
async def describe(hypervisor: Hypervisor, request: wire.Describe, caller: Caller) -> wire.DescriptionPage:
    """Machines with as much of each as you may see, all in one answer."""
    wanted = {str(machine.uuid) for machine in request.machines} or hypervisor.machines.keys()
    known = [vm for uuid, vm in sorted(hypervisor.machines.items()) if uuid in wanted and vm.knows(caller.bare)]
    return await make_page(known, wire.read_parts(request.parts), request.next, lambda vm, parts: _describe(vm, parts, caller))


async def _describe(vm: VirtualMachine, parts: tuple[Part, ...], caller: Caller) -> list[PartItem]:
    """Return these parts of a machine; one that is denied, or that cannot be read, says so in its place."""
    told: dict[Part, PartItem] = {}
    permitted: dict[Part, Command] = {}
    for part in parts:
        try:
            permitted[part] = _permit(vm, part, caller)
        except CommandError as error:
            told[part] = _tell_error(error)
    seen = [part for part in _OF_LIBVIRT if part in permitted]
    if seen:
        found = await _try(vm, seen[0], permitted[seen[0]], partial(_look, definitions=Part.DEFINITION in seen), caller)
        told |= {part: _share(found, part) for part in seen}
    for part in permitted.keys() - set(seen):
        told[part] = await _try(vm, part, permitted[part], partial(_TELLERS[part], permitted[part]), caller)
    return [replace(told[part], name=part) for part in parts]


def _share(seen: PartItem, part: Part) -> PartItem:
    """Return what one visit to libvirt found of this part."""
    return replace(seen, info=None) if part is Part.DEFINITION else replace(seen, stored=None, running=None)


def _permit(vm: VirtualMachine, part: Part, caller: Caller) -> Command:
    """Return the command that a part is asked for by. Raises the :class:`CommandError` with which it would be refused."""
    registry, question = vm.services.registry, _QUESTIONS.get(part)
    if question is None:
        found = registry.find(HYPERVISOR, wire.Describe.namespace, wire.Describe.action)
    else:
        found = registry.find(EntityKind.VIRTUAL_MACHINE, question.namespace, question.action)
    if found is None:
        raise CommandError(f"this agent serves no {part}: the capability is switched off", condition=Condition.FEATURE_NOT_IMPLEMENTED)
    if found.right is not None and not vm.decide(caller.bare, found.right).allowed:
        raise PermissionDenied(f"{caller.bare} lacks the right {found.right!r} on {vm.name}", found.right)
    vm.check_state(found)
    return found


async def _try(vm: VirtualMachine, part: Part, found: Command, tell: Teller, caller: Caller) -> PartItem:
    try:
        return cast(PartItem, await perform(vm, replace(found, handler=tell), _QUESTIONS.get(part, _NOTHING), caller))
    except CommandError as error:
        return _tell_error(error)


def _tell_error(error: CommandError) -> PartItem:
    if isinstance(error, PermissionDenied):
        return PartItem.of(denied=error.right)
    return PartItem.of(failed=error.text, code=error.code if isinstance(error, LibvirtFailed) else None)


# -- the parts ----------------------------------------------------------------------------------------------------------


async def _look(vm: VirtualMachine, _request: object, _caller: Caller, *, definitions: bool) -> PartItem:
    sequence = vm.events.sequence
    try:
        seen = await vm.domain.look(definitions=definitions)
    except DomainNotFound:
        return PartItem.of()
    return PartItem.of(
        info=control.tell_info(vm, seen.info, sequence),
        stored=None if seen.stored is None else wire.StoredDefinition(domain=_read(seen.stored)),
        running=None if seen.running is None else wire.RunningDefinition(domain=_read(seen.running)),
    )


def _read(text: str) -> ET.Element:
    """Return a definition without secrets, and without its indentation, which is a fifth of it."""
    root = definition.describe(text)
    for element in root.iter():
        if len(element) and not (element.text or "").strip():
            element.text = None
        if not (element.tail or "").strip():
            element.tail = None
    return root


async def _tell_organisation(_found: Command, vm: VirtualMachine, _request: object, _caller: Caller) -> PartItem:
    return PartItem.of(organisation=wire.OrganisationItem(**asdict(vm.organisation)))


async def _tell_tags(_found: Command, vm: VirtualMachine, _request: object, _caller: Caller) -> PartItem:
    record = await vm.services.store.machine(vm.uuid)
    return PartItem.of(tags=tuple(wire.TagItem(word=word) for word in (record.tags if record is not None else ())))


async def _tell_roster(found: Command, vm: VirtualMachine, _request: object, caller: Caller) -> PartItem:
    return PartItem.of(roster=cast(Any, await found.handler(vm, GetRoster(), caller)))


async def _tell_rights(_found: Command, vm: VirtualMachine, _request: object, _caller: Caller) -> PartItem:
    return PartItem.of(rights=rules.list_own_rules(vm))


async def _tell_snapshots(found: Command, vm: VirtualMachine, _request: object, caller: Caller) -> PartItem:
    try:
        snapshots = cast(tuple[Snapshot, ...], await found.handler(vm, GetSnapshots(), caller))
    except CommandError as error:
        if error.condition is not Condition.ITEM_NOT_FOUND:
            raise
        return PartItem.of()  # without a definition there are none
    return PartItem.of(snapshots=tuple(replace(snapshot, domain=None) for snapshot in snapshots))


async def _tell_schedule(found: Command, vm: VirtualMachine, _request: object, caller: Caller) -> PartItem:
    return PartItem.of(schedule=cast(Any, await found.handler(vm, ListJobs(), caller)))


_TELLERS: Final[Mapping[Part, Callable[..., Coroutine[Any, Any, PartItem]]]] = {
    Part.ORGANISATION: _tell_organisation,
    Part.ROSTER: _tell_roster,
    Part.RIGHTS: _tell_rights,
    Part.TAGS: _tell_tags,
    Part.SNAPSHOTS: _tell_snapshots,
    Part.SCHEDULE: _tell_schedule,
}
