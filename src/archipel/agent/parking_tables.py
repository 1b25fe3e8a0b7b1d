# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of parked machines."""

from __future__ import annotations

import enum
from datetime import datetime

from sqlalchemy import Enum
from sqlalchemy.orm import Mapped, mapped_column

from archipel.agent.tables import Base, MachineColumns, Moment


class ParkedState(enum.StrEnum):
    """Where a parked machine stands; at start the agent removes what is ``CREATING`` or ``DELETING``.

    With a shared folder (:mod:`archipel.agent.shelving`): what is ``SHELVING`` is in it whole, and is forgotten here; what is ``TAKEN`` is
    in it, too, and goes back unless it is managed by then.
    """

    CREATING = "creating"
    PARKED = "parked"
    DELETING = "deleting"
    SHELVING = "shelving"
    TAKEN = "taken"


class ParkedRow(MachineColumns, Base):
    """A machine that is parked, or about to be: while there is a managed machine of its UUID, that one's phase counts.

    ``definition`` is its domain's with the consoles' passwords, without a founding description. ``keeps_folder``: its folder was
    there before it was made.
    """

    __tablename__ = "parked_machines"

    definition: Mapped[str]
    autostart: Mapped[bool]
    parker: Mapped[str]
    parked_at: Mapped[datetime] = mapped_column(Moment)
    state: Mapped[ParkedState] = mapped_column(Enum(ParkedState, native_enum=False, length=16, values_callable=list))
    keeps_folder: Mapped[bool]
