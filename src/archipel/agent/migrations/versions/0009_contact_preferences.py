# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What contacts want to be told by entities."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "contact_preferences",
        *(sa.Column(name, sa.String, primary_key=True) for name in ("entity", "contact")),
        *(sa.Column(name, sa.String) for name in ("verbosity", "quiet", "zone")),
        sa.Column("alarms", sa.Boolean),
    )
