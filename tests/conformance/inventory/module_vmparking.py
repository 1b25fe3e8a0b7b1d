# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module vmparking."""

from __future__ import annotations

from tests.conformance.row import HYPERVISOR, MACHINE, action, phrases, pushes, tokens

PARKING, OWN = "archipel:hypervisor:vmparking", "archipel:vm:vmparking"
H, VM = (HYPERVISOR,), (MACHINE,)

ROWS = (
    action(PARKING, "list", H, "the machines that no hypervisor has, a page at a time"),
    action(PARKING, "park", H, "take machines off this hypervisor, with disks and account kept"),
    action(PARKING, "unpark", H, "take parked machines in, started if told so"),
    action(PARKING, "delete", H, "destroy parked machines; took any machine"),
    action(PARKING, "edit_definition", H, "change the definition of a parked machine"),
    action(PARKING, "updatexml", H, "what founding clients call edit_definition; no agent knew it"),
    action(PARKING, "create_parked", H, "make a machine that is parked; it was lost"),
    action(OWN, "park", VM, "park this machine"),
    *pushes("vmparking", "parked", "unparked", "deleted", "updated", meaning="parked machines changed"),
    *pushes("vmparking", "cannot-park", "cannot-unpark", "cannot-delete", "cannot-update", meaning="expected by clients, sent by no agent"),
    *phrases(HYPERVISOR, (PARKING, "park"), "park UUIDS"),
    *phrases(HYPERVISOR, (PARKING, "unpark"), "unpark UUIDS"),
    *phrases(HYPERVISOR, (PARKING, "list"), "park list", meaning="never understood: `park` came first"),
    *phrases(MACHINE, (OWN, "park"), "park"),
    *tokens(H, "vmparking_park", "vmparking_list", "vmparking_unpark", "vmparking_delete", "vmparking_edit_definition"),
    *tokens(H, "vmparking_create_parked"),
    *tokens(H, "vmparking_updatexml", meaning="asked for by clients, made by no agent"),
    *tokens(VM, "vmparking_park"),
)
