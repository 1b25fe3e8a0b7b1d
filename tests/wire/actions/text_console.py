# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The serial console as a conversation: libvirt's test driver has none, so that it cannot be opened."""

from __future__ import annotations

from tests.wire.action import MACHINE, RUNNING, Action

CONSOLE = "archipel:vm:console"
NONE = (-1010, "item-not-found")

ROWS = (
    Action(MACHINE, CONSOLE, "chat", "vnc_display", -1010, state="running", refusal=NONE, effect=RUNNING),
    Action(MACHINE, CONSOLE, "endchat", "vnc_display", -1010, refusal=NONE),
)
