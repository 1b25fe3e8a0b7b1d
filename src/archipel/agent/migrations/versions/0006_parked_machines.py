# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parked machines."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_TEXTS = ("name", "definition", "password", "orgname", "orgunit", "locality", "userid", "categories", "parker")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "parked_machines",
        sa.Column("uuid", sa.String(36), primary_key=True),
        *(sa.Column(name, sa.String, nullable=False) for name in _TEXTS),
        *(sa.Column(name, sa.Boolean, nullable=False) for name in ("adopted", "autostart", "keeps_folder")),
        sa.Column("tags", sa.JSON, nullable=False),
        *(sa.Column(name, sa.DateTime, nullable=False) for name in ("created_at", "parked_at")),
        sa.Column("state", sa.String(16), nullable=False),
    )
