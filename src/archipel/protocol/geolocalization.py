# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a hypervisor stands (namespace ``archipel:hypervisor:geolocalization``)."""

from __future__ import annotations

from typing import Final

from archipel.protocol import namespaces as ns
from archipel.protocol.payload import Payload, Request, payload, text_child

FAILURE: Final = -9001


@payload
class Place(Payload, tag="gelocalization"):
    """A place on earth, in degrees, north and east positive; founding clients read the element by this name."""

    latitude: float = text_child(name="Latitude")
    longitude: float = text_child(name="Longitude")


@payload
class GetPlace(Request[Place], namespace=ns.HYPERVISOR_GEOLOCALIZATION, action="get", reads=True):
    """Where the hypervisor stands."""
