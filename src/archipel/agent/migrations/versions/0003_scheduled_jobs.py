# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What entities shall do later."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table; jobs of the founding agent's own file are not taken over: nobody knows by whose rights they would run."""
    op.create_table(
        "scheduled_jobs",
        sa.Column("entity", sa.String, primary_key=True),
        sa.Column("uid", sa.String(36), primary_key=True),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("parameter", sa.String, nullable=False),
        sa.Column("fields", sa.JSON, nullable=False),
        sa.Column("zone", sa.String, nullable=False),
        sa.Column("moment", sa.DateTime),
        sa.Column("comment", sa.String, nullable=False),
        sa.Column("creator", sa.String, nullable=False),
        sa.Column("due", sa.DateTime, nullable=False),
        sa.Column("started", sa.DateTime),
    )
