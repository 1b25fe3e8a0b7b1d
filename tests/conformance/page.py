# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes docs/conformance.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tests.conformance.agent import Agent
from tests.conformance.evidence import EVERY_ACTION
from tests.conformance.inventory import AREAS
from tests.conformance.row import Kind, Row
from tests.conformance.verdict import State, Verdict, actions_without_row

HEAD = """\
<!--
SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
SPDX-License-Identifier: GPL-3.0-or-later
-->
<!-- Written by: python -m tests.conformance -->
# Conformance

One row for each action, push, chat phrase, right, option, presence and command line tool of the founding platform (as of 2016), and
what became of it here. Whether something is there is asked of the agent itself; **{missing} of {all} rows are not yet there**.

- *works*: as it was. *works better*, *deliberately different*: what, and why. Each with the tests that show it: a row without one
  fails the build.
- *not yet*: the agent has nothing of that name.
- *central service*: it belongs to the central agent, a service of its own beside the hypervisors' agents.
- ROW `x` is the row of tests/wire/actions/ that `{every}` tries: allowed, refused, malformed, with get and with set.

"""
NEW = """
## New here

Actions that the founding platform did not have.

"""
PLURALS = {
    Kind.ACTION: "actions",
    Kind.PUSH: "pushes",
    Kind.PHRASE: "chat phrases",
    Kind.TOKEN: "rights",
    Kind.OPTION: "options",
    Kind.PRESENCE: "presences",
    Kind.TOOL: "command line tools",
}
STATES = (State.WORKS, State.BETTER, State.DIFFERENT, State.CENTRAL, State.NOT_YET)


def render_page(agent: Agent, verdicts: tuple[Verdict, ...]) -> str:
    """Return docs/conformance.md."""
    by_row = {verdict.row.id: verdict for verdict in verdicts}
    head = HEAD.format(missing=count(verdicts, State.NOT_YET), all=len(verdicts), every=EVERY_ACTION)
    areas = "".join(_area(title=area.title, verdicts=[by_row[row.id] for row in area.rows]) for area in AREAS)
    return (
        head + _summary(verdicts) + areas + NEW + "".join(f"- `{ns}` `{name}` ({kind})\n" for kind, ns, name in actions_without_row(agent))
    )


def count(verdicts: Iterable[Verdict], state: State) -> int:
    """Return how many rows are in a state."""
    return sum(verdict.state is state for verdict in verdicts)


def _summary(verdicts: Iterable[Verdict]) -> str:
    found = Counter((verdict.row.kind, verdict.state) for verdict in verdicts)
    lines = [f"| | {' | '.join(STATES)} |", "| --- |" + " --- |" * len(STATES)]
    lines += [f"| {PLURALS[kind]} | {' | '.join(str(found[kind, state]) for state in STATES)} |" for kind in Kind]
    lines += [f"| all | {' | '.join(str(sum(found[kind, state] for kind in Kind)) for state in STATES)} |"]
    return "\n".join(lines) + "\n"


def _area(title: str, verdicts: list[Verdict]) -> str:
    lines = [f"\n## {title}\n", "| what | with the founders | here | shown by |", "| --- | --- | --- | --- |"]
    return "\n".join([*lines, *map(_line, verdicts)]) + "\n"


def _line(verdict: Verdict) -> str:
    why = f"{verdict.state}: {verdict.why}" if verdict.why else str(verdict.state)
    return f"| {_what(verdict.row)} | {_clean(verdict.row.meaning)} | {_clean(why)} | {', '.join(map(_shown, verdict.tests))} |"


def _what(row: Row) -> str:
    on = ", ".join(row.on)
    words = {
        Kind.ACTION: f"`{row.place}` `{row.name}` ({on})",
        Kind.PUSH: f"push `{row.place}` `{row.name}`",
        Kind.PHRASE: f'"{row.says or row.name}" ({on})',
        Kind.TOKEN: f"right `{row.name}` ({on})",
        Kind.OPTION: f"`[{row.place}] {row.name}`",
        Kind.PRESENCE: f"`{row.name}` ({on})",
        Kind.TOOL: f"`{row.name}` ({row.place})",
    }
    return _clean(words[row.kind])


def _shown(test: str) -> str:
    return f"ROW `{test.partition('[')[2].rstrip(']')}`" if test.startswith(EVERY_ACTION) else f"`{test}`"


def _clean(text: str) -> str:
    return text.replace("|", "\\|")
