# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of hosts and machines, and the agent's log."""

from __future__ import annotations

from tests.wire.action import HYPERVISOR, MACHINE, Action, Wrong

HEALTH, VM_HEALTH = "archipel:hypervisor:health", "archipel:vm:health"
LIMITS = tuple(Wrong("limit", f"limit='{limit}'") for limit in ("0", "-1", "many", "1.5", ""))
HISTORY = (*LIMITS, Wrong("step", "step='year'"), *(Wrong("before", f"before='{before}'") for before in ("-1", "nan", "inf", "noon")))

ROWS = (
    Action(HYPERVISOR, HEALTH, "info", "health_info", -8002, answer=None),
    Action(HYPERVISOR, HEALTH, "history", "health_history", -8001, "limit='100'", answer=None, malformed=HISTORY),
    Action(HYPERVISOR, HEALTH, "logs", "health_logs", -8003, "limit='50'", answer=None, malformed=LIMITS),
    Action(MACHINE, VM_HEALTH, "info", "health_info", -8002),
    Action(MACHINE, VM_HEALTH, "history", "health_history", -8001, "limit='5' step='minute'", malformed=HISTORY),
)
