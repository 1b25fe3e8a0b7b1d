# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules, roles and groups as they stand in memory, and the facts of machines that scopes go by; no input or output."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

from archipel.agent.rules import Key, Reach, RuleRecord
from archipel.protocol.roles import BUILT_IN, Role

Groups = Mapping[str, frozenset[str]]


class RuleBook:
    """All rules of an agent; JIDs are bare and prepared already.

    Rules whose time is over stay until they are removed, but do not count as lasting.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._rules: dict[Key, RuleRecord] = {}
        self._of_subject: defaultdict[tuple[bool, str], dict[Key, RuleRecord]] = defaultdict(dict)
        self._own_roles: dict[str, Role] = {}
        self._platform_roles: dict[str, Role] = {}
        self._kept: dict[str, frozenset[str]] = {}
        self._of_roster: dict[str, frozenset[str]] = {}
        self._groups_of: dict[str, frozenset[str]] = {}
        self._makers: dict[str, str] = {}
        self._tags: dict[str, frozenset[str]] = {}
        self._goldens: dict[str, frozenset[str]] = {}

    # -- rules ----------------------------------------------------------------------------------------------------------

    def find(self, key: Key) -> RuleRecord | None:
        """Return a rule, over or not."""
        return self._rules.get(key)

    def lasts(self, rule: RuleRecord) -> bool:
        """Whether a rule still counts."""
        return rule.expires_at is None or rule.expires_at > self._clock()

    def lasting(self) -> Iterator[RuleRecord]:
        """Yield all rules that still count."""
        return filter(self.lasts, self._rules.values())

    def of_platform(self) -> tuple[RuleRecord, ...]:
        """Return the rules of the whole platform, over or not."""
        return tuple(rule for rule in self._rules.values() if rule.of_platform)

    def over(self) -> list[RuleRecord]:
        """Return the rules whose time is over."""
        return [rule for rule in self._rules.values() if not self.lasts(rule)]

    def of(self, person: str) -> Iterator[RuleRecord]:
        """Yield the lasting rules about a person, and about the groups that he is in."""
        subjects = [(False, person), *((True, name) for name in sorted(self.groups_of(person)))]
        found = (rule for subject in subjects if subject in self._of_subject for rule in self._of_subject[subject].values())
        return (rule for rule in found if self.lasts(rule) and person in self.people(rule))

    def keep(self, rules: Iterable[RuleRecord]) -> None:
        """Take rules in, each in the place of the one that was there."""
        for rule in rules:
            self._rules[rule.key] = self._of_subject[rule.is_group, rule.subject][rule.key] = rule

    def forget(self, keys: Iterable[Key]) -> None:
        """Remove rules."""
        for key in keys:
            rule = self._rules.pop(key, None)
            if rule is not None:
                self._of_subject[rule.is_group, rule.subject].pop(key, None)

    def forget_entity(self, entity: str) -> None:
        """Remove the rules of an entity and all that is known of it."""
        self.forget([key for key, rule in self._rules.items() if rule.entity == entity])
        for facts in (self._tags, self._goldens):
            facts.pop(entity, None)
        self._makers.pop(entity, None)

    # -- roles ----------------------------------------------------------------------------------------------------------

    @property
    def roles(self) -> Mapping[str, Role]:
        """All roles by name, the built-in ones first; one of the hypervisor's own hides the platform's of that name."""
        return {**BUILT_IN, **self._platform_roles, **self._own_roles}

    def keep_roles(self, roles: Iterable[Role]) -> None:
        """Take roles of the hypervisor's own in."""
        self._own_roles |= {role.name: role for role in roles}

    def forget_role(self, name: str) -> None:
        """Remove a role of the hypervisor's own."""
        self._own_roles.pop(name, None)

    @property
    def platform_roles(self) -> Mapping[str, Role]:
        """The roles of the whole platform."""
        return self._platform_roles

    def set_platform_roles(self, roles: Iterable[Role]) -> None:
        """Replace the roles of the whole platform."""
        self._platform_roles = {role.name: role for role in roles}

    def tokens(self, rule: RuleRecord) -> frozenset[str]:
        """Return the rights that a rule is about; the hypervisor's own roles mean nothing to the platform's rules."""
        if not rule.is_role:
            return frozenset({rule.right})
        own = None if rule.of_platform else self._own_roles.get(rule.right)
        role = BUILT_IN.get(rule.right) or own or self._platform_roles.get(rule.right)
        return frozenset() if role is None else role.tokens

    # -- groups ---------------------------------------------------------------------------------------------------------

    @property
    def kept_groups(self) -> Groups:
        """The groups that are kept here."""
        return self._kept

    @property
    def roster_groups(self) -> Groups:
        """The groups of the server's shared roster, as the hypervisor's roster shows them."""
        return self._of_roster

    def members(self, group: str) -> frozenset[str]:
        """Return who is in a group; if the server has one of that name, its members count alone."""
        return self._of_roster[group] if group in self._of_roster else self._kept.get(group, frozenset())

    def groups_of(self, person: str) -> frozenset[str]:
        """Return the groups that somebody is in."""
        return self._groups_of.get(person, frozenset())

    def keep_groups(self, groups: Groups) -> None:
        """Take groups in; one without members is removed."""
        self._kept = {name: members for name, members in {**self._kept, **groups}.items() if members}
        self._sort_people()

    def set_roster_groups(self, groups: Groups) -> frozenset[str]:
        """Replace the groups of the shared roster; returns the names of those that changed."""
        names = {*groups, *self._of_roster}
        changed = frozenset(name for name in names if groups.get(name, frozenset()) != self._of_roster.get(name, frozenset()))
        self._of_roster = dict(groups)
        self._sort_people()
        return changed

    def _sort_people(self) -> None:
        groups_of: defaultdict[str, set[str]] = defaultdict(set)
        for name in {*self._kept, *self._of_roster}:
            for person in self.members(name):
                groups_of[person].add(name)
        self._groups_of = {person: frozenset(names) for person, names in groups_of.items()}

    def people(self, rule: RuleRecord) -> frozenset[str]:
        """Return whom a rule is about; groups that are kept here mean nothing to the platform's rules."""
        if not rule.is_group:
            return frozenset({rule.subject})
        return self._of_roster.get(rule.subject, frozenset()) if rule.of_platform else self.members(rule.subject)

    # -- facts of machines ----------------------------------------------------------------------------------------------

    def note_makers(self, makers: Mapping[str, str]) -> None:
        """Take in who made which machine (bare JIDs)."""
        self._makers |= makers

    def made(self, entity: str, person: str) -> bool:
        """Whether somebody made a machine."""
        return self._makers.get(entity) == person

    def tags(self, entity: str) -> frozenset[str]:
        """Return a machine's tags."""
        return self._tags.get(entity, frozenset())

    def note_tags(self, entity: str, tags: Iterable[str]) -> None:
        """Take in a machine's tags."""
        self._tags[entity] = frozenset(tags)

    def goldens(self, entity: str) -> frozenset[str]:
        """Return the golden images that a machine's disks stand on."""
        return self._goldens.get(entity, frozenset())

    def note_goldens(self, entity: str, goldens: Iterable[str]) -> bool:
        """Take in the golden images that a machine's disks stand on; returns whether they changed."""
        found = frozenset(goldens)
        changed = found != self.goldens(entity)
        self._goldens[entity] = found
        return changed

    def reaches(self, rule: RuleRecord, machine: str, *, owned: bool) -> bool:
        """Whether a rule of more than one entity reaches a machine, which is the concerned person's own or not."""
        match rule.scope.reach:
            case Reach.OWN:
                return owned
            case Reach.TAG:
                return rule.scope.name in self.tags(machine)
            case Reach.GOLDEN:
                return rule.scope.name in self.goldens(machine)
            case Reach.HYPERVISOR | Reach.PLATFORM:
                return True
            case Reach.ENTITY:
                return False
