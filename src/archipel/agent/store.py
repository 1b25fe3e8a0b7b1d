# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agent must not forget: managed machines, rights, a few values of its own.

All access goes through one thread. A method returns when its change is on the disk, so a crash at any moment loses nothing
that was acknowledged, and never leaves half of a change. If the waiting task is cancelled, the change is made all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, TypeVar

from sqlalchemy import delete, select, tuple_
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from archipel.agent.database import StoreError, open_database
from archipel.agent.names import name_key
from archipel.agent.ownership_tables import ClaimRow, goes_with
from archipel.agent.rule_tables import MakerRow, RuleRow
from archipel.agent.secret import Secret
from archipel.agent.tables import GrantRow, KeptFolderRow, MachineColumns, MachineRow, Phase, ValueRow
from archipel.protocol.rights import ALL
from archipel.protocol.vcard import Organisation

__all__ = ["GrantRecord", "MachineExists", "MachineRecord", "NoSuchMachine", "Organisation", "Phase", "Store", "StoreError"]

T = TypeVar("T")

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class StoreConflict(StoreError):
    """What was to be written contradicts what is there."""


class NoSuchMachine(StoreError):
    """There is no managed machine with that UUID."""


class MachineExists(StoreError):
    """Another managed machine has that UUID, or that name in another spelling."""


@dataclass(frozen=True, kw_only=True)
class MachineRecord:
    """A managed machine, as the agent remembers it.

    ``uuid`` is canonical, lower case. ``intent`` holds what must be known to finish or undo the phase (JSON values).
    ``adopted`` machines were there before the agent: undoing or unmanaging leaves their domain alone.
    """

    uuid: str
    name: str
    password: Secret
    phase: Phase = Phase.ALLOCATING
    intent: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    adopted: bool = False
    organisation: Organisation = field(default_factory=Organisation)
    tags: tuple[str, ...] = ()
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        canonical_uuid(self.uuid, strict=True)


@dataclass(frozen=True, kw_only=True)
class GrantRecord:
    """A right given to ``subject`` on ``entity`` (bare JIDs); without ``expires_at`` it lasts."""

    entity: str
    subject: str
    token: str
    granted_by: str
    granted_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    expires_at: datetime | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        if any(moment is not None and moment.tzinfo is None for moment in (self.granted_at, self.expires_at)):
            raise ValueError("the times of a grant need their time zone")

    @property
    def key(self) -> tuple[str, str, str]:
        """Entity, subject and token, of which there is one grant."""
        return self.entity, self.subject, self.token


def canonical_uuid(text: str, *, strict: bool = False) -> str:
    """Return a UUID in its canonical form, lower case; ``strict`` takes no other.

    Raises :class:`ValueError`. A UUID becomes a folder's name and an account: nothing else may pass for one.
    """
    canonical = text if strict else text.lower()
    if not _UUID.fullmatch(canonical):
        raise ValueError(f"{text!r} is not a UUID like 6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69")
    return canonical


class Store:
    """The agent's database; made by :meth:`open`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="archipel-store")
        self._engine: Any = None
        self.transactions = 0
        self.busy_seconds = 0.0

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open the database at ``path``, make it if there is none, bring its tables up to date.

        Raises :class:`StoreError` if it is damaged, another program's, or newer than this agent.
        """
        store = cls(path)
        with contextlib.ExitStack() as undo:
            undo.callback(store._thread.shutdown, wait=False)
            store._engine = await asyncio.get_running_loop().run_in_executor(store._thread, open_database, path)
            undo.pop_all()
        return store

    async def close(self) -> None:
        """Finish what is under way and close the file; nothing can be done with the store afterwards."""
        if self._engine is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._engine.dispose)
            self._engine = None
        self._thread.shutdown()

    async def run(self, work: Callable[[Session], T]) -> T:
        """Run ``work`` in a transaction of its own and return its result after the commit.

        An exception in ``work`` undoes everything it did. ``work`` runs on the store's thread: it returns plain values, no rows.
        Raises :class:`StoreError` if the database fails.
        """
        if self._engine is None:
            raise StoreError(f"{self.path} is closed")
        # Shielded, because cancelling what still waits for the thread would take it out of the queue.
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, self._transact, work))

    def _transact(self, work: Callable[[Session], T]) -> T:
        started = time.monotonic()
        try:
            with Session(self._engine) as session, session.begin():
                return work(session)
        except DBAPIError as error:
            kind = StoreConflict if isinstance(error, IntegrityError) else StoreError
            raise kind(f"{self.path}: {error.orig}") from error
        finally:
            self.transactions += 1
            self.busy_seconds += time.monotonic() - started

    # -- machines -------------------------------------------------------------------------------------------------------

    async def add_machine(self, machine: MachineRecord) -> None:
        """Remember a new machine. Raises :class:`MachineExists`."""
        try:
            await self.run(lambda session: session.add(machine_row(machine)))
        except StoreConflict:
            raise MachineExists(f"a managed machine has the name {machine.name!r} or the UUID {machine.uuid} already") from None

    async def machine(self, uuid: str) -> MachineRecord | None:
        """Return the machine with that UUID, in any case, if it is managed."""

        def find(session: Session) -> MachineRecord | None:
            row = session.get(MachineRow, uuid.lower())
            return None if row is None else _record(row)

        return await self.run(find)

    async def machines(self, *phases: Phase) -> tuple[MachineRecord, ...]:
        """Return the machines in one of ``phases``, or all, oldest first."""
        query = select(MachineRow).order_by(MachineRow.created_at, MachineRow.uuid)
        if phases:
            query = query.where(MachineRow.phase.in_(phases))
        return await self.run(lambda session: tuple(_record(row) for row in session.scalars(query)))

    async def set_phase(self, uuid: str, phase: Phase, intent: Mapping[str, Any] = MappingProxyType({})) -> None:
        """Note what is about to be done with a machine, or that it is done. Raises :class:`NoSuchMachine`."""
        await self._change_machine(uuid, phase=phase, intent=dict(intent))

    async def rename_machine(self, uuid: str, name: str) -> None:
        """Change a machine's name. Raises :class:`NoSuchMachine`, :class:`MachineExists`."""
        try:
            await self._change_machine(uuid, name=name, name_key=name_key(name))
        except StoreConflict:
            raise MachineExists(f"a managed machine has the name {name!r} already") from None

    async def set_organisation(self, uuid: str, organisation: Organisation) -> None:
        """Change the organisation fields of a machine. Raises :class:`NoSuchMachine`."""
        await self._change_machine(uuid, **asdict(organisation))

    async def set_tags(self, uuid: str, tags: Iterable[str]) -> None:
        """Replace the tags of a machine. Raises :class:`NoSuchMachine`."""
        await self._change_machine(uuid, tags=list(tags))

    async def tags_of(self, uuids: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Return the tags of these machines, by UUID."""
        query = select(MachineRow.uuid, MachineRow.tags).where(MachineRow.uuid.in_(list(uuids)))
        return await self.run(lambda session: {uuid: tuple(tags) for uuid, tags in session.execute(query)})

    async def remove_machine(self, uuid: str, entity: str | None = None, *, keeps_folder: bool = False) -> None:
        """Forget a machine and, at the same moment, rights on its entity (bare JID) and what owned it. One that is gone is no error.

        ``keeps_folder``: its folder is still there, and belongs to those who had ``all`` on the entity without an end
        (:meth:`folder_owners`). A machine that was never whole changes nothing about that.
        """

        def remove(session: Session) -> None:
            erase_machine(session, uuid, entity, keeps_folder=keeps_folder)

        await self.run(remove)

    async def folder_owners(self, uuid: str) -> frozenset[str]:
        """Return to whom (bare JIDs) the folder belongs that the last machine of that UUID left behind."""
        query = select(KeptFolderRow.owner).where(KeptFolderRow.uuid == uuid.lower())
        return await self.run(lambda session: frozenset(session.scalars(query)))

    async def _change_machine(self, uuid: str, **values: Any) -> None:
        def change(session: Session) -> None:
            row = session.get(MachineRow, uuid.lower())
            if row is None:
                raise NoSuchMachine(f"{uuid} is not a managed machine")
            for name, value in values.items():
                setattr(row, name, value)

        await self.run(change)

    # -- grants ---------------------------------------------------------------------------------------------------------

    async def grants(self, entity: str | None = None) -> tuple[GrantRecord, ...]:
        """Return the grants on an entity, or all, expired ones included."""
        query = select(GrantRow).order_by(GrantRow.id)
        if entity is not None:
            query = query.where(GrantRow.entity == entity)
        return await self.run(lambda session: tuple(_grant(row) for row in session.scalars(query)))

    async def change_grants(self, add: Iterable[GrantRecord] = (), remove: Collection[tuple[str, str, str]] = ()) -> None:
        """Remove and add grants, all or none; one that is there already is replaced."""
        added = tuple(add)
        await self.run(lambda session: write_grants(session, added, remove))

    async def drop_grants(self, entity: str) -> None:
        """Remove all grants on an entity."""
        await self.run(lambda session: session.execute(delete(GrantRow).where(GrantRow.entity == entity)).close())

    # -- values of the agent --------------------------------------------------------------------------------------------

    async def value(self, key: str) -> str | None:
        """Return a value of the agent's own."""

        def find(session: Session) -> str | None:
            row = session.get(ValueRow, key)
            return None if row is None else row.value

        return await self.run(find)

    async def set_value(self, key: str, value: str) -> None:
        """Keep a value of the agent's own."""
        await self.run(lambda session: session.merge(ValueRow(key=key, value=value)) and None)

    async def agent_id(self) -> str:
        """Return the UUID of this installation, made when it is first asked for."""

        def find_or_make(session: Session) -> str:
            row = session.get(ValueRow, "agent_id")
            if row is None:
                row = ValueRow(key="agent_id", value=str(uuid.uuid4()))
                session.add(row)
            return row.value

        return await self.run(find_or_make)


def write_grants(session: Session, add: Collection[GrantRecord], remove: Iterable[tuple[str, str, str]]) -> None:
    """Remove and add grants in a transaction of somebody's."""
    for key in {*remove, *(grant.key for grant in add)}:
        session.execute(delete(GrantRow).where(tuple_(GrantRow.entity, GrantRow.subject, GrantRow.token) == key))
    session.add_all(GrantRow(**asdict(grant)) for grant in add)


def erase_machine(session: Session, uuid: str, entity: str | None, *, keeps_folder: bool) -> None:
    """Forget a machine as :meth:`Store.remove_machine` does, in a transaction of somebody's."""
    row = session.get(MachineRow, uuid.lower())
    if row is not None and row.phase is not Phase.ALLOCATING:
        _note_owners(session, row.uuid, entity if keeps_folder else None)
    session.execute(delete(MachineRow).where(MachineRow.uuid == uuid.lower()))
    if entity is not None:
        session.execute(delete(ClaimRow).where(goes_with(uuid.lower())))
        for table in (GrantRow, RuleRow, MakerRow):
            session.execute(delete(table).where(table.entity == entity))


def _note_owners(session: Session, uuid: str, entity: str | None) -> None:
    """Note whose the folder of a machine is; without ``entity`` there is no folder."""
    session.execute(delete(KeptFolderRow).where(KeptFolderRow.uuid == uuid))
    if entity is not None:
        query = select(GrantRow.subject).where(GrantRow.entity == entity, GrantRow.token == ALL, GrantRow.expires_at.is_(None))
        session.add_all(KeptFolderRow(uuid=uuid, owner=owner) for owner in session.scalars(query))


def machine_row(machine: MachineRecord) -> MachineRow:
    """Return what is written of a managed machine."""
    return MachineRow(**machine_columns(machine), name_key=name_key(machine.name), phase=machine.phase, intent=dict(machine.intent))


def machine_columns(machine: MachineRecord) -> dict[str, Any]:
    """Return the columns of a machine that a row has wherever it is (:class:`~archipel.agent.tables.MachineColumns`)."""
    return {
        "uuid": machine.uuid,
        "name": machine.name,
        "password": machine.password.reveal(),
        "adopted": machine.adopted,
        **asdict(machine.organisation),
        "tags": list(machine.tags),
        "created_at": machine.created_at,
    }


def _record(row: MachineRow) -> MachineRecord:
    return read_machine(row, row.phase, row.intent)


def read_machine(row: MachineColumns, phase: Phase, intent: Mapping[str, Any] = MappingProxyType({})) -> MachineRecord:
    """Return the machine that a row tells of."""
    return MachineRecord(
        uuid=row.uuid,
        name=row.name,
        password=Secret(row.password),
        phase=phase,
        intent=MappingProxyType(intent),
        adopted=row.adopted,
        organisation=Organisation(row.orgname, row.orgunit, row.locality, row.userid, row.categories),
        tags=tuple(row.tags),
        created_at=row.created_at,
    )


def _grant(row: GrantRow) -> GrantRecord:
    return GrantRecord(
        entity=row.entity,
        subject=row.subject,
        token=row.token,
        granted_by=row.granted_by,
        granted_at=row.granted_at,
        expires_at=row.expires_at,
        reason=row.reason,
    )
