# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may change rules, roles, groups and tags how.

Nobody hands out what he does not hold as far as the rule reaches, denies what he could not give whole, lifts a denial of his own,
or changes what groups he is in. That he may change rights on the entity at all was checked before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from archipel.agent import rule_store
from archipel.agent.authority import Authority
from archipel.agent.grants import RightChange, Unchanged
from archipel.agent.jids import MalformedJid, account_jid, bare_jid
from archipel.agent.rights import Rights
from archipel.agent.rule_store import RuleChange
from archipel.agent.rules import BadRule, Reach, RuleRecord, Scope, check_group_name, check_role_name
from archipel.agent.standing import earliest
from archipel.protocol.errors import CommandError, Condition, ErrorCode
from archipel.protocol.events import RULES_NODE
from archipel.protocol.rights import EntityKind
from archipel.protocol.roles import BUILT_IN, Role

_NOT_HERE: Final = (
    f"scope: no hypervisor keeps the rules of the platform: they stand on {RULES_NODE} of the server, where its administrators "
    "change them with archipel grant, deny and revoke --scope platform"
)


@dataclass(frozen=True, kw_only=True)
class RuleWish:
    """A rule as somebody wants it; ``expires_at`` left out keeps the end of the one that is there."""

    subject: str
    right: str
    is_group: bool = False
    is_role: bool = False
    denies: bool = False
    scope: Scope = field(default_factory=Scope)
    expires_at: datetime | Unchanged | None = Unchanged.EXPIRY
    reason: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether this is a grant as the founding protocol knows it: one right of one person on the entity itself."""
        return not (self.is_group or self.is_role or self.denies) and self.scope.reach is Reach.ENTITY


@dataclass(frozen=True)
class Concern:
    """Whose rights changed where: ``label`` is the person, or the group, that is told of; ``rights`` those that changed."""

    entity: str
    label: str
    people: frozenset[str]
    rights: frozenset[str]


class RuleChanges:
    """Changes of rules, on disk when they return, all or none.

    Raises :class:`BadRule`, :class:`~archipel.agent.rights.UnknownRight`, :class:`~archipel.agent.rights.MayNotGrant`.
    """

    def __init__(self, rights: Rights) -> None:
        self._rights = rights
        self._book = rights.book
        self._authority = Authority(rights)

    # -- rules ----------------------------------------------------------------------------------------------------------

    async def set(self, entity: str, wishes: Iterable[RuleWish], *, caller: str) -> tuple[Concern, ...]:
        """Make rules; returns whom they concern."""
        wanted, giver, place = tuple(wishes), account_jid(caller), bare_jid(entity)
        concerns: list[Concern] = []

        async def work() -> None:
            change, rules = RuleChange(), [self._make(place, wish, giver) for wish in wanted]
            for rule, wish in zip(rules, wanted, strict=True):
                if not wish.is_plain:
                    change.add += self._plan(rule, wish, giver)
            plain = [
                RightChange(rule.subject, rule.right, True, wish.expires_at, wish.reason)
                for rule, wish in zip(rules, wanted, strict=True)
                if wish.is_plain
            ]
            concerns.extend(await self._write(place, change, plain, giver))

        await self._rights.uninterrupted(work)
        return tuple(concerns)

    async def withdraw(self, entity: str, wishes: Iterable[RuleWish], *, caller: str) -> tuple[Concern, ...]:
        """Take rules away; one that is not there is no error. Returns whom that concerns."""
        wanted, giver, place = tuple(wishes), account_jid(caller), bare_jid(entity)
        concerns: list[Concern] = []

        async def work() -> None:
            change, plain = RuleChange(), []
            for wish in wanted:
                key = replace(self._name(place, wish), granted_by=giver).key
                rule = self._book.find(key)
                if wish.is_plain:
                    plain.append(RightChange(key[3].partition(":")[2], wish.right, False))
                elif rule is not None:
                    self._authority.check_withdrawing(giver, rule)
                    change.remove.append(key)
            concerns.extend(await self._write(place, change, plain, giver))

        await self._rights.uninterrupted(work)
        return tuple(concerns)

    async def drop_expired(self) -> tuple[Concern, ...]:
        """Remove the rules whose time is over; returns whom that concerns."""
        concerns: list[Concern] = []

        async def work() -> None:
            over = self._book.over()
            if over:
                concerns.extend(concern for rule in over for concern in self.concerns(rule))
                await rule_store.write(self._rights.store, RuleChange(remove=[rule.key for rule in over]))
                self._book.forget([rule.key for rule in over])
                self._rights.weigh_anew()

        await self._rights.uninterrupted(work)
        return tuple(concerns)

    async def _write(self, place: str, change: RuleChange, plain: Sequence[RightChange], giver: str) -> list[Concern]:
        grants = self._rights.plan_changes(place, plain, giver)
        change.add_grants, change.remove_grants = grants.add, grants.remove
        gone = [rule for key in change.remove if (rule := self._book.find(key))]
        concerns = [concern for rule in gone for concern in self.concerns(rule)]
        if change:
            await rule_store.write(self._rights.store, change)
        self._book.forget(change.remove)
        self._book.keep(change.add)
        self._rights.remember(grants)
        concerns += [concern for rule in change.add for concern in self.concerns(rule)]
        touched = [grant.key for grant in grants.add] + grants.remove
        return concerns + [Concern(place, who, frozenset({who}), frozenset({token})) for _place, who, token in touched]

    def _plan(self, rule: RuleRecord, wish: RuleWish, giver: str) -> list[RuleRecord]:
        """Return what must be written for a rule; nothing if it is there already."""
        there = self._book.find(rule.key)
        there = there if there is not None and self._book.lasts(there) else None
        if there is not None and wish.expires_at in {Unchanged.EXPIRY, there.expires_at}:
            return []
        end = self._authority.end_of_rule(giver, rule)
        made = replace(rule, expires_at=earliest(rule.expires_at, end))
        if there is not None and earliest(made.expires_at, there.expires_at) != there.expires_at:
            self._authority.check_withdrawing(giver, there)
        return [made]

    def _make(self, place: str, wish: RuleWish, giver: str) -> RuleRecord:
        """Return the rule that is wished for; raises what is wrong with it, but for who asks."""
        rule, rights = self._name(place, wish), self._rights
        moment = rights.now()
        end = None if isinstance(wish.expires_at, Unchanged) else wish.expires_at
        if end is not None and end <= moment:
            raise BadRule(f"expires: {end:%Y-%m-%d %H:%M:%S %Z} is over")
        kind = rights.kind_of(place) if wish.scope.reach is Reach.ENTITY else EntityKind.VIRTUAL_MACHINE
        if wish.is_role:
            self._require_role(rule.right)
        elif rights.catalogue.find(kind, rule.right) is None:
            raise rights.unknown_right(kind, [rule.right])
        return replace(rule, granted_by=giver, granted_at=moment, expires_at=end, reason=wish.reason.strip())

    def _name(self, place: str, wish: RuleWish) -> RuleRecord:
        """Return the rule that a wish names."""
        if wish.scope.reach is Reach.PLATFORM:
            raise BadRule(_NOT_HERE)
        if wish.scope.reach is not Reach.ENTITY and self._rights.kind_of(place) is not EntityKind.HYPERVISOR:
            raise BadRule(f"scope: {wish.scope} reaches beyond this machine: ask its hypervisor")
        if wish.denies and wish.scope.reach is Reach.GOLDEN:
            raise BadRule("scope: a denial cannot go by a golden image: who may change a machine's disks would lift it")
        return RuleRecord(
            entity=place,
            subject=check_group_name(wish.subject) if wish.is_group else _read_account("subject", wish.subject),
            right=wish.right.strip(),
            is_group=wish.is_group,
            is_role=wish.is_role,
            denies=wish.denies,
            scope=wish.scope,
        )

    def _require_role(self, name: str) -> Role:
        try:
            return self._book.roles[name]
        except KeyError:
            raise BadRule(f"role: there is no role {name[:60]!r}; the action roles tells all") from None

    # -- roles and groups -----------------------------------------------------------------------------------------------

    async def set_role(self, role: Role, *, caller: str) -> tuple[Concern, ...]:
        """Make or change a role of the hypervisor's own; who uses it in a rule must be able to make that rule anew."""
        name, giver = check_role_name(role.name), account_jid(caller)
        if name in BUILT_IN:
            raise BadRule(f"role: {name!r} is built in and stays as it is: choose another name")
        known = {token.name for kind in EntityKind for token in self._rights.catalogue.tokens(kind)}
        unknown = sorted(role.tokens - known)
        if unknown or not role.tokens:
            raise BadRule(f"rights: {', '.join(map(repr, unknown))} exist nowhere" if unknown else "rights: name at least one")
        concerns: list[Concern] = []

        async def work() -> None:
            before = self._book.roles.get(name, replace(role, tokens=frozenset())).tokens
            users = [rule for rule in self._standing() if rule.is_role and rule.right == name]
            for rule in users:
                self._authority.check_change_of_role(giver, rule, gained=role.tokens - before, lost=before - role.tokens)
            await rule_store.write_role(self._rights.store, replace(role, name=name))
            self._book.keep_roles([replace(role, name=name)])
            self._rights.weigh_anew()
            concerns.extend(replace(concern, rights=before ^ role.tokens) for rule in users for concern in self.concerns(rule))

        await self._rights.uninterrupted(work)
        return tuple(concerns)

    async def remove_role(self, name: str) -> None:
        """Remove a role of the hypervisor's own that no rule uses; one that is not there is no error."""

        async def work() -> None:
            if name in BUILT_IN:
                raise BadRule(f"role: {name!r} is built in and stays")
            users = [rule.words for rule in self._book.lasting() if rule.is_role and rule.right == name and not rule.of_platform]
            if users:
                raise CommandError(f"role: withdraw first what uses it: {'; '.join(users[:5])}", ErrorCode.SET_RIGHTS, Condition.CONFLICT)
            await rule_store.remove_role(self._rights.store, name)
            self._book.forget_role(name)

        await self._rights.uninterrupted(work)

    async def set_group(self, name: str, members: Iterable[str], *, caller: str) -> tuple[Concern, ...]:
        """Replace the members of a group that is kept here; none removes it."""
        group, giver = check_group_name(name), account_jid(caller)
        if group in self._book.roster_groups:
            raise BadRule(f"name: {group!r} is a group of the server's shared roster, and kept there")
        wanted = frozenset(_read_account("member", member) for member in members)
        concerns: list[Concern] = []

        async def work() -> None:
            before = self._book.members(group)
            rules = [rule for rule in self._standing() if rule.is_group and rule.subject == group]
            self._authority.check_change_of_group(giver, rules, joined=wanted - before, left=before - wanted)
            await rule_store.write_group(self._rights.store, group, wanted)
            self._book.keep_groups({group: wanted})
            self._rights.weigh_anew()
            concerns.extend(concern for rule in rules for concern in self.concerns(rule, before ^ wanted))

        await self._rights.uninterrupted(work)
        return tuple(concerns)

    def take_roster_groups(self, groups: dict[str, frozenset[str]]) -> tuple[Concern, ...]:
        """Follow the groups of the server's shared roster; returns whom that concerns."""
        before = {name: self._book.members(name) for name in {*groups, *self._book.roster_groups}}
        changed = self._book.set_roster_groups(groups)
        if not changed:
            return ()
        self._rights.weigh_anew()
        rules = [rule for rule in self._book.lasting() if rule.is_group and rule.subject in changed]
        return tuple(concern for rule in rules for concern in self.concerns(rule, before[rule.subject] ^ self._book.members(rule.subject)))

    # -- what changes with other things -----------------------------------------------------------------------------------

    def check_tags(self, machine: str, tags: Iterable[str], *, caller: str) -> None:
        """Refuse a change of a machine's tags by which rules would come to count there, or cease to, that are not the caller's to make."""
        changed = frozenset(tags) ^ self._book.tags(bare_jid(machine))
        rules = [rule for rule in self._book.lasting() if rule.scope.reach is Reach.TAG and rule.scope.name in changed]
        self._authority.check_change_of_tags(account_jid(caller), bare_jid(machine), rules)

    def concerns_of(self, machine: str, reach: Reach) -> list[Concern]:
        """Return whom the rules concern that reach a machine by its tags, or by its golden images."""
        rules = [rule for rule in self._book.lasting() if rule.scope.reach is reach]
        return [concern for rule in rules for concern in self.concerns(rule) if concern.entity == machine]

    def _standing(self) -> Iterator[RuleRecord]:
        """Yield the lasting rules of entities that are there; a machine that is half removed keeps its own until it is gone."""
        there = frozenset(self._rights.entities)
        return (rule for rule in self._book.lasting() if rule.entity in there)

    def concerns(self, rule: RuleRecord, people: frozenset[str] | None = None) -> list[Concern]:
        """Return where a rule counts, for all whom it is about or for ``people``."""
        whom = self._book.people(rule) if people is None else people
        rights, book = self._rights, self._book
        if rule.scope.reach is Reach.ENTITY:
            reached = {rule.entity: whom}
        else:
            kinds = EntityKind if rule.of_platform else (EntityKind.VIRTUAL_MACHINE,)
            reached = {
                entity: frozenset(person for person in whom if book.reaches(rule, entity, owned=rights.owns(entity, person)))
                for entity in rights.entities
                if rights.kind_of(entity) in kinds
            }
        tokens = book.tokens(rule)
        return [Concern(entity, rule.subject, reach, tokens) for entity, reach in reached.items() if reach]


def _read_account(field_name: str, jid: str) -> str:
    try:
        return account_jid(jid)
    except MalformedJid as error:
        raise BadRule(f"{field_name}: {error}") from None
