# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module geolocalization."""

from __future__ import annotations

from tests.conformance.row import HYPERVISOR, action, option, phrases, tokens

NS = "archipel:hypervisor:geolocalization"

ROWS = (
    action(
        NS,
        "get",
        (HYPERVISOR,),
        "where the host stands: latitude and longitude",
        better="a service is asked when somebody wants to know, over TLS only, and never at the start",
        tests=(
            "tests/unit/agent/test_geolocation.py::test_what_is_configured_is_told",
            "tests/unit/agent/test_geolocation.py::test_a_founding_configuration_is_read_and_asks_nobody_in_clear",
        ),
    ),
    *phrases(HYPERVISOR, (NS, "get"), "where are you", "localize"),
    *tokens((HYPERVISOR,), "geolocalization_get"),
    option("GEOLOCALIZATION", "localization_mode", "manual", meaning="auto asked a service on the network, manual did not"),
    option("GEOLOCALIZATION", "localization_latitude", "45.9"),
    option("GEOLOCALIZATION", "localization_longitude", "6.1"),
    option("GEOLOCALIZATION", "localization_service_url", "ipinfodb.com"),
    option("GEOLOCALIZATION", "localization_service_request", "/ip_query.php"),
    option("GEOLOCALIZATION", "localization_service_method", "GET"),
    option("GEOLOCALIZATION", "localization_service_response_root_node", "Response", meaning="demanded and never read"),
)
