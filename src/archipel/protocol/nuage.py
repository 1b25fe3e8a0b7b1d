# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands about networks of Nuage's controller (namespace ``archipel:hypervisor:nuage:network``), which no entity serves any more.

They are known so that founding clients are told so, and not that they lack a right.
"""

from __future__ import annotations

import enum

from archipel.protocol import namespaces as ns
from archipel.protocol.payload import Request, payload


class NuageCode(enum.IntEnum):
    """The founders' error codes."""

    CREATE = -12001
    DELETE = -12002
    UPDATE = -12003
    GET = -12004
    GET_NAMES = -12005


@payload
class CreateNuageNetwork(Request[None], namespace=ns.HYPERVISOR_NUAGE, action="create"):
    """Make a network."""


@payload
class DeleteNuageNetwork(Request[None], namespace=ns.HYPERVISOR_NUAGE, action="delete"):
    """Remove a network."""


@payload
class UpdateNuageNetwork(Request[None], namespace=ns.HYPERVISOR_NUAGE, action="update"):
    """Change a network."""


@payload
class GetNuageNetworks(Request[None], namespace=ns.HYPERVISOR_NUAGE, action="get"):
    """All networks."""


@payload
class GetNuageNetworkNames(Request[None], namespace=ns.HYPERVISOR_NUAGE, action="getnames"):
    """The names of all networks."""
