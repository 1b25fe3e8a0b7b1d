# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hypervisor's host is (namespace ``archipel:hypervisor:control``)."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from archipel.agent.addresses import find_address
from archipel.agent.dispatch import Caller, Chat, command
from archipel.agent.hypervisor import Hypervisor
from archipel.protocol import hypervisor as wire
from archipel.protocol.errors import ErrorCode
from archipel.protocol.rights import EntityKind

HYPERVISOR = EntityKind.HYPERVISOR


def _say_node(node: wire.NodeInfo) -> str:
    return f"{node.cpus} CPUs ({node.model}, {node.mhz} MHz), {node.memory} MiB of memory"


@command(
    wire.GetHostCapabilities,
    on=HYPERVISOR,
    right="capabilities",
    failure=ErrorCode.HYPERVISOR_CAPABILITIES,
    chat=Chat(("capabilities",), lambda xml: ET.tostring(xml, "unicode")),
)
async def get_capabilities(hypervisor: Hypervisor, _request: wire.GetHostCapabilities, _caller: Caller) -> ET.Element:
    """What libvirt can do on this host."""
    return ET.fromstring(await hypervisor.services.host.capabilities())  # noqa: S314 - libvirt's own


@command(
    wire.GetNodeInfo,
    on=HYPERVISOR,
    right="nodeinfo",
    failure=ErrorCode.NODE_INFO,
    chat=Chat(("nodeinfo",), _say_node),
)
async def get_node_info(hypervisor: Hypervisor, _request: wire.GetNodeInfo, _caller: Caller) -> wire.NodeInfo:
    """What this host is made of."""
    node = await hypervisor.services.host.node_info()
    return wire.NodeInfo(
        model=node.model,
        memory=node.memory,
        cpus=node.cpus,
        mhz=node.mhz,
        nodes=node.numa_nodes,
        sockets=node.sockets,
        cores=node.cores,
        threads=node.threads,
    )


@command(wire.GetAddress, on=HYPERVISOR, right="ip", failure=ErrorCode.IP, chat=Chat(("ip",), lambda answer: answer.address))
async def get_address(hypervisor: Hypervisor, _request: wire.GetAddress, _caller: Caller) -> wire.Address:
    """The address of this host."""
    return wire.Address(address=await find_address(hypervisor.services.settings))
