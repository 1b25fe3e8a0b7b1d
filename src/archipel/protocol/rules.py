# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about rights (namespace ``archipel:rights``): roles, scopes, groups, denial, expiry, and why somebody may or may not.

New here; a grant of one right to one person on one entity is the founding protocol's (:mod:`archipel.protocol.every_entity`), and
shows up there, whichever way it was made.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from archipel.protocol import namespaces as ns
from archipel.protocol.errors import BadRequest, ErrorCode
from archipel.protocol.payload import Payload, Request, at_most_characters, attribute, children, not_empty, payload, text

NEVER: Final = "never"
ALLOW, DENY = "allow", "deny"
PLATFORM: Final = "platform"
LONGEST_REASON: Final = 500
_TIME: Final = "a time with its zone such as 2027-07-01T12:00:00Z"


def _check_moment(value: str) -> str | None:
    return None if value == NEVER or _check_time(value) is None else f"must be {_TIME}, or {NEVER}, not {value[:40]!r}"


def _check_time(value: str) -> str | None:
    try:
        read_time(value)
    except ValueError:
        return f"must be {_TIME}, not {value[:40]!r}"
    return None


def _check_effect(value: str) -> str | None:
    return None if value in {ALLOW, DENY} else f"must be {ALLOW} or {DENY}, not {value[:40]!r}"


def _check_scope(value: str) -> str | None:
    return None if value == PLATFORM else f"must be {PLATFORM}, not {value[:40]!r}"


def read_moment(value: str) -> datetime | None:
    """Return the moment that is written (XEP-0082); ``None`` for never. Raises :class:`ValueError`."""
    return None if value == NEVER else read_time(value)


def read_time(value: str) -> datetime:
    """Return the moment that is written (XEP-0082). Raises :class:`ValueError`."""
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("outside of the calendar") from None


def write_moment(moment: datetime | None) -> str:
    """Return how a moment is written; ``None`` is never."""
    return NEVER if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@payload
class RuleName(Payload, tag="rule"):
    """What names a rule: ``subject`` (bare JID) or ``group``, ``right`` or ``role``, and where it counts."""

    subject: str | None = attribute(not_empty, default=None)
    group: str | None = attribute(not_empty, default=None)
    right: str | None = attribute(not_empty, default=None)
    role: str | None = attribute(not_empty, default=None)
    scope: str = attribute(not_empty, default="entity")

    @property
    def whom(self) -> tuple[str, bool]:
        """Whom the rule is about, and whether that is a group. Raises :class:`BadRequest`."""
        return _choose("subject", self.subject, "group", self.group)

    @property
    def what(self) -> tuple[str, bool]:
        """What it gives or denies, and whether that is a role. Raises :class:`BadRequest`."""
        return _choose("right", self.right, "role", self.role)


def _choose(one: str, first: str | None, other: str, second: str | None) -> tuple[str, bool]:
    if (first is None) == (second is None):
        raise BadRequest(f"{one}, {other}: a rule has exactly one of the two", ErrorCode.SET_RIGHTS)
    return (first, False) if first is not None else (second or "", True)


@payload
class NewRule(RuleName, tag="rule"):
    """A rule to be made; without ``expires`` it keeps the end that it has, if it is there, and ends never, if it is new."""

    expires: str | None = attribute(_check_moment, default=None)
    reason: str = attribute(at_most_characters(LONGEST_REASON), default="")


@payload
class OldRule(RuleName, tag="rule"):
    """A rule to be taken away; ``effect`` says which of the two that bear the same name."""

    effect: str = attribute(_check_effect, default=ALLOW)


@payload
class Rule(RuleName, tag="rule"):
    """A rule as it stands, with the entity that it was made on; ``note`` says why it means nothing there, if so."""

    effect: str = attribute(default=ALLOW)
    entity: str = attribute(default="")
    given_by: str = attribute(default="")
    given_at: str = attribute(default="")
    expires: str = attribute(default=NEVER)
    reason: str = attribute(default="")
    note: str | None = attribute(default=None)


@payload
class PlatformRule(RuleName, tag="rule"):
    """A rule of the whole platform, an item of its node; whoever published it counts before ``given_by``, where that is known."""

    scope: str = attribute(_check_scope, default=PLATFORM)
    effect: str = attribute(_check_effect, default=ALLOW)
    given_by: str = attribute(default="")
    given_at: str = attribute(_check_time)
    expires: str = attribute(_check_moment, default=NEVER)
    reason: str = attribute(at_most_characters(LONGEST_REASON), default="")


ADMINISTRATOR: Final = "administrator"
"""The rule of a decision about somebody who may everything."""


@payload
class Decision(Payload, tag="decision"):
    """Whether somebody has a right, and the reason in words."""

    subject: str = attribute()
    right: str = attribute()
    allowed: bool = attribute()
    rule: str = attribute()
    reason: str = text(default="")


@payload
class Why(Request[Decision], namespace=ns.RIGHTS, action="why", reads=True):
    """Whether somebody (bare JID; the sender if it is left out) has a right here, and by which rule.

    ``right`` is a right's name, or words by which a command is asked for in a chat.
    """

    right: str = attribute(not_empty)
    subject: str | None = attribute(not_empty, default=None)


@payload
class ListRules(Request[tuple[Rule, ...]], namespace=ns.RIGHTS, action="rules", reads=True):
    """All grants and rules that count here; on a hypervisor also those that it has for its machines."""


@payload
class GrantRules(Request[None], namespace=ns.RIGHTS, action="grant"):
    """Give rights and roles, all or none."""

    rules: tuple[NewRule, ...] = children()


@payload
class DenyRules(Request[None], namespace=ns.RIGHTS, action="deny"):
    """Deny rights and roles, whatever else gives them, all or none."""

    rules: tuple[NewRule, ...] = children()


@payload
class WithdrawRules(Request[None], namespace=ns.RIGHTS, action="withdraw"):
    """Take rules away, all or none."""

    rules: tuple[OldRule, ...] = children()


ROLE_SEPARATOR: Final = " "


@payload
class RoleItem(Payload, tag="role"):
    """A role; ``rights`` are separated by blanks. ``platform``: a hypervisor has it from the platform's node."""

    name: str = attribute()
    description: str = attribute(default="")
    builtin: bool = attribute(default=False)
    platform: bool = attribute(default=False)
    rights: str = text(default="")

    @property
    def tokens(self) -> frozenset[str]:
        """The rights of the role."""
        return frozenset(self.rights.split())


@payload
class ListRoles(Request[tuple[RoleItem, ...]], namespace=ns.RIGHTS, action="roles", reads=True):
    """All roles, the built-in ones first."""


@payload
class SetRole(Request[None], namespace=ns.RIGHTS, action="setrole"):
    """Make or change a role; ``rights`` are separated by blanks."""

    name: str = attribute(not_empty)
    rights: str = attribute(not_empty)
    description: str = attribute(at_most_characters(LONGEST_REASON), default="")


@payload
class RemoveRole(Request[None], namespace=ns.RIGHTS, action="removerole"):
    """Remove a role that no rule uses."""

    name: str = attribute(not_empty)


@payload
class Member(Payload, tag="member"):
    """Somebody in a group (bare JID)."""

    jid: str = attribute(not_empty)


@payload
class GroupItem(Payload, tag="group"):
    """A group; ``shared``: it is one of the server's shared roster."""

    name: str = attribute()
    shared: bool = attribute(default=False)
    members: tuple[Member, ...] = children()


@payload
class ListGroups(Request[tuple[GroupItem, ...]], namespace=ns.RIGHTS, action="groups", reads=True):
    """All groups, those of the server's shared roster too."""


@payload
class SetGroup(Request[None], namespace=ns.RIGHTS, action="setgroup"):
    """Replace the members of a group; none removes it."""

    name: str = attribute(not_empty)
    members: tuple[Member, ...] = children()
