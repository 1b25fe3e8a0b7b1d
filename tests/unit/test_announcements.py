# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever the agent pushes or shows is declared in protocol/, from where docs/events.md and docs/protocol.md have it."""

from __future__ import annotations

import ast
import functools
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from archipel.agent import virtual_machine
from archipel.protocol import changes as changes_module
from archipel.protocol.changes import FREE, Change
from archipel.protocol.presence import HostWork, Journey, Work
from tests.conformance.agent import Agent

DECLARED = Agent().changes
HANDED_ON = {
    "self.events.push(topic, change, *details, by=acting.person())",
    "self.push(*announcement)",
}  # of its caller; of a table, which is looked at below
SHOWING = {"at_work", "begin", "Status", "tell_journey"}


@dataclass(frozen=True)
class Call:
    """A call in a file of the agent, and the annotations of its function's parameters."""

    module: ModuleType
    node: ast.Call
    parameters: dict[str, ast.expr]

    @property
    def name(self) -> str:
        return ast.unparse(self.node.func).rpartition(".")[2]

    def find(self, node: ast.expr) -> Any:
        """Return what a name of the file stands for, with its attributes; of a parameter its class, of a choice its first, else None."""
        match node:
            case ast.IfExp():
                return self.find(node.body)
            case ast.Name() if node.id in self.parameters:
                return self.find(self.parameters[node.id])
            case ast.Name():
                return getattr(self.module, node.id, None)
            case ast.Attribute():
                return getattr(self.find(node.value), node.attr, None)
        return None

    def __str__(self) -> str:
        return f"{self.module.__name__}: {ast.unparse(self.node)}"


@functools.cache
def all_calls() -> tuple[Call, ...]:
    source = Path(changes_module.__file__).parents[2]
    return tuple(call for file in sorted((source / "archipel" / "agent").rglob("*.py")) for call in _calls(file, source))


def _calls(file: Path, source: Path) -> Iterator[Call]:
    name = ".".join(file.relative_to(source).with_suffix("").parts)
    if "migrations" in name:
        return
    module = importlib.import_module(name.removesuffix(".__init__"))
    for function in ast.walk(ast.parse(file.read_text())):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            parameters = {item.arg: item.annotation for item in ast.walk(function) if isinstance(item, ast.arg) and item.annotation}
            yield from (Call(module, node, parameters) for node in ast.walk(function) if isinstance(node, ast.Call))


PUSHES = [call for call in all_calls() if call.name == "push" and ast.unparse(call.node) not in HANDED_ON]


def is_declared(call: Call) -> bool:
    """Whether a push is of a change that is declared for its topic, or of a topic whose changes are free."""
    topic, change = call.find(call.node.args[0]), call.find(call.node.args[1])
    if topic in FREE:
        return True
    if isinstance(change, type) and issubclass(change, Change):
        return set(change) <= set(DECLARED[topic])
    return isinstance(change, Change) and (topic is None or change in DECLARED[topic])


def test_every_push_is_of_a_declared_change() -> None:
    """Tables of what is pushed for an event of libvirt's are looked at by themselves."""
    tabled = [call for call in PUSHES if isinstance(call.node.args[1], ast.Subscript)]
    assert [str(call) for call in PUSHES if call not in tabled and not is_declared(call)] == []
    for call in tabled:
        table = call.find(call.node.args[1].value)  # type: ignore[attr-defined] # a subscript
        assert set(table.values()) <= set(DECLARED[call.find(call.node.args[0])]), str(call)
    assert len(PUSHES) > 40


def test_what_a_machines_events_are_pushed_as_is_declared() -> None:
    pushed = [*virtual_machine._CHANGES.values(), virtual_machine.CRASH]
    assert [(topic, change) for topic, change in pushed if change not in DECLARED[topic]] == []


def test_every_declared_change_is_pushed_somewhere() -> None:
    """None is declared, and told to those who listen, that never comes."""
    source = "".join(file.read_text() for file in (Path(changes_module.__file__).parents[1] / "agent").rglob("*.py"))
    members = {(type(change).__name__, change.name) for found in DECLARED.values() for change in found}
    assert [member for member in sorted(members) if ".".join(member) not in source] == []
    assert [change for found in DECLARED.values() for change in found if not change.when] == []


@pytest.mark.parametrize("shown", [Work, HostWork, Journey])
def test_every_declared_status_is_shown_somewhere(shown: type[Work | HostWork | Journey]) -> None:
    source = "".join(file.read_text() for file in (Path(changes_module.__file__).parents[1] / "agent").rglob("*.py"))
    assert [member for member in shown if f"{shown.__name__}.{member.name}" not in source] == []


def test_no_status_is_written_where_it_is_shown() -> None:
    """Each stands in protocol/presence.py, from where the page of the protocol has it."""
    written = [
        str(call)
        for call in all_calls()
        if call.name in SHOWING
        for argument in call.node.args
        for node in ast.walk(argument)
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value)
    ]
    assert written == []
