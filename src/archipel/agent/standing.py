# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody holds and is denied on one entity, weighed once from all that concerns him there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from archipel.agent.rules import Reach, RuleRecord
from archipel.agent.store import GrantRecord

Basis = GrantRecord | RuleRecord
_NEAREST_FIRST: Final = {reach: number for number, reach in enumerate(Reach)}


@dataclass(frozen=True)
class Standing:
    """What counts for one person on one entity.

    ``given`` has the nearest reason for each right, ``ends`` when the last of them ends; all of it counts before ``until``.
    """

    given: Mapping[str, Basis]
    denied: Mapping[str, RuleRecord]
    ends: Mapping[str, datetime | None]
    until: datetime | None


NOTHING: Final = Standing({}, {}, {}, None)
"""Who holds nothing and is denied nothing."""


def weigh(grants: Iterable[GrantRecord], rules: Iterable[RuleRecord], tokens_of: Callable[[RuleRecord], Iterable[str]]) -> Standing:
    """Return what follows from grants on an entity, and from rules that reach it, all of them lasting."""
    nearest = sorted(rules, key=lambda rule: _NEAREST_FIRST[rule.scope.reach])
    bases: list[tuple[str, Basis]] = [(grant.token, grant) for grant in grants]
    bases += [(token, rule) for rule in nearest if not rule.denies for token in tokens_of(rule)]
    denied = {token: rule for rule in reversed(nearest) if rule.denies for token in tokens_of(rule)}
    given: dict[str, Basis] = {}
    ends: dict[str, datetime | None] = {}
    for token, basis in bases:
        given.setdefault(token, basis)
        ends[token] = latest(ends[token], basis.expires_at) if token in ends else basis.expires_at
    moments = [basis.expires_at for basis in (*given.values(), *(basis for _token, basis in bases), *denied.values()) if basis.expires_at]
    return Standing(given, denied, ends, min(moments, default=None))


def earliest(*ends: datetime | None) -> datetime | None:
    """Return the first of some ends; ``None`` is none."""
    return min((end for end in ends if end is not None), default=None)


def latest(*ends: datetime | None) -> datetime | None:
    """Return the last of some ends; ``None`` is never."""
    return None if None in ends else max(end for end in ends if end is not None)
