# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is in an entity's roster (namespaces ``archipel:subscription`` and ``archipel:roster``)."""

from __future__ import annotations

from archipel.agent.capabilities.rights import PRESENCE, read_account
from archipel.agent.dispatch import EVERY_KIND, Caller, Chat, command
from archipel.agent.entity import Entity
from archipel.agent.rights import RightChange
from archipel.protocol import every_entity as wire
from archipel.protocol.errors import ErrorCode
from archipel.protocol.events import Topic
from archipel.protocol.rights import EntityKind


def _say_contacts(contacts: tuple[wire.Contact, ...]) -> str:
    return "\n".join(contact.jid for contact in contacts) or "Nobody is in my roster."


@command(wire.AddSubscription, on=EVERY_KIND, right="subscription_add", failure=ErrorCode.ADD_SUBSCRIPTION)
async def add_subscription(entity: Entity, request: wire.AddSubscription, caller: Caller) -> None:
    """Take somebody into the roster."""
    bare = read_account("jid", request.jid)
    await entity.services.rights.change(entity.bare, [RightChange(bare, PRESENCE, True)], caller=caller.bare, by="subscription_add")
    entity.push(Topic.PERMISSIONS, bare)
    await entity.add_contact(bare)


@command(wire.RemoveSubscription, on=EVERY_KIND, right="subscription_remove", failure=ErrorCode.REMOVE_SUBSCRIPTION)
async def remove_subscription(entity: Entity, request: wire.RemoveSubscription, _caller: Caller) -> None:
    """Remove somebody from the roster."""
    bare = read_account("jid", request.jid)
    await entity.services.rights.revoke(entity.bare, bare, PRESENCE)
    entity.push(Topic.PERMISSIONS, bare)
    await entity.drop_contact(bare)


@command(wire.GetRoster, on=EntityKind.HYPERVISOR, right="getroster", failure=ErrorCode.GET_ROSTER)
async def get_hypervisor_roster(entity: Entity, _request: wire.GetRoster, _caller: Caller) -> tuple[wire.Contact, ...]:
    """Who is in my roster; in a conversation, a hypervisor's roster means its machines."""
    return _list_contacts(entity)


@command(
    wire.GetRoster,
    on=EntityKind.VIRTUAL_MACHINE,
    right="getroster",
    failure=ErrorCode.GET_ROSTER,
    chat=Chat(("roster", "users"), _say_contacts, right="roster"),
)
async def get_roster(entity: Entity, _request: wire.GetRoster, _caller: Caller) -> tuple[wire.Contact, ...]:
    """Who is in my roster."""
    return _list_contacts(entity)


def _list_contacts(entity: Entity) -> tuple[wire.Contact, ...]:
    return tuple(wire.Contact(jid=bare, subscription=entity.contacts.subscription(bare)) for bare in sorted(entity.contacts))
