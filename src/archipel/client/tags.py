# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The platform's tags node: who has which tags."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from archipel.client.addresses import bare_address
from archipel.client.errors import MalformedAddress
from archipel.protocol.errors import BadRequest
from archipel.protocol.every_entity import SetTags, Tag
from archipel.xmpp.pubsub import Item

log = logging.getLogger(__name__)


def read_tags(items: Iterable[Item]) -> dict[str, tuple[str, ...]]:
    """Return the tags by bare JID; an item that cannot be read is left out, and logged.

    Agents publish under their JID as item id; what older ones left under other ids counts only where there is no such item.
    """
    found: dict[str, tuple[str, ...]] = {}
    named_after_entity: set[str] = set()
    for item in items:
        try:
            tag = Tag.read(item.payload) if item.payload is not None else None
            jid = bare_address(tag.jid) if tag is not None else None
        except (BadRequest, MalformedAddress) as error:
            log.warning("tags node: item %r is left out: %s", item.id, error)
            continue
        if tag is not None and jid is not None and jid not in named_after_entity:
            found[jid] = SetTags(tags=tag.tags).words
            if item.id == jid:
                named_after_entity.add(jid)
    return found
