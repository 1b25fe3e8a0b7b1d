# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel audit``: who asked for what, and how it ended."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

import click

from archipel.cli.finder import FAILURES
from archipel.cli.invocation import Run, end_with, in_session
from archipel.client.addresses import bare_address
from archipel.client.entity import Entity
from archipel.protocol.audit import DEFAULT_ENTRIES, MOST_ENTRIES, AuditEntry, GetAudit


@click.command()
@click.argument("where", required=False, metavar="[MACHINE|HYPERVISOR]")
@click.option("--limit", type=click.IntRange(1), default=DEFAULT_ENTRIES, show_default=True, help="How many, at most.")
@click.option("--since", metavar="TIME", help="Not before this time, such as 2026-11-21T08:00Z (UTC unless it says otherwise).")
@click.option("--until", metavar="TIME", help="Not after this time.")
@click.option("--who", metavar="JID", help="Only what this account asked for.")
@click.option("--command", metavar="ACTION", help="Only this action, such as destroy.")
@click.option("--failed", is_flag=True, help="Only what was refused or failed.")
@in_session
async def audit(
    run: Run, where: str | None, limit: int, since: str | None, until: str | None, who: str | None, command: str | None, failed: bool
) -> None:
    """Show who asked for what and how it ended, the newest first.

    Of a machine what was asked of it, of a hypervisor what was asked of it and of all its machines; without either, of all known
    hypervisors. It takes the right audit_get there.
    """
    account = bare_address(who) if who else None
    question = GetAudit(limit=1, since=since, until=until, who=account, command=command, outcome="failed" if failed else None)
    entities: list[Entity] = [await run.finder.entity(where)] if where else list(await run.finder.hypervisors())
    answers = await asyncio.gather(*(_read(run, entity, question, limit) for entity in entities))
    found = sorted((entry for entries in answers for entry in entries), key=lambda entry: entry.time, reverse=True)[:limit]
    if run.output.as_json:
        run.output.json([asdict(entry) for entry in found])
    else:
        rows = [(entry.time, entry.who, entry.entity, entry.phrase or entry.command, entry.outcome) for entry in found]
        run.output.table(("TIME", "WHO", "ON", "WHAT", "OUTCOME"), rows, "no such entries")
    end_with(run.errors)


async def _read(run: Run, entity: Entity, question: GetAudit, limit: int) -> list[AuditEntry]:
    """Read page after page; one entity that refuses does not keep the others from being read."""
    entries: list[AuditEntry] = []
    position: str | None = None
    try:
        while len(entries) < limit:
            fields = asdict(question) | {"limit": min(MOST_ENTRIES, limit - len(entries)), "position": position}
            page = await entity.ask(GetAudit(**fields))
            entries += page.entries
            position = page.next
            if page.malformed:
                run.output.warn(f"{entity.bare}: {page.malformed} lines of the audit log are no entries")
            if position is None:
                break
    except FAILURES as error:
        run.note(entity.bare, error)
    return entries
