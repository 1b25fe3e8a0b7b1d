# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of machines that leave for other hypervisors, and that come from them."""

from __future__ import annotations

import enum
from datetime import datetime

from sqlalchemy import JSON, Enum, String
from sqlalchemy.orm import Mapped, mapped_column

from archipel.agent.tables import Base, Moment
from archipel.protocol.migration import Mode, Standing


class Leaving(enum.StrEnum):
    """Where a machine stands that is to leave; written before the first step towards it.

    ``MOVING``: libvirt is at work, or about to be. ``HANDING``: the other host has its domain and is given its account. ``LETTING``:
    the other hypervisor holds it, nobody serves it until it does. ``STAYING``: it stays; the other hypervisor is to forget it.
    """

    MOVING = "moving"
    HANDING = "handing"
    LETTING = "letting"
    STAYING = "staying"


class OutgoingRow(Base):
    """An attempt to move a machine away; ``destination`` is a hypervisor's full JID, ``copied`` are paths of files.

    ``reason`` says why it failed, if that is known; ``cancelled``: because somebody wanted that.
    """

    __tablename__ = "migrations_out"

    attempt: Mapped[str] = mapped_column(String(36), primary_key=True)
    uuid: Mapped[str] = mapped_column(String(36))
    destination: Mapped[str]
    mover: Mapped[str]
    state: Mapped[Leaving] = mapped_column(Enum(Leaving, native_enum=False, length=16, values_callable=list))
    mode: Mapped[Mode] = mapped_column(Enum(Mode, native_enum=False, length=16, values_callable=list))
    shared: Mapped[bool]
    autostart: Mapped[bool]
    copied: Mapped[list[str]] = mapped_column(JSON)
    reason: Mapped[str]
    cancelled: Mapped[bool]
    began_at: Mapped[datetime] = mapped_column(Moment)


class IncomingRow(Base):
    """The last machine of a UUID that was announced, by the hypervisor ``source`` (bare JID).

    ``made`` are the files and the folder that were made for it; ``definition`` has the consoles' passwords.
    """

    __tablename__ = "migrations_in"

    uuid: Mapped[str] = mapped_column(String(36), primary_key=True)
    attempt: Mapped[str] = mapped_column(String(36))
    source: Mapped[str]
    mover: Mapped[str]
    state: Mapped[Standing] = mapped_column(Enum(Standing, native_enum=False, length=16, values_callable=list))
    plain: Mapped[bool]
    definition: Mapped[str]
    made: Mapped[list[str]] = mapped_column(JSON)
    began_at: Mapped[datetime] = mapped_column(Moment)
