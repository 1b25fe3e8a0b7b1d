# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Python files as far as the inventory asks them: which texts and names stand in them, in which function."""

from __future__ import annotations

import ast
from collections.abc import Iterator
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
    found = {}
    for file in sorted(folder.rglob("*.py")):
        name = ".".join((package, *file.relative_to(folder).with_suffix("").parts))
        tree = ast.parse(file.read_text())
        found[name] = Module(name, frozenset(texts_of(tree)), frozenset(names_of(tree)), frozenset(_imports(tree)), frozenset(_topics(tree)))
    return found


def texts_of(node: ast.AST) -> Iterator[str]:
    """Yield the texts in a piece of source; what only explains (a docstring) is none."""
    explained = {
        id(item.body[0].value)
        for item in ast.walk(node)
        if isinstance(item, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and item.body and isinstance(item.body[0], ast.Expr)
    }
    for item in ast.walk(node):
        if isinstance(item, ast.Constant) and isinstance(item.value, str) and id(item) not in explained:
            yield item.value


def names_of(node: ast.AST) -> Iterator[str]:
    """Yield the names in a piece of source, those after a dot included."""
    for item in ast.walk(node):
        if isinstance(item, ast.Name):
            yield item.id
        elif isinstance(item, ast.Attribute):
            yield item.attr


def _imports(tree: ast.Module) -> Iterator[str]:
    for item in ast.walk(tree):
        if isinstance(item, ast.ImportFrom) and item.module:
            yield item.module
            yield from (f"{item.module}.{alias.name}" for alias in item.names)
        elif isinstance(item, ast.Import):
            yield from (alias.name for alias in item.names)


def _topics(tree: ast.Module) -> Iterator[str]:
    """Yield the texts of constants that are called topics, and those that a push is made with."""
    for item in ast.walk(tree):
        if isinstance(item, ast.Assign | ast.AnnAssign) and item.value is not None:
            targets = item.targets if isinstance(item, ast.Assign) else [item.target]
            if any("TOPIC" in name for target in targets for name in names_of(target)):
                yield from texts_of(item.value)
        elif isinstance(item, ast.Call) and item.args and {"push"} & set(names_of(item.func)):
            yield from texts_of(item.args[0])
