# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How hosts and machines fare (docs/health.md)."""

from __future__ import annotations

from archipel.client.concern import Concern
from archipel.protocol import health as commands
from archipel.protocol.health import LogLine, MachineStat, Stat
from archipel.protocol.payload import Payload


class HostHealth(Concern):
    """How a hypervisor's host fares."""

    async def now(self) -> tuple[Payload, ...]:
        """Return one of each part: memory, CPU, disks, load, versions ..."""
        return await self.ask(commands.GetHealth())

    async def history(self, limit: int = 1, *, step: str = "sample") -> tuple[Stat, ...]:
        """Return the newest entries, newest first; ``step`` is sample, minute or hour."""
        return await self.ask(commands.GetHistory(limit=limit, step=step))

    async def log(self, limit: int = 20) -> tuple[LogLine, ...]:
        """Return the last lines of the agent's log, oldest first."""
        return await self.ask(commands.GetLogs(limit=limit))


class MachineHealth(Concern):
    """How a machine fares."""

    async def now(self) -> MachineStat | None:
        """Return the last measurement; ``None`` while it does not run, or was not measured twice yet."""
        return await self.ask(commands.GetMachineHealth())

    async def history(self, limit: int = 1, *, step: str = "sample") -> tuple[MachineStat, ...]:
        """Return the newest entries, newest first; ``step`` is sample, minute or hour."""
        return await self.ask(commands.GetMachineHistory(limit=limit, step=step))
