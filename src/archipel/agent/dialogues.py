# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an entity has asked somebody back, and for which command: a value that is missing, or whether he really means it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from archipel.protocol.forms import check_value, form_fields

if TYPE_CHECKING:
    from archipel.agent.dispatch import Command

PATIENCE: Final = 120.0  # seconds that a question waits for its answer
MOST: Final = 500  # dialogues of one entity; the oldest is forgotten for a new one
_SIZE: Final = re.compile(r"([0-9]+) ?([MmGg])[Bb]?")
MOST_TRIES: Final = 3  # wrong answers to one question


@dataclass
class Dialogue:
    """A command that somebody began to ask for.

    ``values`` are those that he gave, by the names of the request's fields; ``said`` all his words; ``asked`` the field that he was
    asked for last, ``None`` when that was whether he means it; ``tries`` his wrong answers to that.
    """

    command: Command
    values: dict[str, str]
    said: list[str] = field(default_factory=list)
    asked: str | None = None
    tries: int = 0
    confirmed: bool = False

    def next_field(self) -> str | None:
        """Return the field that must be asked for next, if one is missing."""
        fields = form_fields(self.command.request)
        return next((item.name for item in fields if item.required and item.name not in self.values), None)

    def take(self, value: str) -> None:
        """Take ``value`` for the field that was asked for; a size may be said with its unit."""
        assert self.asked is not None  # noqa: S101 - who calls this has looked
        sized = _SIZE.fullmatch(value) if self.asked == "size" and self._has("unit") else None
        given = {"size": sized[1], "unit": sized[2].upper()} if sized else {self.asked: value}
        for name, text in given.items():
            check_value(self.command.request, name, text)
        self.values |= given
        self.said.append(" ".join(given.values()))
        self.tries = 0

    def _has(self, name: str) -> bool:
        return any(item.name == name for item in form_fields(self.command.request))

    def question(self) -> str:
        """Return what to ask."""
        chat = self.command.spoken
        assert chat is not None  # noqa: S101 - only commands with phrases are talked about
        if self.asked is None:
            return f"{chat.confirm} Say yes if you mean it."
        return chat.questions.get(self.asked, f"Which {self.asked.replace('_', ' ')}?")


class Listener(Protocol):
    """What all that one client writes goes to, in the place of commands."""

    def hear(self, text: str) -> None:
        """Take a message."""

    def leave(self) -> None:
        """The client is gone."""


class Dialogues:
    """The dialogues of one entity, one with each person, from whichever client; forgotten when not answered in time.

    A client (full JID) that a listener attends to has none: what it writes is the listener's.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: dict[str, tuple[float, Dialogue]] = {}
        self._listeners: dict[str, Listener] = {}

    def attend(self, full: str, listener: Listener) -> None:
        """Let a listener have all that a client writes."""
        self._listeners[full] = listener

    def release(self, full: str, listener: Listener) -> None:
        """Let a client talk to the entity again."""
        if self._listeners.get(full) is listener:
            del self._listeners[full]

    def hand_over(self, full: str, text: str) -> bool:
        """Give a message to who attends to the client; return whether somebody does."""
        listener = self._listeners.get(full)
        if listener is not None:
            listener.hear(text)
        return listener is not None

    def note_gone(self, full: str) -> None:
        """Tell who attends to a client that it is gone."""
        listener = self._listeners.get(full)
        if listener is not None:
            listener.leave()

    def keep(self, bare: str, dialogue: Dialogue) -> None:
        """Wait for what a person says next."""
        self._open.pop(bare, None)
        while len(self._open) >= MOST:
            del self._open[next(iter(self._open))]
        self._open[bare] = self._clock() + PATIENCE, dialogue

    def take(self, bare: str) -> Dialogue | None:
        """Return the dialogue with a person, which is over unless it is kept again."""
        until, dialogue = self._open.pop(bare, (0.0, None))
        return dialogue if self._clock() <= until else None
