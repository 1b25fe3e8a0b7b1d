# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lifecycle events of all domains, handed out on the asyncio loop in libvirt's order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from archipel.agent.virt.lifecycle import DomainEvent
from archipel.agent.virt.stopped_hold import HOLD, StoppedHold

Listener = Callable[[DomainEvent], None]


class DomainEvents:
    """Where events come in from libvirt's thread (by way of ``call_soon_threadsafe``) and go out to listeners.

    Between a lost connection and the next one events are lost: whoever keeps state reads it anew when the connection is
    back (:meth:`archipel.agent.virt.connection.LibvirtConnection.observe`).
    """

    def __init__(self, hold: float = HOLD) -> None:
        self._listeners: dict[object, Listener] = {}
        self._hold = StoppedHold(self._deliver, lambda delay, run: asyncio.get_running_loop().call_later(delay, run), hold)
        self.own_stop = self._hold.own_stop

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Have ``listener`` run on the loop for each event; returns what ends that. It must not block."""
        key = object()
        self._listeners[key] = listener

        def end() -> None:
            self._listeners.pop(key, None)

        return end

    @contextlib.contextmanager
    def queue(self) -> Iterator[asyncio.Queue[DomainEvent]]:
        """Give a queue that fills with events as long as the body runs."""
        queue: asyncio.Queue[DomainEvent] = asyncio.Queue()
        end = self.listen(queue.put_nowait)
        try:
            yield queue
        finally:
            end()

    def take(self, event: DomainEvent) -> None:
        """Take an event from libvirt, on the loop."""
        self._hold.offer(event)

    def clear(self) -> None:
        """Forget what is held back."""
        self._hold.clear()

    def _deliver(self, event: DomainEvent) -> None:
        loop = asyncio.get_running_loop()
        for listener in tuple(self._listeners.values()):
            # Each on its own: an error of one listener, which the loop logs, takes nothing from the others.
            loop.call_soon(listener, event)
