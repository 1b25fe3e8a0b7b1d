# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module hypervisor_nuage_network."""

from __future__ import annotations

from tests.conformance.row import EVERY, HYPERVISOR, action, option, pushes, tokens

NS = "archipel:hypervisor:nuage:network"
H = (HYPERVISOR,)
GONE = "Nuage's controller is no longer sold; who asks is told that the feature is not implemented"
SHOWN = ("tests/integration/agent/test_retired_namespaces.py::test_networks_of_nuages_controller_are_gone",)
GONE_WITH_TEST = {"dropped": GONE, "tests": SHOWN}
NEVER_PUSHED = "there are no such networks, and nothing is pushed of them"
NOWHERE = ("tests/unit/test_conformance.py::test_nothing_that_was_dropped_is_there",)
TOLD = "Nuage's controller is no longer sold: the section is taken with a warning"
WARNED = ("tests/unit/agent/test_config.py::test_the_founding_file_is_read_with_warnings_only",)
GRANTED = "can be granted, because founding clients send whole sets, and guards nothing"
HELD = ("tests/unit/agent/test_founding_rights.py::test_what_guards_nothing_is_granted_as_founding_clients_ask",)

ROWS = (
    action(NS, "create", H, "make a network for Nuage's controller", **GONE_WITH_TEST),
    action(NS, "delete", H, "remove one that no machine uses", **GONE_WITH_TEST),
    action(NS, "update", H, "change one, and the definitions of the machines that use it", **GONE_WITH_TEST),
    action(NS, "get", EVERY, "all of them; of a machine always an error", **GONE_WITH_TEST),
    action(NS, "getnames", EVERY, "their names", **GONE_WITH_TEST),
    *pushes("nuagenetwork", "created", "deleted", "updated", meaning="Nuage networks changed", dropped=NEVER_PUSHED, tests=NOWHERE),
    *tokens(H, "nuagenetwork_create", "nuagenetwork_delete", "nuagenetwork_update", different=GRANTED, tests=HELD),
    *tokens(EVERY, "nuagenetwork_get", "nuagenetwork_getnames", different=GRANTED, tests=HELD),
    option("NUAGE", "nuage_bridge", "alubr0", dropped=TOLD, tests=WARNED),
    option("NUAGE", "database", "%(archipel_folder_data)s/nuage.sqlite3", dropped=TOLD, tests=WARNED),
)
