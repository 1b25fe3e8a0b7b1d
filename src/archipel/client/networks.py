# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks of a hypervisor's host, and its network filters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

from archipel.client.concern import Concern
from archipel.client.errors import ClientError
from archipel.protocol import network as commands
from archipel.protocol.network import Bridge, Lease, NetworkDescription, RefusedUpdate

NO_NETWORK: Final = 43  # libvirt's virErrorNumber
NO_FILTER: Final = 62


class NetworkNotFound(ClientError):
    """A hypervisor has no network of that name or UUID."""


@dataclass(frozen=True)
class Network:
    """A libvirt network with its definition."""

    name: str
    uuid: str
    active: bool
    autostart: bool
    bridge: str
    forward: str
    definition: ET.Element


class Networks(Concern):
    """libvirt's networks; rights are ``network_`` and the command's name. A network goes by its name or UUID."""

    async def list(self) -> tuple[Network, ...]:
        """Return all networks: first those that run (right ``network_get``)."""
        groups = await self.ask(commands.GetNetworks())
        return tuple(_describe(network, group.active) for group in groups for network in group.networks)

    async def show(self, network: str) -> Network:
        """Return one network; raises :class:`NetworkNotFound`."""
        for found in await self.list():
            if network in {found.name, found.uuid}:
                return found
        raise NetworkNotFound(f"{self.entity.bare} has no network {network!r}")

    async def describe(self, network: str) -> NetworkDescription | None:
        """Return a network with what its next start will use beside what is in force (right ``network_get``), ``None`` if there is none."""
        return await self.ask_unless_missing(commands.DescribeNetwork(uuid=network), NO_NETWORK)

    async def define(self, definition: ET.Element, *, autostart: bool | None = None) -> None:
        """Define a network by libvirt's XML; ``autostart`` None keeps what it was."""
        await self.ask(commands.DefineNetwork(network=definition, autostart=autostart))

    async def update(self, definition: ET.Element, *, autostart: bool | None = None) -> tuple[RefusedUpdate, ...]:
        """Define a network, and change one that runs at once as far as libvirt can; return what it refused (right ``network_define``)."""
        return await self.ask(commands.UpdateNetwork(network=definition, autostart=autostart))

    async def undefine(self, network: str) -> None:
        """Remove a network's definition."""
        await self.ask(commands.UndefineNetwork(uuid=network))

    async def start(self, network: str) -> None:
        """Start a network (right ``network_create``)."""
        await self.ask(commands.CreateNetwork(uuid=network))

    async def stop(self, network: str) -> None:
        """Stop a network (right ``network_destroy``)."""
        await self.ask(commands.DestroyNetwork(uuid=network))

    async def leases(self, network: str) -> tuple[Lease, ...]:
        """Return the addresses that a network's DHCP server gave away."""
        return await self.ask(commands.GetLeases(uuid=network))

    async def bridges(self) -> tuple[Bridge, ...]:
        """Return the host's bridges."""
        return await self.ask(commands.GetBridges())

    async def interfaces(self) -> tuple[str, ...]:
        """Return the names of the host's network interfaces (right ``network_getnics``)."""
        return tuple(found.name for found in await self.ask(commands.GetNics()))


class NetworkFilters(Concern):
    """libvirt's network filters."""

    async def list(self) -> tuple[str, ...]:
        """Return the names of all filters (right ``network_getnwfilters``)."""
        return tuple(found.name for found in await self.ask(commands.GetFilters()))

    async def show(self, name: str) -> ET.Element:
        """Return the definition of a filter."""
        return await self.ask(commands.GetFilter(name=name))

    async def find(self, name: str) -> ET.Element | None:
        """Return the definition of a filter, ``None`` if there is none."""
        return await self.ask_unless_missing(commands.GetFilter(name=name), NO_FILTER)

    async def define(self, definition: ET.Element) -> None:
        """Define a filter by libvirt's XML."""
        await self.ask(commands.DefineFilter(filter=definition))

    async def undefine(self, name: str) -> None:
        """Remove a filter that nothing uses."""
        await self.ask(commands.UndefineFilter(name=name))


def _describe(network: commands.Network, active: bool) -> Network:
    definition = network.definition
    bridge, forward = definition.find("bridge"), definition.find("forward")
    return Network(
        name=definition.findtext("name", ""),
        uuid=definition.findtext("uuid", ""),
        active=active,
        autostart=network.autostart,
        bridge="" if bridge is None else bridge.get("name", ""),
        forward="" if forward is None else forward.get("mode", "nat"),
        definition=definition,
    )
