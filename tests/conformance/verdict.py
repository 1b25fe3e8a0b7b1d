# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of each row: told by what is there, never by hand."""

from __future__ import annotations

import enum
import inspect
from dataclasses import dataclass

from archipel.agent.founding_options import _NOT_OFFERED, WITHOUT_EFFECT
from tests.conformance.agent import Agent
from tests.conformance.evidence import Evidence
from tests.conformance.inventory import ROWS
from tests.conformance.row import Kind, Row

WITHOUT = "tests/unit/test_conformance.py::test_a_founding_option_without_effect_is_accepted_and_told"


class State(enum.StrEnum):
    """What became of something that the founders had."""

    WORKS = "works"
    BETTER = "works better"
    DIFFERENT = "deliberately different"
    NOT_YET = "not yet"
    CENTRAL = "central service"


@dataclass(frozen=True)
class Verdict:
    """A row with its state, why, and the tests that show it."""

    row: Row
    state: State
    why: str = ""
    tests: tuple[str, ...] = ()

    @property
    def settled(self) -> bool:
        """Whether the row says something that a test must show."""
        return self.state not in {State.NOT_YET, State.CENTRAL}


def judge(agent: Agent, evidence: Evidence, row: Row) -> Verdict:
    """Return what became of a row."""
    if row.dropped:
        return Verdict(row, State.DIFFERENT, row.dropped, row.tests)
    if agent.has(row):
        state = State.BETTER if row.better else State.DIFFERENT if row.different else State.WORKS
        return Verdict(row, state, row.better or row.different, evidence.of(row))
    instead = WITHOUT_EFFECT.get((row.place, row.name), _NOT_OFFERED)
    if row.kind is Kind.OPTION and instead != _NOT_OFFERED:
        return Verdict(row, State.DIFFERENT, f"accepted with a warning: {instead}", (f"{WITHOUT}[{row.id}]",))
    return Verdict(row, State.CENTRAL if row.central else State.NOT_YET)


def judge_all(agent: Agent, evidence: Evidence) -> tuple[Verdict, ...]:
    """Return what became of all rows."""
    return tuple(judge(agent, evidence, row) for row in ROWS)


def actions_without_row(agent: Agent) -> list[tuple[str, str, str]]:
    """Return the actions that no founding row mentions, by kind of entity, namespace and name."""
    founding = {(row.place, row.name) for row in ROWS if row.kind is Kind.ACTION}
    return sorted(key for key in agent.commands if key[1:] not in founding)


def is_marked_new(agent: Agent, key: tuple[str, str, str]) -> bool:
    """Whether an action says that it is new: by a namespace that the founders did not have, or in its request's docstring."""
    founding = {row.place for row in ROWS if row.kind is Kind.ACTION}
    return key[1] not in founding or "new here" in (inspect.getdoc(agent.commands[key].request) or "").lower()
