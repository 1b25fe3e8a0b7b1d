# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who did what here, read from the audit log (namespace ``archipel:audit``).

A machine tells what was asked of it. The hypervisor tells all that was asked of its agent, of every machine, those that are gone
included: there the right is granted one by one.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

from archipel.agent.audit_reading import Question, read_entries
from archipel.agent.capabilities.rights import read_account
from archipel.agent.dispatch import EVERY_KIND, Caller, Chat, command
from archipel.agent.entity import Entity
from archipel.protocol import audit as wire
from archipel.protocol.errors import CommandError, Condition, ErrorCode, shorten
from archipel.protocol.rights import ON_HYPERVISOR, ON_VIRTUAL_MACHINE, EntityKind, Token

TOKENS = (
    Token("audit_get", "See who asked for what here, and how it ended", ON_VIRTUAL_MACHINE),
    Token("audit_get", "See who asked for what on the hypervisor and on each of its machines", ON_HYPERVISOR, reserved=True),
)
READINGS: Final = 2  # at once; each takes a thread and the disk
LONGEST_ARGUMENTS: Final = 1000  # characters
_turn: Final = asyncio.Semaphore(READINGS)


def _say(page: wire.AuditPage) -> str:
    lines = [f"{entry.time} {entry.who} {entry.phrase or entry.command}: {entry.outcome}" for entry in page.entries]
    more = ["There is more."] if page.next else []
    return "\n".join([*lines, *more]) or "Nothing is written down about me."


@command(wire.GetAudit, on=EVERY_KIND, right="audit_get", failure=ErrorCode.AUDIT, chat=Chat(("audit [limit]",), _say))
async def get_entries(entity: Entity, request: wire.GetAudit, _caller: Caller) -> wire.AuditPage:
    """Who asked me for what, the last ones first."""
    question = _read_question(entity, request)
    path = entity.services.settings.logging.audit_file
    async with _turn:
        try:
            found = await asyncio.to_thread(read_entries, path, question)
        except OSError as error:
            text = f"the audit log {path} cannot be read: {error.strerror}"
            raise CommandError(text, condition=Condition.INTERNAL_SERVER_ERROR) from error
    position = found.position and wire.write_position(*found.position)
    return wire.AuditPage(entries=tuple(map(_entry, found.entries)), next=position or None, malformed=found.malformed)


def _read_question(entity: Entity, request: wire.GetAudit) -> Question:
    own = entity.bare if entity.kind is EntityKind.VIRTUAL_MACHINE else None
    asked = read_account("entity", request.entity) if request.entity else None
    if own and asked not in (None, own):
        raise CommandError(f"entity: {entity.name} tells of itself only: ask its hypervisor", condition=Condition.NOT_ALLOWED)
    return Question(
        limit=request.limit,
        entity=own or asked,
        since=wire.parse_time(request.since) if request.since else None,
        until=wire.parse_time(request.until) if request.until else None,
        who=read_account("who", request.who) if request.who else None,
        command=request.command,
        outcome=wire.Outcome(request.outcome) if request.outcome else None,
        after=wire.parse_position(request.position) if request.position else None,
    )


def _entry(entry: dict[str, Any]) -> wire.AuditEntry:
    texts = {name: shorten(str(entry.get(name, ""))) for name in ("time", "who", "jid", "entity", "namespace", "rule", "outcome")}
    arguments, spent = entry.get("arguments"), entry.get("milliseconds")
    return wire.AuditEntry(
        **texts,
        command=shorten(str(entry.get("action", ""))),
        phrase=shorten(str(entry["phrase"])) if entry.get("phrase") else None,
        arguments=shorten(json.dumps(arguments, ensure_ascii=False), LONGEST_ARGUMENTS) if arguments else None,
        milliseconds=float(spent) if isinstance(spent, int | float) else None,
    )
