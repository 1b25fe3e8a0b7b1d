# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.archipel.platform.plugins.plugin_utils import survey as survey_module

from tests.unit.plugins.inventory.conftest import MakePlugin, survey

WHOLE = survey()
PARTIAL = survey(failures=("south is down",))


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the platform answers, one time after the other."""
    given: list[dict[str, Any]] = []
    left: Iterator[dict[str, Any]] = iter(given)
    monkeypatch.setattr(survey_module, "survey_all", lambda _endpoints: next(left))
    return given


def ask(plugin: Any, *, cache: bool = True) -> dict[str, Any]:
    found: dict[str, Any] = plugin._recall_or_survey("/etc/ansible/xmpp.yml", cache)
    return found


def with_cache(make_plugin: MakePlugin, *, enabled: bool) -> Any:
    plugin = make_plugin(cache=enabled)
    plugin._cache = {}
    return plugin


def test_without_a_cache_the_platform_is_asked_each_time(answers: list[dict[str, Any]], make_plugin: MakePlugin) -> None:
    answers += [WHOLE, PARTIAL]
    plugin = with_cache(make_plugin, enabled=False)
    assert [ask(plugin), ask(plugin)] == [WHOLE, PARTIAL]
    assert plugin._cache == {}


def test_a_whole_answer_is_kept(answers: list[dict[str, Any]], make_plugin: MakePlugin) -> None:
    answers += [WHOLE]
    plugin = with_cache(make_plugin, enabled=True)
    assert [ask(plugin), ask(plugin)] == [WHOLE, WHOLE]


def test_a_flushed_cache_is_filled_anew(answers: list[dict[str, Any]], make_plugin: MakePlugin) -> None:
    newer = survey()
    answers += [WHOLE, newer]
    plugin = with_cache(make_plugin, enabled=True)
    assert ask(plugin) is WHOLE
    assert ask(plugin, cache=False) is newer
    assert ask(plugin) is newer


def test_an_incomplete_answer_is_not_kept(answers: list[dict[str, Any]], make_plugin: MakePlugin) -> None:
    answers += [PARTIAL, WHOLE]
    plugin = with_cache(make_plugin, enabled=True)
    assert [ask(plugin), ask(plugin), ask(plugin)] == [PARTIAL, WHOLE, WHOLE]


def test_what_the_cache_has_is_shown_without_the_library(root: Path) -> None:
    """Importing it takes longer than reading the cache."""
    program = (
        "import sys; from ansible.plugins.loader import init_plugin_loader, inventory_loader; "
        "init_plugin_loader([sys.argv[1]]); assert inventory_loader.get('archipel.platform.xmpp'); "
        "print(*(name for name in sys.modules if name.startswith(('archipel', 'slixmpp'))))"
    )
    command = [sys.executable, "-c", program, str(root / ".venv" / "collections")]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == []
