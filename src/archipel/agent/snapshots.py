# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking, deleting and going back to snapshots of a machine: what can be done is found out before anything changes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from archipel.agent import definition, snapshot_files, snapshot_plan
from archipel.agent.dispatch import Caller
from archipel.agent.domain_rules import policy_of, refuse_changed_images, refuse_forbidden
from archipel.agent.virt import snapshots as virt
from archipel.agent.virt.confined_paths import PathRefused
from archipel.agent.virt.errors import DomainNotFound, LibvirtBusy, LibvirtError, VirtError
from archipel.agent.virt.host import LibvirtVersion
from archipel.agent.virt.snapshots import Plan, StoredSnapshot
from archipel.protocol import snapshots as wire
from archipel.protocol.domain.domain import Domain
from archipel.protocol.domain.xml_values import DomainXmlError
from archipel.protocol.errors import CommandError, Condition, shorten
from archipel.protocol.events import Topic
from archipel.protocol.presence import Work
from archipel.protocol.snapshots import SnapshotChange

if TYPE_CHECKING:
    from archipel.agent.virtual_machine import VirtualMachine

log = logging.getLogger(__name__)

MOST_BYTES: Final = 200_000
"""Of one answer: the server ends a session that sends a stanza of more than 256 KiB."""
SHORT_DESCRIPTION: Final = 100
MOST_SNAPSHOTS: Final = 100
"""Of one machine; many more would not fit in an answer."""


async def take(machine: VirtualMachine, request: wire.TakeSnapshot, caller: Caller, within: float) -> None:
    """Take a snapshot within so many seconds; one that fails leaves nothing. Raises :class:`CommandError` or what libvirt says."""
    async with machine.changing:
        stored = await read_all(machine)
        if len(stored) >= MOST_SNAPSHOTS:
            raise CommandError(f"{machine.name} has {len(stored)} snapshots: delete some first", condition=Condition.NOT_ACCEPTABLE)
        name = snapshot_plan.choose_name(request.wanted_name, stored)
        running = await machine.domain.is_active()
        present = definition.read_stored(await machine.domain.xml())
        plan = snapshot_plan.make_plan(name, request, present, running=running, folder=machine.folder)
        if plan.external:
            _refuse_lasting(stored)
            await _refuse_outside(machine, present, plan)
        async with machine.at_work(Work.TAKING_SNAPSHOT):
            await _take(machine, plan, within)
    machine.push(Topic.SNAPSHOTS, SnapshotChange.TAKEN)
    machine.shout(f"{caller.bare} took the snapshot {name} of {machine.name}")


async def _take(machine: VirtualMachine, plan: Plan, within: float) -> None:
    if plan.files:
        await snapshot_files.make_files(machine, plan.images)
    try:
        await machine.domain.change("snapshot", lambda domain: virt.take(domain, plan), within)
    except LibvirtBusy:  # it was not begun
        await snapshot_files.remove_empty(plan.images)
        raise
    except LibvirtError:  # after a time-out, or without a connection, nobody knows what became of it
        try:
            await machine.domain.change("removal of a half-made snapshot", lambda domain: virt.remove_half_made(domain, plan))
            await snapshot_files.remove_unused(machine, map(str, plan.files))
        except VirtError as error:
            log.warning("%s: what is left of the snapshot %r cannot be removed: %s", machine.bare, plan.name, error)
        raise


async def delete(machine: VirtualMachine, name: str, caller: Caller, within: float, *, children: bool) -> None:
    """Delete a snapshot, and what stands on it if ``children``; raises :class:`CommandError` or what libvirt says."""
    async with machine.changing:
        stored = await read_all(machine)
        going = [_find(stored, name), *(virt.descendants(name, stored) if children else ())]
        if any(snapshot.external for snapshot in going):
            await _refuse_old_libvirt(machine, virt.DELETES_EXTERNAL, "delete external snapshots")
        async with machine.at_work(Work.DELETING_SNAPSHOT):
            await machine.domain.change("deletion of a snapshot", partial(virt.delete, name=name, children=children), within)
            with contextlib.suppress(VirtError):  # they are a waste then, and harm nobody
                await snapshot_files.remove_unused(machine, (file for snapshot in going for file in snapshot.files))
    machine.push(Topic.SNAPSHOTS, SnapshotChange.DELETED)
    machine.shout(f"{caller.bare} deleted the snapshot {name} of {machine.name}")


async def revert(machine: VirtualMachine, name: str, caller: Caller, within: float) -> None:
    """Go back to a snapshot, if the machine may be again what it was then; raises :class:`CommandError` or what libvirt says."""
    async with machine.changing:
        stored = await read_all(machine)
        target = _find(stored, name)
        await _refuse_broken_images(machine, target, stored)
        current = await definition.read_current(machine)
        for old in target.definitions:
            wanted = _read_old(old)
            await refuse_forbidden(machine, wanted, current, caller)
            await refuse_changed_images(machine, wanted)
        async with machine.at_work(Work.REVERTING):
            await machine.domain.change("revert to a snapshot", partial(virt.revert, name=name), within)
    machine.push(Topic.SNAPSHOTS, SnapshotChange.RESTORED)
    machine.shout(f"{caller.bare} took {machine.name} back to the snapshot {name}")


async def read_all(machine: VirtualMachine) -> list[StoredSnapshot]:
    """Return all snapshots, parents before their children; raises :class:`CommandError` for a machine without definition."""
    try:
        return await machine.domain.read("snapshots", virt.read_all)
    except DomainNotFound:
        raise _not_defined(machine) from None


async def read_current(machine: VirtualMachine) -> StoredSnapshot | None:
    """Return the current snapshot, if there is one; raises :class:`CommandError` for a machine without definition."""
    try:
        return await machine.domain.read("current snapshot", virt.read_current)
    except DomainNotFound:
        raise _not_defined(machine) from None


def describe(snapshots: list[StoredSnapshot]) -> tuple[wire.Snapshot, ...]:
    """Return snapshots as answers hold them, without secrets.

    Where all of it would not fit in an answer, definitions are cut down to name and UUID, then descriptions to their beginnings.
    Raises :class:`CommandError` if even that is too much.
    """
    for whole, longest in ((True, wire.LONGEST_DESCRIPTION), (False, wire.LONGEST_DESCRIPTION), (False, SHORT_DESCRIPTION)):
        told = tuple(_describe(snapshot, whole=whole, longest=longest) for snapshot in snapshots)
        if sum(len(ET.tostring(snapshot.write(), "utf-8")) for snapshot in told) <= MOST_BYTES:
            return told
    raise CommandError(f"{len(snapshots)} snapshots fit in no answer: delete some, virsh snapshot-list tells their names")


def _describe(snapshot: StoredSnapshot, *, whole: bool, longest: int) -> wire.Snapshot:
    domain = _read_old(snapshot.definitions[0]).element if snapshot.definitions else None
    if domain is not None:
        definition.strip_secrets(domain)
    return wire.Snapshot(
        name=snapshot.name,
        description=shorten(snapshot.description, longest),
        state=snapshot.state,
        parent=None if snapshot.parent is None else wire.Parent(name=snapshot.parent),
        created=snapshot.created,
        domain=domain if whole or domain is None else _shorten(domain),
        current=snapshot.current,
        external=snapshot.external,
        memory=snapshot.memory,
    )


def _read_old(element: ET.Element) -> Domain:
    try:
        return Domain.from_element(element)
    except DomainXmlError as error:
        raise CommandError(f"the definition in the snapshot cannot be read: {error}") from error


def _shorten(domain: ET.Element) -> ET.Element:
    short = ET.Element("domain", {"type": domain.get("type", "")})
    short.extend(child for child in domain if child.tag in {"name", "uuid"})
    return short


def _find(stored: list[StoredSnapshot], name: str) -> StoredSnapshot:
    found = next((snapshot for snapshot in stored if snapshot.name == name), None)
    if found is None:
        names = ", ".join(repr(snapshot.name) for snapshot in stored) or "none"
        raise CommandError(f"name: there is no snapshot {name!r}; there are: {names}", condition=Condition.ITEM_NOT_FOUND)
    return found


def _not_defined(machine: VirtualMachine) -> CommandError:
    return CommandError(f"{machine.name} has no definition, and so no snapshots: define it first", condition=Condition.ITEM_NOT_FOUND)


async def _refuse_old_libvirt(machine: VirtualMachine, needed: LibvirtVersion, what: str) -> None:
    version = await machine.services.host.libvirt_version()
    if version < needed:
        text = f"libvirt {version} on {machine.hypervisor.name} cannot {what}; libvirt {needed} can"
        raise CommandError(text, condition=Condition.FEATURE_NOT_IMPLEMENTED)


def _refuse_lasting(stored: list[StoredSnapshot]) -> None:
    """Refuse an external snapshot on an internal one: libvirt would never delete it."""
    below = next((snapshot.name for snapshot in stored if snapshot.current and not snapshot.external), None)
    if below is not None:
        text = f"external: libvirt cannot delete an external snapshot that stands on an internal one: delete {below!r} first"
        raise CommandError(text, condition=Condition.NOT_ACCEPTABLE)


async def _refuse_outside(machine: VirtualMachine, present: Domain, plan: Plan) -> None:
    """Refuse to put a file in the machine's folder on an image that such files may not stand on: the machine would not start again."""
    targets = {part.target for part in plan.disks if part.file is not None}
    images = {disk.target or "": (disk.path or "", disk.format or "raw") for disk in present.disks if disk.target in targets}
    try:
        await asyncio.to_thread(snapshot_files.check_images, images, await policy_of(machine))
    except PathRefused as error:
        raise CommandError(f"external: the image of disk {error}: take an internal one", condition=Condition.NOT_ACCEPTABLE) from error


async def _refuse_broken_images(machine: VirtualMachine, target: StoredSnapshot, stored: list[StoredSnapshot]) -> None:
    """Refuse what libvirt cannot do, and what would change an image that an external snapshot's files stand on."""
    if target.external:
        await _refuse_old_libvirt(machine, virt.REVERTS_EXTERNAL, "go back to external snapshots")
        return
    above = [repr(snapshot.name) for snapshot in virt.descendants(target.name, stored) if snapshot.external]
    if above:
        text = f"name: the files of external snapshots stand on the images of {target.name!r}: delete {', '.join(above)} first"
        raise CommandError(text, condition=Condition.NOT_ACCEPTABLE)
