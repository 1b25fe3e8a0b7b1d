# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeping a connection to libvirt up for ever."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Self, TypeVar

from archipel.agent.virt import binding
from archipel.agent.virt.binding import VirFailure
from archipel.agent.virt.errors import LibvirtUnavailable, VirtError
from archipel.agent.virt.events import DomainEvents
from archipel.agent.virt.network_events import NetworkEvents
from archipel.agent.virt.pool import CHANGE_TIMEOUT, READ_TIMEOUT, THREADS, CallPool, Lane
from archipel.agent.virt.session import Session
from archipel.agent.virt.stopped_hold import HOLD

log = logging.getLogger(__name__)

FIRST_RETRY = 0.2  # seconds; a daemon that its service manager restarts listens again within a second. Doubles each time
LONGEST_RETRY = 5.0  # cap of the doubling; trying costs one connect on this machine, and people wait for their machines
JITTER = 0.3  # share of each wait that is random, so that several clients of one daemon do not return in step
STABLE = 2.0  # seconds after which a connection counts as good: one that breaks sooner does not reset the doubling
PROBE_INTERVAL = 3.0  # seconds between looks at the local end, for drivers that report neither close nor keep-alive
CLOSE_TIMEOUT = 5.0  # seconds; a daemon that hangs must not keep the agent from stopping

T = TypeVar("T")
Observer = Callable[[], Awaitable[None]]


class ConnectionState(enum.Enum):
    """Where the connection stands."""

    CONNECTED = "connected"
    LOST = "lost"
    CONNECTING = "connecting"
    CLOSED = "closed"


class LibvirtConnection:
    """The connection of this process to one libvirt driver, from :meth:`start` to :meth:`stop`.

    Whenever it is lost it is made anew, for ever, events included. While there is none every call fails at once with
    :class:`LibvirtUnavailable`. Belongs to the asyncio loop that runs when it is made.
    """

    def __init__(
        self,
        uri: str,
        *,
        threads: int = THREADS,
        hold: float = HOLD,
        probe_interval: float = PROBE_INTERVAL,
        change_timeout: float = CHANGE_TIMEOUT,
    ) -> None:
        """``uri`` names driver and transport, such as ``qemu:///system``; the other times are in seconds.

        ``change_timeout`` is what :class:`Domain` and :class:`Host` give libvirt for a change.
        """
        self.uri = uri
        self.change_timeout = change_timeout
        self.state = ConnectionState.CLOSED
        self.last_error: str | None = None
        self.events = DomainEvents(hold)
        self.network_events = NetworkEvents()
        self._pool = CallPool(threads)
        self._probe_interval = probe_interval
        self._session: Session | None = None
        self._task: asyncio.Task[None] | None = None
        self._notifications: set[asyncio.Task[None]] = set()
        self._up = asyncio.Event()
        self._retry = FIRST_RETRY
        self._observers: dict[object, tuple[Observer | None, Observer | None]] = {}

    @property
    def pool(self) -> CallPool:
        """The threads in which libvirt is called."""
        return self._pool

    async def start(self) -> None:
        """Begin to connect; returns at once. :meth:`wait_connected` waits."""
        binding.run_event_loop()
        self._pool.start()
        self.state = ConnectionState.CONNECTING
        self._task = asyncio.create_task(self._run(), name="libvirt connection")

    async def stop(self) -> None:
        """Close the connection for good."""
        self.state = ConnectionState.CLOSED
        await _cancel({self._task} if self._task is not None else set())
        await _cancel(self._notifications)
        self._up.clear()
        session, self._session = self._session, None
        if session is not None:
            session.lose("it was closed here")
            with contextlib.suppress(VirtError):
                await self._pool.run("close", session.close, within=CLOSE_TIMEOUT)
        self.events.clear()
        self._pool.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def observe(self, *, on_connected: Observer | None = None, on_lost: Observer | None = None) -> Callable[[], None]:
        """Run ``on_connected`` after each connect and ``on_lost`` after each loss; returns what ends that.

        Events are registered before ``on_connected`` runs: what is read there and changed by events later misses nothing.
        The two never run at the same time; one ``on_connected`` that still runs is cancelled by a loss. An observer that
        comes while the connection is up is not told of that.
        """
        key = object()
        self._observers[key] = (on_connected, on_lost)

        def end() -> None:
            self._observers.pop(key, None)

        return end

    async def wait_connected(self, within: float | None = None) -> None:
        """Wait until there is a connection; raises :class:`LibvirtUnavailable` with the reason after ``within`` seconds."""
        try:
            async with asyncio.timeout(within):
                await self._up.wait()
        except TimeoutError:
            raise self._unavailable() from None

    async def call(
        self, call: str, function: Callable[[Session], T], *, within: float | None = READ_TIMEOUT, lane: Lane | None = None
    ) -> T:
        """Run ``function`` on the connection in a thread; ``call`` names it in errors, ``within`` is in seconds.

        Raises :class:`LibvirtUnavailable` at once while there is no connection, :class:`LibvirtError` when libvirt refuses,
        :class:`LibvirtTimeout` and :class:`LibvirtBusy` as :meth:`CallPool.run` does.
        """
        if self._session is None or self._session.lost.done():
            raise self._unavailable()
        return await self._pool.run(call, lambda: self._perform(call, function), within=within, lane=lane)

    def _perform(self, call: str, function: Callable[[Session], T]) -> T:
        session = self._session
        if session is None or session.lost.done():
            raise self._unavailable()
        try:
            return function(session)
        except VirFailure as failure:
            error = binding.describe(failure)
        if session.is_alive():
            raise error
        session.report_lost(str(error))
        raise LibvirtUnavailable(f"the connection to libvirt broke during {call}; it may have taken effect", in_flight=True)

    def _unavailable(self) -> LibvirtUnavailable:
        return LibvirtUnavailable(f"no connection to libvirt ({self.uri}): {self.last_error or self.state.value}")

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            session = await self._try_connect()
            if session is not None:
                since = loop.time()
                await self._serve(session)
                if loop.time() - since >= STABLE:
                    self._retry = FIRST_RETRY
            wait, self._retry = self._retry, min(self._retry * 2, LONGEST_RETRY)
            await asyncio.sleep(wait * (1 - JITTER * random.random()))  # noqa: S311 - spreads load, hides nothing

    async def _try_connect(self) -> Session | None:
        self.state = ConnectionState.CONNECTING
        session = Session(self.uri, self.events.take, self._note_lost, self.network_events.take)
        try:
            # No time-out: a daemon that hangs would let the next try hang, too, and an end of the daemon ends the try.
            await self._pool.run("connect", session.open, within=None)
        except VirFailure as failure:
            self._report_down(str(binding.describe(failure)))
            return None
        except VirtError as error:
            self._report_down(str(error))
            return None
        except asyncio.CancelledError:
            session.lose("it was closed here")
            raise
        if session.lost.done():
            self._report_down(session.lost.result())
            return None
        return session

    async def _serve(self, session: Session) -> None:
        self._session, self.last_error = session, None
        self.state = ConnectionState.CONNECTED
        log.info("connected to libvirt (%s)", self.uri)
        self._up.set()
        telling = self._notify([on_connected for on_connected, _ in self._observers.values()])
        await self._watch(session)
        telling.cancel()
        self._notify([on_lost for _, on_lost in self._observers.values()])
        with contextlib.suppress(VirtError):
            await self._pool.run("close", session.close, within=CLOSE_TIMEOUT)

    async def _watch(self, session: Session) -> None:
        """Return when the session is lost."""
        while not session.lost.done():
            await asyncio.wait({session.lost}, timeout=self._probe_interval)
            # Threads that are all busy say nothing about the connection.
            with contextlib.suppress(VirtError):
                if not session.lost.done() and not await self._pool.run("probe", session.is_alive):
                    session.lose("libvirt's daemon closed it or ended")

    def _note_lost(self, session: Session) -> None:
        """Be lost from this moment on: who waits for a connection now must not be told of the one that is gone."""
        if session is self._session:
            self._session = None
            self._up.clear()
            self.events.clear()
            self._report_down(f"the connection broke: {session.lost.result()}")

    def _report_down(self, reason: str) -> None:
        self.state = ConnectionState.LOST
        log.log(logging.DEBUG if self.last_error else logging.WARNING, "no connection to libvirt (%s): %s; trying again", self.uri, reason)
        self.last_error = reason

    def _notify(self, observers: list[Observer | None]) -> asyncio.Task[None]:
        wanted = [observer for observer in observers if observer is not None]
        task = asyncio.create_task(_notify_after(set(self._notifications), wanted), name="libvirt observers")
        self._notifications.add(task)
        task.add_done_callback(self._notifications.discard)
        return task


async def _notify_after(earlier: set[asyncio.Task[None]], observers: list[Observer]) -> None:
    if earlier:
        await asyncio.wait(earlier)
    for outcome in await asyncio.gather(*(observer() for observer in observers), return_exceptions=True):
        if isinstance(outcome, VirtError):
            log.warning("an observer of the connection gave up: %s", outcome)
        elif isinstance(outcome, Exception):
            log.error("an observer of the connection failed", exc_info=outcome)


async def _cancel(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(set(tasks))
