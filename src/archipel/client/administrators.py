# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of the platform's administrators, /archipel/adminaccounts."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from archipel.client.addresses import bare_address, parse_address
from archipel.client.errors import MalformedAddress
from archipel.client.hypervisor import Hypervisor
from archipel.client.platform_lists import FOLLOW_TIMEOUT, publish, read_list, retract, wait_until
from archipel.client.session import Session
from archipel.protocol.administrators import AdministratorItem
from archipel.protocol.errors import BadRequest
from archipel.protocol.events import ADMIN_ACCOUNTS_NODE as NODE
from archipel.xmpp.pubsub import Item

log = logging.getLogger(__name__)

EVERYTHING: Final = "all"  # a right that administrators always have
BY_BEING_ONE: Final = "administrator"  # the rule by which they have it


@dataclass(frozen=True)
class Administrator:
    """An account on the list; ``named_by`` is who put it there, where the server tells it."""

    jid: str
    item: str
    named_by: str | None = None


async def list_administrators(session: Session) -> tuple[Administrator, ...]:
    """Return who is on the list; raises :class:`~archipel.client.platform_lists.ListMissing` where there is none."""
    items = await read_list(session, NODE, "list of administrators")
    return tuple(sorted((found for item in items if (found := _read(item))), key=lambda found: found.jid))


async def name_administrator(session: Session, jid: str) -> bool:
    """Put an account on the list; returns whether it was not there.

    Raises :class:`~archipel.client.platform_lists.ListUnusable`.
    """
    account = parse_address(jid)
    if any(found.jid == account.bare for found in await list_administrators(session)):
        return False
    item = AdministratorItem(node=str(account.node), domain=str(account.domain))
    await publish(session, NODE, item.write(), str(account.bare))
    return True


async def remove_administrator(session: Session, jid: str) -> bool:
    """Take an account off the list, however often it stands there; returns whether it did.

    Raises :class:`~archipel.client.platform_lists.ListUnusable`.
    """
    account = bare_address(jid)
    found = [entry.item for entry in await list_administrators(session) if entry.jid == account]
    await retract(session, NODE, found)
    return bool(found)


async def wait_until_counted(hypervisor: Hypervisor, jid: str, *, wanted: bool, timeout: float = FOLLOW_TIMEOUT) -> bool:
    """Return whether a hypervisor has somebody as an administrator, as soon as that is as ``wanted`` or ``timeout`` is over.

    It takes the right ``permission_get`` there.
    """

    async def is_as_wanted() -> bool:
        return ((await hypervisor.why(EVERYTHING, jid)).rule == BY_BEING_ONE) == wanted

    return await wait_until(is_as_wanted, timeout) == wanted


def _read(item: Item) -> Administrator | None:
    try:
        found = AdministratorItem.read(item.payload) if item.payload is not None else None
        return Administrator(bare_address(found.jid), item.id, item.publisher) if found else None
    except (BadRequest, MalformedAddress) as error:
        log.warning("%s: item %r is left out: %s", NODE, item.id, error)
        return None
