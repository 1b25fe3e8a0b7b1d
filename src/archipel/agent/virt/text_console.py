# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: D102, N802 - the methods of VirStream are libvirt's, and so are their names and documentation
"""The serial console of a domain, as a stream of libvirt's that asyncio reads and writes."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol, Self, cast

import libvirt

from archipel.agent.virt import binding
from archipel.agent.virt.binding import VirDomain, VirFailure

READABLE: Final[int] = libvirt.VIR_STREAM_EVENT_READABLE
WRITABLE: Final[int] = libvirt.VIR_STREAM_EVENT_WRITABLE
_BROKEN: Final[int] = libvirt.VIR_STREAM_EVENT_ERROR | libvirt.VIR_STREAM_EVENT_HANGUP
WOULD_BLOCK: Final = -2  # what calls of a stream return that cannot be done now
CHUNK: Final = 16384  # bytes of one read
MOST_WAITING: Final = 262144  # bytes that wait for a slow viewer; then libvirt keeps what comes
RETRY: Final = 0.05  # seconds until a guest is asked again to take what it had no room for


class VirStream(Protocol):
    """A virStream that does not block."""

    def recv(self, nbytes: int) -> bytes | int: ...
    def send(self, data: bytes) -> int: ...
    def abort(self) -> int: ...
    def eventAddCallback(self, events: int, cb: Callable[[Any, int, None], None], opaque: None) -> None: ...
    def eventUpdateCallback(self, events: int) -> int: ...
    def eventRemoveCallback(self) -> int: ...


def open_stream(domain: VirDomain) -> VirStream:
    """Open the first console of a running domain, for a thread; raises :data:`VirFailure`, also if somebody else has it open."""
    opened = cast(Any, domain)
    stream = opened.connect().newStream(libvirt.VIR_STREAM_NONBLOCK)
    opened.openConsole(None, stream, 0)
    return cast(VirStream, stream)


class TextConsole:
    """An open console; :meth:`start` makes one. Belongs to the asyncio loop that runs then."""

    def __init__(self, stream: VirStream) -> None:
        self._stream = stream
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._paused = False
        self._ended = False
        self._changed = asyncio.Event()

    @classmethod
    async def start(cls, stream: VirStream) -> Self:
        """Begin to listen to a stream that was opened; raises :class:`OSError` if that fails."""
        console = cls(stream)
        await console._do(lambda: stream.eventAddCallback(READABLE | _BROKEN, console._take_event, None))
        return console

    async def read(self) -> bytes:
        """Return what the guest printed, or nothing at the end."""
        while not self._waiting:
            if self._ended:
                return b""
            self._changed.clear()
            await self._changed.wait()
        data = self._waiting.popleft()
        self._size -= len(data)
        if self._paused and not self._waiting:
            self._paused = False
            await self._do(lambda: self._stream.eventUpdateCallback(READABLE | _BROKEN))
        return data

    async def write(self, data: bytes) -> None:
        """Type something; returns when the guest's port has taken all of it. Raises :class:`OSError` at the end."""
        while data and not self._ended:
            sent = await self._do(lambda data=data: self._stream.send(data[:CHUNK]))  # type: ignore[misc] # the default binds
            if sent == WOULD_BLOCK:
                await asyncio.sleep(RETRY)
            else:
                data = data[sent:]
        if data:
            raise ConnectionResetError("the console has ended")

    async def close(self) -> None:
        """Let go of it, so that somebody else can open it."""
        self._end()
        for call in (self._stream.eventRemoveCallback, self._stream.abort):
            with contextlib.suppress(OSError):
                await self._do(call)

    async def _do(self, call: Callable[[], Any]) -> Any:
        """Call the stream in a thread: it locks, and closing waits for libvirt."""
        try:
            return await asyncio.to_thread(call)
        except VirFailure as failure:
            raise OSError(str(binding.describe(failure))) from failure

    # -- on libvirt's thread ----------------------------------------------------------------------------------------------

    def _take_event(self, stream: VirStream, events: int, _opaque: None) -> None:
        """Take what has come. A paused stream is not read: only its end is told."""
        data: bytes | int = WOULD_BLOCK
        if events & READABLE:
            try:
                data = stream.recv(CHUNK)
            except VirFailure:
                data = b""
        if data == b"" or events & _BROKEN:
            self._hand_over(self._end)
        elif isinstance(data, bytes):
            if self._size + len(data) > MOST_WAITING:
                with contextlib.suppress(VirFailure):
                    stream.eventUpdateCallback(_BROKEN)
                self._paused = True
            self._hand_over(lambda: self._keep(data))

    def _hand_over(self, run: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # a closed loop belongs to an agent that has stopped
            self._loop.call_soon_threadsafe(run)

    # -- on the loop ------------------------------------------------------------------------------------------------------

    def _keep(self, data: bytes) -> None:
        self._waiting.append(data)
        self._size += len(data)
        self._changed.set()

    def _end(self) -> None:
        self._ended = True
        self._changed.set()
