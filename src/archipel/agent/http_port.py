# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A port of the agent that answers over HTTP: one request for each connection, a few connections at once, no thread for any."""

from __future__ import annotations

import abc
import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable
from typing import Final

from archipel.agent.options import Host

log = logging.getLogger(__name__)

HEAD_SECONDS: Final = 5.0  # for a request to come in
LARGEST_REQUEST: Final = 8192  # bytes


class HttpPort(abc.ABC):
    """Serves one thing; ``name`` says in the log what, of more than ``most_at_once`` connections the rest is closed at once."""

    def __init__(self, name: str, most_at_once: int) -> None:
        self._name = name
        self._most_at_once = most_at_once
        self._connections = 0

    @contextlib.asynccontextmanager
    async def open(self, addresses: Iterable[Host]) -> AsyncIterator[None]:
        """Listen on all addresses; one that cannot be had is logged, and the others are served."""
        servers = [server for address in addresses if (server := await self._try(address)) is not None]
        try:
            yield
        finally:
            for server in servers:
                server.close()

    async def _try(self, address: Host) -> asyncio.Server | None:
        try:
            server = await self.start(address)
        except OSError as error:
            log.error("%s cannot be served on %s, port %s: %s", self._name, address.name, address.port, error.strerror or error)
            return None
        log.info("%s: served on %s, port %s", self._name, address.name, address.port)
        return server

    async def start(self, address: Host) -> asyncio.Server:
        """Listen on one address; raises :class:`OSError` if that cannot be done."""
        return await asyncio.start_server(self._serve, address.name, address.port, limit=LARGEST_REQUEST)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections <= self._most_at_once:
                async with asyncio.timeout(HEAD_SECONDS):
                    head = await reader.readuntil(b"\r\n\r\n")
                await self.answer(head, writer)
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asks wrongly, or leaves, gets nothing
        finally:
            self._connections -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    @abc.abstractmethod
    async def answer(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        """Answer the request whose first line and headers are ``head``; the connection is closed afterwards."""
