# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions of what stands beside the machines: where the host is, what a central agent would know."""

from __future__ import annotations

from tests.wire.action import HYPERVISOR, MACHINE, Action, Wrong, values

PLACE, USERS = "archipel:hypervisor:geolocalization", "archipel:xmppserver:users"
NO_CENTRAL_AGENT = (-10000, "service-unavailable")
HUMANS = Wrong("humans_only", "humans_only='perhaps'")


def users(kind: str) -> tuple[Action, ...]:
    """What would be passed on."""
    pages = tuple(wrong for wrong in values("-1", "first", name="page") if wrong.attributes)
    return (
        Action(
            kind,
            USERS,
            "list",
            "xmppserver_users_list",
            -30003,
            "page='0' humans_only='true'",
            refusal=NO_CENTRAL_AGENT,
            malformed=(*pages, HUMANS),
        ),
        Action(
            kind, USERS, "filter", "xmppserver_users_filter", -30002, "filter='a'", refusal=NO_CENTRAL_AGENT, malformed=(Wrong("filter"),)
        ),
        Action(
            kind, USERS, "number", "xmppserver_users_number", -30003, "humans_only='false'", refusal=NO_CENTRAL_AGENT, malformed=(HUMANS,)
        ),
    )


ROWS = (
    Action(
        HYPERVISOR,
        PLACE,
        "get",
        "geolocalization_get",
        -9001,
        answer="<gelocalization><Latitude>48.8566</Latitude><Longitude>2.3522</Longitude></gelocalization>",
    ),
    *users(HYPERVISOR),
    *users(MACHINE),
)
