# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose doing a change is, for the push that tells of it; where that is not certain, nobody is named."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from archipel.agent.virt.lifecycle import DomainEvent, LifecycleEvent, StoppedDetail

GRACE: Final = 1.0  # seconds for which libvirt's event may come after the answer to the command that caused it
SHUTDOWN_PATIENCE: Final = 120.0  # seconds for a guest to follow when it is asked to shut down
# What commands make libvirt announce.
_CAUSED_BY: Final[Mapping[str, LifecycleEvent]] = {
    "create": LifecycleEvent.STARTED,
    "destroy": LifecycleEvent.STOPPED,
    "shutdown": LifecycleEvent.STOPPED,
    "suspend": LifecycleEvent.SUSPENDED,
    "resume": LifecycleEvent.RESUMED,
    "define": LifecycleEvent.DEFINED,
    "undefine": LifecycleEvent.UNDEFINED,
}


@dataclass
class Act:
    """A command that somebody gave; ``ended`` is when it was answered (monotonic seconds)."""

    person: str
    action: str
    ended: float | None = None

    def explains(self, event: DomainEvent, now: float) -> bool:
        """Whether this command leads to such an event, and not too long ago."""
        if _CAUSED_BY[self.action] is not event.event:
            return False
        guest_followed = self.action == "shutdown" and event.detail is StoppedDetail.SHUTDOWN
        return self.ended is None or now - self.ended <= (SHUTDOWN_PATIENCE if guest_followed else GRACE)


_current: ContextVar[Act | None] = ContextVar("current", default=None)


def person() -> str:
    """Return whose command is being done here and now (bare JID), or nothing.

    Tasks inherit the context that they are made in; what they do after the command was answered is not counted as part of it.
    """
    act = _current.get()
    return act.person if act is not None and act.ended is None else ""


@contextlib.contextmanager
def on_behalf_of(person: str) -> Iterator[None]:
    """Do something that is this person's doing; of nobody known: of nobody."""
    with _being_done(Act(person, "")):
        yield


@contextlib.contextmanager
def _being_done(act: Act) -> Iterator[None]:
    """Know of an act meanwhile, and when it ended."""
    token = _current.set(act)
    try:
        yield
    finally:
        act.ended = time.monotonic()
        _current.reset(token)


class Acts:
    """The commands of one entity that libvirt's events may come from."""

    def __init__(self) -> None:
        self._acts: list[Act] = []

    @contextlib.contextmanager
    def of(self, person: str, action: str) -> Iterator[None]:
        """Note that somebody's command is done meanwhile."""
        act = Act(person, action)
        if action in _CAUSED_BY:
            self._acts.append(act)
        try:
            with _being_done(act):
                yield
        finally:
            self._forget()

    def _forget(self) -> None:
        now = time.monotonic()
        self._acts = [act for act in self._acts if act.ended is None or now - act.ended <= SHUTDOWN_PATIENCE]

    def cause_of(self, event: DomainEvent) -> str:
        """Return who made libvirt announce this (bare JID); nothing if nobody of ours did, or more than one may have."""
        now = time.monotonic()
        people = {act.person for act in self._acts if act.explains(event, now)}
        return people.pop() if len(people) == 1 else ""
