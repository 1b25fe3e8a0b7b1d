# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams to a server that is up, down or of another mind, as a test says; nothing goes over a network."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import cast

from slixmpp import JID

from archipel.xmpp.connection import Connection, Server
from archipel.xmpp.errors import ServerUnreachable, WireError
from archipel.xmpp.stream import Lost, Stream
from tests.unit.xmpp.virtual_time import now


@dataclass
class FakeServer:
    """What all streams of a test log in to; ``logins`` are the moments of all tries, ``most`` how many ran at once."""

    up: bool = True
    login_takes: float = 0.01
    logins: list[float] = field(default_factory=list)
    addresses: list[tuple[str | None, int | None]] = field(default_factory=list)
    most: int = 0
    at_once: int = 0

    async def take_login(self) -> None:
        self.logins.append(now())
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await asyncio.sleep(self.login_takes)
            if not self.up:
                raise ServerUnreachable("connection refused")
        finally:
            self.at_once -= 1


class FakeStream:
    """Stands in for :class:`archipel.xmpp.stream.Stream`; ``refusals`` are what its next logins end with."""

    def __init__(self, server: FakeServer, name: str = "web") -> None:
        self.requested_jid = JID(f"{name}@lab.example/hyp")
        self.end_session_on_disconnect = True
        self.refusals: list[WireError] = []
        self.resumes = False
        self.logins: list[float] = []
        self.deadlines: list[float] = []
        self.aborted = 0
        self.logged_out = False
        self._server = server
        self.lost: asyncio.Future[Lost] = asyncio.get_running_loop().create_future()

    async def login(self, host: str | None, port: int | None, deadline: float) -> bool:
        self.logins.append(now())
        self.deadlines.append(deadline)
        self._server.addresses.append((host, port))
        if self.lost.done():
            self.lost = asyncio.get_running_loop().create_future()
        await self._server.take_login()
        if self.refusals:
            raise self.refusals.pop(0)
        return self.resumes

    def lose(self, reason: str = "cut", *, conflict: bool = False) -> None:
        self.lost.set_result(Lost(reason, conflict))

    def abort(self) -> None:
        self.aborted += 1
        if not self.lost.done():
            self.lose("aborted")

    async def logout(self) -> None:
        self.logged_out = True


class Account:
    """A connection with its fake stream, and what its owner was told."""

    def __init__(self, server: Server | None = None, fake: FakeServer | None = None, mend: Callable[[], Awaitable[bool]] | None = None):
        self.fake = fake or FakeServer()
        self.stream = FakeStream(self.fake)
        self.told: list[str] = []
        self.trouble: list[Exception] = []
        self.connection = Connection(
            cast(Stream, self.stream), server or Server([]), self._come_online, lambda: self.told.append("offline"), mend
        )

    async def _come_online(self, resumed: bool) -> None:
        self.told.append("resumed" if resumed else "online")
        if self.trouble:
            raise self.trouble.pop(0)

    @property
    def gaps(self) -> list[float]:
        """Seconds between the tries to log in, without what each took."""
        tries = self.stream.logins
        return [later - earlier - self.fake.login_takes for earlier, later in itertools.pairwise(tries)]
