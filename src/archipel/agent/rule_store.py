# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How rules, roles, groups and makers are kept: each change is on the disk, whole, when its call returns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, select
from sqlalchemy.orm import Session

from archipel.agent.rule_tables import GroupRow, MakerRow, PlatformRoleRow, RoleRow, RuleRow
from archipel.agent.rules import Key, RuleRecord, Scope
from archipel.agent.store import GrantRecord, Store, write_grants
from archipel.agent.tables import Base
from archipel.protocol.events import RULES_NODE
from archipel.protocol.rights import ALL
from archipel.protocol.roles import Role


@dataclass(frozen=True)
class Kept:
    """All that is kept."""

    rules: tuple[RuleRecord, ...]
    roles: tuple[Role, ...]
    platform_roles: tuple[Role, ...]
    groups: Mapping[str, frozenset[str]]
    makers: Mapping[str, str]


@dataclass
class RuleChange:
    """What is to be written in one go; grants are those of the founding protocol."""

    add: list[RuleRecord] = field(default_factory=list)
    remove: list[Key] = field(default_factory=list)
    add_grants: list[GrantRecord] = field(default_factory=list)
    remove_grants: list[tuple[str, str, str]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.add or self.remove or self.add_grants or self.remove_grants)


async def load(store: Store) -> Kept:
    """Return all that is kept."""

    def read(session: Session) -> Kept:
        return Kept(
            tuple(_rule(row) for row in session.scalars(select(RuleRow).order_by(RuleRow.id))),
            tuple(map(_role, session.scalars(select(RoleRow).order_by(RoleRow.name)))),
            tuple(map(_role, session.scalars(select(PlatformRoleRow).order_by(PlatformRoleRow.name)))),
            {row.name: frozenset(row.members) for row in session.scalars(select(GroupRow))},
            {row.entity: row.maker for row in session.scalars(select(MakerRow))},
        )

    return await store.run(read)


async def write(store: Store, change: RuleChange) -> None:
    """Remove and add rules and grants, all or none; one that is there already is replaced."""

    def work(session: Session) -> None:
        for key in dict.fromkeys([*change.remove, *(rule.key for rule in change.add)]):
            session.execute(delete(RuleRow).where(_matches(key)))
        session.add_all(map(_row, change.add))
        write_grants(session, change.add_grants, change.remove_grants)

    await store.run(work)


async def write_role(store: Store, role: Role) -> None:
    """Keep a role."""
    await store.run(lambda session: session.merge(RoleRow(**_role_values(role))) and None)


async def remove_role(store: Store, name: str) -> None:
    """Forget a role."""
    await store.run(lambda session: session.execute(delete(RoleRow).where(RoleRow.name == name)).close())


async def write_platform(store: Store, rules: Iterable[RuleRecord], roles: Iterable[Role]) -> None:
    """Keep the rules and roles of the whole platform in the place of those that were kept."""
    rows: list[Base] = [*map(_row, rules), *(PlatformRoleRow(**_role_values(role)) for role in roles)]

    def work(session: Session) -> None:
        session.execute(delete(RuleRow).where(RuleRow.entity == RULES_NODE))
        session.execute(delete(PlatformRoleRow))
        session.add_all(rows)

    await store.run(work)


async def write_group(store: Store, name: str, members: Iterable[str]) -> None:
    """Keep a group; one without members is forgotten."""
    listed = sorted(members)

    def work(session: Session) -> None:
        if listed:
            session.merge(GroupRow(name=name, members=listed))
        else:
            session.execute(delete(GroupRow).where(GroupRow.name == name))

    await store.run(work)


async def write_maker(store: Store, entity: str, maker: str) -> GrantRecord:
    """Keep who made a machine, and give him all rights there; returns that grant."""
    grant = GrantRecord(entity=entity, subject=maker, token=ALL, granted_by=maker)

    def work(session: Session) -> None:
        session.merge(MakerRow(entity=entity, maker=maker))
        write_grants(session, [grant], [])

    await store.run(work)
    return grant


def write_luggage_rules(session: Session, rules: Iterable[RuleRecord], maker: tuple[str, str] | None) -> None:
    """Keep the rules of a machine that came from another host, and who made it (entity and maker), in a transaction of somebody's."""
    for rule in rules:
        session.execute(delete(RuleRow).where(_matches(rule.key)))
        session.add(_row(rule))
    if maker is not None:
        session.merge(MakerRow(entity=maker[0], maker=maker[1]))


async def drop_rules(store: Store, entity: str) -> None:
    """Forget the rules of an entity, and who made it."""

    def work(session: Session) -> None:
        session.execute(delete(RuleRow).where(RuleRow.entity == entity))
        session.execute(delete(MakerRow).where(MakerRow.entity == entity))

    await store.run(work)


def _matches(key: Key) -> ColumnElement[bool]:
    entity, scope, effect, who, what = key
    who_kind, _, subject = who.partition(":")
    what_kind, _, right = what.partition(":")
    return and_(
        RuleRow.entity == entity,
        RuleRow.scope == scope,
        RuleRow.denies == (effect == "deny"),
        RuleRow.is_group == (who_kind == "group"),
        RuleRow.subject == subject,
        RuleRow.is_role == (what_kind == "role"),
        RuleRow.right == right,
    )


def _role(row: RoleRow | PlatformRoleRow) -> Role:
    return Role(row.name, row.description, frozenset(row.tokens))


def _role_values(role: Role) -> dict[str, Any]:
    return {"name": role.name, "description": role.description, "tokens": sorted(role.tokens)}


def _row(rule: RuleRecord) -> RuleRow:
    return RuleRow(**{**vars(rule), "scope": str(rule.scope)})


def _rule(row: RuleRow) -> RuleRecord:
    return RuleRecord(
        entity=row.entity,
        subject=row.subject,
        right=row.right,
        is_group=row.is_group,
        is_role=row.is_role,
        denies=row.denies,
        scope=Scope.parse(row.scope),
        granted_by=row.granted_by,
        granted_at=row.granted_at,
        expires_at=row.expires_at,
        reason=row.reason,
    )
