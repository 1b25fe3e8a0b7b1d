# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the audit log, the metrics and those who follow answers are told of one command."""

from __future__ import annotations

import asyncio
import functools
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from archipel.agent.decision import Rule
from archipel.agent.hooks import Answered
from archipel.agent.metrics import Result, result_of
from archipel.protocol.errors import CommandError

if TYPE_CHECKING:
    from archipel.agent.dispatch import Caller
    from archipel.agent.entity import Entity

OK: Final = "ok"


@dataclass
class AuditEntry:
    """What the audit log will say of one request."""

    entity: Entity
    caller: Caller
    namespace: str
    action: str
    phrase: str = ""
    arguments: object = None
    rule: str = ""
    outcome: str = OK
    result: Result = Result.OK
    started: float = field(default_factory=time.monotonic)

    def note_error(self, error: CommandError) -> None:
        """Say that it failed, and why."""
        self.outcome, self.result = f"error: {error.text}", result_of(error)

    def write(self, *, quiet: bool = False) -> None:
        """Write it down; whoever only looks (``quiet``) need not wait for the book-keeping."""
        quiet, stranger = quiet and self.outcome == OK, self.rule == Rule.STRANGER
        seconds, services = time.monotonic() - self.started, self.entity.services
        services.metrics.count_command(services.registry, self.entity.kind, self.namespace, self.action, self.result, seconds)
        record = functools.partial(
            services.audit.record,
            caller=self.caller.full,
            entity=self.entity.bare,
            namespace=self.namespace,
            action=self.action,
            arguments=self.arguments,
            rule=self.rule,
            outcome=self.outcome,
            seconds=seconds,
            phrase=self.phrase,
            quiet=quiet,
            stranger=stranger,
        )
        if quiet:
            asyncio.get_running_loop().call_soon(record)
            return
        record()
        services.registry.hooks.tell_answer(
            Answered(self.entity, self.caller, self.namespace, self.action, self.arguments, self.result, self.outcome, stranger)
        )
