# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may do what on which entity: the one place that decides.

The rules, in this order: administrators may everything; what is denied explicitly is denied; who is not known may nothing; ``all``
covers every token that is not reserved; a token that was granted and has not expired, on the entity or by a rule that reaches it;
a token that the known have by default. Known is who gets the entity's presence by its roster, or holds anything on it, unless he
is denied all. Decisions come from memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from slixmpp import JID

from archipel.agent.decision import Decision, Rule
from archipel.agent.grants import Grants
from archipel.agent.jids import account_jid, bare_jid
from archipel.agent.rule_book import RuleBook
from archipel.agent.rules import Reach, RuleRecord
from archipel.agent.standing import NOTHING, Standing, weigh
from archipel.agent.store import GrantRecord
from archipel.protocol.rights import ALL, EntityKind, Token, TokenCatalogue

SHAPING: Final = (
    "define",
    "appliance_attach",
    "snapshot_revert",
    *(f"drives_{what}" for what in ("create", "delete", "convert", "rename", "create_golden")),
)
"""Rights by which a machine's disks are changed."""


@dataclass(frozen=True)
class _Entity:
    kind: EntityKind
    in_roster: Callable[[str], bool]


class Decisions:
    """Who may do what on all entities of an agent, from memory.

    JIDs are taken in any spelling, with or without resource. One that is no JID raises
    :class:`~archipel.agent.jids.MalformedJid`; an entity that was not attached raises :class:`LookupError`.
    """

    def __init__(self, catalogue: TokenCatalogue, admins: Iterable[str], clock: Callable[[], datetime]) -> None:
        self.catalogue = catalogue
        self.book = RuleBook(clock)
        self._clock = clock
        self._static_admins = frozenset(map(account_jid, admins))
        self._dynamic_admins: frozenset[str] = frozenset()
        self._entities: dict[str, _Entity] = {}
        self._grants = Grants(clock)
        self._standings: dict[tuple[str, str], Standing] = {}

    # -- entities and administrators ------------------------------------------------------------------------------------

    def attach(self, entity: str | JID, kind: EntityKind, in_roster: Callable[[str], bool] = lambda _bare: False) -> None:
        """Begin to decide for an entity; ``in_roster`` tells whether a bare JID gets its presence by its roster."""
        self._entities[bare_jid(entity)] = _Entity(kind, in_roster)
        self.weigh_anew()

    def detach(self, entity: str | JID) -> None:
        """Forget an entity and the rights on it, in memory; its grants in the store are the caller's concern."""
        self._entities.pop(bare_jid(entity), None)
        self._grants.forget_entity(bare_jid(entity))
        self.book.forget_entity(bare_jid(entity))
        self.weigh_anew()

    @property
    def entities(self) -> tuple[str, ...]:
        """The bare JIDs of all entities that are decided for."""
        return tuple(self._entities)

    def kind_of(self, entity: str) -> EntityKind:
        """Return what kind of entity that is."""
        return self._find(entity).kind

    @property
    def admins(self) -> frozenset[str]:
        """All administrators, those of the configuration and those named on the platform."""
        return self._static_admins | self._dynamic_admins

    def set_dynamic_admins(self, admins: Iterable[str | JID]) -> None:
        """Replace the administrators named on the platform; those of the configuration stay whatever is said."""
        self._dynamic_admins = frozenset(map(account_jid, admins))

    def is_admin(self, subject: str | JID) -> bool:
        """Whether somebody is an administrator."""
        return self._rules(bare_jid(subject))

    def _rules(self, who: str) -> bool:
        return who in self._static_admins or who in self._dynamic_admins

    # -- decisions ------------------------------------------------------------------------------------------------------

    def check(self, entity: str | JID, subject: str | JID, token: str) -> Decision:
        """Decide whether ``subject`` may do what ``token`` stands for on ``entity``."""
        place, who = bare_jid(entity), bare_jid(subject)
        found = self.catalogue.find(self._find(place).kind, token)
        if self._rules(who):
            return Decision(True, Rule.ADMINISTRATOR)
        standing = self._standing(place, who)
        denial = self._find_denial(place, standing, token)
        if denial is not None:
            return Decision(False, Rule.DENIED, denial)
        if not self._knows(place, who, standing):
            return Decision(False, Rule.STRANGER)
        if not (found and found.reserved) and ALL in standing.given:
            return Decision(True, Rule.ALL, standing.given[ALL])
        return self._decide_token(found, standing, self._grants.find(place, who, token))

    def _decide_token(self, token: Token | None, standing: Standing, grant: GrantRecord | None) -> Decision:
        if token is None:
            return Decision(False, Rule.NO_SUCH_RIGHT)
        if token.name in standing.given:
            return Decision(True, Rule.GRANT, standing.given[token.name])
        if token.default:
            return Decision(True, Rule.DEFAULT)
        return Decision(False, Rule.NOT_GRANTED) if grant is None else Decision(False, Rule.EXPIRED, grant)

    def _find_denial(self, place: str, standing: Standing, token: str) -> RuleRecord | None:
        """Return the rule that denies a token; ``all`` is denied to whom anything of it is denied."""
        if token == ALL:
            return next((rule for name, rule in standing.denied.items() if not self.is_reserved(place, name)), None)
        return standing.denied.get(token) or (None if self.is_reserved(place, token) else standing.denied.get(ALL))

    def is_reserved(self, place: str, token: str) -> bool:
        """Whether a token is one that ``all`` does not cover."""
        found = self.catalogue.find(self._find(place).kind, token)
        return found is not None and found.reserved

    def _standing(self, place: str, who: str) -> Standing:
        """Return what somebody holds and is denied on an entity; remembered until something changes or ends."""
        standing = self._standings.get((place, who))
        if standing is None or (standing.until is not None and standing.until <= self._clock()):
            grants, rules = list(self._grants.lasting(place, who)), list(self.reaching(place, who))
            if not (grants or rules):
                return NOTHING  # not remembered: strangers come in any number
            standing = self._standings[place, who] = weigh(grants, rules, lambda rule: self.tokens_there(place, rule))
        return standing

    def now(self) -> datetime:
        """Return the moment by which rights are judged."""
        return self._clock()

    def note_tags(self, machine: str, tags: Iterable[str]) -> None:
        """Follow a machine's tags, by which rules may reach it."""
        self.book.note_tags(machine, tags)
        self.weigh_anew()

    def note_goldens(self, machine: str, goldens: Iterable[str]) -> bool:
        """Follow the golden images that a machine's disks stand on; returns whether they changed."""
        changed = self.book.note_goldens(machine, goldens)
        if changed:
            self.weigh_anew()
        return changed

    def reaches_anybody(self, place: str, rule: RuleRecord) -> bool:
        """Whether a rule counts on an entity for anybody."""
        return any(rule in self.reaching(place, person) for person in self.book.people(rule))

    def weigh_anew(self) -> None:
        """Forget what was weighed: grants, rules, groups, or facts of machines changed."""
        self._standings.clear()

    def reaching(self, place: str, who: str) -> Iterator[RuleRecord]:
        """Yield the lasting rules about somebody that reach an entity."""
        for rule in self.book.of(who):
            golden = rule.scope.reach is Reach.GOLDEN
            if self._reaches(rule, place, who) and (not golden or self._gives_no_more_than_shapers_hold(place, rule)):
                yield rule

    def _gives_no_more_than_shapers_hold(self, place: str, rule: RuleRecord) -> bool:
        """Whether all who may change a machine's disks hold what a rule gives that goes by these disks.

        Else they could give it to others, or to themselves, by putting the machine on the golden image.
        """
        people = {person for other in self.book.lasting() for person in self.book.people(other)} | self._grants.subjects(place)
        wanted = self.tokens_there(place, rule)
        for person in people:
            others = (other for other in self.book.of(person) if other.scope.reach is not Reach.GOLDEN)
            there = [other for other in others if self._reaches(other, place, person)]
            held = weigh(self._grants.lasting(place, person), there, lambda other: self.tokens_there(place, other))
            if any(self._has(place, held, token) for token in SHAPING) and not all(self._has(place, held, token) for token in wanted):
                return False
        return True

    def _has(self, place: str, held: Standing, token: str) -> bool:
        covered = token in held.given or (ALL in held.given and not self.is_reserved(place, token))
        return covered and self._find_denial(place, held, token) is None

    def _reaches(self, rule: RuleRecord, place: str, who: str) -> bool:
        if rule.scope.reach is Reach.ENTITY:
            return rule.entity == place
        if rule.of_platform:
            return True
        is_machine = self._find(place).kind is EntityKind.VIRTUAL_MACHINE
        return is_machine and self.book.reaches(rule, place, owned=self.owns(place, who))

    def owns(self, place: str, who: str) -> bool:
        """Whether a machine is somebody's own: he made it, or was granted all on it."""
        return self.book.made(place, who) or self._grants.holds(place, who, ALL)

    def tokens_there(self, place: str, rule: RuleRecord) -> list[str]:
        """Return the rights that a rule is about, as far as the entity has them."""
        kind = self._find(place).kind
        return [token for token in sorted(self.book.tokens(rule)) if self.catalogue.find(kind, token)]

    def find_fault(self, rule: RuleRecord) -> str:
        """Return why a rule means nothing on this agent; empty if it means something."""
        if any(self.catalogue.find(kind, token) for kind in EntityKind for token in self.book.tokens(rule)):
            return ""
        return f"the {'role' if rule.is_role else 'right'} {rule.right!r} names no right that exists here: the rule changes nothing"

    def is_known(self, entity: str | JID, subject: str | JID) -> bool:
        """Whether an entity has to do with somebody at all: administrator, or in its roster or holder of a right, if not denied all."""
        place, who = bare_jid(entity), bare_jid(subject)
        return self._rules(who) or self._knows(place, who, self._standing(place, who))

    def _knows(self, place: str, who: str, standing: Standing) -> bool:
        return ALL not in standing.denied and (bool(standing.given) or self._find(place).in_roster(who))

    def why(self, entity: str | JID, subject: str | JID, token: str) -> str:
        """Return the decision and its reason as a sentence."""
        place, who = bare_jid(entity), bare_jid(subject)
        decision = self.check(place, who, token)
        return f"{who} {'may' if decision.allowed else 'may not'} {token!r} on {place}: {decision.words}"

    def tokens_of(self, entity: str | JID, subject: str | JID) -> tuple[str, ...]:
        """Return what somebody was explicitly granted on an entity itself and still holds, in alphabetical order."""
        return tuple(sorted(grant.token for grant in self._grants.lasting(bare_jid(entity), bare_jid(subject))))

    def grants_on(self, entity: str | JID) -> tuple[GrantRecord, ...]:
        """Return the lasting grants on an entity, in alphabetical order."""
        place = bare_jid(entity)
        held = (grant for who in self._grants.subjects(place) for grant in self._grants.lasting(place, who))
        return tuple(sorted(held, key=lambda grant: grant.key))

    def held_tokens(self, entity: str | JID, subject: str | JID) -> tuple[str, ...]:
        """Return what somebody holds on an entity by grants and rules, in alphabetical order; ``all`` one by one if something is denied."""
        place, who = bare_jid(entity), bare_jid(subject)
        standing = self._standing(place, who)
        if not standing.denied:
            return tuple(sorted(standing.given))
        held = [name for name in self.effective_tokens(place, who) if self.check(place, who, name).rule in {Rule.ALL, Rule.GRANT}]
        return tuple(sorted(held))

    def effective_tokens(self, entity: str | JID, subject: str | JID) -> tuple[str, ...]:
        """Return all that somebody may do on an entity, by whatever rule, in the catalogue's order."""
        names = [token.name for token in self.catalogue.tokens(self._find(bare_jid(entity)).kind)]
        return tuple(name for name in names if self.check(entity, subject, name).allowed)

    def subjects(self, entity: str | JID) -> frozenset[str]:
        """Return who holds anything on an entity."""
        place = bare_jid(entity)
        people = {person for rule in self.book.lasting() if not rule.denies for person in self.book.people(rule)}
        people |= self._grants.subjects(place)
        if place not in self._entities:
            return frozenset(self._grants.subjects(place))
        standings = ((person, self._standing(place, person)) for person in people)
        return frozenset(person for person, standing in standings if standing.given and ALL not in standing.denied)

    # -- inside ----------------------------------------------------------------------------------------------------------

    def _find(self, place: str) -> _Entity:
        try:
            return self._entities[place]
        except KeyError:
            raise LookupError(f"{place} is not an entity of this agent") from None
