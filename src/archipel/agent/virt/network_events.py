# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lifecycle events of all networks, handed out on the asyncio loop in libvirt's order."""

from __future__ import annotations

import asyncio
import contextlib
import enum
from collections.abc import Iterator
from dataclasses import dataclass


class NetworkChange(enum.IntEnum):
    """What happened to a network (virNetworkEventLifecycleType); libvirt may add to it."""

    UNKNOWN = -1
    DEFINED = 0
    UNDEFINED = 1
    STARTED = 2
    STOPPED = 3

    @classmethod
    def _missing_(cls, _value: object) -> NetworkChange:
        return cls.UNKNOWN


@dataclass(frozen=True, slots=True)
class NetworkEvent:
    """A hint that something happened to the network of that name: what it is now must be asked."""

    name: str
    change: NetworkChange

    @classmethod
    def decode(cls, name: str, event: int) -> NetworkEvent:
        """Make an event of libvirt's number."""
        return cls(name, NetworkChange(event))


class NetworkEvents:
    """Where events come in from libvirt and go out to whoever has a queue; those between two connections are lost."""

    def __init__(self) -> None:
        self._queues: list[asyncio.Queue[NetworkEvent]] = []

    @contextlib.contextmanager
    def queue(self) -> Iterator[asyncio.Queue[NetworkEvent]]:
        """Give a queue that fills with events as long as the body runs."""
        queue: asyncio.Queue[NetworkEvent] = asyncio.Queue()
        self._queues.append(queue)
        try:
            yield queue
        finally:
            self._queues.remove(queue)

    def take(self, event: NetworkEvent) -> None:
        """Take an event from libvirt, on the loop."""
        for queue in self._queues:
            queue.put_nowait(event)
