# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a machine did not move, kept with the attempt."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0010"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("migrations_out", sa.Column("reason", sa.String, nullable=False, server_default=""))
    op.add_column("migrations_out", sa.Column("cancelled", sa.Boolean, nullable=False, server_default=sa.false()))
