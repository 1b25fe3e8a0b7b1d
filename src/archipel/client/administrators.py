# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of the platform's administrators, /archipel/adminaccounts.

Agents believe it only while nobody may publish there whom their ``xmpp_trusted_publishers`` does not name;
:func:`wait_until_counted` finds out whether one does.
"""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import dataclass
from typing import Final

from archipel.client.addresses import bare_address, parse_address
from archipel.client.errors import ClientError, MalformedAddress
from archipel.client.hypervisor import Hypervisor
from archipel.client.session import Session
from archipel.protocol.administrators import AdministratorItem
from archipel.protocol.errors import BadRequest, CommandError, Condition
from archipel.protocol.events import ADMIN_ACCOUNTS_NODE as NODE
from archipel.xmpp.pubsub import Item

log = logging.getLogger(__name__)

EVERYTHING: Final = "all"  # a right that administrators always have
BY_BEING_ONE: Final = "administrator"  # the rule by which they have it
FOLLOW_TIMEOUT: Final = 20.0  # seconds for an agent to read the list anew; it is told at once that it changed
_LOOK_AGAIN: Final = 0.2
_REFUSALS: Final = frozenset({Condition.FORBIDDEN, Condition.NOT_ALLOWED})


class ListUnusable(ClientError):
    """There is no list of administrators, or this account may not change it."""


@dataclass(frozen=True)
class Administrator:
    """An account on the list; ``named_by`` is who put it there, where the server tells it."""

    jid: str
    item: str
    named_by: str | None = None


async def list_administrators(session: Session) -> tuple[Administrator, ...]:
    """Return who is on the list; raises :class:`ListUnusable` where there is none."""
    try:
        items = await session.pubsub.items(NODE)
    except CommandError as error:
        if error.condition != Condition.ITEM_NOT_FOUND:
            raise
        raise ListUnusable(f"there is no list of administrators ({NODE}) yet: archipel platform init makes it") from None
    return tuple(sorted((found for item in items if (found := _read(item))), key=lambda found: found.jid))


async def name_administrator(session: Session, jid: str) -> bool:
    """Put an account on the list; returns whether it was not there. Raises :class:`ListUnusable`."""
    account = parse_address(jid)
    if any(found.jid == account.bare for found in await list_administrators(session)):
        return False
    item = AdministratorItem(node=str(account.node), domain=str(account.domain))
    try:
        await session.pubsub.publish(NODE, item.write(), str(account.bare))
    except CommandError as error:
        raise _explain(error) from None
    return True


async def remove_administrator(session: Session, jid: str) -> bool:
    """Take an account off the list, however often it stands there; returns whether it did. Raises :class:`ListUnusable`."""
    account = bare_address(jid)
    found = [entry for entry in await list_administrators(session) if entry.jid == account]
    try:
        for entry in found:
            await session.pubsub.retract(NODE, entry.item)
    except CommandError as error:
        raise _explain(error) from None
    return bool(found)


async def wait_until_counted(hypervisor: Hypervisor, jid: str, *, wanted: bool, timeout: float = FOLLOW_TIMEOUT) -> bool:
    """Return whether a hypervisor has somebody as an administrator, as soon as that is as ``wanted`` or ``timeout`` is over.

    It takes the right ``permission_get`` there.
    """
    for _ in range(math.ceil(timeout / _LOOK_AGAIN)):
        if await _is_administrator(hypervisor, jid) == wanted:
            return wanted
        await asyncio.sleep(_LOOK_AGAIN)
    return await _is_administrator(hypervisor, jid)


async def _is_administrator(hypervisor: Hypervisor, jid: str) -> bool:
    return (await hypervisor.why(EVERYTHING, jid)).rule == BY_BEING_ONE


def _read(item: Item) -> Administrator | None:
    try:
        found = AdministratorItem.read(item.payload) if item.payload is not None else None
        return Administrator(bare_address(found.jid), item.id, item.publisher) if found else None
    except (BadRequest, MalformedAddress) as error:
        log.warning("%s: item %r is left out: %s", NODE, item.id, error)
        return None


def _explain(error: CommandError) -> Exception:
    if error.condition in _REFUSALS:
        return ListUnusable(f"{NODE}: this account may not change it ({error.text}); use the account that ran archipel platform init")
    return error
