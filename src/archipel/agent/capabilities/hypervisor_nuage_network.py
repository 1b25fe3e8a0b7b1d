# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks of Nuage's controller (namespace ``archipel:hypervisor:nuage:network``): said in plain words not to be here.

There is no right that would open what does not exist: whoever is known is told so, strangers are refused as ever.
"""

from __future__ import annotations

from typing import NoReturn

from archipel.agent.dispatch import EVERY_KIND, Caller, command
from archipel.agent.entity import Entity
from archipel.protocol import nuage as wire
from archipel.protocol.errors import NotImplementedByEntity
from archipel.protocol.nuage import NuageCode as Code
from archipel.protocol.rights import EntityKind

HYPERVISOR = EntityKind.HYPERVISOR


def _refuse() -> NoReturn:
    raise NotImplementedByEntity("Nuage's controller is not served by this agent: use libvirt's networks (archipel:hypervisor:network)")


@command(wire.CreateNuageNetwork, on=HYPERVISOR, right=None, failure=Code.CREATE)
async def create(_entity: Entity, _request: wire.CreateNuageNetwork, _caller: Caller) -> None:
    """Say that no such network can be made."""
    _refuse()


@command(wire.DeleteNuageNetwork, on=HYPERVISOR, right=None, failure=Code.DELETE)
async def delete(_entity: Entity, _request: wire.DeleteNuageNetwork, _caller: Caller) -> None:
    """Say that there is no such network to remove."""
    _refuse()


@command(wire.UpdateNuageNetwork, on=HYPERVISOR, right=None, failure=Code.UPDATE)
async def update(_entity: Entity, _request: wire.UpdateNuageNetwork, _caller: Caller) -> None:
    """Say that there is no such network to change."""
    _refuse()


@command(wire.GetNuageNetworks, on=EVERY_KIND, right=None, failure=Code.GET)
async def get(_entity: Entity, _request: wire.GetNuageNetworks, _caller: Caller) -> None:
    """Say that there are no such networks."""
    _refuse()


@command(wire.GetNuageNetworkNames, on=EVERY_KIND, right=None, failure=Code.GET_NAMES)
async def get_names(_entity: Entity, _request: wire.GetNuageNetworkNames, _caller: Caller) -> None:
    """Say that such networks have no names."""
    _refuse()
