# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is told of events outside of the platform (docs/notifications.md)."""

from __future__ import annotations

from archipel.client.concern import Concern
from archipel.protocol.notifier import ListRoutes, RouteState, TestRoute


class Notifier(Concern):
    """The routes of a hypervisor's configuration."""

    async def routes(self) -> tuple[RouteState, ...]:
        """Return all routes, and how they do (right ``notifier_routes``)."""
        return await self.ask(ListRoutes())

    async def test(self, route: str) -> None:
        """Send a test by a route; raises what keeps it from arriving (right ``notifier_test``)."""
        await self.ask(TestRoute(route=route))
