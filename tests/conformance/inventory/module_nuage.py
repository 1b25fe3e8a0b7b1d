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

ROWS = (
    action(NS, "create", H, "make a network for Nuage's controller", **GONE_WITH_TEST),
    action(NS, "delete", H, "remove one that no machine uses", **GONE_WITH_TEST),
    action(NS, "update", H, "change one, and the definitions of the machines that use it", **GONE_WITH_TEST),
    action(NS, "get", EVERY, "all of them; of a machine always an error", **GONE_WITH_TEST),
    action(NS, "getnames", EVERY, "their names", **GONE_WITH_TEST),
    *pushes("nuagenetwork", "created", "deleted", "updated", meaning="Nuage networks changed", **GONE_WITH_TEST),
    *tokens(H, "nuagenetwork_create", "nuagenetwork_delete", "nuagenetwork_update", **GONE_WITH_TEST),
    *tokens(EVERY, "nuagenetwork_get", "nuagenetwork_getnames", **GONE_WITH_TEST),
    option("NUAGE", "nuage_bridge", "alubr0", **GONE_WITH_TEST),
    option("NUAGE", "database", "%(archipel_folder_data)s/nuage.sqlite3", **GONE_WITH_TEST),
)
