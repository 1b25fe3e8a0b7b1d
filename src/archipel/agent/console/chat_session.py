# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A serial console as a conversation: what a person writes is typed, what the guest prints comes back as messages.

What is typed may be a password: it is neither logged nor written down.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from typing import Final, Self

from archipel.agent.console.output import Output
from archipel.agent.console.relay import Console, Relay

GATHER: Final = 0.3  # seconds in which what is printed becomes one message
SLOWEST: Final = 3.0  # seconds between messages of a guest that does not stop printing
SLOWER: Final = 1.5  # by which that grows with each message
TYPING_TIMEOUT: Final = 900.0  # seconds without a line
LONGEST_LINE: Final = 4096  # characters of one message to the guest
MOST_LINES: Final = 100  # messages that wait for the guest to take them
ENDS: Final = frozenset({"~.", "close console"})
HINT: Final = "~. ends this, ~ is Enter alone, ~^C is Ctrl-C, and a line that begins with ~~ begins with one ~."
_CONTROL: Final = re.compile(r"~\^([@-_a-z?])")


def keys_of(text: str) -> str:
    """Return what is typed for a message: its lines, each with Enter; ``~`` alone is Enter, ``~^C`` is Control and C."""
    if text.strip() == "~":
        return "\r"
    if found := _CONTROL.fullmatch(text.strip()):
        return "\x7f" if found[1] == "?" else chr(ord(found[1].upper()) & 0x1F)
    text = text.removeprefix("~") if text.startswith("~~") else text
    return "\r".join(text.splitlines() or [""]) + "\r"


class ChatSession:
    """One person at one serial console. ``say`` sends him a message; ``objection`` says why he may not go on, and is empty if he may."""

    def __init__(self, console: Console, say: Callable[[str], None], objection: Callable[[], str]) -> None:
        self._say = say
        self._objection = objection
        self._lines: asyncio.Queue[str] = asyncio.Queue(MOST_LINES)
        self._output = Output()
        self._printed = asyncio.Event()
        self._pause = GATHER
        self._typed = asyncio.get_running_loop().time()
        self._relay = Relay(self, console, idle_timeout=TYPING_TIMEOUT, objection=self._object)

    # -- the person -------------------------------------------------------------------------------------------------------

    def hear(self, text: str) -> None:
        """Take a message of the person's."""
        if objection := self._objection():
            self.end(objection)
        elif text.strip().lower() in ENDS:
            self.end("you closed it")
        elif len(text) > LONGEST_LINE:
            self._say(f"[this was not typed: a message has {LONGEST_LINE} characters at most]")
        else:
            self._type(text)

    def _type(self, text: str) -> None:
        self._typed, self._pause = asyncio.get_running_loop().time(), GATHER
        try:
            self._lines.put_nowait(keys_of(text))
        except asyncio.QueueFull:
            self._say("[this was not typed: the guest does not take what you wrote before]")

    def leave(self) -> None:
        """End it: the person's client is gone."""
        self.end("your client left")

    def end(self, reason: str) -> None:
        """End it from outside."""
        self._relay.end(reason)

    def _object(self) -> str:
        idle = asyncio.get_running_loop().time() - self._typed
        return self._objection() or (f"nothing was typed for {TYPING_TIMEOUT:g} s" if idle > TYPING_TIMEOUT else "")

    # -- what the relay asks of a viewer --------------------------------------------------------------------------------------

    async def send(self, data: bytes) -> None:
        """Take what the guest printed."""
        self._output.add(data)
        self._printed.set()
        await asyncio.sleep(0)  # a guest that prints without end lets others have their turn

    def __aiter__(self) -> Self:
        """Iterate over what is typed."""
        return self

    async def __anext__(self) -> str:
        """Return what is typed next."""
        return await self._lines.get()

    # -- work -------------------------------------------------------------------------------------------------------------

    async def run(self) -> str:
        """Serve until something ends it; returns why. The console is closed then."""
        telling = asyncio.create_task(self._tell())
        try:
            reason = await self._relay.run()
        finally:
            telling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await telling
        self._tell_rest()
        return reason

    async def _tell(self) -> None:
        """Tell what is printed, a message now and then; a guest that does not stop is listened to less and less often."""
        while True:
            quiet = not self._printed.is_set()
            await self._printed.wait()
            self._pause = GATHER if quiet else min(SLOWEST, self._pause * SLOWER)
            await asyncio.sleep(self._pause)
            self._tell_rest()

    def _tell_rest(self) -> None:
        self._printed.clear()
        if text := self._output.take():
            self._say(text)
