# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes between a viewer's WebSocket and a console, in both directions, neither faster than the other end takes them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final, Protocol

from websockets.exceptions import ConnectionClosed

WATCH_INTERVAL: Final = 1.0  # seconds between looks at whether the viewer still may
CHUNK: Final = 65536  # bytes of one message to the viewer


class Console(Protocol):
    """The machine's end: bytes come and go. :class:`OSError` when it breaks."""

    async def read(self) -> bytes:
        """Return the next bytes, or none at the end."""

    async def write(self, data: bytes) -> None:
        """Hand bytes over; returns when there is room for more."""

    async def close(self) -> None:
        """Let go of it."""


class Viewer(Protocol):
    """The person's end, such as a WebSocket: iterates over what he types."""

    async def send(self, data: bytes) -> None:
        """Show what the machine says."""

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Return what he types, as it comes."""


class StreamConsole:
    """A console behind a TCP or Unix socket, such as a VNC server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read(self) -> bytes:
        """Return what the server sent."""
        return await self._reader.read(CHUNK)

    async def write(self, data: bytes) -> None:
        """Send bytes to the server."""
        self._writer.write(data)
        await self._writer.drain()

    async def close(self) -> None:
        """Close the connection; what a server that does not read has not taken is dropped."""
        if self._writer.transport.get_write_buffer_size():
            self._writer.transport.abort()
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


class Relay:
    """One viewer at one console."""

    def __init__(self, viewer: Viewer, console: Console, *, idle_timeout: float, objection: Callable[[], str]) -> None:
        """``objection`` says, whenever it is asked, why the viewer may not go on; empty while he may."""
        self._viewer = viewer
        self._console = console
        self._idle_timeout = idle_timeout
        self._objection = objection
        self._moved = 0.0
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def end(self, reason: str) -> None:
        """End it from outside, for a reason that the viewer is told."""
        if not self.ended.done():
            self.ended.set_result(reason)

    async def run(self) -> str:
        """Pass bytes on until either end closes or something objects; returns the reason. The console is closed then."""
        self._note_move()
        tasks = [asyncio.create_task(work) for work in (self._bring(), self._take(), self._watch())]
        try:
            await asyncio.wait([*tasks, self.ended], return_when=asyncio.FIRST_COMPLETED)
            return self.ended.result() if self.ended.done() else next(task.result() for task in tasks if task.done())
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._console.close()

    def _note_move(self) -> None:
        self._moved = asyncio.get_running_loop().time()

    async def _bring(self) -> str:
        """Bring what the console says to the viewer."""
        with contextlib.suppress(OSError, ConnectionClosed):
            while data := await self._console.read():
                self._note_move()
                await self._viewer.send(data)
        return "the console has ended"

    async def _take(self) -> str:
        """Take what the viewer says to the console."""
        try:
            async for message in self._viewer:
                self._note_move()
                await self._console.write(message.encode() if isinstance(message, str) else message)
        except ConnectionClosed as error:
            return f"the viewer's connection broke: {error}"
        except OSError:
            return "the console has ended"
        return "the viewer left"

    async def _watch(self) -> str:
        """Return as soon as something speaks against going on."""
        while True:
            await asyncio.sleep(WATCH_INTERVAL)
            if objection := self._objection():
                return objection
            if asyncio.get_running_loop().time() - self._moved > self._idle_timeout:
                return f"nothing passed for {self._idle_timeout:g} s"
