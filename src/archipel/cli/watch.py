# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel watch``: what happens, when it happens."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from archipel.cli.finder import FAILURES
from archipel.cli.invocation import Run, in_session
from archipel.client.entity import Entity
from archipel.client.events import Event, Events, PresenceChanged, Pushed, Reason, Resynced, Said, SubscriptionRefused
from archipel.client.failures import describe
from archipel.client.hypervisor import Hypervisor
from archipel.client.virtual_machine import VirtualMachine
from archipel.protocol.events import Topic

NEW_MACHINES = frozenset({"alloc", "manage", "migrate", "clone"})  # pushes of a hypervisor after which its list is longer


@click.command()
@click.argument("machines", nargs=-1, metavar="[MACHINE]...")
@in_session(reconnect=True)
async def watch(run: Run, machines: tuple[str, ...]) -> None:
    """Print pushes and presences as they come; end it with Ctrl-C.

    Without MACHINE all known hypervisors and their machines are watched, also machines that come later.
    """
    watcher = Watcher(run)
    if machines:
        entities = [await run.finder.entity(reference) for reference in machines]
    else:
        entities = await watcher.everything()
    async with run.session.events([]) as events:
        await watcher.follow(events, entities)
        async for event in events:
            watcher.tell(event)
            await watcher.follow_newcomers(events, event)


class Watcher:
    """Names entities, and prints what they do."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._names: dict[str, str] = {}
        self._hypervisors: dict[str, Hypervisor] = {}

    async def everything(self) -> list[Entity]:
        """Return all hypervisors and their managed machines."""
        listing = await self._run.finder.listing()
        for hypervisor, failure in listing.failures.items():
            self._run.output.warn(f"{hypervisor}: {describe(failure)}")
        entities: list[Entity] = list(await self._run.finder.hypervisors())
        return entities + [
            VirtualMachine(self._run.session, item.entry.jid, item.entry.name) for item in listing.found if item.entry.managed
        ]

    async def follow(self, events: Events, entities: list[Entity]) -> None:
        """Listen to these entities too."""
        for entity in entities:
            self._names[entity.bare] = getattr(entity, "name", "") or entity.bare
            if isinstance(entity, Hypervisor):
                self._hypervisors[entity.bare] = entity
        await events.add(*(entity.bare for entity in entities))

    async def follow_newcomers(self, events: Events, event: Event) -> None:
        """Listen to the machines that a hypervisor just said it made."""
        hypervisor = self._hypervisors.get(event.entity)
        if hypervisor is None or not isinstance(event, Pushed) or event.push.topic != Topic.HYPERVISOR:
            return
        if event.push.change not in NEW_MACHINES:
            return
        try:
            entries = [entry for entry in await hypervisor.machines() if entry.managed and entry.bare not in self._names]
        except FAILURES as error:
            self._run.output.warn(f"{hypervisor.bare}: {describe(error)}")
            return
        await self.follow(events, [VirtualMachine(self._run.session, entry.jid, entry.name) for entry in entries])

    def tell(self, event: Event) -> None:
        """Print one event."""
        name = self._names.get(event.entity, event.entity)
        if self._run.output.as_json:
            self._run.output.json_line({"entity": event.entity, "name": name, **as_json(event)})
            return
        words = in_words(event)
        if words:
            self._run.output.line(f"{datetime.now():%H:%M:%S}  {name}  {words}")


def in_words(event: Event) -> str:
    """Return an event for people; empty for what only programs care about."""
    match event:
        case Pushed(push=push) if push.topic == Topic.PERMISSIONS:
            return f"rights of {push.change} changed"
        case Pushed(push=push):
            return f"{push.change} ({push.topic})"
        case PresenceChanged(status=None):
            return "is offline"
        case PresenceChanged(status=status) if status is not None:
            return f"is {status.text or status.show or 'online'}"
        case Resynced(reason=reason) if reason != Reason.BEGIN:
            return f"may have changed unseen ({reason})"
        case SubscriptionRefused(error=error):
            return f"does not show its pushes: {describe(error)}"
        case Said(text=text):
            return f"says: {text}"
    return ""


def as_json(event: Event) -> dict[str, Any]:
    """Return an event for scripts."""
    match event:
        case Pushed(push=push):
            date = push.date.isoformat()
            return {
                "event": "push",
                "topic": push.topic,
                "change": push.change,
                "sequence": push.sequence,
                "epoch": push.epoch,
                "date": date,
            }
        case PresenceChanged(status=status):
            return {"event": "presence", "online": status is not None} | ({"show": status.show, "status": status.text} if status else {})
        case Resynced(reason=reason):
            return {"event": "resync", "reason": str(reason)}
        case SubscriptionRefused(error=error):
            return {"event": "refused", "error": describe(error)}
        case Said(text=text):
            return {"event": "message", "text": text}
