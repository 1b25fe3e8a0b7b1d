# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PubSub nodes that a platform shares, made once by an administrator: tags, roles, administrators' accounts, rules."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from archipel.client.addresses import bare_address
from archipel.client.session import Session
from archipel.protocol.errors import CommandError, Condition
from archipel.protocol.events import ADMIN_ACCOUNTS_NODE, ROLES_NODE, RULES_NODE, TAGS_NODE

SHARED_NODES: Final = (TAGS_NODE, ROLES_NODE, ADMIN_ACCOUNTS_NODE, RULES_NODE)
CONFIGURATION: Final = {
    "pubsub#access_model": "open",
    # The founders' tools let everybody publish: anybody could make himself an administrator.
    "pubsub#publish_model": "publishers",
    "pubsub#persist_items": "1",
    "pubsub#max_items": "1000",
    "pubsub#deliver_notifications": "1",
    "pubsub#deliver_payloads": "1",
    "pubsub#send_last_published_item": "never",
    "pubsub#notify_retract": "1",
    "pubsub#notification_type": "headline",
}
_MAY_PUBLISH: Final = frozenset({"owner", "publisher"})
_NOTHING: Final[tuple[str, ...]] = ()


@dataclass(frozen=True)
class NodeReport:
    """What was done to a node; ``publishers`` are those that were added."""

    node: str
    created: bool = False
    configured: tuple[str, ...] = ()
    publishers: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything was done."""
        return bool(self.created or self.configured or self.publishers)


@dataclass(frozen=True)
class PlatformReport:
    """What :func:`prepare_platform` did."""

    nodes: tuple[NodeReport, ...] = field(default=())

    @property
    def changed(self) -> bool:
        """Whether anything was done."""
        return any(node.changed for node in self.nodes)


async def prepare_platform(session: Session, hypervisors: Collection[str]) -> PlatformReport:
    """Make the shared nodes, or bring them to what they must be; hypervisors (JIDs) may then publish tags, and nothing else.

    What is right already is left alone, publishers that were there before too. The account must be allowed to create nodes,
    and own those that exist: raises :class:`~archipel.protocol.errors.CommandError`, whose text names the node.
    """
    publishers = {bare_address(jid) for jid in hypervisors}
    reports = [await prepare_node(session, node, publishers if node == TAGS_NODE else ()) for node in SHARED_NODES]
    return PlatformReport(tuple(reports))


async def prepare_node(session: Session, node: str, publishers: Collection[str] = ()) -> NodeReport:
    """Do that with one node; ``publishers`` (bare JIDs) may publish there besides its owner."""
    try:
        return await _prepare_node(session, node, publishers)
    except CommandError as error:
        raise CommandError(f"{node}: {_explain(error)}", error.code, error.condition) from None


async def _prepare_node(session: Session, node: str, publishers: Collection[str]) -> NodeReport:
    created, configured = True, _NOTHING
    try:
        await session.pubsub.create(node, CONFIGURATION)
    except CommandError as error:
        if error.condition != Condition.CONFLICT:
            raise
        created, configured = False, await _configure(session, node)
    affiliations = await session.pubsub.affiliations(node)
    missing = tuple(sorted(jid for jid in publishers if affiliations.get(jid) not in _MAY_PUBLISH))
    if missing:
        await session.pubsub.set_affiliations(node, dict.fromkeys(missing, "publisher"))
    return NodeReport(node, created, configured, missing)


async def _configure(session: Session, node: str) -> tuple[str, ...]:
    """Correct the options that differ, and return their names."""
    return tuple(name.removeprefix("pubsub#") for name in await session.pubsub.correct(node, CONFIGURATION))


def _explain(error: CommandError) -> str:
    if error.condition in {Condition.FORBIDDEN, Condition.NOT_ALLOWED}:
        return f"this account may not create or change it ({error.text}); use an administrator's account, or the one that owns the node"
    return error.text
