# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine that restarts does not report that it stopped."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from archipel.agent.virt.lifecycle import DomainEvent, LifecycleEvent, StoppedDetail

HOLD = 0.5
"""Seconds for which STOPPED is held back. Where a reboot is STOPPED then STARTED, QEMU takes some tenths of a second in between;
longer than half a second people notice that a machine which is off still looks as if it ran."""

FINAL: Final[frozenset[StoppedDetail]] = frozenset(
    {StoppedDetail.DESTROYED, StoppedDetail.MIGRATED, StoppedDetail.SAVED, StoppedDetail.FAILED}
)
"""Ways to stop that no restart follows by itself."""

STARTS: Final[frozenset[LifecycleEvent]] = frozenset({LifecycleEvent.STARTED, LifecycleEvent.RESUMED})
"""What a domain that was stopped can only report when it was started again: QEMU's says RESUMED just before STARTED."""


class Timer(Protocol):
    """What ``call_later`` returns."""

    def cancel(self) -> None:
        """Do not run it."""


class StoppedHold:
    """Passes events on in their order, each STOPPED a moment later, and not at all when a start follows within it.

    At once goes a STOPPED that is final (:data:`FINAL`) or that the agent asked for (:meth:`own_stop`). An event that says
    nothing of a start ends the wait, so that the order of one domain's events never changes.
    """

    def __init__(
        self, deliver: Callable[[DomainEvent], None], call_later: Callable[[float, Callable[[], None]], Timer], delay: float = HOLD
    ) -> None:
        self._deliver = deliver
        self._call_later = call_later
        self._delay = delay
        self._held: dict[str, tuple[DomainEvent, Timer]] = {}
        self._own: set[str] = set()

    def offer(self, event: DomainEvent) -> None:
        """Take an event from libvirt."""
        self._release(event.uuid, deliver=event.event not in STARTS)
        if event.event is LifecycleEvent.STOPPED and not self._passes(event):
            timer = self._call_later(self._delay, lambda: self._release(event.uuid, deliver=True))
            self._held[event.uuid] = (event, timer)
            return
        if event.event is LifecycleEvent.STARTED:
            self._own.discard(event.uuid)
        self._deliver(event)

    def _passes(self, event: DomainEvent) -> bool:
        asked_for = event.uuid in self._own
        self._own.discard(event.uuid)
        return asked_for or event.detail in FINAL

    def _release(self, uuid: str, *, deliver: bool) -> None:
        event, timer = self._held.pop(uuid, (None, None))
        if event is None or timer is None:
            return
        timer.cancel()
        if deliver:
            self._deliver(event)

    @contextlib.contextmanager
    def own_stop(self, uuid: str) -> Iterator[None]:
        """Let the domain's next STOPPED pass at once, unless the body, which asks for the stop, fails."""
        self._own.add(uuid)
        accepted = False
        try:
            yield
            accepted = True
        finally:
            if not accepted:
                self._own.discard(uuid)

    def clear(self) -> None:
        """Drop what is held and what was asked for: after a lost connection everything is read anew."""
        for _, timer in self._held.values():
            timer.cancel()
        self._held.clear()
        self._own.clear()
