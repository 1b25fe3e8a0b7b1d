# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows when rules change: who reads events, who sees the presence, who is told."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from archipel.agent.rule_changes import Concern, RuleChanges
from archipel.protocol.errors import CommandError
from archipel.protocol.events import Topic
from archipel.protocol.rights import ALL
from archipel.xmpp.errors import WireError

if TYPE_CHECKING:
    from archipel.agent.entity import Entity
    from archipel.agent.hypervisor import Hypervisor

PRESENCE: Final = "presence"
PATIENCE: Final = 10  # times what the last reading took, to the next one at least


async def follow(hypervisor: Hypervisor, concerns: Iterable[Concern]) -> None:
    """Let readers, presence and rosters of all entities follow changed rules, and tell each person or group concerned."""
    found: defaultdict[str, list[Concern]] = defaultdict(list)
    for concern in concerns:
        found[concern.entity].append(concern)
    entities = {entity.bare: entity for entity in (hypervisor, *hypervisor.machines.values())}
    for bare, of_entity in found.items():
        if (entity := entities.get(bare)) is not None:
            await _follow(entity, of_entity)


async def _follow(entity: Entity, concerns: list[Concern]) -> None:
    await entity.refresh_readers()
    for label in dict.fromkeys(concern.label for concern in concerns):
        entity.push(Topic.PERMISSIONS, label)
    for concern in concerns:
        presence = bool(concern.rights & {PRESENCE, ALL})
        for person in concern.people:
            if presence and concern.label == person and entity.decide(person, PRESENCE).allowed:
                entity.contacts.approve(person)
            elif presence:
                await entity.withdraw(person)
            else:
                await entity.dismiss(person)


async def follow_directory(hypervisor: Hypervisor, interval: float) -> None:
    """Read the hypervisor's roster again and again, for ever; ``interval`` is in seconds.

    While the directory is away, ejabberd answers late or never, and nothing else of this session meanwhile: then it is asked seldom.
    """
    pause = interval
    while True:
        await asyncio.sleep(pause)
        await hypervisor.online.wait()
        began = time.monotonic()
        with contextlib.suppress(CommandError, WireError):  # as long as the server does not tell, groups stay as they were
            before = hypervisor.contacts.seeing
            await hypervisor.contacts.read_again()
            await follow_roster_groups(hypervisor)
            if hypervisor.contacts.seeing != before:
                await hypervisor.refresh_readers()
        pause = max(interval, PATIENCE * (time.monotonic() - began))


async def follow_roster_groups(hypervisor: Hypervisor) -> None:
    """Take the groups of the server's shared roster from the hypervisor's roster."""
    await follow(hypervisor, RuleChanges(hypervisor.services.rights).take_roster_groups(hypervisor.contacts.groups))


async def expire(hypervisor: Hypervisor) -> None:
    """Remove rules whose time is over; raises :class:`~archipel.agent.store.StoreError`."""
    await follow(hypervisor, await RuleChanges(hypervisor.services.rights).drop_expired())
