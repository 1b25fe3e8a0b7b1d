# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rights on all entities, and who may change them how.

A change is in the database before it is in memory, and before its call returns. Nobody gives what he does not hold, nor makes his
own for good what he holds through a group or a scope; nothing outlasts the right by which it was given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Self

from slixmpp import JID

from archipel.agent import rule_store
from archipel.agent.decision import Decision, Rule
from archipel.agent.decisions import Decisions
from archipel.agent.grants import BadExpiry, BadSubject, Key, RightChange, Unchanged, subject_of
from archipel.agent.jids import account_jid, bare_jid
from archipel.agent.rules import Reach, RuleRecord
from archipel.agent.standing import earliest, latest
from archipel.agent.store import GrantRecord, Store
from archipel.protocol.errors import BadRequest, ErrorCode, PermissionDenied
from archipel.protocol.rights import ALL, EntityKind, TokenCatalogue

__all__ = ["BadExpiry", "BadSubject", "Decision", "MayNotGrant", "RightChange", "Rights", "Rule", "Unchanged", "UnknownRight", "now"]


def now() -> datetime:
    """Return the present moment, with its time zone."""
    return datetime.now(UTC)


class UnknownRight(BadRequest):
    """A right that does not exist on the entity; the message names similar ones."""

    def __init__(self, text: str) -> None:
        super().__init__(text, ErrorCode.SET_RIGHTS)


class MayNotGrant(PermissionDenied):
    """The caller may not give or take this right, although he may change rights."""


@dataclass(frozen=True)
class GrantPlan:
    """Grants to be added and removed."""

    add: list[GrantRecord]
    remove: list[Key]

    @property
    def concerned(self) -> tuple[str, ...]:
        """Whose rights change."""
        return tuple(dict.fromkeys(subject for _entity, subject, _token in [*(grant.key for grant in self.add), *self.remove]))


class Rights(Decisions):
    """The rights on all entities of this agent; made by :meth:`load`.

    Rules, roles and groups are changed by :class:`~archipel.agent.rule_changes.RuleChanges`.
    """

    def __init__(self, store: Store, catalogue: TokenCatalogue, admins: Iterable[str], *, clock: Callable[[], datetime] = now) -> None:
        super().__init__(catalogue, admins, clock)
        self.store = store
        self._changing = asyncio.Lock()
        self._commits: set[asyncio.Task[None]] = set()

    @classmethod
    async def load(cls, store: Store, catalogue: TokenCatalogue, admins: Iterable[str], *, clock: Callable[[], datetime] = now) -> Self:
        """Return the rights as they stand in the store; ``admins`` are those of the configuration."""
        rights = cls(store, catalogue, admins, clock=clock)
        rights._grants.keep(await store.grants())
        kept = await rule_store.load(store)
        rights.book.keep(kept.rules)
        rights.book.keep_roles(kept.roles)
        rights.book.set_platform_roles(kept.platform_roles)
        rights.book.keep_groups(kept.groups)
        rights.book.note_makers(kept.makers)
        return rights

    # -- changes --------------------------------------------------------------------------------------------------------

    async def grant(
        self, entity: str | JID, subject: str | JID, *tokens: str, granted_by: str | JID, expires_at: datetime | None = None
    ) -> tuple[str, ...]:
        """Grant rights in the agent's own name, all or none; ``granted_by`` is for the record.

        Returns whose rights changed. Raises :class:`UnknownRight`, :class:`BadSubject`.
        """
        changes = [RightChange(str(subject), token, True, expires_at) for token in tokens]
        giver = bare_jid(granted_by)
        return await self._commit(entity, lambda place: self._plan(place, changes, giver))

    async def revoke(self, entity: str | JID, subject: str | JID, *tokens: str) -> tuple[str, ...]:
        """Revoke rights in the agent's own name; one that is not held is no error. Returns whose rights changed."""
        changes = [RightChange(str(subject), token, False) for token in tokens]
        return await self._commit(entity, lambda place: self._plan(place, changes, ""))

    async def change(
        self, entity: str | JID, changes: Iterable[RightChange], *, caller: str | JID, by: str = "permission_set"
    ) -> tuple[str, ...]:
        """Make the changes that ``caller`` asks for, all or none; that he has the right ``by`` to do so was checked before.

        A grant outlasts neither the right by which he gives it nor his own. Returns whose rights changed. Raises
        :class:`UnknownRight`, :class:`BadSubject`, or :class:`MayNotGrant`: who lacks a right cannot give it; who lacks a
        reserved one, or ``all``, cannot take that from others. By another right than ``permission_set`` he gives what that
        one stands for, whether he holds it or not.
        """
        giver = account_jid(caller)

        def commit(place: str) -> GrantPlan:
            return self.plan_changes(place, changes, giver, by)

        return await self._commit(entity, commit)

    def plan_changes(self, place: str, changes: Iterable[RightChange], giver: str, by: str = "permission_set") -> GrantPlan:
        """Return what :meth:`change` would write; raises what it raises."""

        def limit(grant: GrantRecord) -> datetime | None:
            end = self.end_of_authority(place, giver, by)
            if by != "permission_set" and not self.is_reserved(place, grant.token):
                return end
            return earliest(end, self.end_of_gift(place, giver, grant.subject, grant.token))

        return self._plan(place, changes, giver, limit, lambda key: self._refuse_taking(giver, key))

    async def change_own(self, entity: str | JID, changes: Iterable[RightChange], *, caller: str | JID) -> tuple[str, ...]:
        """Make changes to the caller's own rights, all or none: he gives up what he likes and gains nothing he lacks.

        Returns his address if something changed. Raises :class:`UnknownRight`, :class:`BadSubject`, :class:`MayNotGrant`.
        """
        giver, wanted = account_jid(caller), tuple(changes)
        if any(subject_of(change) != giver for change in wanted):
            raise BadSubject("these are not your own rights: ask for a change of others' rights with the action set")

        def limit(grant: GrantRecord) -> datetime | None:
            if not self.check(bare_jid(entity), giver, grant.token).allowed:
                raise MayNotGrant(f"{giver} lacks the right {grant.token!r} and cannot give it to himself", grant.token)
            end = self.end_of_authority(bare_jid(entity), giver, "permission_setown")
            return earliest(end, self.end_of_gift(bare_jid(entity), giver, giver, grant.token))

        return await self._commit(entity, lambda place: self._plan(place, wanted, giver, limit))

    async def make_owner(self, entity: str | JID, maker: str | JID) -> None:
        """Give all rights on a new machine to who made it, and remember that he did."""
        place, who = bare_jid(entity), account_jid(maker)

        async def make() -> None:
            self._grants.keep([await rule_store.write_maker(self.store, place, who)])
            self.book.note_makers({place: who})
            self.weigh_anew()

        await self.uninterrupted(make)

    async def recall(self, entity: str | JID) -> None:
        """Take the grants and rules on an entity in again, which was detached while they stayed in the store."""
        place = bare_jid(entity)

        async def read() -> None:
            kept = await rule_store.load(self.store)
            self._grants.keep(await self.store.grants(place))
            self.book.keep(rule for rule in kept.rules if rule.entity == place)
            self.book.note_makers({machine: maker for machine, maker in kept.makers.items() if machine == place})
            self.weigh_anew()

        await self.uninterrupted(read)

    async def drop_entity(self, entity: str | JID) -> None:
        """Remove all grants and rules on an entity."""
        place = bare_jid(entity)

        async def drop() -> None:
            await self.store.drop_grants(place)
            await rule_store.drop_rules(self.store, place)
            self._grants.forget_entity(place)
            self.book.forget_entity(place)
            self.weigh_anew()

        await self.uninterrupted(drop)

    async def drop_expired(self) -> tuple[tuple[str, str], ...]:
        """Remove the grants whose time is over; returns the entities and people concerned, for pushes and whitelists."""
        over: list[Key] = []

        async def drop() -> None:
            over.extend(self._grants.over())
            if over:
                await self.store.change_grants(remove=over)
                self._grants.forget(over)
                self.weigh_anew()

        await self.uninterrupted(drop)
        return tuple(dict.fromkeys((entity, subject) for entity, subject, _token in over))

    # -- authority ------------------------------------------------------------------------------------------------------

    def end_of_gift(self, place: str, giver: str, subject: str, token: str) -> datetime | None:
        """Return when a right ends at the latest that ``giver`` gives; ``None``: never.

        Raises :class:`MayNotGrant` if he lacks it, or would make his own for good what he holds through a group or a scope.
        """
        decision = self.check(place, giver, token)
        if not decision.allowed:
            raise MayNotGrant(f"the right {token!r} is given only by those who have it themselves", token)
        basis = decision.basis
        if subject == giver and isinstance(basis, RuleRecord) and (basis.is_group or basis.scope.reach is not Reach.ENTITY):
            raise MayNotGrant(f"you have the right {token!r} by a rule ({basis.words}): you cannot make it your own", token)
        return self.end_of_authority(place, giver, token)

    def end_of_authority(self, place: str, giver: str, token: str) -> datetime | None:
        """Return when the last ends by which ``giver`` holds a right; ``None`` if one of them, or another rule, lasts."""
        if self.is_admin(giver):
            return None
        ends = self._standing(place, giver).ends
        held = [ends[name] for name in (token, *(() if self.is_reserved(place, token) else (ALL,))) if name in ends]
        return None if not held else latest(*held)

    def _refuse_taking(self, giver: str, key: Key) -> None:
        place, subject, token = key
        weighty = token == ALL or self.is_reserved(place, token)
        if weighty and subject != giver and not self.check(place, giver, token).allowed:
            raise MayNotGrant(f"the right {token!r} is taken from others only by those who have it themselves", token)

    # -- inside ---------------------------------------------------------------------------------------------------------

    async def _commit(self, entity: str | JID, plan: Callable[[str], GrantPlan]) -> tuple[str, ...]:
        """Validate, write, then remember."""
        concerned: list[str] = []

        async def commit() -> None:
            made = plan(bare_jid(entity))
            if made.add or made.remove:
                await self.store.change_grants(made.add, made.remove)
                self.remember(made)
            concerned.extend(made.concerned)

        await self.uninterrupted(commit)
        return tuple(concerned)

    def _plan(
        self,
        place: str,
        changes: Iterable[RightChange],
        giver: str,
        limit: Callable[[GrantRecord], datetime | None] = lambda _grant: None,
        guard: Callable[[Key], None] = lambda _key: None,
    ) -> GrantPlan:
        """Return what must be written.

        ``limit`` refuses a new grant by raising, or says when it ends at the latest; ``guard`` refuses by raising that a
        lasting one is taken away, or replaced (it might end earlier).
        """
        wanted = tuple(changes)
        self._refuse_unknown(place, [(subject_of(change), change.token) for change in wanted])
        add, remove = self._grants.difference(place, wanted, giver)
        add = [_shorten(grant, limit(grant)) for grant in add]
        for key in (*remove, *(grant.key for grant in add)):
            if self._grants.holds(*key):
                guard(key)
        return GrantPlan(add, remove)

    def remember(self, plan: GrantPlan) -> None:
        """Take into memory what was written."""
        self._grants.forget(plan.remove)
        self._grants.keep(plan.add)
        self.weigh_anew()

    def _refuse_unknown(self, place: str, wanted: Iterable[tuple[str, str]]) -> None:
        """Refuse tokens that do not exist; one that somebody still holds from a capability that is gone can be revoked."""
        kind = self.kind_of(place)
        unknown = dict.fromkeys(
            token for subject, token in wanted if not self.catalogue.find(kind, token) and not self._grants.find(place, subject, token)
        )
        if unknown:
            raise self.unknown_right(kind, unknown)

    def unknown_right(self, kind: EntityKind, unknown: Iterable[str]) -> UnknownRight:
        """Return the error for rights that entities of a kind do not have."""
        near = dict.fromkeys(name for token in unknown for name in self.catalogue.near(kind, token))
        advice = f"did you mean {' or '.join(near)}?" if near else "the action list tells all rights"
        return UnknownRight(f"no such right on a {kind}: {', '.join(map(repr, unknown))}; {advice}")

    async def uninterrupted(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run a change to its end even if the task that asked is cancelled, so that memory never differs from the store."""

        async def run_alone() -> None:
            async with self._changing:
                await work()

        task = asyncio.create_task(run_alone())
        self._commits.add(task)  # the loop itself holds tasks weakly
        task.add_done_callback(self._commits.discard)
        await asyncio.shield(task)


def _shorten(grant: GrantRecord, end: datetime | None) -> GrantRecord:
    return replace(grant, expires_at=earliest(grant.expires_at, end))
