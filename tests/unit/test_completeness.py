# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The build fails where something has no test: an action, a right, a capability without an entry point."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path

import pytest

from archipel.agent import capabilities
from archipel.agent.dispatch import Command, Registry
from archipel.protocol.rights import CORE_TOKENS, EntityKind

# Rights of the founding protocol whose actions the following issues bring; they can be granted already.
WAITING = {"clone", "migrationinfo", "migrate", "screenshot", "nodeinfo", "getavatars", "setavatar"}


def declared_capabilities(root: Path) -> dict[str, str]:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    declared: dict[str, str] = project["entry-points"]["archipel.capabilities"]
    return declared


def all_commands(root: Path) -> list[Command]:
    registry = Registry()
    for name in declared_capabilities(root).values():
        registry.add(importlib.import_module(name))
    return [command for kind in EntityKind for command in registry.commands(kind)]


@pytest.fixture(scope="module")
def integration_tests(root: Path) -> str:
    return "\n".join(path.read_text() for path in sorted((root / "tests" / "integration" / "agent").glob("test_*.py")))


def test_every_capability_has_its_entry_point(root: Path) -> None:
    files = {path.stem for path in Path(capabilities.__path__[0]).glob("*.py")} - {"__init__"}
    assert {name.rpartition(".")[2] for name in declared_capabilities(root).values()} == files


def test_every_action_is_tried_on_a_real_server(root: Path, integration_tests: str) -> None:
    named = set(re.findall(r"""['"](\w+)['"]""", integration_tests))
    missing = {command.request.action for command in all_commands(root)} - named
    assert not missing, f"no integration test asks for {sorted(missing)}"


def test_every_right_guards_an_action_or_is_named_as_waiting(root: Path) -> None:
    guarding = {command.right for command in all_commands(root)} | {command.in_chat.right for command in all_commands(root)}
    without_action = {"all", "presence", "message", "permission_getown", "domain_policy_bypass"}  # asked for elsewhere
    assert {token.name for token in CORE_TOKENS} - guarding - without_action - WAITING == set()


def test_every_command_has_a_help_text(root: Path) -> None:
    assert [command.request.action for command in all_commands(root) if not command.help] == []
