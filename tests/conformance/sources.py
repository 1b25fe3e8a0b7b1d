# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pieces of Python as far as the inventory asks them: which texts and names stand in them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator


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
