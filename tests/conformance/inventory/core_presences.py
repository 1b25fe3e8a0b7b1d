# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Core: presences."""

from __future__ import annotations

from tests.conformance.row import HYPERVISOR, MACHINE, presence

PRESENCES = "tests/integration/agent/test_presences.py"
STATES = (
    f"{PRESENCES}::test_a_machine_shows_its_states",
    "tests/unit/protocol/test_presence.py::test_each_state_of_a_domain_has_its_presence",
)
COUNTS = (f"{PRESENCES}::test_the_hypervisor_counts_its_machines_and_says_when_it_is_busy",)
MOVING = "tests/unit/agent/test_migration.py"
LOST = ("tests/integration/agent/test_libvirt_faults.py::test_all_show_it_and_show_again_what_is_when_it_is_back",)

ROWS = (
    presence(HYPERVISOR, "Online (N)", "the number of machines", "Online (", tests=COUNTS),
    presence(
        HYPERVISOR,
        "Online (N) — no VT",
        "the processor has no virtualisation",
        " — no VT",
        tests=("tests/unit/protocol/test_presence.py::test_a_hypervisor_tells_how_many_machines_it_has",),
    ),
    presence(HYPERVISOR, "Online (Allocating vm...)", "while a machine is made", "Allocating vm...", tests=COUNTS),
    presence(
        HYPERVISOR,
        "Online (Initializing...)",
        "while the agent starts",
        dropped="it is online when it can be asked, and then counts its machines",
        tests=("tests/unit/agent/test_entity.py::test_an_entity_has_roster_events_node_and_vcard_before_it_shows_itself",),
    ),
    presence(HYPERVISOR, "Libvirt connection lost", "dnd: libvirt does not answer", tests=LOST),
    presence(HYPERVISOR, "Online (Waiting Ns for central-agent)", "at the start", "for central-agent", central=True),
    presence(HYPERVISOR, "⚭ Online (N)", "a central agent is there (U+26AD in front)", "⚭", central=True),
    presence(MACHINE, "Running", "no show: running or blocked", tests=STATES),
    presence(MACHINE, "Paused", "away", tests=STATES),
    presence(MACHINE, "Off", "xa", tests=STATES),
    presence(MACHINE, "Not defined", "xa: no domain", tests=(f"{PRESENCES}::test_a_machine_without_definition_shows_that",)),
    presence(
        MACHINE,
        "Shutting down...",
        "no show: the guest was asked to shut down",
        tests=("tests/unit/agent/test_virtual_machine.py::test_shutting_down_is_shown_and_only_the_end_of_it_pushed",),
    ),
    presence(
        MACHINE,
        "Crashed",
        "xa; shown after a stop in good order, never after a crash",
        better="after a crash, and nothing else",
        tests=("tests/unit/agent/test_virtual_machine.py::test_an_event_is_shown_by_the_state_that_is_read_then_and_pushed",),
    ),
    presence(MACHINE, "Shut off", "never shown", dropped="the founders' agent could not show it either; it is `Off`", tests=STATES),
    presence(MACHINE, "Libvirt connection lost", "dnd: libvirt does not answer", tests=LOST),
    presence(
        MACHINE,
        "Cloning from NAME",
        "dnd: of the copy, while it is made",
        "Cloning from ",
        dropped="the copy shows itself when it is whole",
        tests=("tests/integration/agent/test_clones.py::test_a_copy_is_the_same_machine_with_an_identity_of_its_own",),
    ),
    presence(MACHINE, "Cloning to NAME", "dnd: of the machine that is copied", "Cloning to "),
    presence(MACHINE, "Migrating - N%", "the show stays", "Migrating - ", tests=(f"{MOVING}::test_progress_is_shown_beside_the_state",)),
    presence(
        MACHINE,
        "Migration aborted",
        "the folder is not shared",
        different="somebody cancelled it; storage that is not shared is copied, or its lack is the answer to who asks",
        tests=("tests/e2e/test_migration.py::test_who_cancels_it_keeps_it_where_it_is",),
    ),
    presence(MACHINE, "Can't migrate.", "the migration failed", tests=(f"{MOVING}::test_what_libvirt_refuses_leaves_it_where_it_was",)),
)
