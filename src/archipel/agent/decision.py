# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was decided of somebody's right, and why."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from archipel.agent.rules import RuleRecord, describe_origin
from archipel.agent.standing import Basis
from archipel.protocol import rules


class Rule(enum.StrEnum):
    """What decided."""

    ADMINISTRATOR = rules.ADMINISTRATOR
    DENIED = "denied"
    STRANGER = "not known to the entity"
    ALL = "holder of all"
    GRANT = "granted"
    DEFAULT = "default of the right"
    NOT_GRANTED = "not granted"
    EXPIRED = "grant expired"
    NO_SUCH_RIGHT = "no such right"


@dataclass(frozen=True)
class Decision:
    """Whether something is allowed, by which rule, and on what that rests."""

    allowed: bool
    rule: Rule
    basis: Basis | None = field(default=None, compare=False)

    @property
    def short(self) -> str:
        """The rule as the audit log has it."""
        return f"{self.rule}: {self.basis.words}" if isinstance(self.basis, RuleRecord) else str(self.rule)

    @property
    def words(self) -> str:
        """The rule, and by whom and when what it rests on was given."""
        if self.basis is None:
            return self.short
        basis = self.basis
        return f"{self.short}; {describe_origin(basis.granted_by, basis.granted_at, basis.expires_at, basis.reason)}"
