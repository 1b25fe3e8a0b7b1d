# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit log by right; what it answers is looked at in tests/integration/agent/test_audit.py."""

from __future__ import annotations

from tests.wire.action import HYPERVISOR, MACHINE, Action, Wrong

WRONG = (
    Wrong("limit", "limit='501'"),
    Wrong("since", "since='yesterday'"),
    Wrong("until", "until='0001-01-01T00:00:00+23:00'"),
    Wrong("who", "who='no jid at all'"),
    Wrong("entity", "entity='agents.localhost'"),
    Wrong("command", "command=' '"),
    Wrong("outcome", "outcome='maybe'"),
    Wrong("position", "position='2026-99-21T08:30:00.000Z/1'"),
)
ROWS = tuple(
    Action(kind, "archipel:audit", "entries", "audit_get", -460001, answer=None, malformed=WRONG) for kind in (HYPERVISOR, MACHINE)
)
