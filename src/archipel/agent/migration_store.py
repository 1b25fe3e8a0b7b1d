# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the agent remembers of machines that leave and come: each step is one transaction, written before it is done."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from archipel.agent.luggage import Luggage
from archipel.agent.migration_tables import IncomingRow, Leaving, OutgoingRow
from archipel.agent.notices.preferences import write_wishes
from archipel.agent.ownership import write_claims
from archipel.agent.rule_store import write_luggage_rules
from archipel.agent.schedule_tables import JobRow
from archipel.agent.secret import Secret
from archipel.agent.store import (
    MachineExists,
    MachineRecord,
    NoSuchMachine,
    Phase,
    Store,
    StoreConflict,
    erase_machine,
    machine_row,
    write_grants,
)
from archipel.agent.tables import MachineRow
from archipel.protocol.migration import Mode, Standing


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """An attempt to move a machine away; the fields are those of :class:`~archipel.agent.migration_tables.OutgoingRow`."""

    attempt: str
    uuid: str
    destination: str
    mover: str
    state: Leaving = Leaving.MOVING
    mode: Mode = Mode.PLAIN
    shared: bool = True
    autostart: bool = False
    copied: tuple[str, ...] = ()
    reason: str = ""
    cancelled: bool = False
    began_at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, kw_only=True)
class Incoming:
    """A machine that was announced; the fields are those of :class:`~archipel.agent.migration_tables.IncomingRow`."""

    uuid: str
    attempt: str
    source: str
    mover: str
    definition: str = field(repr=False)
    state: Standing = Standing.EXPECTED
    plain: bool = False
    made: tuple[str, ...] = ()
    began_at: datetime = field(default_factory=lambda: datetime.now(UTC))


# -- machines that leave ------------------------------------------------------------------------------------------------


async def begin(store: Store, outgoing: Outgoing) -> None:
    """Note that a machine is to move. Raises :class:`NoSuchMachine` if it is no whole managed one."""

    def work(session: Session) -> None:
        _change_phase(session, outgoing.uuid, Phase.ACTIVE, Phase.MIGRATING)
        session.add(_outgoing_row(outgoing))

    await store.run(work)


async def keep(store: Store, outgoing: Outgoing) -> None:
    """Write down where a machine that leaves stands now."""
    phases = {Leaving.LETTING: Phase.LEAVING, Leaving.STAYING: Phase.ACTIVE}

    def work(session: Session) -> None:
        session.merge(_outgoing_row(outgoing))
        wanted = phases.get(outgoing.state)
        row = session.get(MachineRow, outgoing.uuid)
        if wanted is not None and row is not None and row.phase is Phase.MIGRATING:
            row.phase = wanted

    await store.run(work)


async def finish(store: Store, outgoing: Outgoing) -> None:
    """Forget an attempt that is over."""
    await store.run(lambda session: session.execute(delete(OutgoingRow).where(OutgoingRow.attempt == outgoing.attempt)).close())


async def finish_left(store: Store, outgoing: Outgoing, entity: str, *, keeps_folder: bool) -> None:
    """Forget a machine that left, all rights on its entity, and the attempt, at once: it may come back the moment after."""

    def work(session: Session) -> None:
        erase_machine(session, outgoing.uuid, entity, keeps_folder=keeps_folder)
        session.execute(delete(OutgoingRow).where(OutgoingRow.attempt == outgoing.attempt))

    await store.run(work)


async def all_outgoing(store: Store) -> tuple[Outgoing, ...]:
    """Return all attempts, oldest first."""
    query = select(OutgoingRow).order_by(OutgoingRow.began_at, OutgoingRow.attempt)
    return await store.run(lambda session: tuple(_outgoing(row) for row in session.scalars(query)))


async def find_outgoing(store: Store, attempt: str) -> Outgoing | None:
    """Return an attempt that is not over."""

    def find(session: Session) -> Outgoing | None:
        row = session.get(OutgoingRow, attempt)
        return None if row is None else _outgoing(row)

    return await store.run(find)


# -- machines that come -------------------------------------------------------------------------------------------------


async def expect(store: Store, incoming: Incoming, name: str) -> None:
    """Take name and UUID for a machine that is to come. Raises :class:`MachineExists`."""
    machine = MachineRecord(uuid=incoming.uuid, name=name, password=Secret(""), phase=Phase.ARRIVING)

    def work(session: Session) -> None:
        session.add(machine_row(machine))
        session.merge(_incoming_row(incoming))

    try:
        await store.run(work)
    except StoreConflict:
        raise MachineExists(f"a managed machine has the name {name!r} or the UUID {incoming.uuid} already") from None


async def find_incoming(store: Store, uuid: str) -> Incoming | None:
    """Return the last machine of that UUID that was announced."""

    def find(session: Session) -> Incoming | None:
        row = session.get(IncomingRow, uuid)
        return None if row is None else _incoming(row)

    return await store.run(find)


async def keep_incoming(store: Store, incoming: Incoming) -> None:
    """Write down more of a machine that is to come."""
    await store.run(lambda session: session.merge(_incoming_row(incoming)) and None)


async def hold(store: Store, incoming: Incoming, record: MachineRecord, luggage: Luggage) -> None:
    """Take in all that is remembered of a machine, at once; it is not served yet."""

    def work(session: Session) -> None:
        row = session.get(MachineRow, incoming.uuid)
        if row is None or row.phase is not Phase.ARRIVING:
            raise NoSuchMachine(f"{incoming.uuid} is not a machine that is expected")
        session.merge(machine_row(replace(record, phase=Phase.ARRIVING)))
        write_luggage(session, luggage)
        session.merge(_incoming_row(replace(incoming, state=Standing.HELD)))

    await store.run(work)


async def serve(store: Store, incoming: Incoming) -> None:
    """Note that a machine that is held is this agent's now."""

    def work(session: Session) -> None:
        _change_phase(session, incoming.uuid, Phase.ARRIVING, Phase.ACTIVE)
        session.merge(_incoming_row(replace(incoming, state=Standing.SERVED, definition="", made=())))

    await store.run(work)


async def forget(store: Store, incoming: Incoming) -> None:
    """Forget a machine that was expected."""

    def work(session: Session) -> None:
        session.execute(delete(IncomingRow).where(IncomingRow.uuid == incoming.uuid, IncomingRow.attempt == incoming.attempt))
        session.execute(delete(MachineRow).where(MachineRow.uuid == incoming.uuid, MachineRow.phase == Phase.ARRIVING))

    await store.run(work)


def write_luggage(session: Session, luggage: Luggage) -> None:
    """Keep the rights, rules, jobs, contacts' wishes and owners of a machine that came, in a transaction of somebody's."""
    write_luggage_rules(session, luggage.rules, (luggage.entity, luggage.maker) if luggage.maker else None)
    write_grants(session, luggage.grants, [])
    for job in luggage.jobs:
        session.merge(JobRow(**job.values()))
    write_wishes(session, luggage.entity, luggage.wishes)
    write_claims(session, luggage.claims)


# -- rows ---------------------------------------------------------------------------------------------------------------


def _change_phase(session: Session, uuid: str, old: Phase, new: Phase) -> None:
    row = session.get(MachineRow, uuid)
    if row is None or row.phase is not old:
        raise NoSuchMachine(f"{uuid} is no machine that is {old}")
    row.phase = new


def _outgoing_row(outgoing: Outgoing) -> OutgoingRow:
    return OutgoingRow(**{**vars(outgoing), "copied": list(outgoing.copied)})


def _outgoing(row: OutgoingRow) -> Outgoing:
    names = Outgoing.__dataclass_fields__
    return Outgoing(**{**{name: getattr(row, name) for name in names}, "copied": tuple(row.copied)})


def _incoming_row(incoming: Incoming) -> IncomingRow:
    return IncomingRow(**{**vars(incoming), "made": list(incoming.made)})


def _incoming(row: IncomingRow) -> Incoming:
    names = Incoming.__dataclass_fields__
    return Incoming(**{**{name: getattr(row, name) for name in names}, "made": tuple(row.made)})
