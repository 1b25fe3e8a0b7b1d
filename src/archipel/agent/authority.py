# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody may hand out, deny or take away, and how far: each check raises :class:`MayNotGrant`, or says when his right to ends."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from archipel.agent.rights import MayNotGrant, Rights
from archipel.agent.rules import BadRule, Reach, RuleRecord, Scope
from archipel.agent.standing import earliest, latest
from archipel.protocol.rights import ALL, EntityKind

CHANGES_RIGHTS: Final = "permission_set"
_NAMED: Final = frozenset({Reach.TAG, Reach.GOLDEN})
_WIDEST: Final = frozenset({Reach.HYPERVISOR, Reach.PLATFORM})


class Authority:
    """What people may change about others' rights, by what they hold themselves."""

    def __init__(self, rights: Rights) -> None:
        self._rights = rights
        self._book = rights.book

    # -- rules ----------------------------------------------------------------------------------------------------------

    def end_of_rule(self, giver: str, rule: RuleRecord) -> datetime | None:
        """Return when a rule ends at the latest that ``giver`` makes; ``None``: never."""
        return self._check_denying(giver, rule) if rule.denies else self._check_giving(giver, rule, self._tokens(rule))

    def check_withdrawing(self, giver: str, rule: RuleRecord) -> None:
        """Refuse to take a rule away: a denial of one's own, or of what one could not deny; more than one could give."""
        if rule.denies:
            if giver in self._book.people(rule) and not self._rights.is_admin(giver):
                raise MayNotGrant("nobody lifts a denial of his own", ALL)
            self._check_denying(giver, rule)
        else:
            self._check_taking(giver, rule, self._tokens(rule))

    def _check_taking(self, giver: str, rule: RuleRecord, tokens: Iterable[str]) -> None:
        wide = rule.scope.reach is not Reach.ENTITY
        for token in tokens:
            if wide or ((token == ALL or self._rights.is_reserved(rule.entity, token)) and rule.subject != giver):
                self.end_of_token(giver, rule.entity, rule.scope, token)

    def _check_giving(self, giver: str, rule: RuleRecord, tokens: Iterable[str]) -> datetime | None:
        ends = [self.end_of_token(giver, rule.entity, rule.scope, token) for token in (CHANGES_RIGHTS, *tokens)]
        if giver in self._book.people(rule) and not self._rights.is_admin(giver):
            if rule.scope.reach is not Reach.ENTITY:
                raise MayNotGrant("nobody gives himself, or a group that he is in, a right on more than one entity", CHANGES_RIGHTS)
            ends += [self._rights.end_of_gift(rule.entity, giver, giver, token) for token in tokens]
        return earliest(*ends)

    def _check_denying(self, giver: str, rule: RuleRecord) -> datetime | None:
        if not rule.is_group and self._rights.is_admin(rule.subject):
            raise BadRule(f"subject: {rule.subject} is an administrator, to whom nothing can be denied")
        reserved = [token for token in self._book.tokens(rule) if self._is_reserved(token)]
        return earliest(*(self.end_of_token(giver, rule.entity, rule.scope, token) for token in (ALL, *reserved)))

    # -- what rules go by -----------------------------------------------------------------------------------------------

    def check_change_of_role(self, giver: str, rule: RuleRecord, *, gained: frozenset[str], lost: frozenset[str]) -> None:
        """Refuse a change of a role that would change a rule more than ``giver`` may."""
        if rule.denies:
            self.check_withdrawing(giver, rule)
            return
        self._require_no_end(self._check_giving(giver, rule, self._there(rule, gained)))
        self._check_taking(giver, rule, self._there(rule, lost))

    def check_change_of_group(self, giver: str, rules: Iterable[RuleRecord], *, joined: frozenset[str], left: frozenset[str]) -> None:
        """Refuse a change of a group by which people would get or lose what ``giver`` may not give or take; or of his own groups."""
        if giver in joined | left and not self._rights.is_admin(giver):
            raise MayNotGrant("nobody changes which groups he is in himself", CHANGES_RIGHTS)
        for rule in rules:
            if joined:
                self._require_no_end(self.end_of_rule(giver, rule))
            if left:
                self.check_withdrawing(giver, rule)

    def check_change_of_tags(self, giver: str, machine: str, rules: Iterable[RuleRecord]) -> None:
        """Refuse a change of a machine's tags that makes rules count there, or not, which ``giver`` could not make for it."""
        for rule in rules:
            wanted = (ALL,) if rule.denies else (CHANGES_RIGHTS, *self._rights.tokens_there(machine, rule))
            for token in wanted:
                if not self._rights.check(machine, giver, token).allowed:
                    text = f"the tag {rule.scope.name!r} carries rights: it is changed by those who have them, {token!r} too"
                    raise MayNotGrant(text, token)
                if giver in self._book.people(rule) and not self._rights.is_admin(giver):
                    raise MayNotGrant(f"the tag {rule.scope.name!r} carries rights of your own: somebody else must change it", token)

    # -- inside ---------------------------------------------------------------------------------------------------------

    def end_of_token(self, giver: str, place: str, scope: Scope, token: str) -> datetime | None:
        """Return until when ``giver`` holds a right as far as a scope reaches; raises :class:`MayNotGrant` if he does not."""
        if self._rights.is_admin(giver):
            return None
        if scope.reach is Reach.ENTITY:
            if not self._rights.check(place, giver, token).allowed:
                raise MayNotGrant(f"the right {token!r} is given and denied only by those who have it themselves", token)
            return self._rights.end_of_authority(place, giver, token)
        ends = [rule.expires_at for rule in self._book.of(giver) if self._covers(rule, scope, token)]
        if not ends or any(rule.denies for rule in self._book.of(giver)):
            raise MayNotGrant(f"{scope.words}: {token!r} is given and denied there only by those who have it there themselves", token)
        return latest(*ends)

    def _covers(self, rule: RuleRecord, scope: Scope, token: str) -> bool:
        same = rule.scope == scope and scope.reach in _NAMED
        names = {token} if self._is_reserved(token) else {token, ALL}
        return not rule.denies and (same or rule.scope.reach in _WIDEST) and bool(names & self._book.tokens(rule))

    def _is_reserved(self, token: str) -> bool:
        found = self._rights.catalogue.find(EntityKind.VIRTUAL_MACHINE, token)
        return found is not None and found.reserved

    def _tokens(self, rule: RuleRecord) -> list[str]:
        return self._there(rule, self._book.tokens(rule))

    def _there(self, rule: RuleRecord, tokens: Iterable[str]) -> list[str]:
        """Return those of the rights that exist where a rule counts."""
        kind = self._rights.kind_of(rule.entity) if rule.scope.reach is Reach.ENTITY else EntityKind.VIRTUAL_MACHINE
        return [token for token in sorted(tokens) if self._rights.catalogue.find(kind, token)]

    def _require_no_end(self, end: datetime | None) -> None:
        if end is not None:
            text = f"your own right ends on {end:%Y-%m-%d %H:%M:%S} UTC: roles and groups, which do not end, need one that lasts"
            raise MayNotGrant(text, CHANGES_RIGHTS)
