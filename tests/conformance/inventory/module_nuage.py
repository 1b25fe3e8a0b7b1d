# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module hypervisor_nuage_network."""

from __future__ import annotations

from tests.conformance.row import EVERY, HYPERVISOR, action, option, pushes, tokens

NS = "archipel:hypervisor:nuage:network"
H = (HYPERVISOR,)

ROWS = (
    action(NS, "create", H, "make a network for Nuage's controller"),
    action(NS, "delete", H, "remove one that no machine uses"),
    action(NS, "update", H, "change one, and the definitions of the machines that use it"),
    action(NS, "get", EVERY, "all of them; of a machine always an error"),
    action(NS, "getnames", EVERY, "their names"),
    *pushes("nuagenetwork", "created", "deleted", "updated", meaning="Nuage networks changed"),
    *tokens(H, "nuagenetwork_create", "nuagenetwork_delete", "nuagenetwork_update"),
    *tokens(EVERY, "nuagenetwork_get", "nuagenetwork_getnames"),
    option("NUAGE", "nuage_bridge", "alubr0"),
    option("NUAGE", "database", "%(archipel_folder_data)s/nuage.sqlite3"),
)
