# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which forms an entity waits for: a form that comes back is done once (XEP-0050, 3.3)."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Final

from archipel.protocol.errors import BadRequest, CommandError, Condition, ErrorCode

PATIENCE: Final = 1800.0  # seconds that a form waits to be filled in
MOST: Final = 500  # sessions of one entity that are remembered; the oldest is forgotten for a new one
MOST_OF_PERSON: Final = 50  # of them; his own oldest gives way, so that nobody ends others' sessions
LONGEST: Final = 200  # characters of an id that a client chose


class Unacceptable(BadRequest):
    """What XEP-0050, 4.4 has a condition of its own for."""

    def __init__(self, specific: str, text: str) -> None:
        super().__init__(text, ErrorCode.NOT_WELL_FORMED)
        self.specific = specific


class SessionExpired(CommandError):
    """The form was sent already, or cancelled, or waited too long."""

    specific = "session-expired"

    def __init__(self) -> None:
        super().__init__("this form is closed: begin anew", ErrorCode.NOT_WELL_FORMED, Condition.NOT_ALLOWED)


class Sessions:
    """The sessions of one entity, each between it and one full JID, for one command."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, tuple[tuple[str, str], float | None]] = {}

    def begin(self, caller: str, node: str, session: str = "") -> str:
        """Wait for the form of a command; a client may choose the id. Raises :class:`Unacceptable` for one that is not new."""
        known = self._known.get(session)
        if len(session) > LONGEST or (known is not None and known[0] != (caller, node)):
            raise Unacceptable("bad-sessionid", "sessionid: must be a new one, or left out")
        if known is not None:
            self._check_open(session)
        return self._keep(session or secrets.token_hex(8), caller, node, self._clock() + PATIENCE)

    def take(self, caller: str, node: str, session: str) -> None:
        """End a session because its form is here or it is cancelled.

        Raises :class:`Unacceptable` if there never was one, :class:`SessionExpired` if it is over.
        """
        known = self._known.get(session)
        if known is None or known[0] != (caller, node):
            raise Unacceptable("bad-sessionid", "sessionid: no form of this command was given to you under this id: begin anew")
        self._check_open(session)
        self._keep(session, caller, node, None)

    def reopen(self, caller: str, node: str, session: str) -> None:
        """Wait for the form again: what it held was wrong."""
        self._keep(session, caller, node, self._clock() + PATIENCE)

    def _keep(self, session: str, caller: str, node: str, until: float | None) -> str:
        self._known.pop(session, None)
        person = caller.partition("/")[0]
        own = [key for key, ((who, _node), _until) in self._known.items() if who.partition("/")[0] == person]
        for key in own[: max(0, len(own) + 1 - MOST_OF_PERSON)]:
            del self._known[key]
        while len(self._known) >= MOST:
            del self._known[next(iter(self._known))]
        self._known[session] = ((caller, node), until)
        return session

    def _check_open(self, session: str) -> None:
        until = self._known[session][1]
        if until is None or until < self._clock():
            raise SessionExpired
