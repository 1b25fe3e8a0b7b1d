# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rule is: somebody, or a group, gets or is denied a right or a role, somewhere; no input or output."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from archipel.protocol.errors import BadRequest, ErrorCode
from archipel.protocol.roles import ROLE_NAME

_LONGEST_NAME: Final = 100


class BadRule(BadRequest):
    """A rule, role or group that is not as it must be; the message names the field."""

    def __init__(self, text: str) -> None:
        super().__init__(text, ErrorCode.SET_RIGHTS)


class Reach(enum.StrEnum):
    """How far a rule reaches, the nearest first; what reaches over all hypervisors is kept by none of their agents."""

    ENTITY = "entity"
    OWN = "own"
    TAG = "tag"
    GOLDEN = "golden"
    HYPERVISOR = "hypervisor"
    PLATFORM = "platform"


_NAMED: Final = frozenset({Reach.TAG, Reach.GOLDEN})
SCOPES: Final = "entity, own, tag:NAME, golden:NAME, hypervisor or platform"


@dataclass(frozen=True)
class Scope:
    """Where a rule counts; ``name`` is that of the tag or golden image."""

    reach: Reach = Reach.ENTITY
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> Scope:
        """Return the scope that is written ``text``. Raises :class:`BadRule`."""
        word, _, name = text.strip().partition(":")
        try:
            reach = Reach(word)
        except ValueError:
            raise BadRule(f"scope: must be {SCOPES}, not {text[:60]!r}") from None
        if bool(name.strip()) != (reach in _NAMED) or (":" in text and reach not in _NAMED):
            raise BadRule(f"scope: must be {SCOPES}, not {text[:60]!r}")
        if len(name) > 255:
            raise BadRule("scope: the name has 255 characters at most")
        return cls(reach, name.strip())

    def __str__(self) -> str:
        return f"{self.reach}:{self.name}" if self.name else str(self.reach)

    @property
    def words(self) -> str:
        """Where that is."""
        named = {Reach.TAG: f"machines with the tag {self.name!r}", Reach.GOLDEN: f"machines that stand on the golden image {self.name!r}"}
        plain = {
            Reach.ENTITY: "this entity",
            Reach.OWN: "one's own machines",
            Reach.HYPERVISOR: "all machines of this hypervisor",
            Reach.PLATFORM: "all hypervisors and machines of the platform",
        }
        return {**named, **plain}[self.reach]


Key = tuple[str, str, str, str, str]


@dataclass(frozen=True, kw_only=True)
class RuleRecord:
    """A rule as the agent remembers it.

    ``entity`` (bare JID) is whose rule it is: a machine's counts there, a hypervisor's where ``scope`` says, the platform's (the
    name of its node) everywhere. It is about the person ``subject`` (bare JID), or about the group of that name; ``right`` is a
    token, or a role's name.
    """

    entity: str
    subject: str
    right: str
    is_group: bool = False
    is_role: bool = False
    denies: bool = False
    scope: Scope = field(default_factory=Scope)
    granted_by: str = ""
    granted_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    expires_at: datetime | None = None
    reason: str = ""

    @property
    def key(self) -> Key:
        """What there is one rule for: entity, scope, effect, whom it is about, and what."""
        who = f"{'group' if self.is_group else 'person'}:{self.subject}"
        what = f"{'role' if self.is_role else 'right'}:{self.right}"
        return self.entity, str(self.scope), "deny" if self.denies else "allow", who, what

    @property
    def of_platform(self) -> bool:
        """Whether it counts on every hypervisor of the platform."""
        return self.scope.reach is Reach.PLATFORM

    @property
    def words(self) -> str:
        """Whom, what and where, in words."""
        what = f"the role {self.right!r}" if self.is_role else f"{self.right!r}"
        who = f"the group {self.subject!r}" if self.is_group else self.subject
        return f"{what} {'denied' if self.denies else 'granted'} to {who} on {self.scope.words}"


def describe_origin(by: str, at: datetime, until: datetime | None, reason: str = "") -> str:
    """Return by whom and when a right was given, until when, and why."""
    end = f", until {until:%Y-%m-%d %H:%M:%S} UTC" if until else ""
    return f"given by {by} on {at:%Y-%m-%d %H:%M:%S} UTC{end}{f': {reason}' if reason else ''}"


def check_group_name(name: str) -> str:
    """Return a group's name, without blanks around it. Raises :class:`BadRule`."""
    stripped = name.strip()
    if not (0 < len(stripped) <= _LONGEST_NAME and stripped.isprintable()):
        raise BadRule(f"group: a name has 1 to {_LONGEST_NAME} printable characters, not {name[:60]!r}")
    return stripped


def check_role_name(name: str) -> str:
    """Return a role's name. Raises :class:`BadRule`."""
    if not ROLE_NAME.fullmatch(name.strip()):
        raise BadRule(f"role: a name has lower-case letters, digits and hyphens, 40 at most, not {name[:60]!r}")
    return name.strip()
