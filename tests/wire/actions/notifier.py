# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions of the notifier; this platform's has no routes."""

from __future__ import annotations

from tests.wire.action import HYPERVISOR, Action, Wrong

NOTIFIER = "archipel:hypervisor:notifier"

ROWS = (
    Action(HYPERVISOR, NOTIFIER, "routes", "notifier_routes", -16001),
    Action(
        HYPERVISOR,
        NOTIFIER,
        "test",
        "notifier_test",
        -16001,
        "route='nobody'",
        refusal=(-16001, "item-not-found"),
        malformed=(Wrong("route"), Wrong("route", "route=' '"), Wrong("route", f"route='{'x' * 51}'")),
    ),
)
