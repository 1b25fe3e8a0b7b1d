# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where this host stands (namespace ``archipel:hypervisor:geolocalization``)."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from archipel.agent.dispatch import Caller, Chat, command
from archipel.agent.geolocation import GeolocationSettings, PlaceFinder
from archipel.agent.hypervisor import Hypervisor
from archipel.protocol import geolocalization as wire
from archipel.protocol.rights import ON_HYPERVISOR, EntityKind, Token

SETTINGS = GeolocationSettings
TOKENS = (Token("geolocalization_get", "See where the hypervisor stands", ON_HYPERVISOR),)

_finders: WeakKeyDictionary[Hypervisor, PlaceFinder] = WeakKeyDictionary()


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
    if hypervisor not in _finders:
        _finders[hypervisor] = PlaceFinder(hypervisor.services.settings.capabilities["geolocalization"])
    return await _finders[hypervisor].find()
