# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parking machines: the domain goes from libvirt, the entity from the platform; folder, account and rights stay.

The definition is in the store before libvirt forgets it. Between the two the machine's phase is ``PARKING``, and whatever happens
then it ends parked, or managed if libvirt refuses.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from typing import Final

from archipel.agent import parking_store, shelving
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.lasting_definition import read_lasting
from archipel.agent.one_each import one_per_hypervisor
from archipel.agent.parking_store import ParkedRecord
from archipel.agent.removal import stop_domain
from archipel.agent.store import StoreError
from archipel.agent.virt.errors import DomainNotFound, LibvirtError, VirtError
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import CommandError, Condition, Unavailable
from archipel.protocol.parking import TOPIC, Change
from archipel.xmpp.errors import WireError

log = logging.getLogger(__name__)

FINISH_SECONDS: Final = 10.0  # what takes longer will be finished later


@one_per_hypervisor
def _finishing(_hypervisor: Hypervisor) -> set[asyncio.Task[None]]:
    """Return what is on the list of parked machines in a moment."""
    return set()


@contextlib.contextmanager
def in_hand(hypervisor: Hypervisor, uuid: str) -> Iterator[None]:
    """Work on a machine alone: one that somebody is at work on is refused, and recovery keeps off."""
    if uuid in hypervisor.in_hand:
        raise Unavailable(f"the machine {uuid} is being worked on: wait until that is done")
    with hypervisor.hold(uuid):
        yield


async def take_off(machine: VirtualMachine, parker: str, *, force: bool) -> None:
    """Take a machine's domain from libvirt, switched off first if ``force``; its entity lives on until :func:`finish`.

    An error leaves the machine managed; only where libvirt does not answer it is parked as soon as it does.
    """
    refuse_busy(machine)
    async with machine.changing:
        parked = await _describe(machine, parker, force=force)
        machine.freeing = True
        try:
            await stop_domain(machine)
            await parking_store.begin_park(machine.services.store, parked)
        except (CommandError, VirtError, StoreError):
            machine.freeing = False
            raise
        await _undefine(machine)


def refuse_busy(machine: VirtualMachine) -> None:
    """Raise :class:`Unavailable` if a machine is being removed, copied, snapshotted or changed."""
    machine.refuse_leaving()
    machine.refuse_copied()
    if machine.changing.locked():
        raise Unavailable(f"{machine.name} is being changed, or a snapshot is at work: wait until that is done")


async def _describe(machine: VirtualMachine, parker: str, *, force: bool) -> ParkedRecord:
    """Return all that brings a machine back, or raise why it cannot be parked."""
    info, definition = await read_lasting(machine, "which libvirt would lose")
    if not info.state.is_off and not force:
        raise CommandError(f"{machine.name} is running: shut it down first, or say force", condition=Condition.UNEXPECTED_REQUEST)
    record = await machine.services.store.machine(machine.uuid)
    if record is None:
        raise CommandError(f"{machine.name} is not managed any more", condition=Condition.ITEM_NOT_FOUND)
    return ParkedRecord(machine=record, definition=definition.to_text(), parker=parker, autostart=info.autostart)


async def _undefine(machine: VirtualMachine) -> None:
    """Undefine the domain of a machine whose phase is ``PARKING``; what libvirt refuses is taken back."""
    try:
        await undefine(machine)
    except LibvirtError:
        await _stay(machine)
        raise
    except VirtError:
        machine.hypervisor.leave_unfinished(machine)  # libvirt may do it yet: going on is the only way that loses nothing
        raise


async def undefine(machine: VirtualMachine) -> None:
    """Remove a machine's domain, its firmware's variables kept; one that is not there is removed already."""
    with contextlib.suppress(DomainNotFound):
        await machine.domain.undefine(keep_nvram=True)


async def _stay(machine: VirtualMachine) -> None:
    machine.freeing = False
    try:
        await parking_store.undo_park(machine.services.store, machine.uuid)
    except StoreError as error:
        log.error("%s: that it was not parked after all cannot be written now, it will be later: %s", machine.bare, error)
        machine.hypervisor.untidy.set()


def finish_soon(hypervisor: Hypervisor, machine: VirtualMachine, who: str) -> None:
    """Do :func:`finish` when the machine has answered; who asks for parked machines meanwhile waits for it."""
    task = hypervisor.spawn(finish(hypervisor, machine, who))
    finishing = _finishing(hypervisor)
    finishing.add(task)
    task.add_done_callback(finishing.discard)


async def wait_finished(hypervisor: Hypervisor) -> None:
    """Wait until the machines that said that they are parked are on the list, or until that takes too long."""
    if finishing := _finishing(hypervisor):
        await asyncio.wait(set(finishing), timeout=FINISH_SECONDS)


async def finish(hypervisor: Hypervisor, machine: VirtualMachine, who: str) -> None:
    """Take the entity of a machine off the platform whose domain is gone; what cannot be done now is done later."""
    try:
        with hypervisor.hold(machine.uuid):
            await leave(hypervisor, machine)
            staying = await shelving.try_shelve(hypervisor, machine.uuid)
    except (CommandError, WireError, StoreError) as error:
        log.warning("%s: cannot be parked wholly now, it will be later: %s", machine.bare, error)
        hypervisor.leave_unfinished(machine)
        hypervisor.push(TOPIC, Change.CANNOT_PARK)  # when it is parked after all, that is pushed too
        return
    hypervisor.push(TOPIC, Change.PARKED)
    hypervisor.shout(f"{who} parked the machine {machine.name}" + (f"; {staying}" if staying else ""))


async def leave(hypervisor: Hypervisor, machine: VirtualMachine) -> None:
    """Remove entity and record of a machine that is being parked; its account and its rights stay."""
    hypervisor.forget(machine)
    await machine.services.registry.hooks.park(machine)
    if machine.online.is_set():
        with contextlib.suppress(CommandError, WireError):
            await machine.events.remove()
    with contextlib.suppress(CommandError, WireError):
        await hypervisor.retract_tags(machine.bare)
    await machine.close()
    await parking_store.finish_park(machine.services.store, machine.uuid)
    hypervisor.unfinished.pop(machine.uuid, None)
