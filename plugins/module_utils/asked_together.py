# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One question in place of many: forty volumes that are read at a time are read from one list of their pool."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from archipel.client import Session

T = TypeVar("T")


class _Question:
    """What is being asked now, and what is asked as soon as that is answered, for those who came meanwhile."""

    def __init__(self) -> None:
        self._asked: asyncio.Task[Any] | None = None
        self._next: asyncio.Task[Any] | None = None

    async def answer(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        if self._next is None or self._next.done():
            self._next = asyncio.create_task(self._ask(self._asked, ask))
        return await asyncio.shield(self._next)

    async def _ask(self, earlier: asyncio.Task[Any] | None, ask: Callable[[], Awaitable[Any]]) -> Any:
        if earlier is not None and not earlier.done():
            await asyncio.wait([earlier])
        self._asked, self._next = self._next, None
        return await ask()


_QUESTIONS: WeakKeyDictionary[Session, defaultdict[Hashable, _Question]] = WeakKeyDictionary()


async def ask_together(session: Session, what: Hashable, ask: Callable[[], Awaitable[T]]) -> T:
    """Return what ``ask()`` returns, called after this, and once for all who want to know the same meanwhile.

    ``what`` tells one question of the session from the others. What somebody changed before he asks is in the answer; what keeps
    one question from an answer is raised to all who share it.
    """
    answer: T = await _QUESTIONS.setdefault(session, defaultdict(_Question))[what].answer(ask)
    return answer
