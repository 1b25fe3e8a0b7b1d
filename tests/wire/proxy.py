# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A TCP proxy on loopback whose connections can be cut or held up: a network that fails."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from testbed.ports import LOOPBACK, choose_free_ports


class Proxy:
    """Passes bytes on to ``target``; :meth:`cut` breaks what is open, :meth:`hold` lets nothing through until :meth:`release`."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.address = (LOOPBACK, choose_free_ports(1)[0])
        self.accepted = 0
        self._target = target
        self._open: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, *self.address)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._server is not None
        self._server.close()
        self.release()
        self.cut()
        await asyncio.sleep(0)

    def cut(self) -> int:
        """Reset all connections, with whatever is under way in them; return how many there were."""
        writers = tuple(self._open)
        for writer in writers:
            writer.transport.abort()
        return len(writers) // 2

    def hold(self) -> None:
        """Let nothing through, though all connections stand."""
        self._flowing.clear()

    def release(self) -> None:
        """Let everything through again."""
        self._flowing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, far_writer}
        await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))
        self._open -= {writer, far_writer}

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
