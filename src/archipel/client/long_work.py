# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that an entity answers when it begins and pushes when it ends, followed to that end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, Final, TypeVar

from archipel.client.errors import ClientError, WaitTimedOut
from archipel.client.events import Event, Pushed, Said, SubscriptionRefused

if TYPE_CHECKING:
    from archipel.client.entity import Entity

AnswerT = TypeVar("AnswerT")
Look = Callable[[AnswerT], Awaitable[bool | None]]
"""Asks how it stands: ``True`` it is done, ``False`` it failed, ``None`` it is under way."""

LOOK_AGAIN: Final = 3.0  # seconds between two questions while nothing is heard: a push may be lost, never the end


class WorkFailed(ClientError):
    """Work that was begun came to nothing; the text has what the entity said."""


async def follow_to_end(
    entity: Entity, begin: Callable[[], Awaitable[AnswerT]], look: Look[AnswerT], timeout: float | None, *, failures: Collection[str] = ()
) -> AnswerT:
    """Begin some work and return the answer to that when the work is done; without ``timeout`` at once.

    ``failures`` are pushes that mean a failure where ``look`` cannot tell one from work under way. Raises :class:`WorkFailed`, or
    :class:`WaitTimedOut` after ``timeout`` seconds; the work goes on then.
    """
    if timeout is None:
        return await begin()
    said: list[str] = []
    try:
        async with asyncio.timeout(timeout), entity.session.events([entity.bare]) as events:
            answer = await begin()
            event: Event | None = None
            while True:
                state = await look(answer)
                failed = isinstance(event, Pushed) and event.push.change in failures
                if state:
                    return answer
                if state is False or failed:
                    raise WorkFailed(f"{entity.bare} tells of a failure{_reason(said)}")
                event = await events.wait(LOOK_AGAIN)
                if isinstance(event, Said):
                    said.append(event.text)
                elif isinstance(event, SubscriptionRefused):
                    raise event.error
    except TimeoutError:
        raise WaitTimedOut(f"{entity.bare}: not done within {timeout:g} s; it goes on") from None


def _reason(said: list[str]) -> str:
    return f": {said[-1]}" if said else "; its headlines and the agent's log say why"
