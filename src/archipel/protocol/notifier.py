# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands about the notifier (namespace ``archipel:hypervisor:notifier``), which is new here."""

from __future__ import annotations

from typing import Final

from archipel.protocol import namespaces as ns
from archipel.protocol.payload import Payload, Request, at_most_characters, attribute, not_empty, payload

FAILURE: Final = -16001


@payload
class RouteState(Payload, tag="route"):
    """A route: ``way`` is ``mail``, ``webhook`` or ``xmpp``; ``trouble`` says why the last attempt failed, and is empty if it did not.

    The figures count events since the agent was started.
    """

    name: str = attribute()
    way: str = attribute()
    to: str = attribute()
    events: str = attribute()
    sent: int = attribute()
    failed: int = attribute()
    dropped: int = attribute()
    waiting: int = attribute()
    trouble: str = attribute(default="")


@payload
class ListRoutes(Request[tuple[RouteState, ...]], namespace=ns.NOTIFIER, action="routes", reads=True):
    """The routes of the configuration, and how they do."""


@payload
class TestRoute(Request[None], namespace=ns.NOTIFIER, action="test"):
    """Send a test by a route; answers when it was taken, or with the error that says why not."""

    route: str = attribute(not_empty, at_most_characters(50))
