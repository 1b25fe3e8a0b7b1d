# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Feeds and appliances as the agent's database keeps them."""

from __future__ import annotations

import uuid as uuids
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from archipel.agent.appliance_tables import ApplianceRow, FeedRow
from archipel.agent.store import Store
from archipel.protocol.appliances import Status
from archipel.protocol.feeds import Feed, Item

KEPT = frozenset({Status.INSTALLED, Status.DOWNLOADING})  # what stays although its feed has it no more


@dataclass(frozen=True, kw_only=True)
class FeedRecord:
    """A feed; the fields are those of :class:`~archipel.agent.appliance_tables.FeedRow`."""

    uuid: str
    url: str
    name: str
    description: str


@dataclass(frozen=True, kw_only=True)
class ApplianceRecord:
    """An appliance; the fields are those of :class:`~archipel.agent.appliance_tables.ApplianceRow`."""

    uuid: str
    source: str
    name: str
    description: str
    url: str
    size: int
    date: str
    sha256: str
    status: int
    recorded: str


async def read_feeds(store: Store) -> tuple[FeedRecord, ...]:
    """Return all feeds, by name."""
    query = select(FeedRow).order_by(FeedRow.name, FeedRow.uuid)
    return await store.run(lambda session: tuple(_feed(row) for row in session.scalars(query)))


async def read_appliances(store: Store) -> tuple[ApplianceRecord, ...]:
    """Return all appliances, by name."""
    query = select(ApplianceRow).order_by(ApplianceRow.name, ApplianceRow.uuid)
    return await store.run(lambda session: tuple(_appliance(row) for row in session.scalars(query)))


async def read_appliance(store: Store, uuid: str) -> ApplianceRecord | None:
    """Return one appliance."""

    def find(session: Session) -> ApplianceRecord | None:
        row = session.get(ApplianceRow, uuid)
        return None if row is None else _appliance(row)

    return await store.run(find)


async def keep_feed(store: Store, url: str, feed: Feed, uuid: str = "") -> None:
    """Write what a feed holds now; ``uuid`` is the feed's if it was known before. What is downloaded stays, whatever the feed says."""
    source = uuid or feed.uuid

    def work(session: Session) -> None:
        if uuid and session.get(FeedRow, uuid) is None:  # unregistered meanwhile
            return
        session.merge(FeedRow(uuid=source, url=url, name=feed.name, description=feed.description))
        offered = {_keep_item(session, source, item) for item in feed.items}
        gone = select(ApplianceRow).where(ApplianceRow.source == source, ApplianceRow.uuid.not_in(offered))
        for row in session.scalars(gone).all():
            if row.status not in KEPT:
                session.delete(row)

    await store.run(work)


def _keep_item(session: Session, source: str, item: Item) -> str:
    """Write an item and return what it is called here: another feed's of the same UUID keeps that."""
    uuid = item.uuid
    row = session.get(ApplianceRow, uuid)
    if row is not None and row.source not in {source, ""}:
        uuid = str(uuids.uuid5(uuids.UUID(source), uuid))
        row = session.get(ApplianceRow, uuid)
    if row is None:
        row = ApplianceRow(uuid=uuid, status=int(Status.NOT_DOWNLOADED), recorded="")
        session.add(row)
    row.source, row.name, row.description, row.url = source, item.name, item.description, item.url
    row.size, row.date, row.sha256 = item.size, item.date, item.sha256
    session.flush()
    return uuid


async def drop_feed(store: Store, uuid: str) -> bool:
    """Forget a feed and what is not downloaded of it; return whether there was one."""

    def work(session: Session) -> bool:
        row = session.get(FeedRow, uuid)
        if row is None:
            return False
        session.delete(row)
        for appliance in session.scalars(select(ApplianceRow).where(ApplianceRow.source == uuid)).all():
            if appliance.status in KEPT:
                appliance.source = ""
            else:
                session.delete(appliance)
        return True

    return await store.run(work)


async def set_status(store: Store, uuid: str, status: Status, recorded: str = "") -> None:
    """Write what there is of an appliance, which may be gone; one without feed is forgotten with its file."""

    def work(session: Session) -> None:
        row = session.get(ApplianceRow, uuid)
        if row is None:
            return
        row.status, row.recorded = int(status), recorded
        if not row.source and status not in KEPT:
            session.execute(delete(ApplianceRow).where(ApplianceRow.uuid == uuid))

    await store.run(work)


def _feed(row: FeedRow) -> FeedRecord:
    return FeedRecord(uuid=row.uuid, url=row.url, name=row.name, description=row.description)


def _appliance(row: ApplianceRow) -> ApplianceRecord:
    return ApplianceRecord(
        uuid=row.uuid,
        source=row.source,
        name=row.name,
        description=row.description,
        url=row.url,
        size=row.size,
        date=row.date,
        sha256=row.sha256,
        status=row.status,
        recorded=row.recorded,
    )
