# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Feeds of appliances."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "appliance_feeds",
        sa.Column("uuid", sa.String(36), primary_key=True),
        sa.Column("url", sa.String, nullable=False, unique=True),
        *(sa.Column(name, sa.String, nullable=False) for name in ("name", "description")),
    )
    op.create_table(
        "appliances",
        sa.Column("uuid", sa.String(36), primary_key=True),
        sa.Column("source", sa.String(36), nullable=False),
        *(sa.Column(name, sa.String, nullable=False) for name in ("name", "description", "url")),
        sa.Column("size", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.String, nullable=False) for name in ("date", "sha256")),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("recorded", sa.String, nullable=False),
    )
