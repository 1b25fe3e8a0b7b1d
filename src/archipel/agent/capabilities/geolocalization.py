# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where this host stands (namespace ``archipel:hypervisor:geolocalization``)."""

from __future__ import annotations

from archipel.agent.dispatch import Caller, Chat, command
from archipel.agent.geolocation import GeolocationSettings, PlaceFinder
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.one_each import one_per_hypervisor
from archipel.protocol import geolocalization as wire
from archipel.protocol.rights import ON_HYPERVISOR, EntityKind, Token

SETTINGS = GeolocationSettings
TOKENS = (Token("geolocalization_get", "See where the hypervisor stands", ON_HYPERVISOR),)


@one_per_hypervisor
def finder_of(hypervisor: Hypervisor) -> PlaceFinder:
    """Return what finds where a hypervisor stands."""
    return PlaceFinder(hypervisor.services.settings.capabilities["geolocalization"])


def _say_place(place: wire.Place) -> str:
    return f"I am at latitude {place.latitude} and longitude {place.longitude}."


@command(
    wire.GetPlace,
    on=EntityKind.HYPERVISOR,
    right="geolocalization_get",
    failure=wire.FAILURE,
    chat=Chat(("where are you", "localize"), _say_place),
)
async def get_place(hypervisor: Hypervisor, _request: wire.GetPlace, _caller: Caller) -> wire.Place:
    """Where this host stands."""
    return await finder_of(hypervisor).find()
