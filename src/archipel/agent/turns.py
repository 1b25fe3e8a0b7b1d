# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose work an entity does when: who asks for much at once waits for himself, and keeps nobody else waiting."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Coroutine
from typing import Any

Work = Callable[[], Coroutine[Any, Any, None]]


class Turns:
    """Work of one kind, by who asked for it.

    Of each sender ``at_once`` pieces are under way together; up to ``most_waiting`` more wait, first come, first served, and
    begin one in a turn of the loop for each that ends, so that the work of others comes in between.
    """

    def __init__(self, spawn: Callable[[Coroutine[Any, Any, None]], object], at_once: int, most_waiting: int) -> None:
        self._spawn = spawn
        self._at_once = at_once
        self._most_waiting = most_waiting
        self._under_way: Counter[str] = Counter()
        self._waiting: dict[str, deque[Work]] = {}
        self._refused: set[str] = set()

    @property
    def waiting(self) -> int:
        """How much waits."""
        return sum(map(len, self._waiting.values()))

    def take(self, sender: str, work: Work) -> bool:
        """Do ``work`` now or later; return whether that is so, or too much of this sender waits already."""
        if self._under_way[sender] < self._at_once:
            self._under_way[sender] += 1
            self._spawn(self._do(sender, work))
        elif len(waiting := self._waiting.setdefault(sender, deque())) < self._most_waiting:
            waiting.append(work)
        else:
            return False
        return True

    def note_refusal(self, sender: str) -> bool:
        """Return whether this is the first refusal since all that this sender asked for was done."""
        first = sender not in self._refused
        self._refused.add(sender)
        return first

    def clear(self) -> None:
        """Forget what waits."""
        self._waiting.clear()

    async def _do(self, sender: str, work: Work) -> None:
        try:
            await work()
        finally:
            self._end(sender)

    def _end(self, sender: str) -> None:
        """Begin what this sender waits for next, or forget him when there is nothing left."""
        waiting = self._waiting.get(sender)
        if waiting:
            self._spawn(self._do(sender, waiting.popleft()))
            return
        self._waiting.pop(sender, None)
        self._under_way[sender] -= 1
        if not self._under_way[sender]:
            del self._under_way[sender]
            self._refused.discard(sender)
