# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module snapshoting."""

from __future__ import annotations

from tests.conformance.row import MACHINE, action, pushes, tokens

NS = "archipel:virtualmachine:snapshoting"
VM = (MACHINE,)

ROWS = (
    action(NS, "take", VM, "take a snapshot"),
    action(NS, "get", VM, "all snapshots; no answer for a machine without definition"),
    action(NS, "current", VM, "the snapshot that the machine stands on"),
    action(NS, "delete", VM, "remove a snapshot, with those below it"),
    action(NS, "revert", VM, "go back to a snapshot"),
    *pushes("snapshoting", "taken", "deleted", "restored", meaning="snapshots changed"),
    *tokens(VM, "snapshot_take", "snapshot_delete", "snapshot_get", "snapshot_current", "snapshot_revert"),
)
