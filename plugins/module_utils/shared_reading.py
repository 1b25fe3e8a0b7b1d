# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One question in place of many: those who want to know the same at a time share an answer that is no older than their question."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from archipel.client import Session

AnswerT = TypeVar("AnswerT")


class Question:
    """What is being asked now, and what is asked as soon as that is answered, for those who came meanwhile."""

    def __init__(self) -> None:
        self._asked: asyncio.Task[Any] | None = None
        self._next: asyncio.Task[Any] | None = None

    async def answer(self, read: Callable[[], Awaitable[Any]]) -> Any:
        """Return an answer that was asked for after this call."""
        if self._next is None or self._next.done():
            self._next = asyncio.create_task(self._ask(self._asked, read))
        return await asyncio.shield(self._next)

    async def _ask(self, earlier: asyncio.Task[Any] | None, read: Callable[[], Awaitable[Any]]) -> Any:
        if earlier is not None and not earlier.done():
            await asyncio.wait([earlier])
        self._asked, self._next = self._next, None
        return await read()


_QUESTIONS: WeakKeyDictionary[Session, dict[Any, Question]] = WeakKeyDictionary()


async def read_together(session: Session, read: Callable[[Session], Awaitable[AnswerT]]) -> AnswerT:
    """Return what ``read(session)`` returns, asked after this call, and shared by all who call this for the same meanwhile."""
    question = _QUESTIONS.setdefault(session, {}).setdefault(read, Question())
    answer: AnswerT = await question.answer(lambda: read(session))
    return answer
