# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of hypervisors and machines (docs/avatars.md)."""

from __future__ import annotations

from archipel.client.concern import Concern
from archipel.protocol.avatars import Avatar, GetAvatars, SetAvatar


class Avatars(Concern):
    """The picture of an entity, and those to choose from."""

    async def list(self) -> tuple[Avatar, ...]:
        """Return all pictures to choose from (right ``getavatars``)."""
        found: tuple[Avatar, ...] = ()
        while True:
            part = await self.ask(GetAvatars(after=found[-1].name if found else ""))
            found += part.pictures
            if not (part.more and part.pictures):
                return found

    async def choose(self, name: str) -> None:
        """Show the picture of that name (right ``setavatar``)."""
        await self.ask(SetAvatar(avatar=name))
