# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""States of a machine, by the words that its presence shows too."""

from __future__ import annotations

import enum

from archipel.protocol import presence
from archipel.protocol.virtual_machine import Info


class MachineState(enum.StrEnum):
    """libvirt's virDomainState in words; a blocked machine runs (it waits for a resource)."""

    UNKNOWN = "unknown"
    RUNNING = "running"
    PAUSED = "paused"
    SHUTTING_DOWN = "shutting down"
    OFF = "off"
    CRASHED = "crashed"
    ASLEEP = "asleep"
    NOT_DEFINED = "not defined"

    @classmethod
    def of(cls, info: Info | None) -> MachineState:
        """Return the state that ``info`` tells; no info means that there is no domain."""
        return cls.NOT_DEFINED if info is None else _OF_NUMBER.get(info.state, cls.UNKNOWN)

    @classmethod
    def shown_by(cls, status: presence.Status | None) -> MachineState | None:
        """Return the state that a machine's presence shows; ``None`` if it shows none."""
        return None if status is None else _OF_STATUS.get(status)


_OF_NUMBER = {
    presence.NO_STATE: MachineState.UNKNOWN,
    presence.RUNNING_STATE: MachineState.RUNNING,
    presence.BLOCKED: MachineState.RUNNING,
    presence.PAUSED_STATE: MachineState.PAUSED,
    presence.SHUTDOWN: MachineState.SHUTTING_DOWN,
    presence.SHUTOFF: MachineState.OFF,
    presence.CRASHED_STATE: MachineState.CRASHED,
    presence.PM_SUSPENDED: MachineState.ASLEEP,
}
_OF_STATUS = {
    presence.RUNNING: MachineState.RUNNING,
    presence.PAUSED: MachineState.PAUSED,
    presence.SHUTTING_DOWN: MachineState.SHUTTING_DOWN,
    presence.OFF: MachineState.OFF,
    presence.CRASHED: MachineState.CRASHED,
    presence.ASLEEP: MachineState.ASLEEP,
    presence.NOT_DEFINED: MachineState.NOT_DEFINED,
}
