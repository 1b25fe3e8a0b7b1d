# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Progress of long work for who runs a playbook: what it waits for, and for how long by now."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from typing import TypeAlias

Say = Callable[[str], None]
What: TypeAlias = "str | Callable[[], str]"

FIRST = 2.0  # seconds; what takes no longer needs no words
AGAIN = 5.0  # seconds between two lines after that
NAMED = 3  # of many that are worked at


def say_nothing(_text: str) -> None:
    """Stand in for somebody who wants to hear of progress."""


class _Wait:
    """Something that is waited for; it leaves the word to what is waited for within it."""

    def __init__(self, tell: Say, what: What, around: _Wait | None) -> None:
        self.tell = tell
        self._what = what
        self._around = around
        self._within = 0
        self._begun = time.monotonic()
        self._next = asyncio.get_running_loop().call_later(FIRST, self._tell_on)
        self._silence_around(1)

    def _silence_around(self, count: int) -> None:
        if self._around is not None:
            self._around._within += count
            self._around._silence_around(count)

    def _tell_on(self) -> None:
        if not self._within:
            what = self._what if isinstance(self._what, str) else self._what()
            self.tell(f"{what} ({time.monotonic() - self._begun:.0f} s)")
        self._next = asyncio.get_running_loop().call_later(AGAIN, self._tell_on)

    def end(self) -> None:
        self._next.cancel()
        self._silence_around(-1)


_WAIT: ContextVar[_Wait | None] = ContextVar("wait", default=None)


@contextlib.asynccontextmanager
async def telling(tell: Say, what: What) -> AsyncIterator[None]:
    """Tell, while the block runs, that it goes on: after two seconds, then every five, unless a block within it does."""
    wait = _Wait(tell, what, _WAIT.get())
    mark = _WAIT.set(wait)
    try:
        yield
    finally:
        _WAIT.reset(mark)
        wait.end()


@contextlib.asynccontextmanager
async def waiting(what: What) -> AsyncIterator[None]:
    """Tell as :func:`telling` does, to whom the block around this one tells."""
    around = _WAIT.get()
    async with telling(say_nothing if around is None else around.tell, what):
        yield


class Crowd:
    """Several that are worked at, at once: how many of them are done, of so many where that is known, and who is not."""

    def __init__(self, wanted: int = 0) -> None:
        self._wanted = wanted
        self._done = 0
        self._open: dict[str, None] = {}

    @contextlib.contextmanager
    def at_work(self, title: str) -> Iterator[None]:
        """Count one in while the block runs, and as done after it."""
        self._open[title] = None
        try:
            yield
        finally:
            self._open.pop(title, None)
            self._done += 1

    def __call__(self) -> str:
        """Return the words."""
        names = [*list(self._open)[:NAMED], *([f"{len(self._open) - NAMED} more"] if len(self._open) > NAMED else [])]
        counted = f"{self._done} of {self._wanted} done; " if self._wanted > 1 else ""
        return f"{counted}at work: {', '.join(names)}"


def once_each(tell: Say, prefix: str = "") -> Say:
    """Return what passes on only texts that differ from the one before."""
    last = ""

    def tell_news(text: str) -> None:
        nonlocal last
        if text != last:
            last = text
            tell(f"{prefix}{text}")

    return tell_news
