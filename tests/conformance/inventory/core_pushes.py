# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Core: pushes."""

from __future__ import annotations

from tests.conformance.row import pushes

AGENT = "tests/integration/agent"
LIFE = f"{AGENT}/test_pushes.py::test_a_machines_life_is_pushed_in_order_without_gaps"
BEHIND = f"{AGENT}/test_behind_the_back.py::test_every_change_is_pushed_and_shown"
OF_HYPERVISOR = f"{AGENT}/test_pushes.py::test_the_hypervisor_pushes_what_becomes_of_machines"
IN_USE = f"{AGENT}/test_pushes.py::test_memory_and_cpus_are_pushed"
EACH_PERSON = f"{AGENT}/test_permissions.py::test_each_person_concerned_is_pushed_once_by_bare_jid"

ROWS = (
    *pushes("hypervisor", "alloc", "free", "manage", "unmanage", meaning="what becomes of machines", tests=(OF_HYPERVISOR,)),
    *pushes("hypervisor", "clone", meaning="a machine was copied"),
    *pushes(
        "hypervisor",
        "migrate",
        meaning="a machine came from another hypervisor",
        tests=(f"{AGENT}/test_migrations.py::test_the_arrival_is_pushed_and_the_presence_tells_where_it_is",),
    ),
    *pushes(
        "permissions",
        "set",
        meaning="the roster's rights changed",
        dropped="the change is the bare JID of the person, which is what clients compare with",
        tests=(f"{AGENT}/test_subscriptions.py::test_add_takes_somebody_in",),
    ),
    *pushes(
        "permissions",
        "LIST",
        meaning="rights changed: a list in the syntax of Python, which no client understood",
        dropped="one push for each person, with the bare JID as change; `admins` when the list of administrators changed",
        tests=(EACH_PERSON, f"{AGENT}/test_forgeries.py::test_the_list_makes_and_unmakes_administrators_at_once"),
    ),
    *pushes("subscription", "added", meaning="the roster", tests=(f"{AGENT}/test_subscriptions.py::test_add_takes_somebody_in",)),
    *pushes("subscription", "removed", meaning="the roster", tests=(f"{AGENT}/test_subscriptions.py::test_remove_lets_somebody_go",)),
    *pushes("virtualmachine:control", "created", "suspended", "resumed", "shutdown", meaning="whoever did it", tests=(LIFE, BEHIND)),
    *pushes(
        "virtualmachine:control",
        "crashed",
        meaning="sent for machines that shut down in good order, never for a crash",
        better="a crash, and nothing else",
        tests=("tests/unit/agent/test_virtual_machine.py::test_an_event_is_shown_by_the_state_that_is_read_then_and_pushed",),
    ),
    *pushes(
        "virtualmachine:control",
        "shutoff",
        meaning="never sent",
        dropped="the founders' agent could not send it either; the end of a machine is `shutdown`",
        tests=(BEHIND,),
    ),
    *pushes("virtualmachine:control", "memory", "nvcpu", meaning="memory, processors in use", tests=(IN_USE,)),
    *pushes("virtualmachine:definition", "defined", "undefined", meaning="whoever did it", tests=(LIFE, BEHIND)),
    *pushes("virtualmachine:definition", "nvcpu", meaning="processors in use", tests=(IN_USE,)),
)
