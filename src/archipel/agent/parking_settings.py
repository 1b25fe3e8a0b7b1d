# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: RUF009 (Section.option returns dataclasses.field, which is no shared default)
"""Options of parking."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from archipel.agent import options as kinds
from archipel.agent.options import Section, optional
from archipel.agent.settings import Settings

PARKING: Final = Section("VMPARKING")
NAME: Final = "vmparking"  # in [MODULES]


@dataclass(frozen=True, kw_only=True)
class ParkingSettings:
    """Parking of machines."""

    shared_folder: Path | None = PARKING.option(
        "shared_folder",
        optional(kinds.PATH),
        "",
        "Folder on storage that several hypervisors mount, where parked machines are for all of them; it must be there, and the agent's.",
    )


def shared_folder(settings: Settings) -> Path | None:
    """Return the folder for parked machines that hypervisors share, if there is one."""
    own: ParkingSettings | None = settings.capabilities.get(NAME)
    return None if own is None else own.shared_folder
