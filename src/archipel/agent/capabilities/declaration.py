# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many machines in one answer (namespace ``archipel:declaration``)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any, Final, cast

from archipel.agent import definition, guest_facts
from archipel.agent.capabilities import control, guest, rules
from archipel.agent.description_pages import Wanted, make_page
from archipel.agent.dispatch import Caller, Command, command, perform
from archipel.agent.guest_round import Question, Read, Told, ask_guests
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.store import StoreError
from archipel.agent.virt import guest_agent, sights
from archipel.agent.virt.errors import DomainNotFound, VirtError
from archipel.agent.virt.interfaces import Leases
from archipel.agent.virt.sights import Outcome, Sight
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import declaration as wire
from archipel.protocol.declaration import GUEST_PARTS, DeclarationCode, Part, PartItem
from archipel.protocol.errors import CommandError, Condition, LibvirtFailed, PermissionDenied
from archipel.protocol.every_entity import GetRoster
from archipel.protocol.guest import GetGuest
from archipel.protocol.payload import Request
from archipel.protocol.rights import EntityKind
from archipel.protocol.rules import ListRules
from archipel.protocol.scheduler import ListJobs
from archipel.protocol.snapshots import GetSnapshots, Snapshot
from archipel.protocol.virtual_machine import GetAddresses, GetDescription, GetInfo

HYPERVISOR = EntityKind.HYPERVISOR
_QUESTIONS: Final[Mapping[Part, Request[Any]]] = {
    Part.INFO: GetInfo(),
    Part.DEFINITION: GetDescription(),
    Part.ROSTER: GetRoster(),
    Part.RIGHTS: ListRules(),
    Part.SNAPSHOTS: GetSnapshots(),
    Part.SCHEDULE: ListJobs(),
    Part.ADDRESSES: GetAddresses(),
    Part.SYSTEM: GetGuest(),
}
"""What a machine itself is asked for a part; who may not ask that gets no such part. The others everybody sees who is known."""
VISIT: Final = 8
"""Machines that are read in one visit to libvirt: to hand each question to a thread and back takes longer than libvirt does."""
MOST_GUESTS_AT_ONCE: Final = 128
"""Machines that are read at once where guests may be asked: those that are silent are then waited for together."""
_NOTHING: Final = wire.Describe.of((), (), None)
_OF_LIBVIRT: Final = frozenset({Part.INFO, Part.DEFINITION, Part.SNAPSHOTS, *GUEST_PARTS})

Teller = Callable[..., Coroutine[Any, Any, PartItem]]
"""Returns a part, as handlers of commands return answers, told their command first; its name is put in later."""
Tags = Mapping[str, tuple[str, ...]] | StoreError
Guests = Mapping[tuple[str, Part], Told]
"""What guests told, by the UUIDs of their machines; about whom none was asked, the host knows all."""


@command(wire.Describe, on=HYPERVISOR, right=None, failure=DeclarationCode.DESCRIBE)
async def describe(hypervisor: Hypervisor, request: wire.Describe, caller: Caller) -> wire.DescriptionPage:
    """Machines with as much of each as you may see, all in one answer."""
    wanted = {str(machine.uuid) for machine in request.machines} or hypervisor.machines.keys()
    known = (vm for uuid, vm in sorted(hypervisor.machines.items()) if uuid in wanted and vm.knows(caller.bare))
    parts = wire.read_parts(request.parts)
    at_once = None if set(parts).isdisjoint(GUEST_PARTS) else MOST_GUESTS_AT_ONCE
    return await make_page(known, parts, request.next, partial(_describe, hypervisor, caller), at_once)


async def _describe(hypervisor: Hypervisor, caller: Caller, wanted: Sequence[Wanted]) -> AsyncGenerator[list[PartItem], None]:
    """Yield the parts of machines; what one may not see, or what cannot be read, says so in its place.

    While some are told, libvirt is asked for those after them; guests are asked all at once.
    """
    views = [_View(vm, parts, caller) for vm, parts in wanted]
    leases = await _read_leases(hypervisor, views)
    groups = [views[start : start + VISIT] for start in range(0, len(views), VISIT)]
    visits = [asyncio.create_task(_look(hypervisor, group, leases)) for group in groups]
    try:
        tags = await _read_tags(hypervisor, views)
        guests = await _ask_guests(views, visits)
        for group, visit in zip(groups, visits, strict=True):
            seen = await visit
            for view in group:
                if view.of_libvirt and view.vm.uuid not in seen:
                    return
                yield await view.tell(seen.get(view.vm.uuid), tags, guests)
    finally:
        for visit in visits:
            visit.cancel()


async def _look(hypervisor: Hypervisor, views: Iterable[_View], leases: Leases) -> dict[str, Outcome]:
    asked = [view.want_sight(leases) for view in views if view.of_libvirt]
    return await hypervisor.services.host.look_at(asked) if asked else {}


async def _read_leases(hypervisor: Hypervisor, views: Iterable[_View]) -> Leases:
    """Return what the networks gave away, if that is wanted; where they cannot be asked, each domain is."""
    if not any(Part.ADDRESSES in view.permitted for view in views):
        return {}
    try:
        return await hypervisor.services.host.networks.all_leases()
    except VirtError:
        return {}


async def _ask_guests(views: Iterable[_View], visits: Iterable[asyncio.Task[dict[str, Outcome]]]) -> Guests:
    """Ask the guests of all machines for what only they know."""
    asking = [view for view in views if not view.permitted.keys().isdisjoint(GUEST_PARTS)]
    if not asking:
        return {}
    seen = {uuid: outcome for visit in visits for uuid, outcome in (await visit).items()}
    questions = {(view.vm.uuid, part): asked for view in asking for part, asked in view.question_guest(seen.get(view.vm.uuid))}
    told = await ask_guests(list(questions.values()))
    return {place: told[asked] for place, asked in questions.items()}


async def _read_tags(hypervisor: Hypervisor, views: Iterable[_View]) -> Tags:
    """Return the tags of those machines of which they are wanted, in one visit to the database, or why they cannot be read."""
    try:
        return await hypervisor.services.store.tags_of(view.vm.uuid for view in views if Part.TAGS in view.permitted)
    except StoreError as error:
        return error


class _View:
    """One machine as one person sees it."""

    def __init__(self, vm: VirtualMachine, parts: tuple[Part, ...], caller: Caller) -> None:
        self.vm = vm
        self.parts = parts
        self.caller = caller
        self.sequence = vm.events.sequence
        self.permitted: dict[Part, Command] = {}
        self._told: dict[Part, PartItem] = {}
        for part in parts:
            try:
                self.permitted[part] = _permit(vm, part, caller)
            except CommandError as error:
                self._told[part] = _tell_error(error)

    @property
    def of_libvirt(self) -> bool:
        """Whether libvirt has to be asked."""
        return not self.permitted.keys().isdisjoint(_OF_LIBVIRT)

    def want_sight(self, leases: Leases) -> sights.Wanted:
        """Return what libvirt is asked."""
        asked = leases if Part.ADDRESSES in self.permitted else None
        return sights.Wanted(self.vm.domain, Part.DEFINITION in self.permitted, Part.SNAPSHOTS in self.permitted, asked)

    def question_guest(self, seen: Outcome | None) -> Iterator[tuple[Part, Question]]:
        """Yield what the guest is asked: nothing if the machine is off, and no address that the host knows."""
        if not isinstance(seen, Sight) or not seen.runs:
            return
        if Part.ADDRESSES in self.permitted and seen.addresses is not None and seen.addresses.guest_knows:
            yield Part.ADDRESSES, Question(self.vm, "guest addresses", guest_agent.read_addresses, _ask_addresses)
        if Part.SYSTEM in self.permitted:
            yield Part.SYSTEM, Question(self.vm, "guest system", guest_agent.read_system, guest.ask)

    async def tell(self, seen: Outcome | None, tags: Tags, guests: Guests) -> list[PartItem]:
        """Return the parts."""
        sources: dict[Part, Teller] = {
            Part.INFO: partial(_tell_info, seen, self.sequence),
            Part.DEFINITION: partial(_tell_definition, seen),
            Part.ORGANISATION: _tell_organisation,
            Part.ROSTER: _tell_roster,
            Part.RIGHTS: _tell_rights,
            Part.TAGS: partial(_tell_tags, tags),
            Part.SNAPSHOTS: partial(_tell_snapshots, seen),
            Part.SCHEDULE: _tell_schedule,
            Part.ADDRESSES: partial(_tell_addresses, seen, guests.get((self.vm.uuid, Part.ADDRESSES))),
            Part.SYSTEM: partial(_tell_system, seen, guests.get((self.vm.uuid, Part.SYSTEM))),
        }
        for part, found in self.permitted.items():
            self._told[part] = await self._try(found, partial(sources[part], found))
        return [replace(self._told[part], name=part) for part in self.parts]

    async def _try(self, found: Command, tell: Teller) -> PartItem:
        try:
            return cast(PartItem, await perform(self.vm, replace(found, handler=tell), _NOTHING, self.caller))
        except CommandError as error:
            return _tell_error(error)


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


def _tell_error(error: CommandError) -> PartItem:
    if isinstance(error, PermissionDenied):
        return PartItem.of(denied=error.right)
    return PartItem.of(failed=error.text, code=error.code if isinstance(error, LibvirtFailed) else None)


# -- the parts ----------------------------------------------------------------------------------------------------------


def _require(seen: Outcome | None) -> sights.Sight | None:
    """Return what was seen of a domain, ``None`` if there is none; raises what went wrong with it."""
    if seen is None or isinstance(seen, DomainNotFound):
        return None
    if isinstance(seen, VirtError):
        raise seen
    return seen


async def _tell_info(
    seen: Outcome | None, sequence: int, _found: Command, vm: VirtualMachine, _request: object, _caller: Caller
) -> PartItem:
    sight = _require(seen)
    return PartItem.of(info=None if sight is None else control.tell_info(vm, sight.info, sequence))


async def _tell_definition(seen: Outcome | None, _found: Command, _vm: VirtualMachine, _request: object, _caller: Caller) -> PartItem:
    sight = _require(seen)
    if sight is None:
        return PartItem.of()
    return PartItem.of(
        stored=None if sight.stored is None else wire.StoredDefinition(domain=definition.describe_briefly(sight.stored)),
        running=None if sight.running is None else wire.RunningDefinition(domain=definition.describe_briefly(sight.running)),
    )


async def _tell_organisation(_found: Command, vm: VirtualMachine, _request: object, _caller: Caller) -> PartItem:
    return PartItem.of(organisation=wire.OrganisationItem(**asdict(vm.organisation)))


async def _tell_tags(tags: Tags, _found: Command, vm: VirtualMachine, _request: object, _caller: Caller) -> PartItem:
    if isinstance(tags, StoreError):
        raise tags
    return PartItem.of(tags=tuple(wire.TagItem(word=word) for word in tags.get(vm.uuid, ())))


async def _tell_roster(found: Command, vm: VirtualMachine, _request: object, caller: Caller) -> PartItem:
    return PartItem.of(roster=await found.handler(vm, GetRoster(), caller))


async def _tell_rights(_found: Command, vm: VirtualMachine, _request: object, _caller: Caller) -> PartItem:
    return PartItem.of(rights=rules.list_own_rules(vm))


async def _tell_snapshots(seen: Outcome | None, found: Command, vm: VirtualMachine, _request: object, caller: Caller) -> PartItem:
    sight = _require(seen)
    if sight is None or sight.has_snapshots is False:
        return PartItem.of()
    snapshots = cast(tuple[Snapshot, ...], await found.handler(vm, GetSnapshots(), caller))
    return PartItem.of(snapshots=tuple(replace(snapshot, domain=None) for snapshot in snapshots))


async def _tell_schedule(found: Command, vm: VirtualMachine, _request: object, caller: Caller) -> PartItem:
    return PartItem.of(schedule=await found.handler(vm, ListJobs(), caller))


async def _tell_addresses(
    seen: Outcome | None, told: Told | None, _found: Command, _vm: VirtualMachine, _request: object, _caller: Caller
) -> PartItem:
    sight = _require(seen)
    if sight is None or sight.addresses is None:
        return PartItem.of()
    return PartItem.of(addresses=control.tell_addresses(sight.addresses.cards if told is None else told.tell()))


async def _tell_system(
    seen: Outcome | None, told: Told | None, _found: Command, _vm: VirtualMachine, _request: object, _caller: Caller
) -> PartItem:
    _require(seen)
    return PartItem.of(system=None if told is None else guest_facts.describe(told.tell(), None))


async def _ask_addresses(vm: VirtualMachine, call: str, read: Read) -> Any:
    """Ask a guest by the connection for guests alone; without that capability by the one that there is."""
    if vm.services.registry.serves(EntityKind.VIRTUAL_MACHINE, GetGuest.namespace):
        return await guest.ask(vm, call, read)
    return await vm.domain.ask_guest(call, read)
