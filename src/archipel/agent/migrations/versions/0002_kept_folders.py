# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose the folders are that machines left behind."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table; of folders that were kept before nothing is known, so administrators alone may take them."""
    op.create_table(
        "kept_folders",
        sa.Column("uuid", sa.String(36), primary_key=True),
        sa.Column("owner", sa.String, primary_key=True),
    )
