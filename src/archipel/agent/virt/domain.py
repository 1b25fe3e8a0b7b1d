# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One domain of libvirt, by its UUID."""

from __future__ import annotations

import enum
import uuid as uuids
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar
from xml.etree import ElementTree as ET

from archipel.agent.virt import binding, interfaces
from archipel.agent.virt.binding import VirDomain, VirFailure
from archipel.agent.virt.connection import LibvirtConnection
from archipel.agent.virt.errors import TooManyVcpus
from archipel.agent.virt.interfaces import AddressSource, InterfaceAddresses, InterfaceStats
from archipel.agent.virt.lifecycle import DomainState
from archipel.agent.virt.pool import READ_TIMEOUT, Lane
from archipel.agent.virt.session import Session

GUEST_TIMEOUT = 15.0  # seconds; libvirt waits 5 s for a guest agent that does not answer

_SAVED_STATE: Final = binding.UNDEFINE_MANAGED_SAVE | binding.UNDEFINE_SNAPSHOTS_METADATA

T = TypeVar("T")


class Affect(enum.IntFlag):
    """What a change reaches: the running domain, the definition for its next start, or both."""

    LIVE = binding.AFFECT_LIVE
    CONFIG = binding.AFFECT_CONFIG


@dataclass(frozen=True, slots=True)
class DomainInfo:
    """What one visit to libvirt says of a domain; memories in KiB, ``cpu_time`` in ns since the start."""

    state: DomainState
    max_memory: int
    memory: int
    vcpus: int
    cpu_time: int
    autostart: bool
    persistent: bool


class Domain:
    """A domain that exists, existed or will: only libvirt knows, when it is asked.

    Reads go one after the other, changes too, and questions to the guest agent as well; the three do not wait for each
    other, so that state can be read while a change or a guest takes its time. Each method raises
    :class:`DomainNotFound` when there is no such domain, and what :meth:`LibvirtConnection.call` raises.
    """

    def __init__(self, connection: LibvirtConnection, uuid: str) -> None:
        """``uuid`` in any spelling; raises :class:`ValueError` for what is none. Use :meth:`Host.domain`, which shares lanes."""
        self.uuid = str(uuids.UUID(uuid))
        self._connection = connection
        self.reads = Lane()
        self._changes = Lane()
        self._guest = Lane()

    async def info(self) -> DomainInfo:
        """Read state, memory, CPUs, autostart and persistence in one visit."""
        return await self._visit("info", self.read_info, self.reads, READ_TIMEOUT)

    async def state(self) -> DomainState:
        """Read the state alone."""
        return await self.read("state", lambda domain: DomainState(domain.state()[0]))

    async def is_active(self) -> bool:
        """Read whether the domain runs, paused counting as running."""
        return await self.read("is active", lambda domain: domain.isActive() == 1)

    async def is_persistent(self) -> bool:
        """Read whether the domain has a definition that outlives its stop."""
        return await self.read("is persistent", lambda domain: domain.isPersistent() == 1)

    async def is_updated(self) -> bool:
        """Read whether the definition was changed since the domain was started."""
        return await self.read("is updated", lambda domain: domain.isUpdated() == 1)

    async def name(self) -> str:
        """Read the name."""
        return await self._visit("name", self._read_name, self.reads, READ_TIMEOUT)

    async def xml(self, *, secure: bool = False, inactive: bool = False) -> str:
        """Read the definition; ``secure`` with the secrets in it, ``inactive`` as the next start will use it."""
        flags = (binding.XML_SECURE if secure else 0) | (binding.XML_INACTIVE if inactive else 0)
        return await self.read("xml", lambda domain: domain.XMLDesc(flags))

    async def max_vcpus(self) -> int:
        """Read how many virtual CPUs the definition in force allows."""
        return await self.read("max vcpus", lambda domain: domain.vcpusFlags(binding.VCPU_MAXIMUM))

    async def interface_stats(self) -> list[InterfaceStats]:
        """Read the counters of the network interfaces; :class:`LibvirtError` (VIR_ERR_OPERATION_INVALID) when it does not run."""
        return await self.read("interface stats", interfaces.read_stats)

    async def interface_addresses(self, sources: Sequence[AddressSource] = tuple(AddressSource)) -> list[InterfaceAddresses]:
        """Ask the ``sources`` in turn for addresses; empty when none of them knows any, which says nothing about the guest."""
        return await self.ask_guest("interface addresses", lambda domain: interfaces.read_addresses(domain, sources))

    async def create(self) -> int:
        """Start the domain and return its libvirt identifier, which changes with each start."""
        return await self.change("create", _create)

    async def shutdown(self) -> None:
        """Ask the guest to shut down; returns when it was asked. The STOPPED that follows is not held back."""
        with self._connection.events.own_stop(self.uuid):
            await self.change("shutdown", lambda domain: domain.shutdown())

    async def destroy(self) -> None:
        """Switch the domain off at once."""
        await self.change("destroy", lambda domain: domain.destroy())

    async def reboot(self) -> None:
        """Ask the guest to reboot; returns when it was asked."""
        await self.change("reboot", lambda domain: domain.reboot(0))

    async def suspend(self) -> None:
        """Pause the domain."""
        await self.change("suspend", lambda domain: domain.suspend())

    async def resume(self) -> None:
        """Let a paused domain run on."""
        await self.change("resume", lambda domain: domain.resume())

    async def define(self, xml: str, *, validate: bool = False) -> None:
        """Define the domain anew; its definition must carry this UUID, else :class:`ValueError`.

        ``validate`` has libvirt check it against its schema as well.
        """
        _check_uuid(xml, self.uuid)
        flags = binding.DEFINE_VALIDATE if validate else 0
        await self._visit("define", lambda session: session.define(xml, flags), self._changes, self._connection.change_timeout)

    async def undefine(self, *, keep_nvram: bool = False) -> None:
        """Remove the definition with managed save, snapshot and checkpoint metadata and the NVRAM file.

        A domain that runs goes on, transient. ``keep_nvram`` leaves the firmware's variables for a later definition.
        """
        nvram = binding.UNDEFINE_KEEP_NVRAM if keep_nvram else binding.UNDEFINE_NVRAM
        await self._redefine("undefine", lambda domain: _undefine(domain, nvram))

    async def rename(self, name: str) -> None:
        """Give the domain, which must be off, another name."""
        await self._redefine("rename", lambda domain: domain.rename(name, 0))

    async def set_autostart(self, autostart: bool) -> None:
        """Say whether the domain starts with its host."""
        await self.change("set autostart", lambda domain: domain.setAutostart(int(autostart)))

    async def set_memory(self, kib: int, affect: Affect | None = None) -> None:
        """Set the memory balloon, in KiB. Without ``affect``: now if it runs, and in the definition if it has one."""
        await self.change("set memory", lambda domain: _apply(domain, affect, lambda flags: domain.setMemoryFlags(kib, flags)))

    async def set_vcpus(self, count: int, affect: Affect | None = None) -> None:
        """Set the number of virtual CPUs, ``affect`` as for :meth:`set_memory`; :class:`TooManyVcpus` above the maximum."""
        await self.change("set vcpus", lambda domain: _apply(domain, affect, lambda flags: _set_vcpus(domain, count, flags)))

    async def attach_device(self, xml: str, affect: Affect | None = None) -> None:
        """Add a device, ``affect`` as for :meth:`set_memory`."""
        await self.change("attach device", lambda domain: domain.attachDeviceFlags(xml, _flags(domain, affect)))

    async def detach_device(self, xml: str, affect: Affect | None = None) -> None:
        """Take a device away, ``affect`` as for :meth:`set_memory`. A running guest may take its time to let it go."""
        await self.change("detach device", lambda domain: domain.detachDeviceFlags(xml, _flags(domain, affect)))

    async def update_device(self, xml: str, affect: Affect | None = None) -> None:
        """Change a device in place, ``affect`` as for :meth:`set_memory`."""
        await self.change("update device", lambda domain: domain.updateDeviceFlags(xml, _flags(domain, affect)))

    async def read(self, call: str, function: Callable[[VirDomain], T], within: float = READ_TIMEOUT) -> T:
        """Run ``function``, which only reads, in a thread, in turn with the other reads; ``call`` names it in errors."""
        return await self._visit(call, lambda session: session.visit(self.uuid, function), self.reads, within)

    async def change(self, call: str, function: Callable[[VirDomain], T], within: float | None = None) -> T:
        """Run ``function`` in a thread, in turn with the other changes; ``call`` names it in errors.

        ``within``: seconds, where a change may take longer than others.
        """
        within = self._connection.change_timeout if within is None else within
        return await self._visit(call, lambda session: session.visit(self.uuid, function), self._changes, within)

    async def ask_guest(self, call: str, function: Callable[[VirDomain], T], within: float = GUEST_TIMEOUT) -> T:
        """Run ``function``, which waits for software in the guest, in a thread; ``call`` names it in errors."""
        return await self._visit(call, lambda session: session.visit(self.uuid, function), self._guest, within)

    async def _visit(self, call: str, function: Callable[[Session], T], lane: Lane, within: float) -> T:
        return await self._connection.call(f"{call} of domain {self.uuid}", function, within=within, lane=lane)

    async def _redefine(self, call: str, function: Callable[[VirDomain], object]) -> None:
        def work(session: Session) -> None:
            session.visit(self.uuid, function)
            session.forget(self.uuid)

        await self._visit(call, work, self._changes, self._connection.change_timeout)

    def read_info(self, session: Session) -> DomainInfo:
        """Do :meth:`info` in a thread of the connection; raises :data:`VirFailure`."""

        def read(domain: VirDomain) -> DomainInfo:
            state, max_memory, memory, vcpus, cpu_time = domain.info()
            autostart, persistent = domain.autostart() == 1, session.is_persistent(self.uuid)
            return DomainInfo(DomainState(state), max_memory, memory, vcpus, cpu_time, autostart, persistent)

        return session.visit(self.uuid, read)

    def _read_name(self, session: Session) -> str:
        # A handle keeps the name that it was looked up with.
        session.forget(self.uuid)
        return session.domain(self.uuid).name()


def _check_uuid(xml: str, uuid: str) -> None:
    try:
        found = (ET.fromstring(xml).findtext("uuid") or "").strip()  # noqa: S314 - expat limits entity expansion
    except ET.ParseError as error:
        raise ValueError(f"the definition is not well-formed XML: {error}") from None
    if found.lower() != uuid:
        raise ValueError(f"<uuid> of the definition is {found or 'missing'}, it must be {uuid}")


def _create(domain: VirDomain) -> int:
    domain.create()
    return domain.ID()


def _flags(domain: VirDomain, affect: Affect | None) -> int:
    """Return the flags for ``affect``, or for what the domain has: a running half, a definition, or both."""
    if affect is not None:
        return affect
    live = binding.AFFECT_LIVE if domain.isActive() else 0
    return live | (binding.AFFECT_CONFIG if domain.isPersistent() else 0)


def _apply(domain: VirDomain, affect: Affect | None, change: Callable[[int], object]) -> None:
    """Do ``change`` for running domain and definition at once, or one after the other where the driver takes one at a time."""
    flags = _flags(domain, affect)
    try:
        change(flags)
    except VirFailure as failure:
        both = binding.AFFECT_LIVE | binding.AFFECT_CONFIG
        if flags != both or binding.describe(failure).code not in binding.REFUSED_FLAGS:
            raise
        change(binding.AFFECT_LIVE)
        change(binding.AFFECT_CONFIG)


def _set_vcpus(domain: VirDomain, count: int, flags: int) -> None:
    for half in (binding.AFFECT_LIVE, binding.AFFECT_CONFIG):
        if flags & half and count > (maximum := domain.vcpusFlags(half | binding.VCPU_MAXIMUM)):
            raise TooManyVcpus(count, maximum)
    domain.setVcpusFlags(count, flags)


def _undefine(domain: VirDomain, nvram: int) -> None:
    """Undefine with all flags, and with fewer where the driver refuses them: it then has nothing for them to remove."""
    for flags in (_SAVED_STATE | binding.UNDEFINE_CHECKPOINTS_METADATA | nvram, _SAVED_STATE | nvram, _SAVED_STATE):
        try:
            domain.undefineFlags(flags)
        except VirFailure as failure:
            if binding.describe(failure).code not in binding.REFUSED_FLAGS:
                raise
        else:
            return
    domain.undefine()
