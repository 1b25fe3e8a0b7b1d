# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The platform's tags node: who has which tags."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from archipel.client.addresses import bare_address
from archipel.client.errors import MalformedAddress
from archipel.client.failures import EXPECTED, describe
from archipel.protocol.errors import BadRequest
from archipel.protocol.every_entity import SetTags, Tag
from archipel.xmpp.pubsub import Item

if TYPE_CHECKING:
    from archipel.client.session import Session

log = logging.getLogger(__name__)

KEPT: Final = 5.0  # seconds for which tags are taken to be as they were read


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


class KeptTags:
    """The platform's tags for who asks often: read when they are needed, and not much older than that."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._read_at = float("-inf")
        self._tags: Mapping[str, tuple[str, ...]] | None = {}

    async def of(self, bare: str) -> tuple[str, ...] | None:
        """Return the tags of an entity (bare JID); ``None`` if they cannot be read, which is logged once."""
        if time.monotonic() - self._read_at > KEPT:
            before = self._tags
            try:
                self._tags = await self._session.tags()
            except EXPECTED as failure:
                self._tags = None
                if before is not None:
                    log.error("the platform's tags cannot be read: %s", describe(failure))
            self._read_at = time.monotonic()
        return None if self._tags is None else self._tags.get(bare, ())
