# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entity of a virtual machine: its libvirt domain as its roster sees it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from archipel.agent.acting import on_behalf_of
from archipel.agent.avatars import show_avatar
from archipel.agent.dispatch import Command
from archipel.agent.entity import Entity
from archipel.agent.services import Services
from archipel.agent.store import MachineRecord, Phase, StoreError
from archipel.agent.virt.cpu_usage import CpuUsage
from archipel.agent.virt.domain import Domain
from archipel.agent.virt.errors import DomainNotFound, VirtError
from archipel.agent.virt.lifecycle import DomainEvent, LifecycleEvent, StoppedDetail, UndefinedDetail
from archipel.protocol import namespaces as ns
from archipel.protocol import presence
from archipel.protocol.changes import ControlChange, DefinitionChange
from archipel.protocol.errors import CommandError, Condition, ErrorCode, Unavailable
from archipel.protocol.events import Topic
from archipel.protocol.presence import Status
from archipel.protocol.rights import EntityKind
from archipel.xmpp.errors import WireError

if TYPE_CHECKING:
    from archipel.agent.hypervisor import Hypervisor

log = logging.getLogger(__name__)

# What libvirt tells, and what is pushed for it; SHUTDOWN is only a step on the way to STOPPED.
_CHANGES: Final = {
    LifecycleEvent.STARTED: (Topic.VM_CONTROL, ControlChange.CREATED),
    LifecycleEvent.SUSPENDED: (Topic.VM_CONTROL, ControlChange.SUSPENDED),
    LifecycleEvent.PMSUSPENDED: (Topic.VM_CONTROL, ControlChange.SUSPENDED),
    LifecycleEvent.RESUMED: (Topic.VM_CONTROL, ControlChange.RESUMED),
    LifecycleEvent.STOPPED: (Topic.VM_CONTROL, ControlChange.SHUTDOWN),
    LifecycleEvent.CRASHED: (Topic.VM_CONTROL, ControlChange.CRASHED),
    LifecycleEvent.DEFINED: (Topic.VM_DEFINITION, DefinitionChange.DEFINED),
    LifecycleEvent.UNDEFINED: (Topic.VM_DEFINITION, DefinitionChange.UNDEFINED),
}
# Namespaces whose commands touch neither the domain nor its files, whatever they change, or end what others have to wait for: they
# are done while the machine is being copied or moved, too.
BESIDE_THE_DOMAIN: Final = frozenset(
    {
        ns.PERMISSIONS,
        ns.RIGHTS,
        ns.SUBSCRIPTION,
        ns.TAGS,
        ns.ROSTER,
        ns.AVATAR,
        ns.AUDIT,
        ns.SCHEDULER,
        ns.XMPPSERVER_USERS,
        ns.CONTACT_PREFERENCES,
        ns.VM_MIGRATION,
    }
)
_REMEMBERED: Final = BESIDE_THE_DOMAIN - {ns.VM_MIGRATION}  # what they change goes along when the machine moves to another host
CRASH: Final = (Topic.VM_CONTROL, ControlChange.CRASHED)
CHANGES_WAIT: Final = 10.0  # seconds for changes that are under way when a machine leaves


class VirtualMachine(Entity):
    """A managed virtual machine; its account's node is the UUID of its domain, its resource the hypervisor's node."""

    kind = EntityKind.VIRTUAL_MACHINE
    title = "Virtual machine"

    def __init__(self, services: Services, hypervisor: Hypervisor, record: MachineRecord) -> None:
        full = f"{record.uuid}@{services.settings.xmpp.domain}/{hypervisor.node}"
        super().__init__(services, full, record.password, record.name, record.organisation)
        self.uuid = record.uuid
        self.hypervisor = hypervisor
        self.adopted = record.adopted
        services.rights.note_tags(self.bare, record.tags)
        self.password = record.password
        self.domain: Domain = services.host.domain(self.uuid)
        self.cpu = CpuUsage(os.cpu_count() or 1)
        self.freeing = False
        self.copies = 0
        self.migrating = record.phase is Phase.MIGRATING
        self.packed = self.migrating  # what died with the former agent may have sent all that is remembered
        self._changes_under_way = 0
        self._unchanging = asyncio.Event()
        self._unchanging.set()
        self.has_account = False
        self._refused_name = ""
        self.changing = asyncio.Lock()
        self._told = asyncio.Lock()
        self._work: list[Status] = []
        self._journey: Status | None = None

    @property
    def folder(self) -> Path:
        """The machine's own folder, where its disks are."""
        return self.services.settings.machines.base_path / self.uuid

    def avatar(self) -> bytes:
        """Return the picture of a machine."""
        settings = self.services.settings
        return show_avatar(settings, self.bare, settings.vcard.machine_avatar, "defaultvm.png")

    async def keep_tags(self, tags: tuple[str, ...]) -> None:
        """Publish the tags and store them; if either cannot be done, the tags stay as they were."""
        before = await self.services.store.machine(self.uuid)
        await self.hypervisor.publish_tags(self.bare, tags)
        try:
            await self.services.store.set_tags(self.uuid, tags)
            self.services.rights.note_tags(self.bare, tags)
        except StoreError:
            with contextlib.suppress(CommandError, WireError):
                await self.hypervisor.publish_tags(self.bare, before.tags if before else ())
            raise

    def check_state(self, command: Command) -> None:
        """Refuse every command while the machine is being removed, and what could change it while it is being copied.

        Once all that is remembered of it is packed for another host, nothing is changed here that would not go along.
        """
        self.refuse_freed()
        if not command.request.reads and command.request.namespace not in BESIDE_THE_DOMAIN:
            self.refuse_copied()
        if self.packed and _changes_what_is_remembered(command):
            self.refuse_migrating()

    @contextlib.contextmanager
    def count(self, command: Command) -> Iterator[None]:
        """Count what changes that which goes along when the machine leaves."""
        if not _changes_what_is_remembered(command):
            yield
            return
        self._changes_under_way += 1
        self._unchanging.clear()
        try:
            yield
        finally:
            self._changes_under_way -= 1
            if not self._changes_under_way:
                self._unchanging.set()

    async def close_luggage(self) -> None:
        """Let nothing be changed any more that is about to be packed; what is being changed is waited for."""
        self.packed = True
        try:
            async with asyncio.timeout(CHANGES_WAIT):
                await self._unchanging.wait()
        except TimeoutError:
            raise Unavailable(f"{self.name}: its rights are being changed") from None

    def refuse_copied(self) -> None:
        """Raise :class:`CommandError` while copies of the machine are being made, or it moves to another host."""
        self.refuse_migrating()
        if self.copies:
            raise Unavailable(f"{self.name} is being cloned: wait until that is done")

    def refuse_leaving(self) -> None:
        """Raise :class:`CommandError` if the machine is being removed, or moves to another host."""
        self.refuse_migrating()
        self.refuse_freed()

    def refuse_freed(self) -> None:
        """Raise :class:`Unavailable` if the machine is being removed: its account and its folder go."""
        if self.freeing:
            raise Unavailable(f"{self.name} is being freed")

    def refuse_at_work(self) -> None:
        """Raise :class:`Unavailable` while there is work under way on the machine that is shown."""
        if self._work:
            raise Unavailable(f"{self.name}: {self._work[-1].text} Wait until that is done")

    def refuse_migrating(self) -> None:
        """Raise :class:`CommandError` while the machine moves to another host."""
        if self.migrating:
            text = f"{self.name} is migrating: wait until that is done, or cancel it"
            raise CommandError(text, ErrorCode.MIGRATING, Condition.UNEXPECTED_REQUEST)

    async def mend_refusal(self) -> bool:
        """Ask the hypervisor to make this machine's account, if the server has lost it."""
        return not self.freeing and await self.hypervisor.restore_account(self)

    async def current_status(self) -> Status:
        """Read the state from libvirt: events may have been missed."""
        return self._shown_work or await self.read_status() or self.status

    async def take_name(self, name: str) -> None:
        """Bear another name from now on, here and in the store."""
        if name != self.name:
            await self.services.store.rename_machine(self.uuid, name)
            await self.rename(name, self.organisation)

    async def follow_domain(self) -> None:
        """Bear the name that the domain has, as it is read when nobody changes it; if it cannot be read, the next round does."""
        with contextlib.suppress(VirtError):
            async with self.changing:
                if not self.freeing:
                    await self._follow_name(await self.domain.name())

    # -- state ----------------------------------------------------------------------------------------------------------

    async def refresh(self) -> None:
        """Read the domain's state and show it."""
        status = await self.read_status()
        if status is not None:
            self.show(self._shown_work or status)

    @property
    def _shown_work(self) -> Status | None:
        return self._journey or (self._work[-1] if self._work else None)

    @contextlib.asynccontextmanager
    async def at_work(self, what: str) -> AsyncIterator[None]:
        """Show that the machine is busy with ``what``, whatever happens meanwhile; in the end its state is read and shown.

        Of several pieces of work the last that began is shown.
        """
        work = Status("dnd", what)
        self._work.append(work)
        self.show(work)
        try:
            yield
        finally:
            self._work.remove(work)
            task = asyncio.current_task()
            if task is None or not task.cancelling():  # else the entity is about to leave
                await self.refresh()

    def tell_journey(self, status: Status | None) -> None:
        """Show ``status`` from now on, whatever happens meanwhile; ``None``: no more than the state, once it is read."""
        self._journey = status
        if status is not None:
            self.show(status)

    async def read_status(self) -> Status | None:
        """Return how the domain is, from libvirt; ``None`` if libvirt cannot tell."""
        try:
            return presence.status_of_state(int((await self.domain.info()).state))
        except DomainNotFound:
            return presence.NOT_DEFINED
        except VirtError as error:
            log.debug("%s: state not read: %s", self.bare, error)
            return None if self.services.libvirt_connected else presence.LIBVIRT_LOST

    def take_event(self, event: DomainEvent) -> None:
        """Follow a change that libvirt announced, in the order of the announcements."""
        self.spawn(self._tell(event, self.acts.cause_of(event)))

    async def _tell(self, event: DomainEvent, cause: str) -> None:
        """Read the state that an event hints at, show it, push the change, which is the doing of ``cause`` (bare JID) if that is known.

        What happens to the domain of a machine that moves to another host is part of that.
        """
        if self.migrating:
            return
        async with self._told:
            status = await self.read_status()
            announcement = _announcement(event)
            if status == presence.OFF and announcement == CRASH:
                status = presence.CRASHED
            if status is not None:
                self.show(self._shown_work or status)
            if event.event is LifecycleEvent.DEFINED:
                await self._follow_name(event.name)
            if announcement is not None:
                with on_behalf_of(cause):
                    self.push(*announcement)
        for work in self.services.registry.hooks.followers(self, event):
            self.spawn(work)

    async def _follow_name(self, name: str) -> None:
        """Bear the name that somebody gave the domain behind our back; trouble with it must not cost the push."""
        try:
            await self.take_name(name)
        except (StoreError, CommandError, WireError) as error:
            level = logging.DEBUG if name == self._refused_name else logging.ERROR  # it is tried again and again
            self._refused_name = name
            log.log(level, "%s: its domain is called %r now, which cannot be followed: %s", self.bare, name, error)


def _changes_what_is_remembered(command: Command) -> bool:
    request = command.request
    return not request.reads and request.namespace in _REMEMBERED


def _announcement(event: DomainEvent) -> tuple[Topic, str] | None:
    """Return what is pushed for an event of libvirt; the first half of a renaming is nothing to tell."""
    if event.event is LifecycleEvent.UNDEFINED and event.detail is UndefinedDetail.RENAMED:
        return None
    if event.event is LifecycleEvent.STOPPED and event.detail is StoppedDetail.CRASHED:
        return CRASH
    return _CHANGES.get(event.event)
