# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host as libvirt knows it, and its domains."""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from archipel.agent.virt import binding, sights
from archipel.agent.virt.connection import LibvirtConnection
from archipel.agent.virt.domain import Domain
from archipel.agent.virt.networks import Networks
from archipel.agent.virt.pool import READ_TIMEOUT, Lane
from archipel.agent.virt.session import Session
from archipel.agent.virt.sights import Outcome, Wanted

CAPABILITIES_TIMEOUT = 60.0  # seconds; the first time libvirt starts every emulator once to ask what it can do

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """The hardware (virNodeInfo, in its order): ``memory`` in MiB, ``cpus`` the logical CPUs that are online.

    ``sockets`` per NUMA node, ``cores`` per socket, ``threads`` per core.
    """

    model: str
    memory: int
    cpus: int
    mhz: int
    numa_nodes: int
    sockets: int
    cores: int
    threads: int


@dataclass(frozen=True, slots=True)
class DomainSummary:
    """One line of the list of domains."""

    uuid: str
    name: str
    active: bool
    persistent: bool


class LibvirtVersion(NamedTuple):
    """A version of libvirt or of a hypervisor."""

    major: int
    minor: int
    release: int

    @classmethod
    def decode(cls, number: int) -> LibvirtVersion:
        """Take libvirt's number apart: major * 1,000,000 + minor * 1,000 + release (virConnectGetLibVersion)."""
        return cls(number // 1_000_000, number // 1_000 % 1_000, number % 1_000)

    def __str__(self) -> str:
        return ".".join(map(str, self))


class Host:
    """The host of a connection. Each method raises what :meth:`LibvirtConnection.call` raises."""

    def __init__(self, connection: LibvirtConnection) -> None:
        self._connection = connection
        self.networks = Networks(connection)
        # Questions of one kind wait for each other, so that one that hangs costs one thread.
        self._lanes: defaultdict[str, Lane] = defaultdict(Lane)
        self._domains: weakref.WeakValueDictionary[str, Domain] = weakref.WeakValueDictionary()

    def domain(self, uuid: str) -> Domain:
        """Return the domain's proxy, always the same for a UUID; asks nobody. Raises :class:`ValueError` for a bad UUID."""
        fresh = Domain(self._connection, uuid)
        return self._domains.setdefault(fresh.uuid, fresh)

    async def define(self, xml: str, *, validate: bool = False) -> Domain:
        """Define a domain, new or not; libvirt makes up a UUID where the definition has none."""
        flags = binding.DEFINE_VALIDATE if validate else 0
        return self.domain(await self._ask("define", lambda session: session.define(xml, flags), self._connection.change_timeout))

    async def find(self, name: str) -> Domain:
        """Return the domain of that name; raises :class:`DomainNotFound`."""
        return self.domain(await self._ask("find", lambda session: session.connect.lookupByName(name).UUIDString()))

    async def domains(self) -> list[DomainSummary]:
        """List all domains, in one visit."""
        return await self._ask("list", _list_domains)

    async def look_at(self, wanted: Sequence[Wanted]) -> dict[str, Outcome]:
        """Read these domains in one visit; :func:`archipel.agent.virt.sights.look_at` says how."""
        return await sights.look_at(self._connection, wanted)

    async def hostname(self) -> str:
        """Read the host's name."""
        return await self._ask("hostname", lambda session: session.connect.getHostname())

    async def node_info(self) -> NodeInfo:
        """Read what the hardware is."""
        return await self._ask("node info", lambda session: NodeInfo(*session.connect.getInfo()))

    async def capabilities(self) -> str:
        """Read the capabilities, an XML document; asked once per connection, they change with libvirt's daemon only."""
        return await self._ask("capabilities", _read_capabilities, CAPABILITIES_TIMEOUT)

    async def driver(self) -> str:
        """Read the name of the driver, such as ``QEMU`` or ``TEST``."""
        return await self._ask("driver", lambda session: session.connect.getType())

    async def uri(self) -> str:
        """Read the connection's canonical URI."""
        return await self._ask("uri", lambda session: session.connect.getURI())

    async def libvirt_version(self) -> LibvirtVersion:
        """Read the version of libvirt's daemon."""
        return LibvirtVersion.decode(await self._ask("libvirt version", lambda session: session.connect.getLibVersion()))

    async def hypervisor_version(self) -> LibvirtVersion:
        """Read the version of the hypervisor, such as QEMU's."""
        return LibvirtVersion.decode(await self._ask("hypervisor version", lambda session: session.connect.getVersion()))

    async def _ask(self, call: str, function: Callable[[Session], T], within: float = READ_TIMEOUT) -> T:
        return await self._connection.call(call, function, within=within, lane=self._lanes[call])


def _list_domains(session: Session) -> list[DomainSummary]:
    """Ask twice for lists instead of twice per domain; libvirt knows names, UUIDs and who runs without being asked again."""
    domains = session.connect.listAllDomains(0)
    transient = {domain.UUIDString() for domain in session.connect.listAllDomains(binding.LIST_TRANSIENT)}
    return [
        DomainSummary(uuid, domain.name(), active=domain.ID() != -1, persistent=uuid not in transient)
        for domain in domains
        for uuid in (domain.UUIDString(),)
    ]


def _read_capabilities(session: Session) -> str:
    if session.capabilities is None:
        session.capabilities = session.connect.getCapabilities()
    return session.capabilities
