# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the agent's database. A change here needs a migration in ``migrations/versions``; a test compares them."""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import JSON, DateTime, Dialect, Enum, Index, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

SCHEMA: Final = "0013"  # the newest migration


class Phase(enum.StrEnum):
    """Where a machine stands in its life; written before the first step towards it is done.

    At start the agent undoes what is ``ALLOCATING`` or ``UNPARKING`` and finishes what is ``FREEING``, ``UNMANAGING`` or ``PARKING``.
    ``MIGRATING`` machines are served, but not changed; what is ``LEAVING`` goes on leaving, what is ``ARRIVING`` waits for its former
    hypervisor (:mod:`archipel.agent.migration_recovery`).
    """

    ALLOCATING = "allocating"
    ACTIVE = "active"
    FREEING = "freeing"
    UNMANAGING = "unmanaging"
    PARKING = "parking"
    UNPARKING = "unparking"
    MIGRATING = "migrating"
    LEAVING = "leaving"
    ARRIVING = "arriving"


class Moment(TypeDecorator[datetime]):
    """A point in time; kept as UTC, because SQLite knows no time zones."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Write UTC; a time without a zone is a mistake of the caller."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a moment needs its time zone")
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Read UTC."""
        return None if value is None else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """What all tables belong to."""


class MachineColumns:
    """What is kept of a machine wherever it is: managed, or parked."""

    uuid: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str] = mapped_column(String)
    password: Mapped[str] = mapped_column(String)
    adopted: Mapped[bool]
    orgname: Mapped[str]
    orgunit: Mapped[str]
    locality: Mapped[str]
    userid: Mapped[str]
    categories: Mapped[str]
    tags: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(Moment)


class MachineRow(MachineColumns, Base):
    """A managed machine."""

    __tablename__ = "virtual_machines"

    name_key: Mapped[str] = mapped_column(String, unique=True)  # names that differ in case only would be one to people
    phase: Mapped[Phase] = mapped_column(Enum(Phase, native_enum=False, length=16, values_callable=list))
    intent: Mapped[dict[str, Any]] = mapped_column(JSON)

    def __repr__(self) -> str:
        return f"MachineRow({self.uuid})"


class GrantRow(Base):
    """A right that somebody was given on an entity; all addresses are bare JIDs."""

    __tablename__ = "grants"
    __table_args__ = (UniqueConstraint("entity", "subject", "token", name="uq_grants"), Index("ix_grants_entity", "entity"))

    id: Mapped[int] = mapped_column(primary_key=True)
    entity: Mapped[str]
    subject: Mapped[str]
    token: Mapped[str]
    granted_by: Mapped[str]
    granted_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime | None] = mapped_column(Moment)
    reason: Mapped[str] = mapped_column(String, server_default="")


class KeptFolderRow(Base):
    """Somebody (a bare JID) to whom the folder belongs that a machine left behind."""

    __tablename__ = "kept_folders"

    uuid: Mapped[str] = mapped_column(String(36), primary_key=True)
    owner: Mapped[str] = mapped_column(String, primary_key=True)


class ValueRow(Base):
    """A single value of the agent itself."""

    __tablename__ = "agent_values"

    key: Mapped[str] = mapped_column(String, primary_key=True)
    value: Mapped[str]
