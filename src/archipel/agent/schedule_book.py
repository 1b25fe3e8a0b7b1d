# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scheduled jobs as the agent's database keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from archipel.agent.schedule_tables import JobRow
from archipel.agent.store import Store


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """A job; the fields are those of :class:`~archipel.agent.schedule_tables.JobRow`."""

    entity: str
    uid: str
    action: str
    parameter: str
    fields: Mapping[str, str]
    zone: str
    moment: datetime | None
    comment: str
    creator: str
    due: datetime
    started: datetime | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Entity and uid, of which there is one job."""
        return self.entity, self.uid


async def read_jobs(store: Store) -> tuple[JobRecord, ...]:
    """Return all jobs, in the order of their next runs."""
    query = select(JobRow).order_by(JobRow.due, JobRow.uid)
    return await store.run(lambda session: tuple(_record(row) for row in session.scalars(query)))


async def keep_job(store: Store, job: JobRecord) -> None:
    """Write a job, new or changed."""
    await store.run(lambda session: session.merge(JobRow(**asdict(replace(job, fields=dict(job.fields))))) and None)


async def drop_job(store: Store, key: tuple[str, str]) -> None:
    """Forget a job; one that is gone is no error."""
    await store.run(lambda session: _drop(session, JobRow.entity == key[0], JobRow.uid == key[1]))


async def drop_jobs(store: Store, entity: str) -> None:
    """Forget all jobs of an entity."""
    await store.run(lambda session: _drop(session, JobRow.entity == entity))


def _drop(session: Session, *conditions: object) -> None:
    session.execute(delete(JobRow).where(*conditions)).close()  # type: ignore[arg-type] # comparisons of columns


def _record(row: JobRow) -> JobRecord:
    return JobRecord(
        entity=row.entity,
        uid=row.uid,
        action=row.action,
        parameter=row.parameter,
        fields=MappingProxyType(row.fields),
        zone=row.zone,
        moment=row.moment,
        comment=row.comment,
        creator=row.creator,
        due=row.due,
        started=row.started,
    )
