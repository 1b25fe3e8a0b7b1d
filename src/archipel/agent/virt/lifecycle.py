# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""States and lifecycle events of domains, with libvirt's own numbers (libvirt-domain.h)."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final, TypeAlias


class DomainState(enum.IntEnum):
    """What a domain does now (virDomainState)."""

    NOSTATE = 0
    RUNNING = 1
    BLOCKED = 2
    PAUSED = 3
    SHUTDOWN = 4
    SHUTOFF = 5
    CRASHED = 6
    PMSUSPENDED = 7

    @classmethod
    def _missing_(cls, _value: object) -> DomainState:
        """Take a state that a newer libvirt invents as ``NOSTATE``: no state that we could name."""
        return cls.NOSTATE

    @property
    def is_off(self) -> bool:
        """Whether nothing of the domain runs: a suspended one's memory is kept."""
        return self in {DomainState.SHUTOFF, DomainState.CRASHED}


class _Tolerant(enum.IntEnum):
    """Numbers that libvirt may add to: what is not known yet is ``UNKNOWN``."""

    @classmethod
    def _missing_(cls, _value: object) -> _Tolerant:
        return cls["UNKNOWN"]


class LifecycleEvent(_Tolerant):
    """What happened to a domain (virDomainEventType). These are not the numbers of :class:`DomainState`."""

    UNKNOWN = -1
    DEFINED = 0
    UNDEFINED = 1
    STARTED = 2
    SUSPENDED = 3
    RESUMED = 4
    STOPPED = 5
    SHUTDOWN = 6
    PMSUSPENDED = 7
    CRASHED = 8


class UnknownDetail(_Tolerant):
    """The detail of an event that is not known itself."""

    UNKNOWN = -1


class DefinedDetail(_Tolerant):
    """Why a domain was defined."""

    UNKNOWN = -1
    ADDED = 0
    UPDATED = 1
    RENAMED = 2
    FROM_SNAPSHOT = 3


class UndefinedDetail(_Tolerant):
    """Why a domain was undefined."""

    UNKNOWN = -1
    REMOVED = 0
    RENAMED = 1


class StartedDetail(_Tolerant):
    """How a domain came to run."""

    UNKNOWN = -1
    BOOTED = 0
    MIGRATED = 1
    RESTORED = 2
    FROM_SNAPSHOT = 3
    WAKEUP = 4


class SuspendedDetail(_Tolerant):
    """Why a domain was paused."""

    UNKNOWN = -1
    PAUSED = 0
    MIGRATED = 1
    IOERROR = 2
    WATCHDOG = 3
    RESTORED = 4
    FROM_SNAPSHOT = 5
    API_ERROR = 6
    POSTCOPY = 7
    POSTCOPY_FAILED = 8


class ResumedDetail(_Tolerant):
    """Why a domain runs on."""

    UNKNOWN = -1
    UNPAUSED = 0
    MIGRATED = 1
    FROM_SNAPSHOT = 2
    POSTCOPY = 3
    POSTCOPY_FAILED = 4


class StoppedDetail(_Tolerant):
    """Why a domain stopped."""

    UNKNOWN = -1
    SHUTDOWN = 0
    DESTROYED = 1
    CRASHED = 2
    MIGRATED = 3
    SAVED = 4
    FAILED = 5
    FROM_SNAPSHOT = 6


class ShutdownDetail(_Tolerant):
    """Who asked for the shutdown that has finished."""

    UNKNOWN = -1
    FINISHED = 0
    GUEST = 1
    HOST = 2


class PMSuspendedDetail(_Tolerant):
    """Where the guest put its memory when it went to sleep."""

    UNKNOWN = -1
    MEMORY = 0
    DISK = 1


class CrashedDetail(_Tolerant):
    """How the guest crashed."""

    UNKNOWN = -1
    PANICKED = 0
    CRASHLOADED = 1


EventDetail: TypeAlias = (
    DefinedDetail
    | UndefinedDetail
    | StartedDetail
    | SuspendedDetail
    | ResumedDetail
    | StoppedDetail
    | ShutdownDetail
    | PMSuspendedDetail
    | CrashedDetail
    | UnknownDetail
)

DETAILS: Final[dict[LifecycleEvent, type[EventDetail]]] = {
    LifecycleEvent.UNKNOWN: UnknownDetail,
    LifecycleEvent.DEFINED: DefinedDetail,
    LifecycleEvent.UNDEFINED: UndefinedDetail,
    LifecycleEvent.STARTED: StartedDetail,
    LifecycleEvent.SUSPENDED: SuspendedDetail,
    LifecycleEvent.RESUMED: ResumedDetail,
    LifecycleEvent.STOPPED: StoppedDetail,
    LifecycleEvent.SHUTDOWN: ShutdownDetail,
    LifecycleEvent.PMSUSPENDED: PMSuspendedDetail,
    LifecycleEvent.CRASHED: CrashedDetail,
}
"""The details that each event has."""


@dataclass(frozen=True, slots=True)
class DomainEvent:
    """A hint that something happened to a domain: what its state is now must be asked.

    ``uuid`` is in lower case; ``name`` is the one the domain had when libvirt sent the event.
    """

    uuid: str
    name: str
    event: LifecycleEvent
    detail: EventDetail

    @classmethod
    def decode(cls, uuid: str, name: str, event: int, detail: int) -> DomainEvent:
        """Make an event of libvirt's numbers."""
        kind = LifecycleEvent(event)
        return cls(uuid, name, kind, DETAILS[kind](detail))
