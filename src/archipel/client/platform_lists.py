# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lists by which administrators rule the whole platform, each on a node of the server.

Agents believe one only while nobody may publish there whom their ``xmpp_trusted_publishers`` does not name;
:func:`wait_until` finds out whether one does.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable
from typing import Final
from xml.etree import ElementTree as ET

from archipel.client.errors import ClientError
from archipel.client.session import Session
from archipel.protocol.errors import CommandError, Condition
from archipel.xmpp.pubsub import Item

FOLLOW_TIMEOUT: Final = 20.0  # seconds for an agent to read a list anew; it is told at once that it changed
_LOOK_AGAIN: Final = 0.2
_REFUSALS: Final = frozenset({Condition.FORBIDDEN, Condition.NOT_ALLOWED})


class ListUnusable(ClientError):
    """There is no such list, or this account may not change it."""


class ListMissing(ListUnusable):
    """There is no such list."""


async def read_list(session: Session, node: str, words: str) -> list[Item]:
    """Return the items of a list, of which ``words`` tell what it is. Raises :class:`ListMissing`."""
    try:
        return await session.pubsub.items(node)
    except CommandError as error:
        if error.condition != Condition.ITEM_NOT_FOUND:
            raise
        raise ListMissing(f"there is no {words} ({node}) yet: archipel platform init makes it") from None


async def publish(session: Session, node: str, payload: ET.Element, item_id: str) -> None:
    """Put an item on a list. Raises :class:`ListUnusable`."""
    try:
        await session.pubsub.publish(node, payload, item_id)
    except CommandError as error:
        raise _explain(node, error) from None


async def retract(session: Session, node: str, item_ids: Iterable[str]) -> None:
    """Take items off a list. Raises :class:`ListUnusable`."""
    try:
        for item_id in item_ids:
            await session.pubsub.retract(node, item_id)
    except CommandError as error:
        raise _explain(node, error) from None


async def wait_until(holds: Callable[[], Awaitable[bool]], timeout: float = FOLLOW_TIMEOUT) -> bool:
    """Return whether something holds, as soon as it does or ``timeout`` (seconds) is over."""
    for _ in range(math.ceil(timeout / _LOOK_AGAIN)):
        if await holds():
            return True
        await asyncio.sleep(_LOOK_AGAIN)
    return await holds()


def _explain(node: str, error: CommandError) -> Exception:
    if error.condition in _REFUSALS:
        return ListUnusable(f"{node}: this account may not change it ({error.text}); use the account that ran archipel platform init")
    return error
