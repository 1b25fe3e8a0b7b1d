# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens that open one console once: for one person, one machine, one kind, and a minute."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from archipel.protocol.console import ConsoleKind

LIFETIME: Final = 60  # seconds; time to follow a link
MOST_OF_PERSON: Final = 20  # tokens not used yet; the oldest makes room for the next


@dataclass(frozen=True)
class Ticket:
    """What a token opens, for whom (a bare JID), and until when (by the clock of the tickets)."""

    viewer: str
    uuid: str
    kind: ConsoleKind
    expires: float


class Tickets:
    """The tokens that were given out and not used. Only their digests are kept, in memory: who reads it opens nothing."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tickets: dict[bytes, Ticket] = {}  # in the order of their ends

    def issue(self, viewer: str, uuid: str, kind: ConsoleKind) -> str:
        """Return a new token."""
        self._forget_expired()
        own = [digest for digest, ticket in self._tickets.items() if ticket.viewer == viewer]
        for digest in own[: max(0, len(own) - MOST_OF_PERSON + 1)]:
            del self._tickets[digest]
        token = secrets.token_urlsafe(32)
        self._tickets[_digest(token)] = Ticket(viewer, uuid, kind, self._clock() + LIFETIME)
        return token

    def redeem(self, token: str) -> Ticket | None:
        """Return what a token opens, once; ``None`` for one that is unknown, used or expired."""
        self._forget_expired()
        return self._tickets.pop(_digest(token), None)

    def drop_machine(self, uuid: str, *kinds: ConsoleKind) -> None:
        """Forget the tokens for consoles of these kinds of a machine."""
        self._tickets = {digest: ticket for digest, ticket in self._tickets.items() if ticket.uuid != uuid or ticket.kind not in kinds}

    def _forget_expired(self) -> None:
        now = self._clock()
        while self._tickets:
            digest, oldest = next(iter(self._tickets.items()))
            if oldest.expires > now:
                return
            del self._tickets[digest]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
