# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeping a stream up for ever: named states, paced logins, one prober while the server is down.

Hundreds of accounts of one process share a :class:`Server`. While it is down, one of them probes it and the others wait for
the prober's success; logins then go in a limited number at a time, so that a restarted server is not stormed.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from archipel.protocol.errors import CommandError
from archipel.xmpp.errors import LoginFailed, LoginRefused, ServerUnreachable, UntrustedServer, WireError
from archipel.xmpp.stream import LOGIN_DEADLINE, Lost, Stream

log = logging.getLogger(__name__)

LOGINS_AT_ONCE = 20  # more gain nothing: the server's SCRAM and our TLS are the limit (measured 10 to 50)
PROBE_INTERVAL = 2.0  # seconds between two tries at a server that does not listen; one account tries for all
FIRST_RETRY = 1.0  # seconds before an account whose own login failed tries again; doubles
LONGEST_RETRY = 60.0  # cap of the doubling: people who mend something do not wait longer
REFUSED_RETRY = 300.0  # a wrong password does not mend itself, and servers ban those who insist
CONFLICT_REST = 60.0  # somebody else uses the account: two programs must not throw each other out in a loop
JITTER = 0.3  # share of each wait that is random, so that agents that lost one server do not return in step

Address = tuple[str | None, int | None]
"""Host and port; ``(None, None)`` asks the domain's SRV records."""


class ConnectionState(enum.Enum):
    """Where a connection stands."""

    CLOSED = "closed"
    CONNECTING = "connecting"
    ONLINE = "online"
    WAITING = "waiting"


def with_jitter(seconds: float) -> float:
    """Return ``seconds`` shortened by a random share of up to :data:`JITTER`."""
    return seconds * (1 - JITTER * random.random())  # noqa: S311 - spreads load, hides nothing


class Server:
    """An XMPP server (one or several addresses of one domain) as all accounts of this process see it.

    A login may take ``login_deadline`` seconds; while the server is down it is tried every ``probe_interval`` seconds.
    """

    def __init__(
        self,
        addresses: list[Address],
        logins_at_once: int = LOGINS_AT_ONCE,
        *,
        login_deadline: float = LOGIN_DEADLINE,
        probe_interval: float = PROBE_INTERVAL,
    ) -> None:
        self.login_deadline = login_deadline
        self.probe_interval = probe_interval
        self._addresses = addresses or [(None, None)]
        self._turn = asyncio.Semaphore(logins_at_once)
        self._up = asyncio.Event()
        self._up.set()
        self._probing = asyncio.Lock()
        self.counts: Counter[str] = Counter()
        """What became of the logins and sessions of all accounts: how many of each."""

    @property
    def up(self) -> bool:
        """Whether the last try reached the server."""
        return self._up.is_set()

    @property
    def address(self) -> Address:
        """The address to try now."""
        return self._addresses[0]

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[Address]:
        """Wait until this account may log in; while the server is down only one at a time may, as the prober."""
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self._turn)
            if not self.up:
                await self._wait_or_probe(stack)
            yield self.address

    async def _wait_or_probe(self, stack: contextlib.AsyncExitStack) -> None:
        """Return when the server is up, or as the only one who may try whether it is."""
        up = asyncio.ensure_future(self._up.wait())
        probe = asyncio.ensure_future(self._probing.acquire())
        try:
            await asyncio.wait({up, probe}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            up.cancel()
            if probe.done() and not probe.cancelled() and not self.up:
                stack.callback(self._probing.release)
            else:
                _withdraw(probe, self._probing)

    def report_reached(self) -> None:
        """Say that a login got through: all who wait may follow."""
        if not self.up:
            log.warning("XMPP server is back")
        self._up.set()

    def report_unreachable(self, error: WireError) -> None:
        """Say that nobody listens there; the next try goes to the next address."""
        if self.up:
            log.warning("XMPP server is down: %s; trying every %g s until it is back", error, self.probe_interval)
        self._up.clear()
        self._addresses.append(self._addresses.pop(0))


def _withdraw(probe: asyncio.Task[bool], lock: asyncio.Lock) -> None:
    """Give up a place in the queue for ``lock``, or the lock itself if it was just got."""
    if probe.done() and not probe.cancelled():
        lock.release()
    else:
        probe.cancel()


class Connection:
    """One account's connection, kept up until :meth:`stop`.

    ``on_online(resumed)`` runs after each login, ``on_offline()`` after each loss; an error in ``on_online`` ends that
    session like a lost one. ``mend_refusal`` may mend what made the server refuse the account, and says whether it did.
    """

    def __init__(
        self,
        stream: Stream,
        server: Server,
        on_online: Callable[[bool], Awaitable[None]],
        on_offline: Callable[[], None],
        mend_refusal: Callable[[], Awaitable[bool]] | None = None,
    ) -> None:
        self.stream = stream
        self.state = ConnectionState.CLOSED
        self._server = server
        self._on_online = on_online
        self._on_offline = on_offline
        self._mend_refusal = mend_refusal
        self._task: asyncio.Task[None] | None = None
        self._retry = FIRST_RETRY
        self._ready = False
        self._warned = False
        self._was_online = False
        self.last_error: WireError | None = None

    @property
    def may_resume(self) -> bool:
        """Whether a lost session can still be taken up again as if nothing had happened (XEP-0198)."""
        lost = self.stream.lost
        return not self.stream.end_session_on_disconnect and not (lost.done() and lost.result().conflict)

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"connection {self.stream.requested_jid}")

    async def stop(self) -> None:
        """Log out and stay so."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self.stream.logout()
        self.state = ConnectionState.CLOSED

    async def end_former(self) -> None:
        """End a session that the server keeps of a process that died, by one with the same resource that ends at once.

        Only while this connection is not started. Raises a :class:`~archipel.xmpp.errors.WireError`.
        """
        async with self._server.turn() as (host, port):
            await self.stream.login(host, port, self._server.login_deadline)
        await self.stream.logout()

    async def _run(self) -> None:
        while True:
            self.state = ConnectionState.CONNECTING
            resumed = await self._try_login()
            if resumed is None:
                continue
            self.state = ConnectionState.ONLINE
            self._server.counts["resumption" if resumed else "login"] += 1
            self._server.counts["reconnect"] += self._was_online
            self._was_online = True
            rest = await self._stay(resumed)
            self.state = ConnectionState.WAITING
            await asyncio.sleep(rest)

    async def _try_login(self) -> bool | None:
        """Log in once; on failure wait as long as its reason wants and return ``None``."""
        try:
            async with self._server.turn() as (host, port):
                try:
                    resumed = await self.stream.login(host, port, self._server.login_deadline)
                except ServerUnreachable as error:
                    self._server.counts["failure"] += 1
                    self._server.report_unreachable(error)
                    self.state = ConnectionState.WAITING
                    self.last_error = error
                    # The prober keeps its place while it waits, so that nobody else tries sooner.
                    await asyncio.sleep(with_jitter(self._server.probe_interval))
                    return None
                self._server.report_reached()
        except WireError as error:
            self._server.counts["failure"] += 1
            if isinstance(error, LoginRefused | UntrustedServer):
                self._server.report_reached()
            self.state = ConnectionState.WAITING
            self.last_error = error
            if not (isinstance(error, LoginRefused) and self._mend_refusal and await self._mend_refusal()):
                await asyncio.sleep(self._wait_after(error))
            return None
        self.last_error = None
        return resumed

    def _give_up(self, error: Exception) -> Lost:
        """End a session that could not be set up."""
        self.stream.abort()
        return Lost(str(error), rest=self._wait_after(LoginFailed(f"the session could not be set up: {error}")))

    def _wait_after(self, error: WireError) -> float:
        """Return how long to wait, and say it once as a warning, later as debug lines."""
        if isinstance(error, LoginRefused | UntrustedServer):
            wait = REFUSED_RETRY
        else:
            wait, self._retry = self._retry, min(self._retry * 2, LONGEST_RETRY)
        log.log(logging.DEBUG if self._warned else logging.WARNING, "%s: %s; next try in %g s", self.stream.requested_jid, error, wait)
        self._warned = True
        return with_jitter(wait)

    async def _set_up(self, resumed: bool, lost: asyncio.Future[Lost]) -> None:
        """Let the owner set the session up.

        A connection that breaks meanwhile ends that: its requests are only answered over the next one, for which nobody would
        come while they are waited for. It is then done anew, even if the session is resumed.
        """
        self._ready = False
        work = asyncio.ensure_future(self._on_online(resumed))
        either: set[asyncio.Future[Any]] = {work, lost}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
                self._ready, self._retry, self._warned = True, FIRST_RETRY, False
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _stay(self, resumed: bool) -> float:
        """Be online until the session is lost; return how long to rest before the next login."""
        lost = self.stream.lost
        try:
            await self._set_up(resumed and self._ready, lost)
            why: Lost = await asyncio.shield(lost)  # who stops this waits for the end of the session, too
        except (WireError, CommandError) as error:
            # The session broke, or the server refused something, while its owner set it up: as bad as a failed login.
            why = self._give_up(error)
        except Exception as error:  # a fault of ours must not keep the account offline for ever
            log.exception("%s: the session could not be set up", self.stream.requested_jid)
            why = self._give_up(error)
        finally:
            self._on_offline()
        if why.conflict:
            self._server.counts["conflict"] += 1
            log.error("%s: logged in elsewhere with the same resource; resting %g s", self.stream.requested_jid, CONFLICT_REST)
            return with_jitter(CONFLICT_REST)
        log.debug("%s: session lost: %s", self.stream.requested_jid, why.reason)
        return why.rest
