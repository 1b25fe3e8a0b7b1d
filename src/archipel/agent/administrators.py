# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The platform's administrators, kept on the node /archipel/adminaccounts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from archipel.agent.jids import MalformedJid, account_jid
from archipel.agent.trusted_nodes import Contents
from archipel.protocol.changes import PermissionsChange
from archipel.protocol.events import ADMIN_ACCOUNTS_NODE as NODE
from archipel.protocol.events import Topic
from archipel.xmpp.pubsub import Item

if TYPE_CHECKING:
    from archipel.agent.hypervisor import Hypervisor

__all__ = ["LIST", "NODE"]

log = logging.getLogger(__name__)


async def _take(hypervisor: Hypervisor, items: Sequence[Item] | None) -> None:
    """Let rights and readers of events follow the list; one that is not trusted names nobody."""
    rights = hypervisor.services.rights
    accounts = frozenset(account for item in items or () for account in _accounts(item.payload))
    before = rights.admins
    rights.set_dynamic_admins(accounts)
    if rights.admins != before:
        log.info("administrators by %s: %s", NODE, ", ".join(sorted(accounts)) or "none")
        for entity in (hypervisor, *hypervisor.machines.values()):
            await entity.refresh_readers()
            entity.push(Topic.PERMISSIONS, PermissionsChange.ADMINS)  # to all who may read: each asks for his rights anew


def _accounts(payload: ET.Element | None) -> list[str]:
    """Return the account that ``<admin node='...' domain='...'/>`` names, if it names one."""
    if payload is None:
        return []
    try:
        return [account_jid(f"{payload.get('node', '')}@{payload.get('domain', '')}")]
    except MalformedJid as error:
        log.warning("%s: %s", NODE, error)
        return []


LIST: Final = Contents(NODE, "list of administrators", _take)
"""What follows from the node's items."""
