# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose declaration each thing is (namespace ``archipel:declaration``)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from archipel.agent import ownership
from archipel.agent.dispatch import Caller, Chat, command
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.ownership import ClaimRecord, Item
from archipel.protocol import declaration as wire
from archipel.protocol.declaration import DeclarationCode, OwnedItem
from archipel.protocol.errors import BadRequest
from archipel.protocol.rights import ON_HYPERVISOR, EntityKind, Token
from archipel.protocol.rules import write_moment
from archipel.xmpp.serial import serialize

HYPERVISOR = EntityKind.HYPERVISOR
TOKENS = (
    Token("ownership_get", "See which declarations own what", ON_HYPERVISOR),
    Token("ownership_set", "Let declarations own things, or not any more", ON_HYPERVISOR),
)
MOST_BYTES: Final = 100_000  # of an answer: the server ends a session that sends a stanza of more than 256 KiB


def _say_owned(page: wire.OwnedPage) -> str:
    lines = [f"{item.kind} {item.key}: {item.label}" for item in page.items]
    return "\n".join([*lines, *(["... and more"] if page.more else [])]) or "No declaration owns anything here."


@command(wire.ListOwned, on=HYPERVISOR, right="ownership_get", failure=DeclarationCode.OWNED, chat=Chat(("owned [label]",), _say_owned))
async def list_owned(hypervisor: Hypervisor, request: wire.ListOwned, _caller: Caller) -> wire.OwnedPage:
    """Which declarations own what, or what one of them owns."""
    after = None if request.after is None else (request.after.kind, request.after.key)
    claims, more = await ownership.list_claims(hypervisor.services.store, request.label, after)
    items = _fitting(claims)
    return wire.OwnedPage(items=items, more=more or len(items) < len(claims))


@command(wire.Own, on=HYPERVISOR, right="ownership_set", failure=DeclarationCode.OWN)
async def own(hypervisor: Hypervisor, request: wire.Own, caller: Caller) -> None:
    """Let a declaration own things, or not any more."""
    if len(request.add) + len(request.remove) > wire.MOST_CLAIMS:
        raise BadRequest(f"add, remove: at most {wire.MOST_CLAIMS} items in one request")
    add, remove = _read(request.add), _read(request.remove)
    if both := set(add) & set(remove):
        raise BadRequest(f"remove: {' '.join(min(both))} is to be added, too")
    _refuse_leaving(hypervisor, (*add, *remove))
    label = request.label.strip()
    await ownership.change(hypervisor.services.store, label, add=add, remove=remove, take=request.take, caller=caller.bare)


def _read(claims: Iterable[wire.Claim]) -> tuple[Item, ...]:
    return tuple(dict.fromkeys(ownership.proper_item(claim.kind, claim.key) for claim in claims))


def _refuse_leaving(hypervisor: Hypervisor, items: Iterable[Item]) -> None:
    """Refuse what would not go along with a machine that is leaving; what is written after this, before anything else, does."""
    for uuid in {ownership.machine_of(item) for item in items}:
        machine = hypervisor.machines.get(uuid or "")
        if machine is not None and machine.packed:
            machine.refuse_leaving()


def _fitting(claims: Iterable[ClaimRecord]) -> tuple[OwnedItem, ...]:
    """Return as many of these as an answer holds."""
    items: list[OwnedItem] = []
    size = 0
    for claim in claims:
        item = OwnedItem(kind=claim.kind, key=claim.key, label=claim.label, since=write_moment(claim.claimed_at), by=claim.claimed_by)
        size += len(serialize(item.write()).encode())
        if items and size > MOST_BYTES:
            break
        items.append(item)
    return tuple(items)
