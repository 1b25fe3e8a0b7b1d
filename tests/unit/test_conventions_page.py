# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of the conventions names what there is."""

from __future__ import annotations

import re
from pathlib import Path

from tests.unit.test_documentation import list_functions, read_table


def test_every_convention_is_shown_or_says_why_not(root: Path) -> None:
    rows = read_table(root / "docs" / "conventions.md", "convention")
    assert rows
    for convention, _here, shown in rows:
        named = re.findall(r"`(tests/[^`]+)`", shown)
        missing = [name for name in named if not is_there(root, name)]
        assert missing == [], convention
        assert named or "`make " in shown or len(shown) >= len("not run"), convention


def is_there(root: Path, name: str) -> bool:
    path, _, function = name.partition("::")
    return (root / path).is_file() and (not function or function in list_functions(root / path))


def test_nothing_is_ignored(root: Path) -> None:
    assert list((root / "tests" / "sanity").glob("ignore*")) == []
