# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module vmparking."""

from __future__ import annotations

from tests.conformance.row import HYPERVISOR, MACHINE, action, phrases, pushes, tokens

PARKING, OWN = "archipel:hypervisor:vmparking", "archipel:vm:vmparking"
FAILURES = "tests/unit/agent/test_parking.py::test_what_fails_after_the_answer_is_pushed_and_done_later"
H, VM = (HYPERVISOR,), (MACHINE,)

ROWS = (
    action(
        PARKING,
        "list",
        H,
        "the machines that no hypervisor has, a page at a time",
        better="always answered, without secrets, within what the server lets through",
        tests=("tests/integration/agent/test_parking.py::test_a_parked_machine_is_gone_from_the_host_and_comes_back_as_it_was",),
    ),
    action(
        PARKING,
        "park",
        H,
        "take machines off this hypervisor, with disks and account kept",
        better="a crash leaves the machine managed or parked; one that libvirt would lose something of is refused, and rights and autostart are kept",
        tests=(
            "tests/integration/agent/test_parking.py::test_a_parked_machine_is_gone_from_the_host_and_comes_back_as_it_was",
            "tests/integration/agent/test_parking.py::test_a_machine_with_snapshots_is_not_parked",
        ),
    ),
    action(
        PARKING,
        "unpark",
        H,
        "take parked machines in, started if told so",
        better="only what is parked is taken in, within the domain policy; what fails later is pushed",
        tests=(
            "tests/integration/agent/test_parking.py::test_unparked_with_start_it_runs",
            "tests/integration/agent/test_parking.py::test_what_fails_after_the_answer_is_pushed_and_leaves_it_parked",
        ),
    ),
    action(
        PARKING,
        "delete",
        H,
        "destroy parked machines; took any machine",
        better="only parked machines are deleted, and only their own folders",
        tests=("tests/integration/agent/test_parking.py::test_a_deleted_one_leaves_nothing_and_others_are_never_deleted",),
    ),
    action(
        PARKING,
        "edit_definition",
        H,
        "change the definition of a parked machine",
        better="the domain policy holds for it",
        tests=("tests/integration/agent/test_parking.py::test_a_parked_definition_is_changed_within_identity_and_policy",),
    ),
    action(
        PARKING,
        "updatexml",
        H,
        "what founding clients call edit_definition; no agent knew it",
        better="it is known",
        tests=("tests/integration/agent/test_parking.py::test_a_parked_definition_is_changed_within_identity_and_policy",),
    ),
    action(
        PARKING,
        "create_parked",
        H,
        "make a machine that is parked; it was lost",
        better="the machine is there afterwards",
        tests=("tests/integration/agent/test_parking.py::test_a_machine_is_made_parked_and_can_be_unparked",),
    ),
    action(
        OWN,
        "park",
        VM,
        "park this machine",
        better="a running machine is only switched off with force",
        tests=("tests/integration/agent/test_parking.py::test_a_running_machine_parks_itself_only_with_force",),
    ),
    *pushes("vmparking", "parked", "unparked", "deleted", "updated", meaning="parked machines changed"),
    *pushes("vmparking", "cannot-unpark", meaning="expected by clients, sent by no agent"),
    *pushes("vmparking", "cannot-park", "cannot-delete", meaning="expected by clients, sent by no agent", tests=(FAILURES,)),
    *pushes(
        "vmparking",
        "cannot-update",
        meaning="expected by clients, sent by no agent",
        dropped="a definition is changed before the answer, which is the error if that fails",
        tests=("tests/integration/agent/test_parking.py::test_a_parked_definition_is_changed_within_identity_and_policy",),
    ),
    *phrases(HYPERVISOR, (PARKING, "park"), "park UUIDS"),
    *phrases(HYPERVISOR, (PARKING, "unpark"), "unpark UUIDS"),
    *phrases(HYPERVISOR, (PARKING, "list"), "park list", meaning="never understood: `park` came first"),
    *phrases(MACHINE, (OWN, "park"), "park"),
    *tokens(H, "vmparking_park", "vmparking_list", "vmparking_unpark", "vmparking_delete", "vmparking_edit_definition"),
    *tokens(
        H,
        "vmparking_create_parked",
        tests=("tests/unit/agent/test_founding_rights.py::test_who_holds_it_may_and_who_lacks_it_is_told",),
    ),
    *tokens(H, "vmparking_updatexml", meaning="asked for by clients, made by no agent"),
    *tokens(VM, "vmparking_park"),
)
