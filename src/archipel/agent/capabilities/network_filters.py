# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt's network filters, which keep machines from sending what is not theirs (namespace ``archipel:hypervisor:network``)."""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree as ET

from archipel.agent.dispatch import EVERY_KIND, Caller, command
from archipel.agent.entity import Entity
from archipel.agent.hypervisor import Hypervisor
from archipel.protocol import network as wire
from archipel.protocol.errors import BadRequest
from archipel.protocol.network import NetworkCode as Code
from archipel.protocol.rights import ANY_ENTITY, ON_HYPERVISOR, EntityKind, Token

TOKENS = (
    Token("network_getnwfilters", "See libvirt's network filters", ANY_ENTITY),
    Token(
        "network_nwfilter_define",
        "Change and remove network filters: whoever may lets every machine of the host send what it likes",
        ON_HYPERVISOR,
        reserved=True,
    ),
)
HYPERVISOR = EntityKind.HYPERVISOR
MOST_BYTES: Final = 100_000  # of a filter, which must come back in an answer


@command(wire.GetFilters, on=EVERY_KIND, right="network_getnwfilters", failure=Code.GET_FILTERS)
async def get_filters(entity: Entity, _request: wire.GetFilters, _caller: Caller) -> tuple[wire.Filter, ...]:
    """The names of libvirt's network filters."""
    return tuple(wire.Filter(name=name) for name in await entity.services.host.networks.filter_names())


@command(wire.GetFilter, on=HYPERVISOR, right="network_getnwfilters", failure=Code.FILTER_GET)
async def get_filter(hypervisor: Hypervisor, request: wire.GetFilter, _caller: Caller) -> ET.Element:
    """The definition of a network filter."""
    return ET.fromstring(await hypervisor.services.host.networks.filter_xml(request.name))  # noqa: S314 - libvirt wrote it


@command(wire.DefineFilter, on=HYPERVISOR, right="network_nwfilter_define", failure=Code.FILTER_DEFINE)
async def define_filter(hypervisor: Hypervisor, request: wire.DefineFilter, _caller: Caller) -> None:
    """Define a network filter."""
    text = ET.tostring(request.filter, "unicode")
    if not (request.filter.get("name") or "").strip():
        raise BadRequest("filter: has no name")
    if len(text.encode()) > MOST_BYTES:
        raise BadRequest(f"filter: the definition has more than {MOST_BYTES} bytes")
    await hypervisor.services.host.networks.define_filter(text)


@command(wire.UndefineFilter, on=HYPERVISOR, right="network_nwfilter_define", failure=Code.FILTER_UNDEFINE)
async def undefine_filter(hypervisor: Hypervisor, request: wire.UndefineFilter, _caller: Caller) -> None:
    """Remove a network filter that nothing uses."""
    await hypervisor.services.host.networks.undefine_filter(request.name)
