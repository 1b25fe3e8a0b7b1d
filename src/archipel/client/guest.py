# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Software inside a guest, reached through its guest agent (docs/guest.md names the rights)."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from typing import Final

from archipel.client.concern import Concern
from archipel.client.errors import ClientError, MalformedAnswer, WaitTimedOut
from archipel.protocol import guest as commands
from archipel.protocol.errors import BadRequest
from archipel.protocol.guest import MOST_BYTES, Argument, Clock, Execution, GuestSystem, decode, encode

_ONE_WAIT: Final = 20  # seconds that one request waits for a program: less than anybody waits for an answer
_LOOK_AGAIN: Final = 1.0
MOST_READ: Final = 1 << 26  # bytes; all of it is held in memory
STDOUT, STDERR = "stdout", "stderr"


class FileTooLarge(ClientError):
    """A file of a guest has more bytes than were wanted."""


class Guest(Concern):
    """What can be done inside a guest. What it says is the guest's word."""

    async def info(self) -> GuestSystem:
        """Return system, addresses, users and file systems."""
        return await self.ask(commands.GetGuest())

    async def ping(self) -> None:
        """Raise what keeps the guest agent from answering."""
        await self.ask(commands.PingGuest())

    async def run(self, path: str, arguments: tuple[str, ...] = (), *, input: bytes = b"", timeout: float = 60) -> Execution:  # noqa: A002 - subprocess's word
        """Run a program and return how it ended; raises :class:`WaitTimedOut` after ``timeout`` seconds, the program runs on then."""
        passed = tuple(Argument(arg=argument) for argument in arguments)
        wait = int(min(_ONE_WAIT, timeout))
        request = commands.Execute(path=path, timeout=wait, private_input=encode(input), arguments=passed)
        found = await self.ask(request, wait + self.entity.session.settings.timeout)
        try:
            async with asyncio.timeout(None if math.isinf(timeout) else max(0, timeout - wait)):
                while not found.exited:
                    await asyncio.sleep(_LOOK_AGAIN)
                    found = replace(await self.ask(commands.GetExecution(pid=found.pid)), pid=found.pid)
        except TimeoutError:
            raise WaitTimedOut(f"{path} still runs after {timeout:g} s, as process {found.pid} of the guest") from None
        return found

    async def read(self, path: str, *, most: int = MOST_READ) -> bytes:
        """Return a whole file, part by part; raises :class:`FileTooLarge` for more than ``most`` bytes, as devices have for ever."""
        content = bytearray()
        while len(content) <= most:
            part = await self.ask(commands.ReadFile(path=path, offset=len(content)))
            data = self._decode(part.data, commands.ReadFile.action)
            content += data
            if part.eof or not data:
                return bytes(content)
        raise FileTooLarge(f"{path} has more than {most} bytes")

    async def write(self, path: str, content: bytes, *, append: bool = False) -> int:
        """Write a file anew, or with ``append`` behind what stands in it, part by part; returns how many bytes."""
        parts = [content[start : start + MOST_BYTES] for start in range(0, len(content), MOST_BYTES)] or [b""]
        for number, part in enumerate(parts):
            await self.ask(commands.WriteFile(path=path, append=append or number > 0, private_content=encode(part)))
        return len(content)

    def _decode(self, text: str, action: str) -> bytes:
        try:
            return decode(text, "data")
        except BadRequest as error:
            raise MalformedAnswer(self.entity.bare, action, error.text) from None

    async def set_password(self, user: str, password: str, *, crypted: bool = False) -> None:
        """Set the password of an account of the guest; ``crypted``: it is a hash."""
        await self.ask(commands.SetPassword(user=user, password=password, crypted=crypted))

    async def is_frozen(self) -> bool:
        """Return whether nothing in the guest can write."""
        return (await self.ask(commands.GetFreezeState())).frozen

    async def freeze(self) -> int:
        """Let nothing write until :meth:`thaw`; returns how many file systems were frozen."""
        return (await self.ask(commands.Freeze())).count

    async def thaw(self) -> int:
        """Let the guest write again; returns how many file systems were thawed."""
        return (await self.ask(commands.Thaw())).count

    async def clock(self) -> Clock:
        """Return the guest's time, and how far it is from the host's."""
        return await self.ask(commands.GetTime())

    async def set_clock(self) -> Clock:
        """Set the guest's clock by the host's."""
        return await self.ask(commands.SetTime())


def output_of(execution: Execution, stream: str) -> bytes:
    """Return what a program wrote to ``stdout`` or ``stderr``, as far as it was kept."""
    return b"".join(decode(output.data, stream) for output in execution.outputs if output.stream == stream)
