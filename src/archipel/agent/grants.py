# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Grants as they stand in memory, and the changes that somebody wants made to them; no input or output."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from archipel.agent.jids import MalformedJid, account_jid
from archipel.agent.store import GrantRecord
from archipel.protocol.errors import BadRequest, ErrorCode

Key = tuple[str, str, str]  # entity, subject, token


class Unchanged(enum.Enum):
    """The expiry of a change that says nothing about it: that of the grant if it is there, else none."""

    EXPIRY = enum.auto()


@dataclass(frozen=True)
class RightChange:
    """A right to be granted to ``subject``, or revoked.

    ``expires_at`` None grants it for good; left out, a grant that is there keeps its end, and a new one has none.
    """

    subject: str
    token: str
    granted: bool
    expires_at: datetime | Literal[Unchanged.EXPIRY] | None = Unchanged.EXPIRY
    reason: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.expires_at, datetime) and self.expires_at.tzinfo is None:
            raise ValueError("the end of a grant needs its time zone")


class BadSubject(BadRequest):
    """Rights cannot be given to what is no account's address."""

    def __init__(self, text: str) -> None:
        super().__init__(text, ErrorCode.SET_RIGHTS)


class BadExpiry(BadRequest):
    """A grant would end before it begins."""

    def __init__(self, text: str) -> None:
        super().__init__(text, ErrorCode.SET_RIGHTS)


class Grants:
    """All grants of an agent; JIDs are bare and prepared already.

    Grants whose time is over stay until they are removed, but do not count as lasting.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._grants: dict[str, dict[str, dict[str, GrantRecord]]] = {}

    def find(self, entity: str, subject: str, token: str) -> GrantRecord | None:
        """Return the grant of a token, over or not."""
        return self._grants.get(entity, {}).get(subject, {}).get(token)

    def lasts(self, grant: GrantRecord) -> bool:
        """Whether a grant still counts."""
        return grant.expires_at is None or grant.expires_at > self._clock()

    def lasting(self, entity: str, subject: str) -> Iterator[GrantRecord]:
        """Yield the grants of somebody on an entity that still count."""
        return (grant for grant in self._grants.get(entity, {}).get(subject, {}).values() if self.lasts(grant))

    def holds(self, entity: str, subject: str, token: str) -> bool:
        """Whether somebody holds a lasting grant of a token."""
        grant = self.find(entity, subject, token)
        return grant is not None and self.lasts(grant)

    def subjects(self, entity: str) -> frozenset[str]:
        """Return who holds a lasting grant on an entity."""
        return frozenset(who for who in self._grants.get(entity, {}) if any(self.lasting(entity, who)))

    def over(self) -> list[Key]:
        """Return the grants whose time is over."""
        everything = (grant for people in self._grants.values() for held in people.values() for grant in held.values())
        return [grant.key for grant in everything if not self.lasts(grant)]

    def difference(self, entity: str, changes: Iterable[RightChange], giver: str) -> tuple[list[GrantRecord], list[Key]]:
        """Return which grants must be added and removed; of two changes of one right the later counts."""
        wanted = {(subject_of(change), change.token): change for change in changes}
        add, remove = [], []
        for (subject, token), change in wanted.items():
            held = self.find(entity, subject, token)
            if change.granted and not (held is not None and self._asks_nothing(change, held)):
                add.append(self._make(entity, change, giver))
            elif not change.granted and held is not None:
                remove.append(held.key)
        return add, remove

    def _asks_nothing(self, change: RightChange, held: GrantRecord) -> bool:
        return self.lasts(held) and (change.expires_at is Unchanged.EXPIRY or change.expires_at == held.expires_at)

    def _make(self, entity: str, change: RightChange, giver: str) -> GrantRecord:
        now, end = self._clock(), change.expires_at
        if isinstance(end, Unchanged):
            end = None
        elif end is not None and end <= now:
            raise BadExpiry(f"the right {change.token!r} would end at {end:%Y-%m-%d %H:%M:%S %Z}, which is over")
        subject = subject_of(change)
        return GrantRecord(
            entity=entity, subject=subject, token=change.token, granted_by=giver, granted_at=now, expires_at=end, reason=change.reason
        )

    def keep(self, grants: Iterable[GrantRecord]) -> None:
        """Take grants in, each in the place of the one that was there."""
        for grant in grants:
            self._grants.setdefault(grant.entity, {}).setdefault(grant.subject, {})[grant.token] = grant

    def forget(self, keys: Iterable[Key]) -> None:
        """Remove grants."""
        for entity, subject, token in keys:
            self._grants.get(entity, {}).get(subject, {}).pop(token, None)

    def forget_entity(self, entity: str) -> None:
        """Remove all grants on an entity."""
        self._grants.pop(entity, None)


def subject_of(change: RightChange) -> str:
    """Return the bare JID that a change is about. Raises :class:`BadSubject`."""
    try:
        return account_jid(change.subject)
    except MalformedJid as error:
        raise BadSubject(str(error)) from None
