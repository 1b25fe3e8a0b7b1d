# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module oomkiller."""

from __future__ import annotations

from tests.conformance.row import MACHINE, action, pushes, tokens

NS = "archipel:vm:oom"
VM = (MACHINE,)

ROWS = (
    action(NS, "getadjust", VM, "how readily the kernel kills the machine when memory runs out"),
    action(NS, "setadjust", VM, "change that; -17 is never"),
    *pushes("oom", "adjusted", meaning="it was changed; clients listened to another topic"),
    *tokens(VM, "oom_getadjust", "oom_setadjust"),
)
