# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an entity tells this account of its own accord (docs/chat.md)."""

from __future__ import annotations

from archipel.client.concern import Concern
from archipel.protocol.preferences import GetPreferences, Preferences, ResetPreferences, SetPreferences


class Notices(Concern):
    """What this account wants to hear of an entity; of a hypervisor, it counts for its machines, too. It takes no right."""

    async def read(self) -> Preferences:
        """Return what counts now, and where that was said."""
        return await self.ask(GetPreferences())

    async def change(
        self, verbosity: str | None = None, quiet: str | None = None, zone: str | None = None, alarms: bool | None = None
    ) -> Preferences:
        """Change what is given; ``quiet`` is ``22:00-07:00`` or empty, ``alarms`` whether they come in quiet hours."""
        return await self.ask(SetPreferences(verbosity=verbosity, quiet=quiet, zone=zone, alarms=alarms))

    async def reset(self) -> Preferences:
        """Forget what was wanted; return what counts then."""
        return await self.ask(ResetPreferences())
