# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel ls``: which machines there are, in which state, with which tags, whose."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import click

from archipel.cli.finder import FAILURES, Found
from archipel.cli.invocation import Run, end_with, in_session
from archipel.client.errors import ClientError
from archipel.client.machine_state import MachineState
from archipel.client.virtual_machine import VirtualMachine
from archipel.protocol.errors import CommandError, PermissionDenied

UNKNOWN = "?"
NOT_MANAGED = "not managed"
NO_HYPERVISOR = "no machines: none of your contacts is a hypervisor, name one with --hypervisor JID, now or at the login"


@dataclass(frozen=True)
class Row:
    """A machine as it is listed; ``None`` is what could not be read."""

    name: str
    uuid: str
    jid: str
    hypervisor: str | None
    managed: bool
    state: str | None = None
    owner: str | None = None
    tags: list[str] = field(default_factory=list)

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table."""
        state = (self.state or UNKNOWN) if self.managed else NOT_MANAGED
        return (self.name, state, self.owner or "", " ".join(self.tags), self.hypervisor or "", self.uuid)


@click.command("ls")
@in_session
async def list_machines(run: Run) -> None:
    """List the machines of all known hypervisors, or of those given with --hypervisor."""
    listing, tags = await asyncio.gather(run.finder.listing(), _tags(run))
    for hypervisor, failure in listing.failures.items():
        # Who has machines among the contacts is no stranger; not to be asked by him is nothing out of order.
        if not (isinstance(failure, PermissionDenied) and listing.of_contacts):
            run.note(hypervisor, failure)
    rows = await asyncio.gather(*(_row(run, found, tags) for found in listing.found))
    rows.sort(key=lambda row: (row.hypervisor or "", row.name))
    if run.output.as_json:
        run.output.json([asdict(row) for row in rows])
    else:
        none = "no machines" if rows or await run.finder.hypervisors() else NO_HYPERVISOR
        run.output.table(("NAME", "STATE", "OWNER", "TAGS", "HYPERVISOR", "UUID"), (row.cells() for row in rows), none)
    end_with(run.errors)


async def _row(run: Run, found: Found, tags: Mapping[str, tuple[str, ...]]) -> Row:
    entry = found.entry
    state, owner = await asyncio.gather(_state(run, found), _owner(run, found)) if entry.managed else (None, None)
    return Row(entry.name, entry.uuid, entry.jid, found.hypervisor or None, entry.managed, state, owner, list(tags.get(entry.bare, ())))


async def _state(run: Run, found: Found) -> MachineState | None:
    """Return the state as the machine tells it, or as its presence shows it to who may not ask."""
    try:
        return await VirtualMachine(run.session, found.entry.jid).state()
    except FAILURES as error:
        shown = MachineState.shown_by(run.session.presences.status(found.entry.bare)) if isinstance(error, PermissionDenied) else None
        if shown is None:
            run.note(found.entry.name, error)
        return shown


async def _owner(run: Run, found: Found) -> str | None:
    try:
        return (await run.session.vcard(found.entry.bare)).organisation.userid or None
    except (CommandError, ClientError):
        return None  # a machine that has no vCard yet belongs to nobody


async def _tags(run: Run) -> Mapping[str, tuple[str, ...]]:
    try:
        return await run.session.tags()
    except (CommandError, ClientError) as error:
        run.note("tags", error)
        return {}
