# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tags of an entity (namespace ``archipel:tags``), published on the platform's node."""

from __future__ import annotations

from typing import cast

from archipel.agent import following
from archipel.agent.dispatch import EVERY_KIND, Caller, command
from archipel.agent.entity import Entity
from archipel.agent.rule_changes import RuleChanges
from archipel.agent.rules import Reach
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import every_entity as wire
from archipel.protocol.errors import BadRequest, ErrorCode
from archipel.protocol.rights import EntityKind

LONGEST_TAG = 100  # characters: they are words for people
MOST_TAGS = 50


@command(wire.SetTags, on=EVERY_KIND, right="settags", failure=ErrorCode.SET_TAGS)
async def set_tags(entity: Entity, request: wire.SetTags, caller: Caller) -> None:
    """Replace the tags."""
    tags = request.words
    if len(tags) > MOST_TAGS or any(len(tag) > LONGEST_TAG for tag in tags):
        raise BadRequest(f"tags: at most {MOST_TAGS}, of {LONGEST_TAG} characters each", ErrorCode.SET_TAGS)
    if entity.kind is EntityKind.VIRTUAL_MACHINE:
        await follow_tags(cast(VirtualMachine, entity), tags, caller)
    else:
        await entity.keep_tags(tags)


async def follow_tags(machine: VirtualMachine, tags: tuple[str, ...], caller: Caller) -> None:
    """Keep a machine's tags, and let the rights follow that go by them."""
    changes = RuleChanges(machine.services.rights)
    changes.check_tags(machine.bare, tags, caller=caller.bare)
    before = changes.concerns_of(machine.bare, Reach.TAG)
    await machine.keep_tags(tags)
    await following.follow(machine.hypervisor, {*before} ^ {*changes.concerns_of(machine.bare, Reach.TAG)})
