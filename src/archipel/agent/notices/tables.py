# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of contacts' preferences."""

from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from archipel.agent.tables import Base


class PreferenceRow(Base):
    """What a contact wants to be told by an entity (bare JIDs); what is NULL is decided by the hypervisor's row, or the default."""

    __tablename__ = "contact_preferences"

    entity: Mapped[str] = mapped_column(String, primary_key=True)
    contact: Mapped[str] = mapped_column(String, primary_key=True)
    verbosity: Mapped[str | None]
    quiet: Mapped[str | None]
    zone: Mapped[str | None]
    alarms: Mapped[bool | None]
