# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the collection's modules, as ansible-doc reads it: from the source, fragments not filled in."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MODULES = Path(__file__).parent.parent / "plugins" / "modules"


@dataclass(frozen=True)
class Documentation:
    """The three texts of a plugin."""

    documentation: dict[str, Any]
    examples: str
    returned: dict[str, Any]


def module_names() -> list[str]:
    """Return the names of all modules."""
    return sorted(file.stem for file in MODULES.glob("*.py"))


def read_documentation(root: Path, module: str) -> Documentation:
    """Return the documentation of a module."""
    tree = ast.parse((root / "plugins" / "modules" / f"{module}.py").read_text())
    texts = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return Documentation(yaml.safe_load(texts["DOCUMENTATION"]), texts["EXAMPLES"], yaml.safe_load(texts["RETURN"]))


def read_inventory_examples(root: Path) -> list[dict[str, Any]]:
    """Return the examples of the inventory plugin: one document each."""
    tree = ast.parse((root / "plugins" / "inventory" / "xmpp.py").read_text())
    assignments = [node for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "EXAMPLES"]
    return [document for document in yaml.safe_load_all(ast.literal_eval(assignments[0].value)) if document]
