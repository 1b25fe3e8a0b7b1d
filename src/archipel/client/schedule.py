# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an entity does later, or again and again."""

from __future__ import annotations

import uuid
from typing import Any

from archipel.client.concern import Concern
from archipel.protocol import scheduler as commands
from archipel.protocol.scheduler import Job


class Schedule(Concern):
    """The jobs of a hypervisor or machine (docs/scheduler.md names the rights)."""

    async def list(self) -> tuple[Job, ...]:
        """Return the jobs."""
        return await self.ask(commands.ListJobs())

    async def actions(self) -> tuple[str, ...]:
        """Return what jobs can do."""
        return tuple(found.name for found in await self.ask(commands.ListJobActions()))

    async def add(self, job: str, *, comment: str = "", param: str = "", **when: str | None) -> str:
        """Do ``job`` when the fields (``year`` to ``second``, ``weekday``) say so; returns the job's identity.

        Fields are numbers, ``*`` or cron expressions. Those left out count as the agent says (docs/scheduler.md).
        """
        identity = uuid.uuid4()
        moments: dict[str, Any] = when
        await self.ask(commands.Schedule(job=job, comment=comment, param=param, uid=identity, **moments))
        return str(identity)

    async def remove(self, job: uuid.UUID) -> None:
        """Forget a job."""
        await self.ask(commands.Unschedule(uid=job))
