# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of what declarations own."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, String, and_, or_
from sqlalchemy.orm import Mapped, mapped_column

from archipel.agent.tables import Base, Moment
from archipel.protocol.declaration import MACHINE


class ClaimRow(Base):
    """Something that a label owns, and one label only; who (bare JID) had it so, and when."""

    __tablename__ = "ownership"

    kind: Mapped[str] = mapped_column(String, primary_key=True)
    key: Mapped[str] = mapped_column(String, primary_key=True)
    label: Mapped[str] = mapped_column(String, index=True)
    claimed_by: Mapped[str]
    claimed_at: Mapped[datetime] = mapped_column(Moment)


def goes_with(uuid: str) -> ColumnElement[bool]:
    """Return the condition for what goes with a machine: itself, and things whose keys begin with its UUID and a slash."""
    named = and_(ClaimRow.kind == MACHINE, ClaimRow.key == uuid)
    return or_(named, ClaimRow.key.startswith(f"{uuid}/", autoescape=True))
