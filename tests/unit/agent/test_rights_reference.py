# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of the rights, and the modules' documentation, have what the code declares."""

from __future__ import annotations

from pathlib import Path

from archipel.agent.rights_reference import MARK, render, render_fragment
from archipel.protocol.founding_rights import CENTRAL_AGENT, founding_names
from archipel.protocol.roles import BUILT_IN


def test_the_page_has_the_tables_that_the_code_declares(root: Path):
    """If not, run ``python -m archipel.agent.rights_reference docs/rights.md``."""
    assert (root / "docs" / "rights.md").read_text().partition(MARK)[2] == f"\n{render()}"


def test_the_modules_documentation_has_the_rights_that_the_code_declares(root: Path):
    """If not, run ``python -m archipel.agent.rights_reference plugins/doc_fragments/rights.py``."""
    assert (root / "plugins" / "doc_fragments" / "rights.py").read_text() == render_fragment()


def test_every_founding_right_is_in_a_table():
    tables = render()
    assert [name for name in founding_names() if f"| `{name}` |" not in tables] == []
    assert set(CENTRAL_AGENT) <= founding_names()


def test_what_is_dead_or_never_was_made_is_marked():
    lines = {line.split("`")[1]: line for line in render().splitlines() if line.startswith("| `")}
    assert "founding, dead there" in lines["sendfiles"]
    assert "founding, asked for there but never made" in lines["drives_setgolden"]
    assert "| new |" in lines["domain_policy_bypass"]
    assert set(BUILT_IN) <= set(lines)


def test_roles_are_made_of_rights_that_exist():
    lines = {line.split("`")[1] for line in render().partition("## Built-in roles")[0].splitlines() if line.startswith("| `")}
    assert {name: role.tokens - lines for name, role in BUILT_IN.items() if role.tokens - lines} == {}
