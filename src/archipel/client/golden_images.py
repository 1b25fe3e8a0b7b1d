# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The golden images of a hypervisor's host; :meth:`archipel.client.drives.Drives.make_golden` makes one of a machine's drive."""

from __future__ import annotations

from archipel.client.concern import LONG_WORK, Concern
from archipel.protocol import golden_images as commands
from archipel.protocol.golden_images import GoldenImage


class GoldenImages(Concern):
    """The images on which drives of machines stand."""

    async def list(self) -> tuple[GoldenImage, ...]:
        """Return all of them with what stands on each, sizes in bytes (right ``golden_images``)."""
        return await self.ask(commands.ListGoldenImages(), LONG_WORK)

    async def delete(self, name: str) -> None:
        """Delete one on which nothing stands, by its file name (right ``golden_imagedelete``)."""
        await self.ask(commands.DeleteGoldenImage(name=name))
