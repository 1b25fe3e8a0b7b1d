# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions of screens and serial consoles."""

from __future__ import annotations

from tests.wire.action import MACHINE, Action, Wrong

VNC, CONSOLE = "archipel:virtualmachine:vnc", "archipel:vm:console"
DISPLAY = "<display type='vnc' port='{port}' proxy='-1' host='*' onlyssl='False' supportssl='False'/>"
LINK = "<console kind='vnc' url='*' websocket='*' token='*' lifetime='60'/>"

ROWS = (
    Action(MACHINE, VNC, "display", "vnc_display", -1010, state="running", answer=DISPLAY.replace("{port}", "5999")),
    Action(
        MACHINE,
        CONSOLE,
        "token",
        "vnc_display",
        -1010,
        "kind='vnc'",
        state="running",
        answer=LINK,
        malformed=(Wrong("kind", "kind='spice'"), Wrong("kind", "kind=''")),
    ),
)
