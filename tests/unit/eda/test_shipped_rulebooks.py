# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rulebooks that are shipped name nothing that is not there (tests/e2e/test_rulebooks.py runs them)."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from archipel.client import Reason
from tests.conformance.agent import Agent

ROOT = Path(__file__).parents[3]
RULEBOOKS = sorted((ROOT / "extensions" / "eda" / "rulebooks").glob("*.yml"))
FQCN = "archipel.platform."
WHICH = pytest.mark.parametrize("rulebook", RULEBOOKS, ids=lambda path: path.stem)


def rules_of(rulebook: Path) -> Iterator[dict[str, Any]]:
    for ruleset in yaml.safe_load(rulebook.read_text()):
        yield from ruleset["rules"]


def quoted(pattern: str, condition: str) -> list[str]:
    """Return the texts that an attribute is compared with: ``== "a"`` or ``in ["a", "b"]``."""
    found = re.findall(rf'{pattern} (?:== ("[^"]*")|in (\[[^\]]*\]))', condition)
    return [text for single, several in found for text in re.findall(r'"([^"]*)"', single or several)]


@WHICH
def test_every_playbook_that_a_rulebook_runs_is_shipped(rulebook: Path) -> None:
    run = [rule["action"]["run_playbook"]["name"] for rule in rules_of(rulebook) if "run_playbook" in rule["action"]]
    assert run
    assert all(name.startswith(FQCN) for name in run)
    assert [name for name in run if not (ROOT / "playbooks" / f"{name.removeprefix(FQCN)}.yml").is_file()] == []


@WHICH
def test_conditions_name_what_is_pushed(rulebook: Path) -> None:
    declared = Agent().changes
    for rule in rules_of(rulebook):
        condition = rule["condition"]
        assert set(quoted("event.topic", condition)) <= set(declared)
        assert set(quoted("event.change", condition)) <= {str(change) for changes in declared.values() for change in changes}
        assert set(quoted("event.reason", condition)) <= {str(reason) for reason in Reason}
        assert set(quoted("event.host.kind", condition)) <= {"hypervisor", "virtualmachine"}
        assert set(quoted("event.type", condition)) <= {"push", "presence", "resync", "absent", "returned"}
        assert set(re.findall(r"event\.(\w+)", condition)) <= {"type", "topic", "change", "reason", "host", "own"}


@WHICH
def test_sources_have_options_that_there_are(rulebook: Path, root: Path) -> None:
    options = runpy.run_path(str(root / "extensions" / "eda" / "plugins" / "event_source" / "xmpp.py"))["OPTIONS"]
    for ruleset in yaml.safe_load(rulebook.read_text()):
        for source in ruleset["sources"]:
            assert set(source) - {"name"} == {f"{FQCN}xmpp"}
            assert set(source[f"{FQCN}xmpp"] or {}) <= set(options)


@WHICH
def test_what_comes_in_crowds_is_dealt_with_at_once(rulebook: Path) -> None:
    for rule in rules_of(rulebook):
        assert "throttle" in rule or rule["condition"].startswith(('event.type == "absent"', 'event.type == "returned"'))
