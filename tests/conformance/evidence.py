# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which test shows a row: those that it names, and where it names none, those that try all of its kind, or that speak of it."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from archipel.protocol import namespaces
from archipel.protocol.events import Topic
from tests.conformance.agent import ROOT, Agent
from tests.conformance.row import Kind, Row
from tests.conformance.sources import names_of, texts_of
from tests.unit.agent.option_effects import EFFECTS
from tests.wire.action import Action
from tests.wire.actions import ACTIONS
from tests.wire.phrases import REPLIES

EVERY_ACTION = "tests/integration/agent/test_every_action.py"
OWN = "tests/unit/test_conformance.py"
SAYING = "tests/integration/agent/test_founding_phrases.py::test_what_founding_people_said_is_answered_by_the_capability"
CHANGING = "tests/unit/agent/test_founding_options.py::test_another_value_is_seen"
MOST = 2  # tests found by what they speak of; more tell nobody more


@dataclass(frozen=True)
class Test:
    """A test function with all texts and names that it reaches in its own file."""

    __test__ = False

    id: str
    texts: frozenset[str]
    names: frozenset[str]

    def speaks_of(self, *words: str) -> bool:
        return all(word in self.texts for word in words)


class Evidence:
    """All tests of the project."""

    def __init__(self, agent: Agent, root: Path = ROOT) -> None:
        self._agent = agent
        self._root = root

    @cached_property
    def tests(self) -> tuple[Test, ...]:
        folders = ("integration", "e2e", "unit")
        files = [file for folder in folders for file in sorted((self._root / "tests" / folder).rglob("test_*.py"))]
        return tuple(found for file in files for found in _read_tests(file, str(file.relative_to(self._root))))

    @cached_property
    def ids(self) -> frozenset[str]:
        return frozenset(test.id for test in self.tests)

    def of(self, row: Row) -> tuple[str, ...]:
        """Return what shows a row that is there; the ids of rows of tests/wire/actions/ stand in brackets."""
        return tuple(dict.fromkeys((*self._general(row), *row.tests, *self._found(row))))

    def exists(self, test: str) -> bool:
        name, _, row = test.partition("[")
        return name in self.ids and (not row or name.startswith((EVERY_ACTION, OWN, SAYING, CHANGING)))

    def _general(self, row: Row) -> Iterator[str]:
        """Yield the tests that show any row of a kind alike."""
        if row.kind is Kind.ACTION:
            yield from (allowed(action) for action in self._wire_rows(row) if shows(action) or row.different)
        elif row.kind is Kind.TOKEN:
            for action in self._guarded(row):
                yield from (allowed(action), refused(action))
        elif row.kind is Kind.PHRASE and (*row.on, *row.asks) in REPLIES:
            yield f"{SAYING}[{row.id}]"
        elif row.kind is Kind.OPTION and (row.place, row.name) in EFFECTS:
            yield f"{CHANGING}[{row.place}-{row.name}]"

    def _wire_rows(self, row: Row) -> list[Action]:
        return [action for action in ACTIONS if action.key[1:] == (row.place, row.name) and action.kind in row.on]

    def _guarded(self, row: Row) -> list[Action]:
        """Return, for each kind of entity, an action that who holds the right may, and who lacks it is refused."""
        found = {action.kind: action for action in ACTIONS if action.right == row.name and action.kind in row.on and is_granted(action)}
        return list(found.values()) if set(found) == set(row.on) else []

    def _found(self, row: Row) -> list[str]:
        """Return tests that speak of a row, for what no test tries for all alike, or only that it is refused."""
        if row.tests:
            return []
        if row.kind is Kind.PUSH:
            return [test.id for test in self.tests if OWN not in test.id and self._tells_push(test, row)][:MOST]
        if row.kind is Kind.PRESENCE:
            return [test.id for test in self.tests if OWN not in test.id and any(text.startswith(row.says) for text in test.texts)][:MOST]
        if row.kind is Kind.ACTION and any(action.unsupported for action in self._wire_rows(row)):
            return [test.id for test in self.tests if EVERY_ACTION not in test.id and self._asks_for(test, row)][:MOST]
        return []

    def _tells_push(self, test: Test, row: Row) -> bool:
        if not any("push" in name.lower() for name in test.names):
            return False
        topics = {str(topic) for topic in Topic if {"Topic", topic.name} <= test.names}
        named = row.place in topics or test.speaks_of(row.place) or test.speaks_of(f"{namespaces.PUSH_PREFIX}{row.place}")
        return row.name in test.texts and named

    def _asks_for(self, test: Test, row: Row) -> bool:
        """Whether a test asks for an action: by its request class, or in XML beside the namespace."""
        requests = {self._agent.commands[kind, row.place, row.name].request.__name__ for kind in row.on}
        if requests & test.names:
            return True
        spaces = {name for name in dir(namespaces) if getattr(namespaces, name) == row.place}
        written = any(f"action='{row.name}'" in text or f'action="{row.name}"' in text for text in test.texts) or row.name in test.texts
        return written and (row.place in test.texts or bool(spaces & test.names))


def is_granted(action: Action) -> bool:
    """Whether who holds the right is answered with success."""
    return action.refusal is None and not action.unsupported


def shows(action: Action) -> bool:
    """Whether a row of tests/wire/actions/ shows what its action does: by what it answers, or by what libvirt says afterwards."""
    return is_granted(action) and bool(action.answer or action.effect)


def allowed(action: Action) -> str:
    return f"{EVERY_ACTION}::test_who_holds_the_right_may[{action}]"


def refused(action: Action) -> str:
    return f"{EVERY_ACTION}::test_who_lacks_the_right_is_told_which[{action}]"


def _read_tests(file: Path, path: str) -> Iterator[Test]:
    tree = ast.parse(file.read_text())
    pieces = {name: _Piece.read(item) for name, item in _named(tree).items()}
    borrowed = _borrowed(tree)
    for name, item in _functions(tree, path):
        reached = _reach(_Piece.read(item), pieces)
        names = frozenset(word for piece in reached for word in piece.names)
        texts = frozenset(text for piece in reached for text in piece.texts) | {borrowed[word] for word in names if word in borrowed}
        yield Test(name, texts, names)


@dataclass(frozen=True)
class _Piece:
    """A function, class or constant of a file; a test names its fixtures by its arguments."""

    texts: frozenset[str]
    names: frozenset[str]

    @classmethod
    def read(cls, node: ast.AST) -> _Piece:
        arguments = {item.arg for item in ast.walk(node) if isinstance(item, ast.arg)}
        return cls(frozenset(texts_of(node)), frozenset(names_of(node) | arguments))


def _functions(scope: ast.Module | ast.ClassDef, path: str) -> Iterator[tuple[str, ast.AST]]:
    """Yield the test functions of a file and of its classes, with their node ids."""
    for item in scope.body:
        if isinstance(item, ast.ClassDef):
            yield from _functions(item, f"{path}::{item.name}")
        elif isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef) and item.name.startswith("test_"):
            yield f"{path}::{item.name}", item


def _named(tree: ast.Module) -> dict[str, ast.AST]:
    """Return functions, classes and constants of a file by name."""
    found: dict[str, ast.AST] = {}
    for item in tree.body:
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found[item.name] = item
        elif isinstance(item, ast.Assign):
            found |= {name: item for target in item.targets for name in names_of(target)}
        elif isinstance(item, ast.AnnAssign):
            found |= dict.fromkeys(names_of(item.target), item)
    return found


def _reach(start: _Piece, pieces: dict[str, _Piece]) -> set[_Piece]:
    """Return a function and all that it uses of its own file."""
    todo, done = [start], {start}
    while todo:
        found = {pieces[name] for name in todo.pop().names if name in pieces} - done
        done |= found
        todo += found
    return done


def _borrowed(tree: ast.Module) -> dict[str, str]:
    """Return the texts that a file imports by name from tests/wire/."""
    found = {}
    for item in tree.body:
        if isinstance(item, ast.ImportFrom) and (item.module or "").startswith("tests.wire."):
            module = importlib.import_module(item.module or "")
            for alias in item.names:
                value = getattr(module, alias.name, None)
                if isinstance(value, str):
                    found[alias.asname or alias.name] = value
    return found
