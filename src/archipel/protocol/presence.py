# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Presences: how a state of a machine or a host looks in a contact list."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Status:
    """``show`` (None: available) and status text.

    Founding clients read: no show = running, away = paused, xa = off and editable, dnd = busy.
    """

    show: str | None
    text: str


RUNNING: Final = Status(None, "Running")
PAUSED: Final = Status("away", "Paused")
SHUTTING_DOWN: Final = Status(None, "Shutting down...")
OFF: Final = Status("xa", "Off")
CRASHED: Final = Status("xa", "Crashed")
ASLEEP: Final = Status("away", "Asleep")
NOT_DEFINED: Final = Status("xa", "Not defined")
LIBVIRT_LOST: Final = Status("dnd", "Libvirt connection lost")


class HostWork(enum.StrEnum):
    """What a hypervisor does just now: its status is ``Online (...)`` with that. In braces stands what is put there."""

    ALLOCATING = "Allocating vm..."
    DOWNLOADING = "Downloading {name}..."


class Work(enum.StrEnum):
    """What is done with a machine just now, which then is ``dnd``."""

    CLONING = "Cloning to {name}"
    TAKING_SNAPSHOT = "Taking a snapshot..."
    DELETING_SNAPSHOT = "Deleting a snapshot..."
    REVERTING = "Going back to a snapshot..."
    CREATING_DRIVE = "Creating a drive..."
    CONVERTING_DRIVE = "Converting a drive..."
    RESIZING_DRIVE = "Resizing a drive..."
    MAKING_GOLDEN = "Making a golden drive..."
    INSTALLING = "Installing an appliance..."
    PACKAGING = "Making an appliance..."


class Journey(enum.StrEnum):
    """How a machine gets to another hypervisor, beside the show of its state."""

    UNDER_WAY = "Migrating - {percent}%"
    FAILED = "Can't migrate."
    ABORTED = "Migration aborted"


# libvirt's virDomainState.
NO_STATE, BLOCKED, RUNNING_STATE, PAUSED_STATE, SHUTDOWN, SHUTOFF, CRASHED_STATE, PM_SUSPENDED = 0, 2, 1, 3, 4, 5, 6, 7

_BY_STATE: Final = {
    RUNNING_STATE: RUNNING,
    BLOCKED: RUNNING,
    PAUSED_STATE: PAUSED,
    SHUTDOWN: SHUTTING_DOWN,
    SHUTOFF: OFF,
    CRASHED_STATE: CRASHED,
    PM_SUSPENDED: ASLEEP,
}


def status_of_state(state: int | None) -> Status | None:
    """Return how a domain in libvirt's state ``state`` shows itself; None as state: there is no domain.

    Returns ``None`` for VIR_DOMAIN_NOSTATE: a hypervisor that cannot tell is no reason to tell others anything.
    """
    return NOT_DEFINED if state is None else _BY_STATE.get(state)


def hypervisor_status(machines: int, *, hardware_virtualisation: bool) -> Status:
    """Return the status of a hypervisor that is at rest."""
    return Status(None, f"Online ({machines})" + ("" if hardware_virtualisation else " — no VT"))


def busy_hypervisor(what: str) -> Status:
    """Return the status of a hypervisor while it does ``what``."""
    return Status(None, f"Online ({what})")
