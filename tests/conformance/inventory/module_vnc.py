# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module vnc."""

from __future__ import annotations

from tests.conformance.row import MACHINE, action, option, phrases, pushes, tokens

NS = "archipel:virtualmachine:vnc"

ROWS = (
    action(
        NS,
        "display",
        (MACHINE,),
        "how to reach the console; no answer for a machine without definition",
        better="always answered; the way to it closes when the right ends",
        tests=(
            "tests/integration/agent/test_console.py::test_display_always_answers",
            "tests/integration/agent/test_console.py::test_a_display_is_taken_away_with_the_right",
        ),
    ),
    *pushes("virtualmachine:vnc", "websocketvncstart", "websocketvncstop", meaning="the way to the console from a browser opened, closed"),
    *phrases(MACHINE, (NS, "display"), "vnc", "screen"),
    *tokens((MACHINE,), "vnc_display"),
    option(
        "VNC",
        "vnc_certificate_file",
        "none",
        meaning="certificate and key; those of the sources were the default",
        tests=("tests/unit/agent/test_console.py::test_it_speaks_tls_where_there_is_a_certificate",),
    ),
    option("VNC", "vnc_only_ssl", "False"),
    option("VNC", "vnc_enable_websocket_debug", "False"),
)
