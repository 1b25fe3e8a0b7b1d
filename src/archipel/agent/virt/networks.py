# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks of libvirt, and its network filters."""

from __future__ import annotations

import asyncio
import contextlib
import uuid as uuids
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from archipel.agent.virt import binding, network_binding
from archipel.agent.virt.binding import VirFailure
from archipel.agent.virt.connection import LibvirtConnection
from archipel.agent.virt.interfaces import Address, Leases
from archipel.agent.virt.listing import those_there
from archipel.agent.virt.network_binding import VirNetwork, VirNetworks, networks_of
from archipel.agent.virt.pool import READ_TIMEOUT, Lane
from archipel.agent.virt.session import Session
from archipel.protocol.network_updates import Update

T = TypeVar("T")

_CURRENT: Final = 0


@dataclass(frozen=True, slots=True)
class NetworkState:
    """What one visit to libvirt says of a network.

    ``xml`` is what is in force, ``definition`` what the next start will use; a transient network (not ``persistent``) has
    nothing of the latter, and never starts with its host.
    """

    name: str
    uuid: str
    active: bool
    persistent: bool
    autostart: bool
    xml: str
    definition: str


@dataclass(frozen=True, slots=True)
class Lease:
    """An address that a network's DHCP server gave away; ``expiry`` in seconds since 1970 (UTC), 0: never."""

    mac: str
    address: str
    prefix: int
    hostname: str
    client: str
    expiry: int


class Networks:
    """The networks of a connection; each method raises what :meth:`LibvirtConnection.call` raises.

    A network is named by its name or, if no network has that name, by its UUID. ``changing`` is held by whoever makes
    several changes that belong together.
    """

    def __init__(self, connection: LibvirtConnection) -> None:
        self._connection = connection
        self._reads, self._changes = Lane(), Lane()
        self.changing = asyncio.Lock()

    # -- networks -------------------------------------------------------------------------------------------------------

    async def read_all(self) -> list[NetworkState]:
        """Read all networks, sorted by name, in one visit."""
        return await self._read("list networks", _list_networks)

    async def active_names(self) -> list[str]:
        """Read the names of the networks that run, sorted."""
        return await self._read("list networks", _list_active)

    async def find(self, reference: str) -> NetworkState:
        """Read one network; :class:`LibvirtError` (VIR_ERR_NO_NETWORK) if there is none."""
        return await self._read("find network", lambda libvirt: _describe(_look_up(libvirt, reference)))

    async def define(self, xml: str) -> str:
        """Define a network, new or not, and return its UUID. One that runs goes on as it is until it is started anew."""
        return await self._change("define network", lambda libvirt: libvirt.networkDefineXML(xml).UUIDString())

    async def undefine(self, reference: str) -> None:
        """Remove a network's definition; one that runs goes on, transient."""
        await self._change("undefine network", lambda libvirt: _look_up(libvirt, reference).undefine())

    async def create(self, reference: str) -> None:
        """Start a network."""
        await self._change("start network", lambda libvirt: _look_up(libvirt, reference).create())

    async def destroy(self, reference: str) -> None:
        """Stop a network at once."""
        await self._change("stop network", lambda libvirt: _look_up(libvirt, reference).destroy())

    async def update(self, reference: str, update: Update) -> None:
        """Change an entry of a network that runs; its definition stays as it is."""

        def change(libvirt: VirNetworks) -> int:
            network = _look_up(libvirt, reference)
            return network.update(update.command, update.section, update.address, update.xml, network_binding.UPDATE_LIVE)

        await self._change("update network", change)

    async def set_autostart(self, reference: str, autostart: bool) -> None:
        """Say whether a network starts with its host."""
        await self._change("set autostart of network", lambda libvirt: _look_up(libvirt, reference).setAutostart(int(autostart)))

    async def leases(self, reference: str) -> list[Lease]:
        """Read the addresses that the network's DHCP server gave away, sorted by address."""
        found = await self._read("leases of network", lambda libvirt: _look_up(libvirt, reference).DHCPLeases(None, 0))
        return sorted(map(_read_lease, found), key=lambda lease: lease.address)

    async def all_leases(self) -> Leases:
        """Read the addresses that all networks gave away, in one visit; networks that have no such thing are left out."""
        return await self._read("leases of all networks", _read_all_leases)

    # -- filters --------------------------------------------------------------------------------------------------------

    async def filter_names(self) -> list[str]:
        """Read the names of the network filters, sorted; a driver without filters has none."""
        return await self._read("list network filters", _list_filters)

    async def filter_xml(self, name: str) -> str:
        """Read the definition of a network filter."""
        return await self._read("read network filter", lambda libvirt: libvirt.nwfilterLookupByName(name).XMLDesc(0))

    async def define_filter(self, xml: str) -> None:
        """Define a network filter, new or not; machines that use it are filtered anew at once."""
        await self._change("define network filter", lambda libvirt: libvirt.nwfilterDefineXML(xml))

    async def undefine_filter(self, name: str) -> None:
        """Remove a network filter, which nothing may use."""
        await self._change("undefine network filter", lambda libvirt: libvirt.nwfilterLookupByName(name).undefine())

    async def _read(self, call: str, function: Callable[[VirNetworks], T]) -> T:
        return await self._call(call, function, READ_TIMEOUT, self._reads)

    async def _change(self, call: str, function: Callable[[VirNetworks], T]) -> T:
        return await self._call(call, function, self._connection.change_timeout, self._changes)

    async def _call(self, call: str, function: Callable[[VirNetworks], T], within: float, lane: Lane) -> T:
        def work(session: Session) -> T:
            return function(networks_of(session.connect))

        return await self._connection.call(call, work, within=within, lane=lane)


def _look_up(libvirt: VirNetworks, reference: str) -> VirNetwork:
    try:
        return libvirt.networkLookupByName(reference)
    except VirFailure as failure:
        if binding.describe(failure).code != network_binding.NO_NETWORK or not _is_uuid(reference):
            raise
    return libvirt.networkLookupByUUIDString(reference.strip())


def _is_uuid(text: str) -> bool:
    try:
        uuids.UUID(text.strip())
    except ValueError:
        return False
    return True


def _list_networks(libvirt: VirNetworks) -> list[NetworkState]:
    return sorted(those_there(_describe, libvirt.listAllNetworks(0)), key=lambda state: state.name)


def _list_active(libvirt: VirNetworks) -> list[str]:
    seen = those_there(lambda network: (network.name(), network.isActive() == 1), libvirt.listAllNetworks(0))
    return sorted(name for name, active in seen if active)


def _describe(network: VirNetwork) -> NetworkState:
    persistent, active = network.isPersistent() == 1, network.isActive() == 1
    current = network.XMLDesc(_CURRENT)
    return NetworkState(
        network.name(),
        network.UUIDString(),
        active,
        persistent,
        persistent and network.autostart() == 1,
        current,
        _read_definition(network) if persistent and active else current,
    )


def _read_definition(network: VirNetwork) -> str:
    """Read what the next start will use; the test driver has only one definition, and refuses to be asked for another."""
    try:
        return network.XMLDesc(network_binding.XML_INACTIVE)
    except VirFailure as failure:
        if binding.describe(failure).code not in binding.REFUSED_FLAGS:
            raise
        return network.XMLDesc(_CURRENT)


def _read_lease(found: dict[str, Any]) -> Lease:
    return Lease(
        mac=found["mac"] or "",
        address=found["ipaddr"] or "",
        prefix=found["prefix"],
        hostname=found["hostname"] or "",
        client=found["clientid"] or "",
        expiry=found["expirytime"],
    )


def _read_all_leases(libvirt: VirNetworks) -> Leases:
    found: dict[str, dict[str, tuple[Address, ...]]] = {}
    for network in libvirt.listAllNetworks(network_binding.LIST_ACTIVE):
        with contextlib.suppress(VirFailure):  # a driver without leases, or a network that is gone
            leases, of_network = list(map(_read_lease, network.DHCPLeases(None, 0))), dict[str, tuple[Address, ...]]()
            for lease in leases:
                mac = lease.mac.lower()
                of_network[mac] = (*of_network.get(mac, ()), Address(lease.address, lease.prefix))
            found[network.name()] = of_network
    return found


def _list_filters(libvirt: VirNetworks) -> list[str]:
    try:
        return sorted(found.name() for found in libvirt.listAllNWFilters(0))
    except VirFailure as failure:
        if binding.describe(failure).code != network_binding.NO_SUPPORT:
            raise
        return []
