# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a machine comes from another hypervisor: expected, held, served; or forgotten.

The other hypervisor leads (:mod:`archipel.agent.departure`): nothing is done here of the agent's own accord. Each step can be asked
for again, and waits for those of the same machine that were asked for before: who has given up to wait for one asks for the next,
although the first may still be under way.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import replace

from archipel.agent import allocation, arrival_files, avatars, migration_store, oom_setting
from archipel.agent.addresses import find_address
from archipel.agent.definition import read_domain, read_stored, strip_founding_description
from archipel.agent.dispatch import Caller
from archipel.agent.domain_rules import refuse_forbidden
from archipel.agent.hand_over import settings_of
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.luggage import Luggage
from archipel.agent.migration_store import Incoming
from archipel.agent.parking_store import refuse_parked
from archipel.agent.secret import Secret
from archipel.agent.store import MachineRecord, StoreError
from archipel.agent.virt.errors import DomainNotFound, VirtError
from archipel.agent.virt.migration import Situation, read_downtime, read_situation
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import migration as wire
from archipel.protocol.changes import HypervisorChange
from archipel.protocol.domain.domain import Domain
from archipel.protocol.errors import BadRequest, CommandError, Condition
from archipel.protocol.events import Topic
from archipel.protocol.migration import Mode, Standing
from archipel.protocol.rights import EntityKind
from archipel.xmpp.errors import WireError

log = logging.getLogger(__name__)


async def migration_uri(hypervisor: Hypervisor) -> str:
    """Return where other hosts' libvirt reaches this one's."""
    settings, uri = settings_of(hypervisor), hypervisor.services.settings.libvirt.uri
    if settings.uri:
        return settings.uri
    return uri.replace("///", f"//{await find_address(hypervisor.services.settings)}/", 1) if "///" in uri else uri


# -- expected -----------------------------------------------------------------------------------------------------------


async def expect(hypervisor: Hypervisor, source: str, request: wire.Expect) -> wire.Destination:
    """Take name and UUID for a machine, and make room for its files; an error leaves nothing of it."""
    async with _in_order(hypervisor, request.uuid):
        return await _expect(hypervisor, source, request)


@contextlib.asynccontextmanager
async def _in_order(hypervisor: Hypervisor, uuid: str) -> AsyncIterator[None]:
    """Do one after the other what is asked about a machine."""
    turn = hypervisor.arrivals.setdefault(uuid, asyncio.Lock())
    async with turn:
        yield


async def _expect(hypervisor: Hypervisor, source: str, request: wire.Expect) -> wire.Destination:
    wanted, uuid = read_domain(request.domain), request.uuid
    if (wanted.uuid or "").strip().lower() != uuid or wanted.name != request.name:
        raise BadRequest("domain: it is not of the machine that is announced")
    strip_founding_description(wanted.element)
    incoming = Incoming(uuid=uuid, attempt=request.attempt, source=source, mover=request.mover, definition=wanted.to_text())
    async with hypervisor.naming:
        await _forget_former(hypervisor, incoming)
        await _refuse_known(hypervisor, uuid, request.name)
        await _refuse_forbidden(hypervisor, incoming, wanted, request.name)
        await migration_store.expect(hypervisor.services.store, incoming, request.name)
    try:
        shared, copied = await arrival_files.make_room(hypervisor, incoming, request)
        uri = await migration_uri(hypervisor)
    except (CommandError, StoreError):
        await _forget(hypervisor, await _find(hypervisor, incoming.uuid, incoming.attempt))
        raise
    return wire.Destination(uri=uri, address=settings_of(hypervisor).address or "", shared=shared, copied=",".join(copied))


async def _forget_former(hypervisor: Hypervisor, incoming: Incoming) -> None:
    """Forget what was announced of a machine before, and did not come."""
    former = await migration_store.find_incoming(hypervisor.services.store, incoming.uuid)
    if former is None or former.state is Standing.SERVED:
        return
    if former.state is Standing.HELD or former.source != incoming.source:
        text = f"the machine {incoming.uuid} is expected from {former.source} already: it, or an administrator, must forget that"
        raise CommandError(text, condition=Condition.CONFLICT)
    await _forget(hypervisor, former)


async def _refuse_known(hypervisor: Hypervisor, uuid: str, name: str) -> None:
    store = hypervisor.services.store
    if uuid in hypervisor.machines or await store.machine(uuid) is not None:
        raise CommandError(f"a machine with the UUID {uuid} is managed already", condition=Condition.CONFLICT)
    await refuse_parked(store, uuid)
    entries = await hypervisor.services.host.domains()
    if any(entry.uuid == uuid for entry in entries):
        text = f"libvirt has a domain with the UUID {uuid}, which nobody manages: an administrator must undefine it"
        raise CommandError(text, condition=Condition.CONFLICT)
    allocation.refuse_taken_name(hypervisor, name, uuid, entries)


async def _refuse_forbidden(hypervisor: Hypervisor, incoming: Incoming, wanted: Domain, name: str) -> None:
    """Judge a definition by this host's policy: what it names is this host's, whatever the other's administrator gave away."""
    record = MachineRecord(uuid=incoming.uuid, name=name, password=Secret(""))
    machine = VirtualMachine(hypervisor.services, hypervisor, record)
    try:
        await refuse_forbidden(machine, wanted, None, Caller(incoming.mover, incoming.mover))
    finally:
        await machine.close()


async def _find(hypervisor: Hypervisor, uuid: str, attempt: str, source: str = "") -> Incoming:
    """Return what was announced, or raise ``item-not-found``; of another hypervisor's machine nobody is told anything."""
    found = await migration_store.find_incoming(hypervisor.services.store, uuid)
    if found is None or found.attempt != attempt or (source and found.source != source):
        raise CommandError(f"no machine {uuid} was announced in this attempt", condition=Condition.ITEM_NOT_FOUND)
    return found


async def tell(hypervisor: Hypervisor, source: str, request: wire.GetArrival) -> wire.Arrival:
    """Return what became of a machine."""
    async with _in_order(hypervisor, request.uuid):
        try:
            found = await _find(hypervisor, request.uuid, request.attempt, source)
        except CommandError:
            return wire.Arrival(standing=Standing.UNKNOWN, domain=False)
        situation = await read_situation(hypervisor.services.host.domain(found.uuid))
        return wire.Arrival(standing=found.state, domain=_has_come(situation))


def _has_come(situation: Situation | None) -> bool:
    """Whether a domain is here for good, not just on its way: then libvirt tells of no job here, but that it was stopped midway."""
    if situation is None:
        return False
    return situation.persistent or (situation.active and not situation.busy and not situation.stopped_midway)


# -- held ---------------------------------------------------------------------------------------------------------------


async def hold(hypervisor: Hypervisor, source: str, request: wire.SoftAlloc) -> None:
    """Take over all that the other hypervisor remembers of a machine whose domain is here."""
    async with _in_order(hypervisor, request.uuid):
        await _hold(hypervisor, source, request)


async def _hold(hypervisor: Hypervisor, source: str, request: wire.SoftAlloc) -> None:
    incoming = await _find(hypervisor, request.uuid, request.attempt, source)
    if incoming.state is not Standing.EXPECTED:
        return
    bare = f"{incoming.uuid}@{hypervisor.services.settings.xmpp.domain}"
    luggage = Luggage.unpack(request.package, bare)
    incoming = await _take_domain(hypervisor, incoming, Mode(request.mode))
    if luggage.autostart:
        await hypervisor.services.host.domain(incoming.uuid).set_autostart(True)
    await asyncio.to_thread(keep_files, hypervisor, incoming.uuid, bare, luggage)
    record = luggage.record(incoming.uuid, Secret(request.password))
    await migration_store.hold(hypervisor.services.store, incoming, record, without_reserved(hypervisor, luggage))


async def _take_domain(hypervisor: Hypervisor, incoming: Incoming, mode: Mode) -> Incoming:
    """Have the machine's domain defined here, and running only if it ran."""
    domain = hypervisor.services.host.domain(incoming.uuid)
    if mode is Mode.PLAIN:
        incoming = replace(incoming, plain=True)
        await migration_store.keep_incoming(hypervisor.services.store, incoming)
        await domain.define(read_stored(incoming.definition).to_text())
        return incoming
    situation = await read_situation(domain)
    if situation is None or not _has_come(situation):
        raise CommandError(f"libvirt has no domain {incoming.uuid} that could be held", condition=Condition.ITEM_NOT_FOUND)
    if mode is Mode.PAUSED and situation.active:
        if not situation.paused:
            raise CommandError("the domain runs here, although it was off at its former host", condition=Condition.CONFLICT)
        await domain.destroy()
    return incoming


def keep_files(hypervisor: Hypervisor, uuid: str, bare: str, luggage: Luggage) -> None:
    """Keep what of a machine's luggage is in files here. Raises :class:`CommandError`."""
    settings = hypervisor.services.settings
    folder = settings.machines.base_path / uuid
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        if luggage.oom is not None:
            oom_setting.write_setting(folder, luggage.oom)
        if luggage.avatar is not None and avatars.find_picture(settings.vcard, luggage.avatar) is not None:
            avatars.keep_choice(settings, bare, luggage.avatar)
    except OSError as error:
        raise CommandError(f"the machine's files cannot be written: {error}") from error


def without_reserved(hypervisor: Hypervisor, luggage: Luggage) -> Luggage:
    """Leave out rights over this host that no administrator of this host gave, and roles that are none here.

    A role is what it is here: one that is made later, by the same name, was not meant.
    """
    rights = hypervisor.services.rights

    def is_reserved(token: str) -> bool:
        found = rights.catalogue.find(EntityKind.VIRTUAL_MACHINE, token)
        return found is not None and found.reserved

    def counts(giver: str, *tokens: str) -> bool:
        return rights.is_admin(giver) or not any(map(is_reserved, tokens))

    return replace(
        luggage,
        grants=tuple(grant for grant in luggage.grants if counts(grant.granted_by, grant.token)),
        rules=tuple(
            rule
            for rule in luggage.rules
            if rule.denies or (counts(rule.granted_by, *rights.book.tokens(rule)) and (not rule.is_role or rule.right in rights.book.roles))
        ),
    )


# -- served -------------------------------------------------------------------------------------------------------------


async def serve(hypervisor: Hypervisor, source: str, request: wire.Serve) -> None:
    """Begin to serve a machine that is held: its former hypervisor serves it no more."""
    async with _in_order(hypervisor, request.uuid):
        incoming = await _find(hypervisor, request.uuid, request.attempt, source)
        if incoming.state is Standing.SERVED:
            return
        record = await hypervisor.services.store.machine(incoming.uuid)
        if incoming.state is not Standing.HELD or record is None:
            raise CommandError(f"the machine {incoming.uuid} is not held here", condition=Condition.UNEXPECTED_REQUEST)
        with hypervisor.hold(incoming.uuid):
            machine = await _take_over(hypervisor, incoming, record)
    hypervisor.spawn(_introduce(hypervisor, machine, record, incoming))


async def _take_over(hypervisor: Hypervisor, incoming: Incoming, record: MachineRecord) -> VirtualMachine:
    """Let a machine have its entity; one that cannot have all that it needs is only held, as before, and is asked for again."""
    machine = hypervisor.adopt_record(record)
    try:
        await hypervisor.services.rights.recall(machine.bare)
        await hypervisor.services.registry.hooks.arrive(machine)
        await migration_store.serve(hypervisor.services.store, incoming)
    except StoreError:
        hypervisor.forget(machine)
        await machine.close()
        raise
    machine.start()
    return machine


async def _introduce(hypervisor: Hypervisor, machine: VirtualMachine, record: MachineRecord, incoming: Incoming) -> None:
    try:
        async with asyncio.timeout(allocation.LOGIN_WAIT):
            await machine.online.wait()
        if record.tags:
            await hypervisor.publish_tags(machine.bare, record.tags)
    except (TimeoutError, CommandError, WireError) as error:
        log.warning("%s: its tags are not shown: %s", machine.bare, error or "it does not log in")
    downtime = await _read_downtime(machine)
    stood_still = "" if downtime is None else f"; it stood still for {downtime} ms"
    log.info("%s (%s) has come from %s%s", machine.name, machine.uuid, incoming.source, stood_still)
    journey = wire.Journey(machine=machine.bare, source=incoming.source, downtime=downtime)
    hypervisor.push(Topic.HYPERVISOR, HypervisorChange.MIGRATE, journey.write())
    hypervisor.shout(f"The machine {machine.name} has come from {incoming.source}{stood_still}")


async def _read_downtime(machine: VirtualMachine) -> int | None:
    try:
        return await read_downtime(machine.domain)
    except VirtError as error:
        log.debug("%s: for how long it stood still cannot be read: %s", machine.bare, error)
        return None


# -- forgotten ----------------------------------------------------------------------------------------------------------


async def forget(hypervisor: Hypervisor, source: str, request: wire.Forget) -> None:
    """Forget a machine that does not come; an administrator (``source`` empty) leaves alone what libvirt has of it."""
    async with _in_order(hypervisor, request.uuid):
        try:
            incoming = await _find(hypervisor, request.uuid, request.attempt, source)
        except CommandError:
            return
        await _forget_expected(hypervisor, source, incoming)


async def _forget_expected(hypervisor: Hypervisor, source: str, incoming: Incoming) -> None:
    if incoming.state is not Standing.EXPECTED:
        raise CommandError(f"the machine {incoming.uuid} is {incoming.state} here", condition=Condition.CONFLICT)
    if not source and await read_situation(hypervisor.services.host.domain(incoming.uuid)) is not None:
        await migration_store.forget(hypervisor.services.store, incoming)
        return
    await _forget(hypervisor, incoming)


async def _forget(hypervisor: Hypervisor, incoming: Incoming) -> None:
    """Remove what there is of a machine that its present host has: libvirt's half too, if it came after all."""
    domain = hypervisor.services.host.domain(incoming.uuid)
    situation = await read_situation(domain)
    with contextlib.suppress(DomainNotFound):
        if situation is not None and situation.active:
            log.warning("%s: what came of it is stopped, for it runs at %s", incoming.uuid, incoming.source)
            await domain.destroy()
        if situation is not None and situation.persistent:
            await domain.undefine(keep_nvram=True)
    await asyncio.to_thread(arrival_files.remove_made, incoming)
    await migration_store.forget(hypervisor.services.store, incoming)
