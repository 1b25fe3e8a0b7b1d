# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each contact wants to be told by each entity: kept in the database, looked up in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from archipel.agent.notices.tables import PreferenceRow
from archipel.agent.store import Store
from archipel.protocol.preferences import NO_HOURS, Verbosity, covers, read_zone


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a contact has set at one entity; ``None`` where he has not."""

    verbosity: Verbosity | None = None
    quiet: str | None = None
    zone: str | None = None
    alarms: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Preference:
    """What counts for a contact at an entity; ``own``: by what he has set himself, here or at the hypervisor."""

    verbosity: Verbosity
    quiet: str
    zone: str
    alarms: bool
    origin: str

    @property
    def own(self) -> bool:
        """Whether he has said anything about it."""
        return self.origin != DEFAULT

    def is_quiet(self, moment: datetime) -> bool:
        """Whether he has quiet hours at a moment."""
        return covers(self.quiet, _zone(self.zone), moment)


OWN, HYPERVISOR, DEFAULT = "own", "hypervisor", "default"
_NOTHING: Final = Wish()
_UTC: Final = ZoneInfo("UTC")


@lru_cache(maxsize=512)
def _zone(name: str) -> ZoneInfo:
    """Return a time zone; one that this host does not know any more is UTC."""
    try:
        return read_zone(name)
    except ValueError:
        return _UTC


class Preferences:
    """The wishes of all contacts at all entities of one agent; :meth:`ready` before anything else."""

    def __init__(self, store: Store, hypervisor: str, verbosity: Verbosity, zone: str) -> None:
        self._store = store
        self._hypervisor = hypervisor
        self._default = Preference(verbosity=verbosity, quiet=NO_HOURS, zone=zone, alarms=True, origin=DEFAULT)
        self._wishes: dict[tuple[str, str], Wish] = {}
        self._loaded = False
        self._turn = asyncio.Lock()

    async def ready(self) -> None:
        """Read what is kept, if that was not done. Raises :class:`StoreError`."""
        async with self._turn:
            if not self._loaded:
                self._wishes = await self._store.run(_read)
                self._loaded = True

    def of(self, entity: str, contact: str) -> Preference:
        """Return what counts for a contact at an entity (bare JIDs)."""
        own = self._wishes.get((entity, contact))
        general = self._wishes.get((self._hypervisor, contact)) if entity != self._hypervisor else None
        if own is None and general is None:
            return self._default
        found = asdict(general or _NOTHING) | {name: value for name, value in asdict(own or _NOTHING).items() if value is not None}
        origin = OWN if own is not None else HYPERVISOR
        return replace(self._default, origin=origin, **{name: value for name, value in found.items() if value is not None})

    async def change(self, entity: str, contact: str, wish: Wish) -> None:
        """Keep what a contact sets, and what he set before where he does not. Raises :class:`StoreError`."""
        await self.ready()
        async with self._turn:
            before = self._wishes.get((entity, contact), _NOTHING)
            given = {item.name: value for item in fields(wish) if (value := getattr(wish, item.name)) is not None}
            after = replace(before, **given)
            await self._store.run(lambda session: write_wishes(session, entity, {contact: after}))
            self._wishes[entity, contact] = after

    async def take_in(self, entity: str) -> None:
        """Count what was written of an entity that came from elsewhere. Raises :class:`StoreError`."""
        await self.ready()
        async with self._turn:
            for contact, wish in (await read_wishes(self._store, entity)).items():
                self._wishes[entity, contact] = wish

    async def forget(self, entity: str, contact: str | None = None) -> None:
        """Forget what a contact set at an entity, or what all did. Raises :class:`StoreError`."""
        await self.ready()
        async with self._turn:
            kept = {key: wish for key, wish in self._wishes.items() if key[0] != entity or contact not in (None, key[1])}
            if len(kept) < len(self._wishes):
                await self._store.run(lambda session: _delete(session, entity, contact))
                self._wishes = kept


async def read_wishes(store: Store, entity: str) -> dict[str, Wish]:
    """Return what contacts have set at an entity. Raises :class:`StoreError`."""
    query = select(PreferenceRow).where(PreferenceRow.entity == entity)
    return await store.run(lambda session: {row.contact: _wish(row) for row in session.scalars(query)})


def write_wishes(session: Session, entity: str, wishes: Mapping[str, Wish]) -> None:
    """Keep what contacts have set at an entity, in a transaction of somebody's."""
    for contact, wish in wishes.items():
        session.merge(PreferenceRow(entity=entity, contact=contact, **asdict(wish)))


def _read(session: Session) -> dict[tuple[str, str], Wish]:
    return {(row.entity, row.contact): _wish(row) for row in session.scalars(select(PreferenceRow))}


def _wish(row: PreferenceRow) -> Wish:
    verbosity = Verbosity(row.verbosity) if row.verbosity is not None else None
    return Wish(verbosity=verbosity, quiet=row.quiet, zone=row.zone, alarms=row.alarms)


def _delete(session: Session, entity: str, contact: str | None) -> None:
    query = delete(PreferenceRow).where(PreferenceRow.entity == entity)
    session.execute(query if contact is None else query.where(PreferenceRow.contact == contact))
