# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event source documents what it takes, and its examples are taken."""

from __future__ import annotations

import inspect
import runpy
from pathlib import Path
from typing import Any

import pytest
import yaml

FQCN = "archipel.platform.xmpp"
TYPES = {"str": "read_text", "path": "read_text", "int": "int", "bool": "read_bool", "float": "read_seconds", "list": "read_list"}


@pytest.fixture
def plugin(root: Path) -> dict[str, Any]:
    return runpy.run_path(str(root / "extensions" / "eda" / "plugins" / "event_source" / "xmpp.py"))


def test_every_option_is_documented_with_its_type_and_default(plugin: dict[str, Any]) -> None:
    documented = yaml.safe_load(plugin["DOCUMENTATION"])["options"]
    assert set(documented) == set(plugin["OPTIONS"])
    for name, option in documented.items():
        expected = "read_limit" if "choices" in option else TYPES[option["type"]]
        read = plugin["OPTIONS"][name]
        assert ("read_text" if read is str else read.__name__) == expected, name
        if name in plugin["DEFAULTS"]:
            assert option["default"] == plugin["DEFAULTS"][name]
    assert documented["limit_plays"]["choices"] == list(plugin["LIMITS"])


def test_the_documentation_has_what_every_plugin_has(plugin: dict[str, Any]) -> None:
    documentation = yaml.safe_load(plugin["DOCUMENTATION"])
    assert documentation["name"] == "xmpp"
    assert documentation["version_added"] == "0.1.0"
    assert {"short_description", "author", "description", "requirements"} <= set(documentation)


def test_the_examples_are_taken(plugin: dict[str, Any]) -> None:
    examples = yaml.safe_load(plugin["EXAMPLES"])
    assert len(examples) >= 2
    for example in examples:
        assert plugin["read_options"](example[FQCN] or {})


def test_it_is_what_ansible_rulebook_calls(plugin: dict[str, Any]) -> None:
    assert inspect.iscoroutinefunction(plugin["main"])
    assert list(inspect.signature(plugin["main"]).parameters) == ["queue", "args"]


def test_it_has_the_licence_in_its_head(root: Path) -> None:
    for file in (root / "extensions").rglob("*.py"):
        head = file.read_text().splitlines()[:3]
        assert head[1] == "# SPDX-License-Identifier: GPL-3.0-or-later", file
        assert "GNU General Public License v3.0+" in head[2], file
