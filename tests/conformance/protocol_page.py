# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fills in the generated parts of docs/protocol.md and docs/events.md: what the agent's own declarations tell."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator

from archipel.agent.dispatch import Command
from archipel.protocol import errors
from archipel.protocol.changes import FREE
from archipel.protocol.errors import ErrorCode
from archipel.protocol.events import Topic
from archipel.protocol.rights import EntityKind, Token
from tests.conformance.agent import OF_STATE, Agent
from tests.conformance.shapes import describe_answer, describe_fields, plain

PART = re.compile(r"(<!-- generated: (?P<name>[a-z ]+) -->\n).*?(<!-- end of generated -->)", re.DOTALL)
Row = tuple[str, ...]


def fill_in(text: str, agent: Agent) -> str:
    """Return the page with its generated parts as they must be. Raises ``KeyError`` for a part that nobody writes."""
    return PART.sub(lambda found: f"{found[1]}\n{(PARTS | EVENT_PARTS)[found['name']](agent)}\n{found[3]}", text)


def _table(heading: Row, rows: list[Row]) -> str:
    lines = [heading, tuple("---" for _ in heading), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in lines)


def _by_action(agent: Agent) -> dict[str, dict[str, list[tuple[str, Command]]]]:
    """Return the commands by namespace and action, each with the kinds of entities that take it."""
    found: dict[str, dict[str, list[tuple[str, Command]]]] = {}
    for (kind, namespace, action), command in agent.commands.items():
        found.setdefault(namespace, {}).setdefault(action, []).append((kind, command))
    return dict(sorted(found.items()))


def _write_namespaces(agent: Agent) -> str:
    rows = []
    for namespace, actions in _by_action(agent).items():
        kinds = sorted({kind for served in actions.values() for kind, _command in served})
        rows.append((f"`{namespace}`", ", ".join(kinds), ", ".join(f"`{name}`" for name in sorted(actions))))
    return _table(("namespace", "served by", "actions"), rows)


def _write_actions(agent: Agent) -> str:
    return "\n".join(
        f"### {namespace}\n\n" + "\n".join(_action(name, served) for name, served in sorted(actions.items()))
        for namespace, actions in _by_action(agent).items()
    )


def _action(name: str, served: list[tuple[str, Command]]) -> str:
    request = served[0][1].request
    kinds = ", ".join(sorted(kind for kind, _command in served))
    lines = [f"#### `{name}` ({kinds})", plain(request), *_rights(served)]
    fields = describe_fields(request)
    if fields:
        lines.append(_table(("field", "stands in", "value", "without it"), fields).rstrip())
    lines.append(f"Answer: {describe_answer(request.answer_type())}")
    return "\n\n".join(line for line in lines if line) + "\n"


def _rights(served: list[tuple[str, Command]]) -> Iterator[str]:
    for right, code, reads in dict.fromkeys((command.right, command.failure, command.request.reads) for _kind, command in served):
        needed = f"Right `{right}`" if right else "No right but to be known"
        yield f"{needed}; errors bear {int(code)} unless they have a number of their own{'; changes nothing' if reads else ''}."


def _write_rights(agent: Agent) -> str:
    rows: dict[Token, list[str]] = {}
    for kind in EntityKind:
        for token in agent.rights.tokens(kind):
            rows.setdefault(token, []).append(str(kind))
    return _table(
        ("right", "of", "meaning", "default"),
        [
            (
                f"`{token.name}`",
                ", ".join(kinds),
                token.description,
                "everybody known" if token.default else "by name only" if token.reserved else "",
            )
            for token, kinds in rows.items()
        ],
    )


def _write_codes(agent: Agent) -> str:
    """Return the numbers with the actions whose failure they are, and the names of the others."""
    found: dict[int, list[str]] = {}
    for (_kind, namespace, action), command in agent.commands.items():
        found.setdefault(int(command.failure), []).append(f"`{namespace}` `{action}`")
    for name, code in ErrorCode.__members__.items():
        found.setdefault(int(code), [name.replace("_", " ").lower()])
    rows = [(str(code), ", ".join(dict.fromkeys(names))) for code, names in found.items()]
    return _table(("code", "of"), sorted(rows, key=lambda row: -int(row[0])))


def _write_errors(_agent: Agent) -> str:
    """Return the classes of errors, each with its namespace, condition and what it means."""
    classes = [found for found in vars(errors).values() if inspect.isclass(found) and issubclass(found, errors.CommandError)]
    rows = [
        (f"`{found.namespace}`", f"`{found.condition}`", plain(found))
        for found in classes
        if found not in {errors.CommandError, errors.RemoteError}
    ]
    return _table(("namespace of the element", "condition unless told otherwise", "meaning"), sorted(rows))


def _write_topics(agent: Agent) -> str:
    return _table(
        ("topic", "namespace", "changes"),
        [(f"`{topic}`", f"`archipel:push:{topic}`", ", ".join(word for word, _when in _changes(agent, topic))) for topic in agent.changes],
    )


def _changes(agent: Agent, topic: str) -> Iterator[Row]:
    """Yield what is pushed about a topic, each with what it means; words are quoted, the others tell what stands there."""
    if topic in FREE:
        yield FREE[Topic(topic)]
    yield from ((f"`{change}`", change.when) for change in agent.changes[topic])


def _write_changes(agent: Agent) -> str:
    rows = [(f"`{topic}`", word, when) for topic in agent.changes for word, when in _changes(agent, topic)]
    return _table(("topic", "change", "when"), rows)


def _write_presences(agent: Agent) -> str:
    shows = {"": "none", OF_STATE: OF_STATE}
    return _table(("of", "show", "status"), [(kind, shows.get(show, f"`{show}`"), f"`{text}`") for kind, show, text in agent.presences])


def _write_phrases(agent: Agent) -> str:
    return _table(
        ("to", "phrases", "what it does", "right"),
        [
            (kind, ", ".join(f'"{phrase}"' for phrase in command.chat.phrases), command.help, f"`{command.in_chat.right}`")
            for (kind, _namespace, _action), command in agent.commands.items()
            if command.chat
        ],
    )


PARTS: dict[str, Callable[[Agent], str]] = {
    "namespaces": _write_namespaces,
    "actions": _write_actions,
    "rights": _write_rights,
    "codes": _write_codes,
    "errors": _write_errors,
    "topics": _write_topics,
    "presences": _write_presences,
    "phrases": _write_phrases,
}
EVENT_PARTS: dict[str, Callable[[Agent], str]] = {"changes": _write_changes}
