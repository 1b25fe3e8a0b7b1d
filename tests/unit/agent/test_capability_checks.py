# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A capability that nobody could use is refused when the agent starts, with words that say what to mend."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from archipel.agent import capabilities, plugins
from archipel.agent.config import parse_settings
from archipel.agent.settings import Settings
from archipel.protocol.rights import EntityKind
from tests.unit.agent.fakes import SETTINGS

BUILT_IN = sorted({path.stem for path in Path(capabilities.__path__[0]).glob("*.py")} - {"__init__"})
NOTE = (Path(__file__).parents[3] / "examples" / "archipel-note" / "archipel_note.py").read_text()


Load = Callable[[str], None]


def settings(more: str = "") -> Settings:
    return parse_settings(SETTINGS.format(folder="/nowhere", more=more), hostname="host1")


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load a third party's module beside the built-in ones."""

    def load_beside(source: str) -> None:
        (tmp_path / "checked_note.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)
        found = [*plugins._installed(), EntryPoint("note", "checked_note", plugins.GROUP)]
        monkeypatch.setattr(plugins, "_installed", lambda: iter(found))
        try:
            plugins.load(settings())
        finally:
            sys.modules.pop("checked_note", None)

    return load_beside


def test_the_example_is_taken_in(load: Load) -> None:
    load(NOTE)


@pytest.mark.parametrize(
    "before, after, told",
    [
        (
            'right="note"',
            'right="notes"',
            r"checked_note: the action set of a virtualmachine asks for the right 'notes'.* TOKENS \(is 'note' ",
        ),
        ("TOKENS = (", "UNUSED = (", "asks for the right 'note', which does not exist there: add it to TOKENS"),
        ("ON_VIRTUAL_MACHINE)", "ON_HYPERVISOR)", "the action set of a virtualmachine asks for the right 'note'"),
        ('Token("note"', 'Token("Note"', r"note \(checked_note\) cannot be taken in: 'Note' is not a token: write lower-case"),
        ("),)\n\n\n@payload", "))\n\n\n@payload", r"note \(checked_note\) cannot be taken in: 'Token' object is not iterable"),
        ("note {text}", "note {words}", "the action set of a virtualmachine is asked for with 'words', which is no field of SetNote"),
        ("questions={", 'confirm_when="words", questions={', "is asked for with 'words', which is no field of SetNote"),
        (
            'action="get"',
            'action="set"',
            r"note \(checked_note\) cannot be taken in: virtualmachine: urn:example:note set is answered twice",
        ),
    ],
    ids=["right misspelt", "right not declared", "right of another kind", "no token", "no tuple", "phrase", "confirmation", "action twice"],
)
def test_what_nobody_could_use_is_refused_and_told(load: Load, before: str, after: str, told: str) -> None:
    assert NOTE.count(before) == 1
    source = NOTE.replace("import ON_VIRTUAL_MACHINE,", "import ON_HYPERVISOR, ON_VIRTUAL_MACHINE,")
    with pytest.raises(ImportError, match=told):
        load(source.replace(before, after))


@pytest.mark.parametrize("name", BUILT_IN)
def test_each_built_in_capability_can_be_switched_off_alone(name: str) -> None:
    _catalogue, registry = plugins.load(settings(f"[MODULES]\n{name} = False"))
    assert all(list(registry.commands(kind)) for kind in EntityKind)
