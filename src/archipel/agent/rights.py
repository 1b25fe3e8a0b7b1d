# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may do what on which entity: the one place that decides, and the one that changes it.

The rules, in this order: administrators may everything; who is not known may nothing; ``all`` covers every token that is not
reserved; a token that was granted and has not expired; a token that the known have by default. Known is who gets the entity's
presence by its roster, or holds any grant on it.

Decisions come from memory. A change is in the database before it is in memory, and before its call returns.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Self

from slixmpp import JID

from archipel.agent.grants import BadExpiry, BadSubject, Grants, Key, RightChange, Unchanged, subject_of
from archipel.agent.jids import account_jid, bare_jid
from archipel.agent.store import GrantRecord, Store
from archipel.protocol.errors import BadRequest, ErrorCode, PermissionDenied
from archipel.protocol.rights import ALL, EntityKind, Token, TokenCatalogue

__all__ = ["BadExpiry", "BadSubject", "Decision", "MayNotGrant", "RightChange", "Rights", "Rule", "Unchanged", "UnknownRight", "now"]


def now() -> datetime:
    """Return the present moment, with its time zone."""
    return datetime.now(UTC)


class Rule(enum.StrEnum):
    """What decided."""

    ADMINISTRATOR = "administrator"
    STRANGER = "not known to the entity"
    ALL = "holder of all"
    GRANT = "granted"
    DEFAULT = "default of the right"
    NOT_GRANTED = "not granted"
    EXPIRED = "grant expired"
    NO_SUCH_RIGHT = "no such right"


@dataclass(frozen=True)
class Decision:
    """Whether something is allowed, and by which rule."""

    allowed: bool
    rule: Rule


class UnknownRight(BadRequest):
    """A right that does not exist on the entity; the message names similar ones."""

    def __init__(self, text: str) -> None:
        super().__init__(text, ErrorCode.SET_RIGHTS)


class MayNotGrant(PermissionDenied):
    """The caller may not give or take this right, although he may change rights."""


@dataclass(frozen=True)
class _Entity:
    kind: EntityKind
    in_roster: Callable[[str], bool]


class Rights:
    """The rights on all entities of this agent; made by :meth:`load`.

    JIDs are taken in any spelling, with or without resource. One that is no JID raises
    :class:`~archipel.agent.jids.MalformedJid`; an entity that was not attached raises :class:`LookupError`.
    """

    def __init__(self, store: Store, catalogue: TokenCatalogue, admins: Iterable[str], *, clock: Callable[[], datetime] = now) -> None:
        self.catalogue = catalogue
        self._store = store
        self._static_admins = frozenset(map(account_jid, admins))
        self._dynamic_admins: frozenset[str] = frozenset()
        self._entities: dict[str, _Entity] = {}
        self._grants = Grants(clock)
        self._changing = asyncio.Lock()
        self._commits: set[asyncio.Task[None]] = set()

    @classmethod
    async def load(cls, store: Store, catalogue: TokenCatalogue, admins: Iterable[str], *, clock: Callable[[], datetime] = now) -> Self:
        """Return the rights as they stand in the store; ``admins`` are those of the configuration."""
        rights = cls(store, catalogue, admins, clock=clock)
        rights._grants.keep(await store.grants())
        return rights

    # -- entities and administrators ------------------------------------------------------------------------------------

    def attach(self, entity: str | JID, kind: EntityKind, in_roster: Callable[[str], bool] = lambda _bare: False) -> None:
        """Begin to decide for an entity; ``in_roster`` tells whether a bare JID gets its presence by its roster."""
        self._entities[bare_jid(entity)] = _Entity(kind, in_roster)

    def detach(self, entity: str | JID) -> None:
        """Forget an entity and the rights on it, in memory; its grants in the store are the caller's concern."""
        self._entities.pop(bare_jid(entity), None)
        self._grants.forget_entity(bare_jid(entity))

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
        if not self.is_known(place, who):
            return Decision(False, Rule.STRANGER)
        if not (found and found.reserved) and self._grants.holds(place, who, ALL):
            return Decision(True, Rule.ALL)
        return self._decide_token(found, self._grants.find(place, who, token))

    def _decide_token(self, token: Token | None, grant: GrantRecord | None) -> Decision:
        if token is None:
            return Decision(False, Rule.NO_SUCH_RIGHT)
        if grant is not None and self._grants.lasts(grant):
            return Decision(True, Rule.GRANT)
        if token.default:
            return Decision(True, Rule.DEFAULT)
        return Decision(False, Rule.NOT_GRANTED if grant is None else Rule.EXPIRED)

    def is_known(self, entity: str | JID, subject: str | JID) -> bool:
        """Whether an entity has to do with somebody at all: administrator, in its roster, or holder of a grant on it."""
        place, who = bare_jid(entity), bare_jid(subject)
        return self._rules(who) or self._find(place).in_roster(who) or any(self._grants.lasting(place, who))

    def why(self, entity: str | JID, subject: str | JID, token: str) -> str:
        """Return the decision and its reason as a sentence."""
        place, who = bare_jid(entity), bare_jid(subject)
        decision = self.check(place, who, token)
        sentence = f"{who} {'may' if decision.allowed else 'may not'} {token!r} on {place}: {decision.rule}"
        deciding = {Rule.ALL: ALL, Rule.GRANT: token, Rule.EXPIRED: token}.get(decision.rule)
        grant = self._grants.find(place, who, deciding or "")
        if grant is None:
            return sentence
        until = f", until {grant.expires_at:%Y-%m-%d %H:%M:%S} UTC" if grant.expires_at else ""
        return f"{sentence}; given by {grant.granted_by} on {grant.granted_at:%Y-%m-%d %H:%M:%S} UTC{until}"

    def tokens_of(self, entity: str | JID, subject: str | JID) -> tuple[str, ...]:
        """Return what somebody was explicitly granted on an entity and still holds, in alphabetical order."""
        return tuple(sorted(grant.token for grant in self._grants.lasting(bare_jid(entity), bare_jid(subject))))

    def effective_tokens(self, entity: str | JID, subject: str | JID) -> tuple[str, ...]:
        """Return all that somebody may do on an entity, by whatever rule, in the catalogue's order."""
        names = [token.name for token in self.catalogue.tokens(self._find(bare_jid(entity)).kind)]
        return tuple(name for name in names if self.check(entity, subject, name).allowed)

    def subjects(self, entity: str | JID) -> frozenset[str]:
        """Return who holds any grant on an entity."""
        return self._grants.subjects(bare_jid(entity))

    # -- changes --------------------------------------------------------------------------------------------------------

    async def grant(
        self, entity: str | JID, subject: str | JID, *tokens: str, granted_by: str | JID, expires_at: datetime | None = None
    ) -> tuple[str, ...]:
        """Grant rights in the agent's own name, all or none; ``granted_by`` is for the record.

        Returns whose rights changed. Raises :class:`UnknownRight`, :class:`BadSubject`.
        """
        changes = [RightChange(str(subject), token, True, expires_at) for token in tokens]
        return await self._change(entity, changes, bare_jid(granted_by), _set_no_limit)

    async def revoke(self, entity: str | JID, subject: str | JID, *tokens: str) -> tuple[str, ...]:
        """Revoke rights in the agent's own name; one that is not held is no error. Returns whose rights changed."""
        changes = [RightChange(str(subject), token, False) for token in tokens]
        return await self._change(entity, changes, "", _set_no_limit)

    async def change(
        self, entity: str | JID, changes: Iterable[RightChange], *, caller: str | JID, by: str = "permission_set"
    ) -> tuple[str, ...]:
        """Make the changes that ``caller`` asks for, all or none; that he has the right ``by`` to do so was checked before.

        A grant does not outlast the right by which he gives it. Returns whose rights changed. Raises :class:`UnknownRight`,
        :class:`BadSubject`, or :class:`MayNotGrant`: who lacks a reserved right can neither give it nor take it from others,
        and who lacks ``all`` cannot take that.
        """
        giver = account_jid(caller)

        def limit(place: str, grant: GrantRecord) -> datetime | None:
            self._refuse_reserved(place, giver, grant.token)
            return self._end_of_authority(place, giver, by)

        return await self._change(entity, changes, giver, limit, lambda key: self._refuse_taking(giver, key))

    async def change_own(self, entity: str | JID, changes: Iterable[RightChange], *, caller: str | JID) -> tuple[str, ...]:
        """Make changes to the caller's own rights, all or none: he gives up what he likes and gains nothing he lacks.

        Returns his address if something changed. Raises :class:`UnknownRight`, :class:`BadSubject`, :class:`MayNotGrant`.
        """
        giver, wanted = account_jid(caller), tuple(changes)
        if any(subject_of(change) != giver for change in wanted):
            raise BadSubject("these are not your own rights: ask for a change of others' rights with the action set")

        def limit(place: str, grant: GrantRecord) -> datetime | None:
            if not self.check(place, giver, grant.token).allowed:
                raise MayNotGrant(f"{giver} lacks the right {grant.token!r} and cannot give it to himself", grant.token)
            ends = (self._end_of_authority(place, giver, token) for token in (grant.token, "permission_setown"))
            return min((end for end in ends if end is not None), default=None)

        return await self._change(entity, wanted, giver, limit)

    async def drop_entity(self, entity: str | JID) -> None:
        """Remove all grants on an entity."""
        place = bare_jid(entity)

        async def drop() -> None:
            await self._store.drop_grants(place)
            self._grants.forget_entity(place)

        await self._uninterrupted(drop)

    async def drop_expired(self) -> tuple[tuple[str, str], ...]:
        """Remove the grants whose time is over; returns the entities and people concerned, for pushes and whitelists."""
        over: list[Key] = []

        async def drop() -> None:
            over.extend(self._grants.over())
            if over:
                await self._store.change_grants(remove=over)
                self._grants.forget(over)

        await self._uninterrupted(drop)
        return tuple(dict.fromkeys((entity, subject) for entity, subject, _token in over))

    # -- inside ---------------------------------------------------------------------------------------------------------

    async def _change(
        self,
        entity: str | JID,
        changes: Iterable[RightChange],
        giver: str,
        limit: Callable[[str, GrantRecord], datetime | None],
        guard: Callable[[Key], None] = lambda _key: None,
    ) -> tuple[str, ...]:
        """Validate, write, then remember.

        ``limit`` refuses a new grant by raising, or says when it ends at the latest; ``guard`` refuses by raising that a
        lasting one is taken away, or replaced (it might end earlier).
        """
        place, wanted = bare_jid(entity), tuple(changes)
        concerned: list[str] = []

        async def commit() -> None:
            self._refuse_unknown(place, [(subject_of(change), change.token) for change in wanted])
            add, remove = self._grants.difference(place, wanted, giver)
            add = [_shorten(grant, limit(place, grant)) for grant in add]
            for key in (*remove, *(grant.key for grant in add)):
                if self._grants.holds(*key):
                    guard(key)
            if add or remove:
                await self._store.change_grants(add, remove)
            self._grants.forget(remove)
            self._grants.keep(add)
            concerned.extend(subject for _entity, subject, _token in [*(grant.key for grant in add), *remove])

        await self._uninterrupted(commit)
        return tuple(dict.fromkeys(concerned))

    def _refuse_unknown(self, place: str, wanted: Iterable[tuple[str, str]]) -> None:
        """Refuse tokens that do not exist; one that somebody still holds from a capability that is gone can be revoked."""
        kind = self._find(place).kind
        unknown = dict.fromkeys(
            token for subject, token in wanted if not self.catalogue.find(kind, token) and not self._grants.find(place, subject, token)
        )
        if unknown:
            near = dict.fromkeys(name for token in unknown for name in self.catalogue.near(kind, token))
            advice = f"did you mean {' or '.join(near)}?" if near else "the action list tells all rights"
            raise UnknownRight(f"no such right on a {kind}: {', '.join(map(repr, unknown))}; {advice}")

    def _refuse_reserved(self, place: str, giver: str, token: str) -> None:
        found = self.catalogue.find(self._find(place).kind, token)
        if found is not None and found.reserved and not self.check(place, giver, token).allowed:
            raise MayNotGrant(f"the right {token!r} is given only by those who have it themselves", token)

    def _refuse_taking(self, giver: str, key: Key) -> None:
        place, subject, token = key
        found = self.catalogue.find(self._find(place).kind, token)
        weighty = token == ALL or (found is not None and found.reserved)
        if weighty and subject != giver and not self.check(place, giver, token).allowed:
            raise MayNotGrant(f"the right {token!r} is taken from others only by those who have it themselves", token)

    def _end_of_authority(self, place: str, giver: str, token: str) -> datetime | None:
        """Return when the grants end by which ``giver`` gives rights; ``None`` if one of them, or another rule, lasts."""
        held = [grant for grant in self._grants.lasting(place, giver) if grant.token in (ALL, token)]
        if self._rules(giver) or not held:
            return None
        ends = [grant.expires_at for grant in held if grant.expires_at is not None]
        return max(ends) if len(ends) == len(held) else None

    async def _uninterrupted(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run a change to its end even if the task that asked is cancelled, so that memory never differs from the store."""

        async def run_alone() -> None:
            async with self._changing:
                await work()

        task = asyncio.create_task(run_alone())
        self._commits.add(task)  # the loop itself holds tasks weakly
        task.add_done_callback(self._commits.discard)
        await asyncio.shield(task)

    def _find(self, place: str) -> _Entity:
        try:
            return self._entities[place]
        except KeyError:
            raise LookupError(f"{place} is not an entity of this agent") from None


def _set_no_limit(_place: str, _grant: GrantRecord) -> None:
    """What the agent itself gives lasts as long as it says."""


def _shorten(grant: GrantRecord, end: datetime | None) -> GrantRecord:
    if end is None or (grant.expires_at is not None and grant.expires_at <= end):
        return grant
    return replace(grant, expires_at=end)
