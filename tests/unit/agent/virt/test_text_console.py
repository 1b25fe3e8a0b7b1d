# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A serial console as a stream: what comes in is read in order, a slow reader stops it, a full port is tried again."""

from __future__ import annotations

import asyncio
from typing import Any

import libvirt
import pytest

from archipel.agent.virt import text_console
from archipel.agent.virt.text_console import MOST_WAITING, READABLE, WOULD_BLOCK, TextConsole
from tests.wire.waiting import eventually

HANGUP = libvirt.VIR_STREAM_EVENT_HANGUP


class FakeStream:
    """A virStream; :meth:`happen` is libvirt's event thread."""

    def __init__(self) -> None:
        self.incoming: list[bytes | int] = []
        self.sent = b""
        self.room = 1 << 20
        self.events = 0
        self.aborted = False
        self.refuse = False

    def eventAddCallback(self, events: int, cb: Any, opaque: None) -> None:
        if self.refuse:
            raise libvirt.libvirtError("no events")
        self.events, self._callback = events, cb

    def eventUpdateCallback(self, events: int) -> int:
        self.events = events
        return 0

    def eventRemoveCallback(self) -> int:
        self.events = 0
        return 0

    def recv(self, _size: int) -> bytes | int:
        return self.incoming.pop(0) if self.incoming else WOULD_BLOCK

    def send(self, data: bytes) -> int:
        taken = data[: self.room]
        self.room -= len(taken)
        self.sent += taken
        return len(taken) or WOULD_BLOCK

    def abort(self) -> int:
        self.aborted = True
        return 0

    async def happen(self, events: int, *incoming: bytes | int) -> None:
        self.incoming.extend(incoming)
        await asyncio.to_thread(self._callback, self, events & (self.events | HANGUP), None)


@pytest.fixture
def stream() -> FakeStream:
    return FakeStream()


@pytest.fixture
async def console(stream: FakeStream) -> TextConsole:
    return await TextConsole.start(stream)


async def test_what_the_guest_prints_is_read_in_order(stream: FakeStream, console: TextConsole) -> None:
    reading = asyncio.create_task(console.read())
    await stream.happen(READABLE, WOULD_BLOCK)
    await stream.happen(READABLE, b"one")
    await stream.happen(READABLE, b"two")
    assert [await reading, await console.read()] == [b"one", b"two"]


@pytest.mark.parametrize("events, incoming", [(READABLE, b""), (HANGUP, WOULD_BLOCK)])
async def test_its_end_is_told_after_all_that_came(stream: FakeStream, console: TextConsole, events: int, incoming: bytes | int) -> None:
    await stream.happen(READABLE, b"last")
    await stream.happen(events, incoming)
    assert [await console.read(), await console.read()] == [b"last", b""]
    with pytest.raises(OSError, match="ended"):
        await console.write(b"x")


async def test_a_reader_that_waits_is_told_of_the_end(stream: FakeStream, console: TextConsole) -> None:
    reading = asyncio.create_task(console.read())
    await stream.happen(HANGUP)
    assert await reading == b""


async def test_a_slow_reader_stops_the_guest(stream: FakeStream, console: TextConsole) -> None:
    for _ in range(2):
        await stream.happen(READABLE, bytes(MOST_WAITING - 1))
    assert not stream.events & READABLE
    for _ in range(2):
        await console.read()
    assert stream.events & READABLE


async def test_a_port_without_room_is_tried_again(stream: FakeStream, console: TextConsole, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_console, "RETRY", 0.001)
    stream.room = 3
    writing = asyncio.create_task(console.write(b"hello"))
    await eventually(lambda: stream.sent == b"hel")
    stream.room = 10
    await writing
    assert stream.sent == b"hello"


async def test_it_is_let_go_of(stream: FakeStream, console: TextConsole) -> None:
    await console.close()
    assert stream.aborted
    assert stream.events == 0
    assert await console.read() == b""


async def test_what_libvirt_refuses_is_an_error_of_the_system(stream: FakeStream) -> None:
    stream.refuse = True
    with pytest.raises(OSError, match="no events"):
        await TextConsole.start(stream)
