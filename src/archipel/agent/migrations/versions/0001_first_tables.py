# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines, grants, values."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first tables."""
    op.create_table(
        "virtual_machines",
        sa.Column("uuid", sa.String(36), primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("name_key", sa.String, nullable=False, unique=True),
        sa.Column("password", sa.String, nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("intent", sa.JSON, nullable=False),
        sa.Column("adopted", sa.Boolean, nullable=False),
        *(sa.Column(name, sa.String, nullable=False) for name in ("orgname", "orgunit", "locality", "userid", "categories")),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("created_at", sa.DateTime, nullable=False),
    )
    op.create_table(
        "grants",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("entity", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("token", sa.String, nullable=False),
        sa.Column("granted_by", sa.String, nullable=False),
        sa.Column("granted_at", sa.DateTime, nullable=False),
        sa.Column("expires_at", sa.DateTime, nullable=True),
        sa.UniqueConstraint("entity", "subject", "token", name="uq_grants"),
    )
    op.create_index("ix_grants_entity", "grants", ["entity"])
    op.create_table(
        "agent_values",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("value", sa.String, nullable=False),
    )
