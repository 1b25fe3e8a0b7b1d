# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tags of an entity (namespace ``archipel:tags``), published on the platform's node."""

from __future__ import annotations

from archipel.agent.dispatch import EVERY_KIND, Caller, command
from archipel.agent.entity import Entity
from archipel.protocol import every_entity as wire
from archipel.protocol.errors import BadRequest, ErrorCode

LONGEST_TAG = 100  # characters: they are words for people
MOST_TAGS = 50


@command(wire.SetTags, on=EVERY_KIND, right="settags", failure=ErrorCode.SET_TAGS)
async def set_tags(entity: Entity, request: wire.SetTags, _caller: Caller) -> None:
    """Replace the tags."""
    tags = request.words
    if len(tags) > MOST_TAGS or any(len(tag) > LONGEST_TAG for tag in tags):
        raise BadRequest(f"tags: at most {MOST_TAGS}, of {LONGEST_TAG} characters each", ErrorCode.SET_TAGS)
    await entity.keep_tags(tags)
