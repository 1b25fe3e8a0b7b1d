# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving a machine to another hypervisor: announced there, carried by libvirt, handed over (:mod:`archipel.agent.departure`).

A machine that runs goes on running. One that is off and shares its folder with the other host moves by its definition alone; else it is
started without letting its guest do a single step, moves as one that runs does, with its disks and its firmware's variables, and
is switched off again at the other host.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import weakref
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from archipel.agent import departure, migration_plan, migration_store
from archipel.agent.departure import FAILURES
from archipel.agent.drive_work import work_on
from archipel.agent.hand_over import ask, find_peer, pack, refuse_too_large, settings_of
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.luggage import ROOM
from archipel.agent.migration_plan import Freight
from archipel.agent.migration_store import Outgoing
from archipel.agent.migration_tables import Leaving
from archipel.agent.one_each import one_per_hypervisor
from archipel.agent.store import StoreError
from archipel.agent.virt.errors import LibvirtError, VirtError
from archipel.agent.virt.migration import Route, give_up, migrate, read_progress, start_paused
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import CommandError, Condition, Unavailable
from archipel.protocol.migration import Destination, Expect, MigrationCode, Mode
from archipel.protocol.presence import Journey, Status
from archipel.xmpp.errors import WireError

log = logging.getLogger(__name__)

LOOK_INTERVAL: Final = 1.0  # seconds between two looks at how far libvirt is
QEMU: Final = "QEMU"


@dataclass(eq=False)
class Trip:
    """A machine on its way; ``cancelled``: somebody wants it to stay, ``late``: it took too long."""

    machine: VirtualMachine
    outgoing: Outgoing
    freight: Freight
    route: Route
    cancelled: bool = False
    late: bool = False

    @property
    def hypervisor(self) -> Hypervisor:
        """The hypervisor that the machine leaves."""
        return self.machine.hypervisor


_trips: Final[weakref.WeakKeyDictionary[VirtualMachine, Trip]] = weakref.WeakKeyDictionary()


@one_per_hypervisor
def _slot(hypervisor: Hypervisor) -> asyncio.Semaphore:
    """Return how many machines may travel at once: each takes a thread of libvirt's for all its way, and others need some, too."""
    return asyncio.Semaphore(max(1, hypervisor.services.settings.libvirt.pool_size // 4))


# -- begun --------------------------------------------------------------------------------------------------------------


async def begin(machine: VirtualMachine, mover: str, address: str) -> None:
    """Begin to move a machine to the hypervisor with that full JID, or raise why it cannot move; what comes of it is told."""
    hypervisor = machine.hypervisor
    destination = find_peer(hypervisor, address)
    if hypervisor.services.settings.libvirt.pool_size < 2:
        raise CommandError("libvirt_pool_size: machines move only where libvirt may be asked several things at once: set 2 or more")
    if hypervisor.services.settings.xmpp.insecure_plaintext:
        raise CommandError("insecure_plaintext: the machine's password would cross the network in clear: let the agents use TLS")
    migration_plan.refuse_busy(machine)
    machine.refuse_at_work()
    machine.migrating = True  # before anything is waited for: what is asked for from now on would wait for the end, and come too late
    async with contextlib.AsyncExitStack() as stack:
        try:
            freight = await _take_hold(machine, stack)
            outgoing = Outgoing(
                attempt=migration_plan.new_attempt(),
                uuid=machine.uuid,
                destination=destination,
                mover=mover,
                mode=Mode.LIVE if freight.running else Mode.PLAIN,
                autostart=freight.autostart,
            )
            refuse_too_large(machine.name, _announcement(machine, outgoing, freight, marked=True))
            await migration_store.begin(machine.services.store, outgoing)
        except Exception:  # whatever it is: nothing has begun
            machine.migrating = False
            raise
        trip = await _announce(machine, outgoing, freight)
        hypervisor.spawn(_run(trip, stack.pop_all()))


async def _take_hold(machine: VirtualMachine, stack: contextlib.AsyncExitStack) -> Freight:
    """Keep everybody else off a machine, and return what is to move; raises why that cannot be."""
    hypervisor = machine.hypervisor
    stack.enter_context(hypervisor.hold(machine.uuid))
    await stack.enter_async_context(machine.changing)
    freight = await migration_plan.read_freight(machine)
    stack.enter_context(work_on(hypervisor).share(*(Path(disk.path) for disk in freight.disks)))
    record = await hypervisor.services.store.machine(machine.uuid)
    if record is not None:
        # Once it has moved is no time to learn that it is too much.
        (await pack(machine, record, autostart=freight.autostart)).pack(room=ROOM)
    return freight


async def _announce(machine: VirtualMachine, outgoing: Outgoing, freight: Freight) -> Trip:
    """Have the other hypervisor expect the machine; an error leaves everything as it was."""
    store = machine.services.store
    try:
        marked = await migration_plan.mark_folder(machine, outgoing.attempt)
        answer = await ask(machine.hypervisor, outgoing.destination, _announcement(machine, outgoing, freight, marked=marked))
        trip = _plan_trip(machine, outgoing, freight, answer)
        await migration_store.keep(store, trip.outgoing)
    except FAILURES as error:
        await departure.call_off(machine.hypervisor, outgoing)
        if isinstance(error, CommandError):
            raise CommandError(f"{outgoing.destination} does not take {machine.name}: {error.text}", condition=error.condition) from error
        if isinstance(error, WireError):
            raise Unavailable(f"{outgoing.destination} cannot be asked now: {error}", MigrationCode.MIGRATE) from error
        raise
    return trip


def _announcement(machine: VirtualMachine, outgoing: Outgoing, freight: Freight, *, marked: bool) -> Expect:
    return Expect(
        attempt=outgoing.attempt,
        uuid=outgoing.uuid,
        name=machine.name,
        base_folder=str(machine.folder.parent),
        folder=marked,
        mover=outgoing.mover,
        domain=freight.definition.element,
        disks=freight.disks,
        files=freight.files,
    )


def _plan_trip(machine: VirtualMachine, outgoing: Outgoing, freight: Freight, answer: Destination) -> Trip:
    """Return how the machine travels, after what the other hypervisor said."""
    settings = settings_of(machine.hypervisor)
    copied = [target for target in answer.copied.split(",") if target]
    paths = {disk.target: disk.path for disk in freight.disks}
    if not set(copied) <= set(paths):
        raise CommandError("it wants disks that the machine does not have")
    carried = bool(copied) or freight.keeps_elsewhere
    mode = Mode.LIVE if freight.running else Mode.PAUSED if carried else Mode.PLAIN
    if mode is not Mode.PLAIN and machine.services.driver != QEMU:
        text = f"libvirt's driver {machine.services.driver} moves no machine that runs, nor one whose disks the other host does not see"
        raise CommandError(text, condition=Condition.FEATURE_NOT_IMPLEMENTED)
    if mode is not Mode.PLAIN:
        migration_plan.check_uri(answer.uri)
    route = Route(
        answer.uri, answer.address or None, copied, trusts_sharing=settings.trust_sharing and answer.shared, encrypted=not settings.plain
    )
    going = replace(outgoing, mode=mode, shared=answer.shared, copied=tuple(paths[target] for target in copied))
    return Trip(machine, going, freight, replace(route, bandwidth=settings.bandwidth, downtime=settings.downtime))


# -- on its way ---------------------------------------------------------------------------------------------------------


async def _run(trip: Trip, stack: contextlib.AsyncExitStack) -> None:
    """Move the machine, and bring it to rest wherever it is then."""
    async with stack:
        _trips[trip.machine] = trip
        _show(trip, 0)
        try:
            outgoing = await _move(trip)
        finally:
            _trips.pop(trip.machine, None)
        await departure.try_settle(trip.hypervisor, outgoing)


async def _move(trip: Trip) -> Outgoing:
    """Let libvirt do its work; return the attempt in the state that follows."""
    try:
        async with _slot(trip.hypervisor):
            if trip.cancelled:
                raise CommandError("somebody cancelled the migration")
            if trip.freight.autostart:  # a host that starts anew must not start a machine that is elsewhere
                await trip.machine.domain.set_autostart(False)
            if trip.outgoing.mode is not Mode.PLAIN:
                await _carry(trip)
        handing = replace(trip.outgoing, state=Leaving.HANDING)
        await migration_store.keep(trip.machine.services.store, handing)
    except FAILURES as error:
        return await _note_failure(trip, error)
    return handing


async def _note_failure(trip: Trip, error: Exception) -> Outgoing:
    """Write down why a machine did not move; where its domain is, is found out."""
    failed = replace(trip.outgoing, reason="it took too long" if trip.late else str(error), cancelled=trip.cancelled)
    with contextlib.suppress(StoreError):  # who is told at once is told all the same
        await migration_store.keep(trip.machine.services.store, failed)
    return failed


async def _carry(trip: Trip) -> None:
    domain, settings = trip.machine.domain, settings_of(trip.hypervisor)
    if trip.outgoing.mode is Mode.PAUSED:
        await start_paused(domain)
    watching = asyncio.create_task(_watch(trip, settings.timeout))
    try:
        await migrate(domain, trip.route, settings.timeout)
    finally:
        watching.cancel()


async def _watch(trip: Trip, timeout: float) -> None:
    """Show how far libvirt is, and have it give up what takes too long or is not wanted any more."""
    domain, loop = trip.machine.domain, asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while True:
        await asyncio.sleep(LOOK_INTERVAL)
        trip.late = trip.late or loop.time() > deadline
        with contextlib.suppress(VirtError):
            if trip.late or trip.cancelled:
                await give_up(domain)
            _show(trip, await read_progress(domain))


def _show(trip: Trip, percent: int | None) -> None:
    if percent is not None:
        trip.machine.tell_journey(Status(trip.machine.status.show, Journey.UNDER_WAY.format(percent=percent)))


async def cancel(machine: VirtualMachine) -> None:
    """Give up to move a machine. Raises ``unexpected-request`` if it does not move, or has moved already."""
    trip = _trips.get(machine)
    if not machine.migrating:
        raise CommandError(f"{machine.name} is not migrating", condition=Condition.UNEXPECTED_REQUEST)
    if trip is None:
        outgoing = [found for found in await migration_store.all_outgoing(machine.services.store) if found.uuid == machine.uuid]
        if not any(found.state is Leaving.MOVING for found in outgoing):
            raise CommandError(f"{machine.name} has moved already", condition=Condition.UNEXPECTED_REQUEST)
    else:
        trip.cancelled = True
    with contextlib.suppress(LibvirtError):  # it was busy with nothing: then the next look at it gives up
        await give_up(machine.domain)
