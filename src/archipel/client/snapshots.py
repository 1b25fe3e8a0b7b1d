# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The snapshots of a machine."""

from __future__ import annotations

from archipel.client.concern import LONG_WORK, Concern
from archipel.protocol import snapshots as commands
from archipel.protocol.snapshots import Snapshot, Wish


class Snapshots(Concern):
    """The snapshots of a machine; rights are ``snapshot_`` and the command's name."""

    async def list(self) -> tuple[Snapshot, ...]:
        """Return all snapshots, parents before their children."""
        return await self.ask(commands.GetSnapshots())

    async def current(self) -> Snapshot | None:
        """Return the snapshot that was taken or gone back to last."""
        return await self.ask(commands.GetCurrentSnapshot())

    async def take(
        self, name: str = "", *, description: str = "", memory: bool | None = None, external: bool = False, quiesce: bool | None = None
    ) -> None:
        """Take a snapshot; without a name one is made up. ``None`` leaves a choice to the agent (docs/snapshots.md)."""
        wish = Wish(name=name, description=description)
        await self.ask(commands.TakeSnapshot(wish=wish, memory=memory, external=external, quiesce=quiesce), LONG_WORK)

    async def revert(self, name: str) -> None:
        """Go back to a snapshot: what the disks hold now is lost."""
        await self.ask(commands.RevertToSnapshot(name=name), LONG_WORK)

    async def delete(self, name: str, *, children: bool = False) -> None:
        """Delete a snapshot, with ``children`` all that stand on it, too."""
        await self.ask(commands.DeleteSnapshot(name=name, children=children), LONG_WORK)
