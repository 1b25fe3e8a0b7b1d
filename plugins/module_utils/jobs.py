# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What machines and hypervisors do later, or again and again, as module ``schedule`` declares it."""

from __future__ import annotations

import asyncio
import difflib
import itertools
import re
import uuid
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.directory import find_entities
from ansible_collections.archipel.platform.plugins.module_utils.entries import is_present
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Change, Resource, Values

try:
    from archipel.client import VirtualMachine
    from archipel.protocol.scheduler import FIELDS, describe_fields, fill_fields
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.directory import NamedEntity

    from archipel.client import Entity, Hypervisor
    from archipel.protocol.scheduler import Job

TIMES = ("year", "month", "day", "weekday", "hour", "minute", "second")
JOB: Mapping[str, Mapping[str, Any]] = {
    "name": {"type": "str"},
    "job": {"type": "str"},
    "param": {"type": "str"},
    **{name: {"type": "str"} for name in TIMES},
    "state": {"type": "str", "choices": ["present", "absent"]},
}
KIND: Mapping[str, Mapping[str, Any]] = {"machine": {"type": "str"}, **JOB}
_EXPRESSION = re.compile(r"[0-9A-Za-z*/, -]+")
_LATEST_ZONE = timedelta(hours=12)  # behind UTC: a moment comes nowhere later than there


class DeclaredJob(Resource):
    """A job of a machine, or of the hypervisor if none is named; the value is the list of the jobs of that name: one, or none.

    Agents keep the name as the job's comment. ``named`` is the machine where it is known already.
    """

    def __init__(self, hypervisor: Hypervisor, arguments: Mapping[str, Any], *, check_mode: bool, named: NamedEntity | None = None) -> None:
        self.hypervisor, self.machine, self._named = hypervisor, arguments.get("machine"), named
        self.name, self.present = str(arguments["name"]).strip(), is_present(arguments)
        self.title = f"{self.name} on {named.name if named else self.machine or hypervisor.bare}"
        self.job, self.param = arguments.get("job"), (arguments.get("param") or "").strip()
        self.times = {name: str(arguments[name]) for name in TIMES if arguments.get(name) is not None}
        self._check_names = check_mode
        self._found: list[Job] = []
        self._refuse_nonsense()

    def _refuse_nonsense(self) -> None:
        if not self.name:
            raise ValueError("name: say what the job is called")
        if self.present and (not self.job or not self.times):
            raise ValueError(f"{self.title}: job, {', '.join(TIMES)}: say what is done, and when")
        for name, text in self.times.items():
            if not _EXPRESSION.fullmatch(text):
                raise ValueError(f"{self.title}: {name}: must be a number, * or a cron expression such as */5, 1-5 or 8,20, not {text!r}")

    async def named(self) -> NamedEntity:
        """Return whose job it is; looked for once."""
        if self._named is None:
            [self._named] = await find_entities(self.hypervisor, None if self.machine is None else [self.machine])
        return self._named

    async def read(self) -> Values:
        """Return the jobs of that name; in check mode, refuse what jobs cannot do there."""
        schedule = (await self.named()).entity.schedule
        if self._check_names and self.present:
            _refuse_unknown(str(self.job), await schedule.actions(), self.title)
        self._found = [job for job in await schedule.list() if job.comment == self.name]
        return {"jobs": sorted((describe_job(job) for job in self._found), key=str)}

    def desired(self, current: Values) -> Values:
        """Return the job that shall be there; one for a moment that is over is not."""
        if not self.present or (self.is_over and not current["jobs"]):
            return {"jobs": []}
        return {"jobs": [self._wanted]}

    @property
    def _wanted(self) -> dict[str, str]:
        fields = fill_fields(self.times)
        optional = {"param": self.param, "weekday": fields.get("weekday", "")}
        return {"job": str(self.job), "when": describe_fields(fields), **{name: text for name, text in optional.items() if text}}

    @property
    def is_over(self) -> bool:
        """Whether the job is for one moment, and that is over in every time zone."""
        fields = fill_fields(self.times) if self.times else {}
        if not fields or "weekday" in fields or not all(text.isdigit() for text in fields.values()):
            return False
        year, month, day, hour, minute, second = (int(fields[name]) for name in FIELDS)
        try:
            moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        except ValueError:
            return False  # the agent says what is wrong with it
        return moment + _LATEST_ZONE < datetime.now(UTC)

    async def apply(self, current: Values, desired: Values) -> None:
        """Plan the job before those that it takes the place of are forgotten."""
        schedule = (await self.named()).entity.schedule
        kept = [job for job in self._found if describe_job(job) in desired["jobs"]][:1]
        if desired["jobs"] and not kept:
            await schedule.add(str(self.job), comment=self.name, param=self.param, **self.times)
        for job in self._found:
            if job not in kept:
                await schedule.remove(uuid.UUID(job.uid))

    def report(self, change: Change) -> dict[str, Any]:
        """Return whose job it is and what it is, as far as it is known."""
        named = self._named
        [wanted] = change.after["jobs"] or [{}]
        planned = next((job for job in self._found if describe_job(job) == wanted), None)
        known = (
            {} if planned is None else {"uid": planned.uid, "zone": planned.zone, "next_run": planned.next_run, "creator": planned.creator}
        )
        entity = {"entity": named.name, "jid": named.entity.bare} if named else {}
        return {"name": self.name, **entity, "present": bool(wanted), **wanted, **known}


class OtherJobs(Resource):
    """The jobs of an entity beside those that are declared: there shall be none."""

    def __init__(self, named: NamedEntity, names: Collection[str]) -> None:
        self.title = f"other jobs of {named.name}"
        self.named, self.names = named, {name.strip() for name in names}
        self._found: list[Job] = []

    async def read(self) -> Values:
        """Return what they are."""
        self._found = [job for job in await self.named.entity.schedule.list() if job.comment not in self.names]
        return {"jobs": sorted(({"name": job.comment, **describe_job(job)} for job in self._found), key=str)}

    def desired(self, current: Values) -> Values:
        """Return that there shall be none."""
        return {"jobs": []}

    async def apply(self, current: Values, desired: Values) -> None:
        """Forget them."""
        for job in self._found:
            await self.named.entity.schedule.remove(uuid.UUID(job.uid))

    def report(self, change: Change) -> dict[str, Any]:
        """Return which are gone."""
        gone = [job["name"] for job in change.before["jobs"]]
        return {"entity": self.named.name, "jid": self.named.entity.bare, "present": False, "removed": gone}


def describe_job(job: Job) -> dict[str, str]:
    """Return what a job does, and when."""
    optional = {"param": job.param or "", "weekday": job.weekday or ""}
    return {"job": job.action, "when": job.date, **{name: text for name, text in optional.items() if text}}


async def describe_all(hypervisor: Hypervisor) -> list[dict[str, Any]]:
    """Return the jobs of the hypervisor and of its machines; those without a name, which nothing can declare, are left out."""
    entries = sorted((entry for entry in await hypervisor.machines() if entry.managed), key=lambda entry: entry.name)
    entities: list[tuple[dict[str, str], Entity]] = [({}, hypervisor)]
    entities += [({"machine": entry.name}, VirtualMachine(hypervisor.session, entry.jid, entry.name)) for entry in entries]
    found = await asyncio.gather(*(entity.schedule.list() for _machine, entity in entities))
    jobs = [(machine, job) for (machine, _entity), jobs in zip(entities, found, strict=True) for job in jobs]
    return [{**machine, **_declare(job)} for machine, job in jobs if job.comment and job.hour is not None]


def _declare(job: Job) -> dict[str, str]:
    """Return a job as it is declared; the first fields of its time are left out where they say nothing."""
    fields = {name: str(getattr(job, name)) for name in (FIELDS if not job.weekday else FIELDS[3:])}
    dated = {name: str(getattr(job, name)) for name in FIELDS[:3] if job.weekday and getattr(job, name) != "*"}
    said = dict(itertools.dropwhile(lambda field: field[1] == "*", fields.items())) if not job.weekday else fields
    optional = {"param": job.param, "weekday": job.weekday}
    return {"name": job.comment, "job": job.action, **{name: text for name, text in optional.items() if text}, **dated, **said}


def _refuse_unknown(job: str, known: Collection[str], title: str) -> None:
    if job not in known:
        near = difflib.get_close_matches(job, known, 3)
        raise ValueError(f"{title}: job: {job!r} cannot be scheduled there" + (f"; did you mean {' or '.join(near)}?" if near else ""))
