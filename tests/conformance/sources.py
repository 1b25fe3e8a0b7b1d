# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Python files as far as the inventory asks them: which texts and names stand in them, in which function."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Module:
    """A file: its texts without the docstrings, all its names, what it imports, and the texts that it names or hands on as topics."""

    name: str
    texts: frozenset[str]
    names: frozenset[str]
    imports: frozenset[str]
    topics: frozenset[str]


def read_modules(folder: Path, package: str) -> dict[str, Module]:
    """Return all modules of a package by their names."""
    files = {".".join((package, *file.relative_to(folder).with_suffix("").parts)): file for file in sorted(folder.rglob("*.py"))}
    return {name: _read_module(name, list(ast.walk(ast.parse(file.read_text())))) for name, file in files.items()}


def _read_module(name: str, nodes: list[ast.AST]) -> Module:
    found = _texts(nodes), _names(nodes), _imports(nodes), _topics(nodes)
    return Module(name, *map(frozenset, found))


def texts_of(node: ast.AST) -> set[str]:
    """Return the texts in a piece of source; what only explains (a docstring) is none."""
    return set(_texts(list(ast.walk(node))))


def names_of(node: ast.AST) -> set[str]:
    """Return the names in a piece of source, those after a dot included."""
    return set(_names(ast.walk(node)))


def _texts(nodes: list[ast.AST]) -> Iterator[str]:
    documented = (item for item in nodes if isinstance(item, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef))
    explained = {id(item.body[0].value) for item in documented if item.body and isinstance(item.body[0], ast.Expr)}
    return (item.value for item in nodes if isinstance(item, ast.Constant) and isinstance(item.value, str) and id(item) not in explained)


def _names(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for item in nodes:
        if isinstance(item, ast.Name):
            yield item.id
        elif isinstance(item, ast.Attribute):
            yield item.attr


def _imports(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for item in nodes:
        if isinstance(item, ast.ImportFrom) and item.module:
            yield item.module
            yield from (f"{item.module}.{alias.name}" for alias in item.names)
        elif isinstance(item, ast.Import):
            yield from (alias.name for alias in item.names)


def _topics(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the texts of constants that are called topics, those that a push is made with, and members of Topic."""
    for item in nodes:
        if isinstance(item, ast.Assign | ast.AnnAssign) and item.value is not None:
            targets = item.targets if isinstance(item, ast.Assign) else [item.target]
            if any("TOPIC" in name for target in targets for name in names_of(target)):
                yield from texts_of(item.value)
        elif isinstance(item, ast.Call) and item.args and "push" in names_of(item.func):
            yield from texts_of(item.args[0])
        elif isinstance(item, ast.Attribute) and "Topic" in names_of(item.value):
            yield f"Topic.{item.attr}"
