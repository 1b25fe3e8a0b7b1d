# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""People who watch all machines: each push must be the next one, each presence is remembered."""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import Final
from xml.etree import ElementTree as ET

from archipel.client.presences import read_status
from archipel.protocol.events import Push, Topic, events_node, owner_of_events_node
from archipel.xmpp import stanzas
from archipel.xmpp.pubsub import PubSub, read_notification
from archipel.xmpp.stream import Stream
from archipel.xmpp.tls import client_context
from benchmarks.world import DOMAIN, HYPERVISOR, World

SERVICE: Final = f"pubsub.{DOMAIN}"
TURNS: Final = ("shutdown", "created")  # what is announced of a machine that ran when the watching began, again and again
CALLS_AT_ONCE: Final = 8
MOST_FAULTS: Final = 20  # that are kept: one would do


class Watcher:
    """One session: counts what it hears of each machine and notes whatever is not the next thing to be heard."""

    def __init__(self, name: str, password: str, world: World) -> None:
        self._stream = Stream(f"{name}@{DOMAIN}/watcher", password, client_context(world.ejabberd.ca_file))
        self._stream.on_message = self._take_message
        self._stream.on_presence = self._take_presence
        self._stream.on_request = lambda iq: self._stream.transmit(stanzas.result_of(iq))  # the server ends who answers no ping
        self._number = {f"{uuid}@{DOMAIN}": number for number, uuid in enumerate(world.machines)}
        self.heard = [0] * len(world.machines)
        self.arrived = [asyncio.Event() for _ in world.machines]
        self.shown: dict[int, str] = {}
        self.faults: list[str] = []
        self._last: list[tuple[str, int]] = []

    async def log_in(self, world: World) -> None:
        """Become available and subscribe to the events of all machines."""
        await self._stream.login(world.ejabberd.host, world.ejabberd.port)
        self._stream.transmit(stanzas.presence())
        pubsub = PubSub(self._stream, SERVICE)
        for bare in self._number:
            await pubsub.subscribe(events_node(bare))

    @property
    def lost(self) -> bool:
        """Whether the session has ended."""
        return self._stream.lost.done()

    def begin(self, last: list[tuple[str, int]]) -> None:
        """From now on each machine's pushes are counted: ``last`` has epoch and number of those that were."""
        self._last = list(last)

    async def log_out(self) -> None:
        """End the session."""
        await self._stream.logout()

    def _take_message(self, message: ET.Element) -> None:
        notification = read_notification(message, SERVICE)
        number = self._number.get(owner_of_events_node(notification.node) or "") if notification else None
        if notification is None or number is None:
            return
        for item in notification.items:
            push = None if item.payload is None else Push.read(item.payload)
            if push is not None and push.topic == Topic.VM_CONTROL:
                self._take_push(number, push)

    def _take_push(self, number: int, push: Push) -> None:
        epoch, last = self._last[number] if self._last else ("", 0)
        wanted = (epoch, last + 1, TURNS[self.heard[number] % 2])
        if (push.epoch, push.sequence, push.change) != wanted:
            self.note(f"machine {number}: {(push.epoch, push.sequence, push.change)} came, not {wanted}")
        if self._last:
            self._last[number] = (push.epoch, push.sequence)
        self.heard[number] += 1
        self.arrived[number].set()

    def _take_presence(self, element: ET.Element) -> None:
        bare, _, resource = element.get("from", "").partition("/")
        if bare not in self._number or resource != HYPERVISOR:
            return
        if element.get("type") is not None and self._last:
            self.note(f"machine {self._number[bare]} sent a presence of type {element.get('type')}")
        self.shown[self._number[bare]] = read_status(element).text

    def note(self, fault: str) -> None:
        """Remember what went wrong."""
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(fault)


async def invite_watchers(world: World, count: int) -> list[Watcher]:
    """Make accounts for watchers, and for the machines, with everybody in everybody's roster; the agent must not run."""
    people = {f"watcher-{number:02}": secrets.token_urlsafe(16) for number in range(count)}
    await asyncio.to_thread(_befriend, world, people)
    return [Watcher(name, password, world) for name, password in people.items()]


def _befriend(world: World, people: dict[str, str]) -> None:
    with sqlite3.connect(f"file:{world.agent.database}?mode=ro", uri=True) as database:
        machines = dict(database.execute("SELECT uuid, password FROM virtual_machines"))
    for name, password in (machines | people).items():
        world.ejabberd.register(name, password)
    pairs = [pair for name in people for uuid in machines for pair in ((name, uuid), (uuid, name))]
    with ThreadPoolExecutor(CALLS_AT_ONCE) as threads:
        list(threads.map(lambda pair: world.ejabberd.add_contact(*pair), pairs))
