# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A group of commands of one entity: its drives, its snapshots, its networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from archipel.protocol.errors import LibvirtFailed
from archipel.protocol.payload import Request

if TYPE_CHECKING:
    from archipel.client.entity import Entity

AnswerT = TypeVar("AnswerT")
LONG_WORK: Final = 3600.0  # seconds for what is answered only when it is done, such as copying a drive


class Concern:
    """What an entity can do about one thing; its methods raise what those of :class:`~archipel.client.entity.Entity` raise."""

    def __init__(self, entity: Entity) -> None:
        self.entity = entity

    async def ask(self, request: Request[AnswerT], timeout: float | None = None) -> AnswerT:
        """Send a command to the entity."""
        return await self.entity.ask(request, timeout)

    async def ask_unless_missing(self, request: Request[AnswerT], code: int) -> AnswerT | None:
        """Send a command about something; return ``None`` where libvirt says, with this number of an error, that it is not there."""
        try:
            return await self.ask(request)
        except LibvirtFailed as error:
            if error.code != code:
                raise
            return None
