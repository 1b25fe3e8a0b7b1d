# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules with roles, scopes and groups; who made which machine."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_SEVEN = ("entity", "scope", "denies", "is_group", "subject", "is_role", "right")


def upgrade() -> None:
    """Make the tables; a machine's maker is who gave himself all rights on it when it was made."""
    op.add_column("grants", sa.Column("reason", sa.String, nullable=False, server_default=""))
    op.create_table(
        "rules",
        sa.Column("id", sa.Integer, primary_key=True),
        *(sa.Column(name, sa.String, nullable=False) for name in ("entity", "scope", "subject", "right", "granted_by", "reason")),
        *(sa.Column(name, sa.Boolean, nullable=False) for name in ("denies", "is_group", "is_role")),
        sa.Column("granted_at", sa.DateTime, nullable=False),
        sa.Column("expires_at", sa.DateTime, nullable=True),
        sa.UniqueConstraint(*_SEVEN, name="uq_rules"),
    )
    op.create_index("ix_rules_entity", "rules", ["entity"])
    op.create_table(
        "roles",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("description", sa.String, nullable=False),
        sa.Column("tokens", sa.JSON, nullable=False),
    )
    op.create_table("subject_groups", sa.Column("name", sa.String, primary_key=True), sa.Column("members", sa.JSON, nullable=False))
    op.create_table("makers", sa.Column("entity", sa.String, primary_key=True), sa.Column("maker", sa.String, nullable=False))
    op.execute(
        "INSERT INTO makers (entity, maker) SELECT g.entity, min(g.subject) FROM grants g JOIN virtual_machines m "
        "ON substr(g.entity, 1, 36) = m.uuid WHERE g.token = 'all' AND g.granted_by = g.subject GROUP BY g.entity"
    )
