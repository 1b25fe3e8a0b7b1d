# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What declarations own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "ownership",
        *(sa.Column(name, sa.String, primary_key=True) for name in ("kind", "key")),
        *(sa.Column(name, sa.String, nullable=False) for name in ("label", "claimed_by")),
        sa.Column("claimed_at", sa.DateTime, nullable=False),
    )
    op.create_index("ix_ownership_label", "ownership", ["label"])
