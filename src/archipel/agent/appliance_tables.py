# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of feeds and of their appliances."""

from __future__ import annotations

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from archipel.agent.tables import Base


class FeedRow(Base):
    """A feed that this host is subscribed to."""

    __tablename__ = "appliance_feeds"

    uuid: Mapped[str] = mapped_column(String(36), primary_key=True)
    url: Mapped[str] = mapped_column(String, unique=True)
    name: Mapped[str]
    description: Mapped[str]


class ApplianceRow(Base):
    """An appliance of a feed (``source``: its UUID; empty: it is gone); ``sha256`` is what the feed says.

    ``status`` is a :class:`~archipel.protocol.appliances.Status`, ``recorded`` the digest of the file that was downloaded.
    """

    __tablename__ = "appliances"

    uuid: Mapped[str] = mapped_column(String(36), primary_key=True)
    source: Mapped[str] = mapped_column(String(36))
    name: Mapped[str]
    description: Mapped[str]
    url: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    date: Mapped[str]
    sha256: Mapped[str]
    status: Mapped[int]
    recorded: Mapped[str]
