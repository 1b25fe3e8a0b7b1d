# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agent remembers of parked machines.

Between managed and parked a machine is in both tables, and its phase says which way it goes: each step is one transaction, so that a
crash at any moment leaves it in one of the two. The rights on it are not touched by any of this.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, delete, exists, select
from sqlalchemy.orm import Session

from archipel.agent.luggage import Luggage
from archipel.agent.migration_store import write_luggage
from archipel.agent.parking_tables import ParkedRow, ParkedState
from archipel.agent.store import (
    MachineExists,
    MachineRecord,
    NoSuchMachine,
    Phase,
    Store,
    StoreConflict,
    machine_columns,
    machine_row,
    read_machine,
)
from archipel.agent.tables import MachineRow
from archipel.protocol.errors import CommandError, Condition


@dataclass(frozen=True, kw_only=True)
class ParkedRecord:
    """A parked machine: what it was while it was managed, its definition with secrets, who parked it (bare JID) and when."""

    machine: MachineRecord
    definition: str = field(repr=False)
    parker: str
    autostart: bool = False
    state: ParkedState = ParkedState.PARKED
    keeps_folder: bool = False
    parked_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def uuid(self) -> str:
        """The machine's UUID."""
        return self.machine.uuid

    @property
    def name(self) -> str:
        """The machine's name."""
        return self.machine.name

    @property
    def adopted_or_kept(self) -> bool:
        """Whether its folder holds what this agent did not make, and stays when the machine goes."""
        return self.machine.adopted or (self.keeps_folder and self.state is ParkedState.CREATING)


# -- parking ------------------------------------------------------------------------------------------------------------


async def begin_park(store: Store, parked: ParkedRecord) -> None:
    """Note that a machine goes, and all that brings it back. Raises :class:`NoSuchMachine` if it is not a whole managed one."""

    def work(session: Session) -> None:
        row = session.get(MachineRow, parked.uuid)
        if row is None or row.phase is not Phase.ACTIVE:
            raise NoSuchMachine(f"{parked.uuid} is not a managed machine that can be parked now")
        row.phase = Phase.PARKING
        session.merge(_row(parked))

    await store.run(work)


async def undo_park(store: Store, uuid: str) -> None:
    """Note that a machine stays managed."""

    def work(session: Session) -> None:
        row = session.get(MachineRow, uuid)
        if row is not None and row.phase is Phase.PARKING:
            row.phase = Phase.ACTIVE
            session.execute(delete(ParkedRow).where(ParkedRow.uuid == uuid))

    await store.run(work)


async def finish_park(store: Store, uuid: str) -> None:
    """Note that a machine is parked; the rights on it stay."""
    await _drop_managed(store, uuid, Phase.PARKING)


# -- unparking ----------------------------------------------------------------------------------------------------------


async def begin_unpark(store: Store, parked: ParkedRecord) -> MachineRecord:
    """Note that a machine comes back. Raises :class:`MachineExists` if its name is taken."""
    record = replace(parked.machine, phase=Phase.UNPARKING)
    try:
        await store.run(lambda session: session.add(machine_row(record)))
    except StoreConflict:
        raise MachineExists(f"a managed machine has the name {record.name!r} or the UUID {record.uuid} already") from None
    return record


async def undo_unpark(store: Store, uuid: str) -> None:
    """Note that a machine stays parked."""
    await _drop_managed(store, uuid, Phase.UNPARKING)


async def finish_unpark(store: Store, uuid: str) -> None:
    """Note that a machine is managed again."""

    def work(session: Session) -> None:
        row = session.get(MachineRow, uuid)
        if row is None or row.phase is not Phase.UNPARKING:
            raise NoSuchMachine(f"{uuid} is not a machine that is being unparked")
        row.phase = Phase.ACTIVE
        session.execute(delete(ParkedRow).where(ParkedRow.uuid == uuid))

    await store.run(work)


async def _drop_managed(store: Store, uuid: str, phase: Phase) -> None:
    query = delete(MachineRow).where(MachineRow.uuid == uuid, MachineRow.phase == phase)
    await store.run(lambda session: session.execute(query).close())


# -- parked machines ----------------------------------------------------------------------------------------------------


async def add(store: Store, parked: ParkedRecord) -> None:
    """Remember a machine that was never managed."""
    await store.run(lambda session: session.add(_row(parked)))


async def set_state(store: Store, uuid: str, state: ParkedState) -> None:
    """Note what is about to be done with a parked machine, or that it is done."""
    await _change(store, uuid, state=state)


async def set_definition(store: Store, uuid: str, definition: str) -> None:
    """Give a parked machine another definition."""
    await _change(store, uuid, definition=definition)


async def remove(store: Store, uuid: str) -> None:
    """Forget a parked machine."""
    await store.run(lambda session: session.execute(delete(ParkedRow).where(ParkedRow.uuid == uuid)).close())


async def all_parked(store: Store) -> tuple[ParkedRecord, ...]:
    """Return the machines that are parked and at rest, by their names."""
    found = await _read(store, ParkedRow.state == ParkedState.PARKED)
    return sort_parked(found)


def sort_parked(found: Iterable[ParkedRecord]) -> tuple[ParkedRecord, ...]:
    """Return machines by their names."""
    return tuple(sorted(found, key=lambda parked: (parked.name.casefold(), parked.name, parked.uuid)))


async def find(store: Store, uuid: str, state: ParkedState = ParkedState.PARKED) -> ParkedRecord | None:
    """Return the machine with that UUID if it is parked and at rest, or in another state."""
    return next(iter(await _read(store, ParkedRow.state == state, ParkedRow.uuid == uuid)), None)


async def half_made(store: Store) -> tuple[ParkedRecord, ...]:
    """Return the machines that were being made or deleted."""
    return await _read(store, ParkedRow.state.in_((ParkedState.CREATING, ParkedState.DELETING)))


async def states(store: Store) -> dict[str, ParkedState]:
    """Return the states of all machines that are parked or about to be, by their UUIDs; some of them are managed, too."""
    return await store.run(lambda session: {row.uuid: row.state for row in session.scalars(select(ParkedRow))})


async def take(store: Store, parked: ParkedRecord, luggage: Luggage) -> None:
    """Note that a machine of the shared folder was taken, and all that is remembered of it."""

    def work(session: Session) -> None:
        session.add(_row(replace(parked, state=ParkedState.TAKEN)))
        write_luggage(session, luggage)

    await store.run(work)


async def refuse_parked(store: Store, uuid: str) -> None:
    """Raise ``conflict`` if a machine of that UUID is parked: account, folder and rights are taken."""
    name = await store.run(lambda session: session.scalar(select(ParkedRow.name).where(ParkedRow.uuid == uuid)))
    if name is not None:
        text = f"the machine {name!r} with the UUID {uuid} is parked: unpark or delete it"
        raise CommandError(text, condition=Condition.CONFLICT)


async def _read(store: Store, *conditions: ColumnElement[bool]) -> tuple[ParkedRecord, ...]:
    query = select(ParkedRow).where(~exists().where(MachineRow.uuid == ParkedRow.uuid), *conditions)
    return await store.run(lambda session: tuple(_record(row) for row in session.scalars(query)))


async def _change(store: Store, uuid: str, **values: object) -> None:
    def work(session: Session) -> None:
        row = session.get(ParkedRow, uuid)
        if row is None:
            raise NoSuchMachine(f"{uuid} is not parked")
        for name, value in values.items():
            setattr(row, name, value)

    await store.run(work)


def _row(parked: ParkedRecord) -> ParkedRow:
    return ParkedRow(
        **machine_columns(parked.machine),
        definition=parked.definition,
        autostart=parked.autostart,
        parker=parked.parker,
        parked_at=parked.parked_at,
        state=parked.state,
        keeps_folder=parked.keeps_folder,
    )


def _record(row: ParkedRow) -> ParkedRecord:
    return ParkedRecord(
        machine=read_machine(row, Phase.ACTIVE),
        definition=row.definition,
        parker=row.parker,
        autostart=row.autostart,
        state=row.state,
        keeps_folder=row.keeps_folder,
        parked_at=row.parked_at,
    )
