# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which declaration owns what, as the agent's database keeps it: one label for each thing, each change whole or not at all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.orm import Session

from archipel.agent.ownership_tables import ClaimRow, goes_with
from archipel.agent.store import Store, canonical_uuid
from archipel.protocol.declaration import MACHINE
from archipel.protocol.errors import BadRequest, CommandError, Condition

Item = tuple[str, str]
"""Kind and key of a thing."""

MOST_ITEMS: Final = 100_000
"""Of one hypervisor; a thousand machines with dozens of rights each have fewer."""
PAGE: Final = 500
"""Items in an answer: with the longest keys and labels they fit in a stanza."""
TOGETHER: Final = 400
LONGEST_LIST: Final = 10  # items that an error names


@dataclass(frozen=True, kw_only=True)
class ClaimRecord:
    """A label owns something; who (bare JID) had it so, and when."""

    kind: str
    key: str
    label: str
    claimed_by: str
    claimed_at: datetime = field(default_factory=lambda: datetime.now(UTC))


def proper_item(kind: str, key: str) -> Item:
    """Return an item as it is kept: the UUID of a machine, or with which the key begins, in lower case.

    Raises :class:`BadRequest` for a machine whose key is none.
    """
    head, slash, rest = key.strip().partition("/")
    try:
        uuid = canonical_uuid(head)
    except ValueError:
        if kind == MACHINE:
            raise BadRequest(f"key: that of a machine is its UUID, not {key[:60]!r}") from None
        return kind, key.strip()
    if kind == MACHINE and slash:
        raise BadRequest(f"key: that of a machine is its UUID, not {key[:60]!r}")
    return kind, f"{uuid}{slash}{rest}"


def machine_of(item: Item) -> str | None:
    """Return the UUID with which the key of an item begins: it goes with that machine, if it is one."""
    kind, key = item
    head, slash, _rest = key.partition("/")
    try:
        return canonical_uuid(head, strict=True) if slash or kind == MACHINE else None
    except ValueError:
        return None


# -- questions ----------------------------------------------------------------------------------------------------------


async def list_claims(store: Store, label: str | None, after: Item | None) -> tuple[tuple[ClaimRecord, ...], bool]:
    """Return what a label owns, or all, in the order of kinds and keys, from behind an item on; and whether there is more."""
    query = select(ClaimRow).order_by(ClaimRow.kind, ClaimRow.key).limit(PAGE + 1)
    if label is not None:
        query = query.where(ClaimRow.label == label)
    if after is not None:
        query = query.where(tuple_(ClaimRow.kind, ClaimRow.key) > after)
    found = await store.run(lambda session: tuple(_record(row) for row in session.scalars(query)))
    return found[:PAGE], len(found) > PAGE


async def claims_of_machine(store: Store, uuid: str) -> tuple[ClaimRecord, ...]:
    """Return who owns a machine, and what is on it."""
    query = select(ClaimRow).where(goes_with(uuid)).order_by(ClaimRow.kind, ClaimRow.key)
    return await store.run(lambda session: tuple(_record(row) for row in session.scalars(query)))


# -- changes ------------------------------------------------------------------------------------------------------------


async def change(store: Store, label: str, *, add: Collection[Item], remove: Collection[Item], take: bool, caller: str) -> None:
    """Let a label own things, or not any more, in one transaction.

    Raises ``conflict`` for what another label owns, unless ``take``; ``resource-constraint`` if too much would be owned.
    """

    def work(session: Session) -> None:
        _delete(session, [item for item, owner in _owners(session, remove).items() if owner == label])
        owners = _owners(session, add)
        others = {item: owner for item, owner in owners.items() if owner != label}
        if others and not take:
            raise _refuse_owned(others)
        _delete(session, list(others))
        fresh = [item for item in add if owners.get(item) != label]
        session.add_all(ClaimRow(kind=kind, key=key, label=label, claimed_by=caller, claimed_at=now) for kind, key in fresh)
        _refuse_too_many(session)

    now = datetime.now(UTC)
    await store.run(work)


def write_claims(session: Session, claims: Iterable[ClaimRecord]) -> None:
    """Keep who owns a machine that came, and what is on it, in a transaction of somebody's."""
    for claim in claims:
        session.merge(ClaimRow(**vars(claim)))


def _owners(session: Session, items: Collection[Item]) -> dict[Item, str]:
    """Return whose these things are, those that nobody owns left out."""
    found: dict[Item, str] = {}
    for some in _batches(items):
        query = select(ClaimRow.kind, ClaimRow.key, ClaimRow.label).where(tuple_(ClaimRow.kind, ClaimRow.key).in_(some))
        found |= {(kind, key): label for kind, key, label in session.execute(query)}
    return found


def _delete(session: Session, items: Collection[Item]) -> None:
    for some in _batches(items):
        session.execute(delete(ClaimRow).where(tuple_(ClaimRow.kind, ClaimRow.key).in_(some)))


def _batches(items: Collection[Item]) -> Iterator[list[Item]]:
    """Yield as many items at a time as SQLite takes in a statement."""
    listed = list(items)
    return (listed[start : start + TOGETHER] for start in range(0, len(listed), TOGETHER))


def _refuse_owned(others: Mapping[Item, str]) -> CommandError:
    shown = [f"{kind} {key} ({label})" for (kind, key), label in list(others.items())[:LONGEST_LIST]]
    more = len(others) - len(shown)
    text = f"add: others own {', '.join(shown)}{f' and {more} more' if more else ''}; take them over with take=1"
    return CommandError(text, condition=Condition.CONFLICT)


def _refuse_too_many(session: Session) -> None:
    session.flush()
    if (session.scalar(select(func.count()).select_from(ClaimRow)) or 0) > MOST_ITEMS:
        raise CommandError(f"add: declarations own {MOST_ITEMS} things on one hypervisor at most", condition=Condition.RESOURCE_CONSTRAINT)


def _record(row: ClaimRow) -> ClaimRecord:
    return ClaimRecord(kind=row.kind, key=row.key, label=row.label, claimed_by=row.claimed_by, claimed_at=row.claimed_at)
