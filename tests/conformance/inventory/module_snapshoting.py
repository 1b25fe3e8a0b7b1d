# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module snapshoting."""

from __future__ import annotations

from tests.conformance.row import MACHINE, action, pushes, tokens

NS = "archipel:virtualmachine:snapshoting"
VM = (MACHINE,)

ROWS = (
    action(
        NS,
        "take",
        VM,
        "take a snapshot",
        better="a name is made where none is given; external ones, with or without memory, with the guest's files at rest",
        tests=(
            "tests/integration/agent/test_snapshots.py::test_snapshots_are_taken_on_each_other_told_and_gone_back_to",
            "tests/integration/agent/test_snapshots.py::test_a_snapshot_that_fails_leaves_nothing_and_the_state_is_shown_again",
        ),
    ),
    action(
        NS,
        "get",
        VM,
        "all snapshots; no answer for a machine without definition",
        better="always answered, and without the machine's secrets",
        tests=(
            "tests/integration/agent/test_snapshots.py::test_founding_clients_find_each_snapshots_own_words_first_and_no_secret",
            "tests/integration/agent/test_snapshots.py::test_a_machine_without_definition_says_so",
        ),
    ),
    action(
        NS,
        "current",
        VM,
        "the snapshot that the machine stands on",
        better="always answered, and without the machine's secrets",
        tests=("tests/integration/agent/test_snapshots.py::test_a_machine_without_definition_says_so",),
    ),
    action(
        NS,
        "delete",
        VM,
        "remove a snapshot, with those below it",
        different="what stands on it stays, because its disks would be lost; `children='1'` removes it too",
        tests=("tests/integration/agent/test_snapshots.py::test_what_stands_on_a_snapshot_goes_with_it_only_if_that_is_said",),
    ),
    action(
        NS,
        "revert",
        VM,
        "go back to a snapshot",
        better="a definition that the domain policy forbids does not come back",
        tests=("tests/integration/agent/test_snapshots.py::test_a_definition_that_the_policy_forbids_does_not_come_back_for_everybody",),
    ),
    *pushes("snapshoting", "taken", "deleted", "restored", meaning="snapshots changed"),
    *tokens(VM, "snapshot_take", "snapshot_delete", "snapshot_get", "snapshot_current", "snapshot_revert"),
)
