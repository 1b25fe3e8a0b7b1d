# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A session that outlives one question, for the rounds of a task's loop: Ansible runs all of them in one process."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from archipel.client import ConnectionSettings, Session

    Open = Callable[[ConnectionSettings], Session]

T = TypeVar("T")

# Seconds for which a session that nobody reads from is trusted: nothing answers the server's questions meanwhile, and a new
# login takes some milliseconds.
TRUSTED = 5.0
# Steps of the event loop until what came meanwhile is heard: reading it, closing what the server closed, telling that.
STEPS_TO_HEAR = 3


class KeptSession:
    """At most one session, with the event loop that it lives in; for one thread."""

    def __init__(self, open_session: Open) -> None:
        self._open = open_session
        self._runner: asyncio.Runner | None = None
        self._session: Session | None = None
        self._settings: ConnectionSettings | None = None
        self._used = 0.0
        self._ends_with_process = False

    def run(self, settings: ConnectionSettings, work: Callable[[Session], Awaitable[T]]) -> T:
        """Do some work in a session with these settings: the kept one if it is still good, else a new one, which is kept."""
        if self._runner is None:
            self._runner = asyncio.Runner()
            self._end_with_process()
        try:
            return self._runner.run(self._work(settings, work))
        except BaseException:
            self.close()  # who failed may have left answers behind
            raise

    async def _work(self, settings: ConnectionSettings, work: Callable[[Session], Awaitable[T]]) -> T:
        for _step in range(STEPS_TO_HEAR):  # it may be the server's farewell
            await asyncio.sleep(0)
        if self._settings != settings or time.monotonic() - self._used > TRUSTED or self._session is None or self._session.ended:
            await self._leave()
            self._session = await self._open(settings).__aenter__()
            self._settings = settings
        try:
            return await work(self._session)
        finally:
            self._used = time.monotonic()

    def _end_with_process(self) -> None:
        """Log out when this process ends: C(atexit) is not for those of multiprocessing, in which Ansible runs tasks."""
        if not self._ends_with_process:
            Finalize(self, self.close, exitpriority=0)
            self._ends_with_process = True

    async def _leave(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.__aexit__(None, None, None)

    def close(self) -> None:
        """End the session, if there is one; it may be used again."""
        runner, self._runner = self._runner, None
        if runner is not None:
            with contextlib.closing(runner):
                runner.run(self._leave())
