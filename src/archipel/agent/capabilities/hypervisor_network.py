# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's networks, bridges and interfaces (namespace ``archipel:hypervisor:network``)."""

from __future__ import annotations

import asyncio
from typing import Final
from xml.etree import ElementTree as ET

from archipel.agent import host_interfaces, networks
from archipel.agent.dispatch import EVERY_KIND, Caller, Chat, command
from archipel.agent.entity import Entity
from archipel.agent.hooks import in_background
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.virt.network_events import NetworkChange
from archipel.agent.virt.networks import NetworkState
from archipel.protocol import network as wire
from archipel.protocol.errors import CommandError, Condition
from archipel.protocol.network import NetworkCode as Code
from archipel.protocol.rights import ANY_ENTITY, ON_HYPERVISOR, EntityKind, Token

TOKENS = (
    Token("network_define", "Define and change the host's networks, within the domain policy", ON_HYPERVISOR),
    Token("network_undefine", "Remove definitions of the host's networks", ON_HYPERVISOR),
    Token("network_create", "Start the host's networks", ON_HYPERVISOR),
    Token("network_destroy", "Stop the host's networks", ON_HYPERVISOR),
    Token("network_get", "See the definitions of the host's networks", ON_HYPERVISOR),
    Token("network_leases", "See which addresses the host's networks gave away", ON_HYPERVISOR),
    Token("network_getnames", "See the names of the host's networks", ANY_ENTITY),
    Token("network_bridges", "See the host's bridges", ANY_ENTITY),
    Token("network_getnics", "See the host's network interfaces", ANY_ENTITY),
)
HYPERVISOR = EntityKind.HYPERVISOR
MOST_BYTES: Final = 200_000  # of an answer: Debian's ejabberd ends a session that sends a stanza of more than 256 KiB
_CHANGES: Final = {
    NetworkChange.DEFINED: wire.NetworkPush.DEFINED,
    NetworkChange.UNDEFINED: wire.NetworkPush.UNDEFINED,
    NetworkChange.STARTED: wire.NetworkPush.CREATED,
    NetworkChange.STOPPED: wire.NetworkPush.DESTROYED,
}

WHICH = {"uuid": "Which network (name or UUID)?"}


def _say_networks(groups: tuple[wire.NetworkGroup, ...]) -> str:
    lines = [
        f"{found.definition.findtext('name')}: {'runs' if group.active else 'does not run'}" for group in groups for found in group.networks
    ]
    return "\n".join(lines) or "There is no network."


def _say_leases(leases: tuple[wire.Lease, ...]) -> str:
    return "\n".join(f"{lease.ip}: {lease.mac} {lease.hostname}".rstrip() for lease in leases) or "No address is given away."


def _say_names(found: tuple[wire.Nic, ...] | tuple[wire.Bridge, ...]) -> str:
    return "\n".join(item.name for item in found) or "There is none."


@in_background
async def follow_networks(hypervisor: Hypervisor) -> None:
    """Push what happens to networks, whoever does it; what belongs together is pushed when all of it is done."""
    with hypervisor.services.libvirt.network_events.queue() as events:
        while True:
            event = await events.get()
            async with hypervisor.services.host.networks.changing:
                if event.change in _CHANGES:
                    hypervisor.push(wire.TOPIC, _CHANGES[event.change])


@command(wire.DefineNetwork, on=HYPERVISOR, right="network_define", failure=Code.DEFINE)
async def define(hypervisor: Hypervisor, request: wire.DefineNetwork, caller: Caller) -> None:
    """Define a network of this host."""
    await networks.define(hypervisor, request, caller)


@command(wire.UndefineNetwork, on=HYPERVISOR, right="network_undefine", failure=Code.UNDEFINE)
async def undefine(hypervisor: Hypervisor, request: wire.UndefineNetwork, caller: Caller) -> None:
    """Remove the definition of a network."""
    await networks.undefine(hypervisor, request.uuid, caller)


@command(
    wire.CreateNetwork,
    on=HYPERVISOR,
    right="network_create",
    failure=Code.CREATE,
    chat=Chat(("create network {uuid}", "start network {uuid}"), lambda _: "The network is started.", questions=WHICH),
)
async def create(hypervisor: Hypervisor, request: wire.CreateNetwork, caller: Caller) -> None:
    """Start a network."""
    await hypervisor.services.host.networks.create(request.uuid)
    hypervisor.shout(f"{caller.bare} has started the network {request.uuid} on {hypervisor.name}.")


@command(
    wire.DestroyNetwork,
    on=HYPERVISOR,
    right="network_destroy",
    failure=Code.DESTROY,
    chat=Chat(
        ("destroy network {uuid}", "stop network {uuid}"),
        lambda _: "The network is stopped.",
        questions=WHICH,
        confirm="Machines that run on the network are cut off.",
    ),
)
async def destroy(hypervisor: Hypervisor, request: wire.DestroyNetwork, caller: Caller) -> None:
    """Stop a network."""
    await hypervisor.services.host.networks.destroy(request.uuid)
    hypervisor.shout(f"{caller.bare} has stopped the network {request.uuid} on {hypervisor.name}.")


@command(wire.GetNetworks, on=HYPERVISOR, right="network_get", failure=Code.GET, chat=Chat(("list networks",), _say_networks))
async def get(hypervisor: Hypervisor, _request: wire.GetNetworks, _caller: Caller) -> tuple[wire.NetworkGroup, ...]:
    """The networks of this host."""
    states = await hypervisor.services.host.networks.read_all()
    if sum(len(state.xml.encode()) for state in states) > MOST_BYTES:
        raise CommandError(f"the networks have more than {MOST_BYTES} bytes and fit in no answer; read them with virsh net-dumpxml")
    return tuple(_group(states, active=active) for active in (True, False))


def _group(states: list[NetworkState], *, active: bool) -> wire.NetworkGroup:
    networks = tuple(_describe(state) for state in states if state.active is active)
    return wire.NetworkGroup(active=active, networks=networks)


def _describe(state: NetworkState) -> wire.Network:
    return wire.Network(autostart=state.autostart, definition=ET.fromstring(state.xml))  # noqa: S314 - libvirt wrote it


@command(wire.DescribeNetwork, on=HYPERVISOR, right="network_get", failure=Code.DESCRIBE)
async def describe(hypervisor: Hypervisor, request: wire.DescribeNetwork, _caller: Caller) -> wire.NetworkDescription:
    """One network, with what its next start will use."""
    state = await hypervisor.services.host.networks.find(request.uuid)
    return wire.NetworkDescription(
        name=state.name,
        uuid=state.uuid,
        active=state.active,
        persistent=state.persistent,
        autostart=state.autostart,
        stored=ET.fromstring(state.definition) if state.persistent else None,  # noqa: S314 - libvirt wrote it
        running=ET.fromstring(state.xml) if state.active else None,  # noqa: S314 - libvirt wrote it
    )


@command(wire.UpdateNetwork, on=HYPERVISOR, right="network_define", failure=Code.UPDATE)
async def update(hypervisor: Hypervisor, request: wire.UpdateNetwork, caller: Caller) -> tuple[wire.RefusedUpdate, ...]:
    """Define a network, and change it at once if it runs."""
    return await networks.update(hypervisor, request, caller)


@command(wire.GetNetworkNames, on=EVERY_KIND, right="network_getnames", failure=Code.GET_NAMES)
async def get_names(entity: Entity, _request: wire.GetNetworkNames, _caller: Caller) -> tuple[wire.NetworkName, ...]:
    """The names of the networks that run."""
    return tuple(wire.NetworkName(name=name) for name in await entity.services.host.networks.active_names())


@command(wire.GetBridges, on=EVERY_KIND, right="network_bridges", failure=Code.BRIDGES, chat=Chat(("bridges",), _say_names))
async def get_bridges(_entity: Entity, _request: wire.GetBridges, _caller: Caller) -> tuple[wire.Bridge, ...]:
    """The bridges of this host."""
    try:
        kernel = await asyncio.to_thread(host_interfaces.list_kernel_bridges)
    except OSError as error:
        raise CommandError(f"the kernel's bridges cannot be read: {error}", condition=Condition.INTERNAL_SERVER_ERROR) from error
    switched = await host_interfaces.list_open_vswitch_bridges()
    types = dict.fromkeys(kernel, "linux-bridge") | dict.fromkeys(switched, "openvswitch")
    return tuple(wire.Bridge(name=name, type=kind) for name, kind in sorted(types.items()))


@command(wire.GetNics, on=EVERY_KIND, right="network_getnics", failure=Code.GET_NICS, chat=Chat(("nics", "network cards"), _say_names))
async def get_nics(_entity: Entity, _request: wire.GetNics, _caller: Caller) -> tuple[wire.Nic, ...]:
    """The network interfaces of this host."""
    try:
        return tuple(wire.Nic(name=name) for name in await asyncio.to_thread(host_interfaces.list_interfaces))
    except OSError as error:
        raise CommandError(f"the interfaces cannot be read: {error}", condition=Condition.INTERNAL_SERVER_ERROR) from error


@command(
    wire.GetLeases,
    on=HYPERVISOR,
    right="network_leases",
    failure=Code.LEASES,
    chat=Chat(("network leases {uuid}",), _say_leases, questions=WHICH),
)
async def get_leases(hypervisor: Hypervisor, request: wire.GetLeases, _caller: Caller) -> tuple[wire.Lease, ...]:
    """The addresses that a network's DHCP server gave away."""
    return tuple(
        wire.Lease(mac=lease.mac, ip=lease.address, prefix=lease.prefix, hostname=lease.hostname, client=lease.client, expiry=lease.expiry)
        for lease in await hypervisor.services.host.networks.leases(request.uuid)
    )
