# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of figures gone by."""

from __future__ import annotations

from sqlalchemy import Integer, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from archipel.agent.tables import Base


class SampleRow(Base):
    """A packed sample of ``series`` (16 bytes) in its ``slot``, which a later one takes over: the table does not grow.

    The rows that are written together stand together, so that a minute of all machines touches few pages of the file.
    """

    __tablename__ = "health_samples"
    __table_args__ = ({"sqlite_with_rowid": False},)

    tier: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    slot: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    series: Mapped[bytes] = mapped_column(LargeBinary(16), primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)
