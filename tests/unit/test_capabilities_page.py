# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/capabilities.md shows the example as it is, which tests/integration/agent/test_example_capability.py installs and uses."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path

from tests.documentation import read_blocks


def test_the_page_shows_the_module_of_the_example(root: Path) -> None:
    source = (root / "examples" / "archipel-note" / "archipel_note.py").read_text()
    _copyright, _license, code = source.split("\n", 2)
    assert read_blocks(root / "docs" / "capabilities.md", "python") == [code]


def test_the_page_shows_the_entry_point_of_the_example(root: Path) -> None:
    project = tomllib.loads((root / "examples" / "archipel-note" / "pyproject.toml").read_text())["project"]
    [block] = read_blocks(root / "docs" / "capabilities.md", "toml")
    assert tomllib.loads(block)["project"]["entry-points"] == project["entry-points"]


def test_what_the_page_names_of_our_modules_exists(root: Path) -> None:
    named = set(re.findall(r"`(archipel\.(?:agent|protocol)\.[\w.]+)`", (root / "docs" / "capabilities.md").read_text()))
    assert len(named) > 5
    for name in named:
        module, _, last = name.rpartition(".")
        assert hasattr(importlib.import_module(module), last) or importlib.import_module(name), name
