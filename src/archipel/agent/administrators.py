# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The platform's administrators, kept on the node /archipel/adminaccounts.

Whoever could publish there would rule every machine. So the node counts only if all who may publish there are trusted by the
settings, an item only if its publisher is (where the server tells it), a notification only as a hint to read the node again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from archipel.agent.jids import MalformedJid, account_jid, bare_jid
from archipel.protocol.changes import PermissionsChange
from archipel.protocol.errors import CommandError
from archipel.protocol.events import ADMIN_ACCOUNTS_NODE as NODE
from archipel.protocol.events import Topic
from archipel.xmpp.errors import WireError
from archipel.xmpp.pubsub import Item

if TYPE_CHECKING:
    from archipel.agent.hypervisor import Hypervisor

__all__ = ["NODE", "follow", "look_out", "refresh"]

log = logging.getLogger(__name__)

LOOK_AGAIN: Final = 10.0  # seconds; nobody is told that a node was made


async def follow(hypervisor: Hypervisor) -> None:
    """Subscribe to the list and read it; a platform without one has the administrators of the settings only."""
    try:
        await hypervisor.pubsub.subscribe(NODE)
    except CommandError as error:
        level = logging.DEBUG if hypervisor.follows_list is False else logging.INFO
        log.log(level, "no list of administrators (%s): %s", NODE, error.text)
        hypervisor.follows_list = False
        return
    hypervisor.follows_list = True
    await refresh(hypervisor)


async def look_out(hypervisor: Hypervisor) -> None:
    """Find the list that is made after the agent was started."""
    while True:
        await asyncio.sleep(LOOK_AGAIN)
        await hypervisor.online.wait()
        if not hypervisor.follows_list:
            with contextlib.suppress(WireError):
                await follow(hypervisor)


async def refresh(hypervisor: Hypervisor) -> None:
    """Read the list, and let rights and readers of events follow it."""
    rights = hypervisor.services.rights
    try:
        accounts = await _read(hypervisor)
    except (CommandError, WireError) as error:
        log.warning("%s cannot be read, administrators stay as they are: %s", NODE, error)
        return
    before = rights.admins
    rights.set_dynamic_admins(accounts)
    if rights.admins != before:
        log.info("administrators by %s: %s", NODE, ", ".join(sorted(accounts)) or "none")
        for entity in (hypervisor, *hypervisor.machines.values()):
            await entity.refresh_readers()
            entity.push(Topic.PERMISSIONS, PermissionsChange.ADMINS)  # to all who may read: each asks for his rights anew


async def _read(hypervisor: Hypervisor) -> frozenset[str]:
    trusted = frozenset(hypervisor.services.settings.xmpp.trusted_publishers)
    writers = await hypervisor.pubsub.writers(NODE)
    if writers is None:
        log.error("%s: everybody may publish there: it is ignored; set its publish model to publishers", NODE)
        return frozenset()
    others = sorted({_key(writer) for writer in writers} - trusted)
    if others or not writers:
        log.error("%s is in the hands of %s, not trusted: it is ignored", NODE, ", ".join(others) or "nobody")
        return frozenset()
    items = await hypervisor.pubsub.items(NODE)
    return frozenset(account for item in items if _trusts(item, trusted) for account in _accounts(item.payload))


def _trusts(item: Item, trusted: frozenset[str]) -> bool:
    if item.publisher is None or _key(item.publisher) in trusted:
        return True
    log.error("%s: item %s is from %s, who is not trusted: it is ignored", NODE, item.id, item.publisher)
    return False


def _key(jid: str) -> str:
    """Return a bare JID for comparison; what is no JID here is nobody whom the settings could name."""
    try:
        return bare_jid(jid)
    except MalformedJid:
        return jid


def _accounts(payload: ET.Element | None) -> list[str]:
    """Return the account that ``<admin node='...' domain='...'/>`` names, if it names one."""
    if payload is None:
        return []
    try:
        return [account_jid(f"{payload.get('node', '')}@{payload.get('domain', '')}")]
    except MalformedJid as error:
        log.warning("%s: %s", NODE, error)
        return []
