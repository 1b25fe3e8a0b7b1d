# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How likely the kernel ends a machine when its host runs out of memory (docs/oomkiller.md)."""

from __future__ import annotations

from archipel.client.concern import Concern
from archipel.protocol.oom import GetAdjust, Oom, SetAdjust


class OomKiller(Concern):
    """The kernel's choice, as far as it is about one machine."""

    async def read(self) -> Oom:
        """Return what is in force, or will be when the machine is started (right ``oom_getadjust``)."""
        return await self.ask(GetAdjust())

    async def adjust(self, score_adj: int) -> None:
        """Set the kernel's ``oom_score_adj``, -1000 (never) to 1000 (first of all), now and at each start (right ``oom_setadjust``)."""
        await self.ask(SetAdjust(kernel=score_adj))
