# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of rules, roles, groups, and of who made which machine; beside those of :mod:`archipel.agent.tables`."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from archipel.agent.tables import Base, Moment


class RuleRow(Base):
    """A rule (:class:`archipel.agent.rules.RuleRecord`)."""

    __tablename__ = "rules"
    __table_args__ = (
        UniqueConstraint("entity", "scope", "denies", "is_group", "subject", "is_role", "right", name="uq_rules"),
        Index("ix_rules_entity", "entity"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    entity: Mapped[str]
    scope: Mapped[str]
    denies: Mapped[bool]
    is_group: Mapped[bool]
    subject: Mapped[str]
    is_role: Mapped[bool]
    right: Mapped[str]
    granted_by: Mapped[str]
    granted_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime | None] = mapped_column(Moment)
    reason: Mapped[str]


class RoleRow(Base):
    """A role of this hypervisor's own."""

    __tablename__ = "roles"

    name: Mapped[str] = mapped_column(String, primary_key=True)
    description: Mapped[str]
    tokens: Mapped[list[str]] = mapped_column(JSON)


class PlatformRoleRow(Base):
    """A role of the whole platform, as its node had it when it was last read."""

    __tablename__ = "platform_roles"

    name: Mapped[str] = mapped_column(String, primary_key=True)
    description: Mapped[str]
    tokens: Mapped[list[str]] = mapped_column(JSON)


class GroupRow(Base):
    """A group whose members (bare JIDs) are kept here."""

    __tablename__ = "subject_groups"

    name: Mapped[str] = mapped_column(String, primary_key=True)
    members: Mapped[list[str]] = mapped_column(JSON)


class MakerRow(Base):
    """Who (a bare JID) made the machine whose entity it is."""

    __tablename__ = "makers"

    entity: Mapped[str] = mapped_column(String, primary_key=True)
    maker: Mapped[str]
