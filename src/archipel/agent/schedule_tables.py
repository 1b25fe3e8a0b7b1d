# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of scheduled jobs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from archipel.agent.tables import Base, Moment


class JobRow(Base):
    """A job of an entity (bare JID).

    ``fields`` are the texts of its time in the zone ``zone``; ``moment`` is that of a job for once. ``due`` is when it runs
    next; ``started`` is set while it runs.
    """

    __tablename__ = "scheduled_jobs"

    entity: Mapped[str] = mapped_column(String, primary_key=True)
    uid: Mapped[str] = mapped_column(String(36), primary_key=True)
    action: Mapped[str]
    parameter: Mapped[str]
    fields: Mapped[dict[str, str]] = mapped_column(JSON)
    zone: Mapped[str]
    moment: Mapped[datetime | None] = mapped_column(Moment)
    comment: Mapped[str]
    creator: Mapped[str]
    due: Mapped[datetime] = mapped_column(Moment)
    started: Mapped[datetime | None] = mapped_column(Moment)
