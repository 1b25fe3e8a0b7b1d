# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines on their way to and from other hypervisors."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "migrations_out",
        sa.Column("attempt", sa.String(36), primary_key=True),
        sa.Column("uuid", sa.String(36), nullable=False),
        sa.Column("destination", sa.String, nullable=False),
        sa.Column("mover", sa.String, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("shared", sa.Boolean, nullable=False),
        sa.Column("autostart", sa.Boolean, nullable=False),
        sa.Column("copied", sa.JSON, nullable=False),
        sa.Column("began_at", sa.DateTime, nullable=False),
    )
    op.create_table(
        "migrations_in",
        sa.Column("uuid", sa.String(36), primary_key=True),
        sa.Column("attempt", sa.String(36), nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("mover", sa.String, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("plain", sa.Boolean, nullable=False),
        sa.Column("definition", sa.String, nullable=False),
        sa.Column("made", sa.JSON, nullable=False),
        sa.Column("began_at", sa.DateTime, nullable=False),
    )
