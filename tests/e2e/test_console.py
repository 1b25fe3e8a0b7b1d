# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real guest's screen and serial port, through the agent's listener: a picture is read, a shell answers, nobody else gets in."""

from __future__ import annotations

import asyncio
import struct

import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from archipel.client import Session, VirtualMachine
from archipel.protocol.console import ConsoleLink, GetDisplay, OpenConsole
from archipel.protocol.errors import PermissionDenied
from tests.e2e.real_guest import Place
from tests.integration.collection.platform import DOMAIN

pytestmark = pytest.mark.asyncio(loop_scope="module")

STUDENT = f"student@{DOMAIN}"
BOOT_DEADLINE = 90  # seconds; under emulation, on a machine that is busy


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def machine(place: Place, admin: Session) -> VirtualMachine:
    """The guest, switched on."""
    machine = await place.make_machine(admin, "seen")
    await machine.start()
    return machine


class Rfb:
    """A VNC client of a few lines (RFC 6143), over a WebSocket."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._buffer = b""

    async def take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            data = await self._socket.recv()
            assert isinstance(data, bytes)
            self._buffer += data
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    async def greet(self) -> tuple[int, int]:
        """Go through the handshake; return the size of the screen."""
        assert await self.take(12) == b"RFB 003.008\n"
        await self._socket.send(b"RFB 003.008\n")
        kinds = await self.take((await self.take(1))[0])
        assert 1 in kinds  # no password
        await self._socket.send(b"\x01")
        assert await self.take(4) == bytes(4)
        await self._socket.send(b"\x01")  # others may look, too
        width, height, *_format, length = struct.unpack(">HH16sI", await self.take(24))
        await self.take(length)
        await self._socket.send(struct.pack(">BxHi", 2, 1, 0))  # raw pixels only
        return width, height

    async def read_picture(self, width: int, height: int) -> bytes:
        """Ask for the whole screen; return the first update, 32 bits a pixel. A screen that changes its size sends less."""
        await self._socket.send(struct.pack(">BBHHHH", 3, 0, 0, 0, width, height))
        kind, count = struct.unpack(">BxH", await self.take(4))
        assert kind == 0
        seen = b""
        for _ in range(count):
            _x, _y, w, h, encoding = struct.unpack(">HHHHi", await self.take(12))
            assert encoding == 0
            seen += await self.take(w * h * 4)
        return seen


def enter(link: ConsoleLink, token: str | None = None, **more) -> connect:
    return connect(link.websocket, subprotocols=["binary", f"archipel.token.{token or link.token}"], **more)


async def refused(link: ConsoleLink, **more) -> int:
    with pytest.raises(InvalidStatus) as error:
        await enter(link, **more)
    return error.value.response.status_code


async def test_a_picture_is_read(machine: VirtualMachine) -> None:
    assert (await machine.ask(GetDisplay())).type == "vnc"
    link = await machine.ask(OpenConsole())
    async with enter(link) as socket:
        screen = Rfb(socket)
        width, height = await screen.greet()
        picture = await screen.read_picture(width, height)
    assert width * height > 300 * 200
    assert 0 < len(picture) <= width * height * 4
    assert await refused(link) == 403  # used


async def test_nobody_else_gets_in(place: Place, admin: Session, machine: VirtualMachine) -> None:
    own = await place.make_machine(admin, "own")
    await own.grant(STUDENT, "vnc_display")
    assert await refused(await machine.ask(OpenConsole()), origin="https://evil.example") == 403
    assert await refused(await machine.ask(OpenConsole()), token="A" * 43) == 403
    await machine.grant(STUDENT, "info")
    async with place.log_in("student") as student:
        with pytest.raises(PermissionDenied):
            await student.machine(str(machine.jid)).ask(OpenConsole())
        await machine.grant(STUDENT, "vnc_display")
        link = await student.machine(str(machine.jid)).ask(OpenConsole())
        await machine.revoke(STUDENT, "vnc_display")
        assert await refused(link) == 403
    await own.free()


async def read_until(socket: ClientConnection, words: bytes) -> bytes:
    seen = b""
    async with asyncio.timeout(BOOT_DEADLINE):
        while words not in seen:
            data = await socket.recv()
            assert isinstance(data, bytes)
            seen += data
    return seen


async def test_the_serial_port_shows_what_the_guest_says_and_takes_what_is_typed(machine: VirtualMachine) -> None:
    await machine.destroy()
    await machine.start()
    link = await machine.ask(OpenConsole(kind="text"))
    async with enter(link) as socket:
        await read_until(socket, b"READY")
        await socket.send(b"echo $((6 * 7))-seen\r")
        await read_until(socket, b"42-seen")
        second = await machine.ask(OpenConsole(kind="text"))
        async with enter(second) as other:
            await other.wait_closed()
            assert "cannot be opened" in (other.close_reason or "")
    async with enter(await machine.ask(OpenConsole(kind="text"))) as socket:  # it was let go of
        await socket.send(b"echo $((6 * 7))-again\r")
        await read_until(socket, b"42-again")


async def test_consoles_end_with_the_machine(machine: VirtualMachine) -> None:
    async with (
        enter(await machine.ask(OpenConsole())) as screen,
        enter(await machine.ask(OpenConsole(kind="text"))) as terminal,
    ):
        await screen.recv()
        await machine.destroy()
        await screen.wait_closed()
        await terminal.wait_closed()
