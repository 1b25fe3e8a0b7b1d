# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VNC server as far as a proxy sees one: it greets, gives back what it gets, and can be told to be slow."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

GREETING = b"RFB 003.008\n"


class FakeVncServer:
    """``port`` or ``path`` is where it listens; ``taken`` all that it read, while ``reading`` is set."""

    def __init__(self) -> None:
        self.port = 0
        self.visits = 0
        self.taken = b""
        self.flood = 0
        self.sent = 0
        self.reading = asyncio.Event()
        self.reading.set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        self._writers.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            writer.write(GREETING)
            while self.sent < self.flood:
                writer.write(bytes(65536))
                await writer.drain()
                self.sent += 65536
            while True:
                await self.reading.wait()
                data = await reader.read(4096)
                if not data:
                    break
                self.taken += data
                writer.write(data.upper())
        self._writers.discard(writer)
        writer.close()

    def hang_up(self) -> None:
        """Close all connections, as QEMU does when it ends."""
        for writer in tuple(self._writers):
            writer.close()

    @contextlib.asynccontextmanager
    async def listen(self, path: Path | None = None) -> AsyncIterator[FakeVncServer]:
        """Listen on a free port of the loopback, or on a Unix socket."""
        if path is None:
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
        else:
            server = await asyncio.start_unix_server(self._serve, path)
        yield self
        self.hang_up()
        server.close()
