# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module oomkiller."""

from __future__ import annotations

from tests.conformance.row import MACHINE, action, pushes, tokens

NS = "archipel:vm:oom"
VM = (MACHINE,)

ROWS = (
    action(
        NS,
        "getadjust",
        VM,
        "how readily the kernel kills the machine when memory runs out",
        better="tells what is in force and the process's real score",
        tests=("tests/unit/agent/test_oomkiller.py::test_what_is_asked_counts_at_once_and_is_read_from_the_process",),
    ),
    action(
        NS,
        "setadjust",
        VM,
        "change that; -17 is never",
        better="-17 to 15 are converted to the kernel's scale, -17 to never, as it was meant; pushed where clients listen as well",
        tests=(
            "tests/integration/agent/test_oomkiller.py::test_what_founding_clients_send_is_kept_and_pushed_where_they_listen",
            "tests/unit/agent/test_oomkiller.py::test_what_is_kept_is_told_and_counts_at_the_start",
            "tests/unit/agent/test_oomkiller.py::test_what_a_founding_client_sets_is_told_it_again",
        ),
    ),
    *pushes("oom", "adjusted", meaning="it was changed; clients listened to another topic"),
    *tokens(VM, "oom_getadjust", "oom_setadjust"),
)
