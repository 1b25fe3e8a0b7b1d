# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The build fails where something has no test: an action, a right, a capability without an entry point."""

from __future__ import annotations

import importlib
import tomllib
from collections.abc import Iterator
from pathlib import Path

from archipel.agent import capabilities
from archipel.agent.dispatch import Command, Registry
from archipel.protocol.console import FAILURE as VNC
from archipel.protocol.errors import ErrorCode
from archipel.protocol.payload import Payload, fields_of
from archipel.protocol.rights import CORE_TOKENS, EntityKind
from tests.wire.actions import ACTIONS

# Rights of the founding protocol whose actions the following issues bring; they can be granted already.
WAITING = {"nodeinfo"}
# Fields in which no word is wrong: nobody of another type than "user" holds a right, what does not grant revokes, and what is no
# thumbnail is the whole screen.
FREE_TEXTS = {
    ("get", "permission_type"),
    ("getown", "permission_type"),
    ("set", "permission_value"),
    ("setown", "permission_value"),
    ("screenshot", "size"),
}
# Numbers that the founders gave to several things; and what is new beside something of theirs, and fails like it.
SHARED_CODES = {
    ErrorCode.PERMISSION: {"avatars", "oomkiller", "scheduler"},
    ErrorCode.ALLOC: {"geolocalization", "machines"},
    ErrorCode.GET_RIGHTS: {"rights", "rules"},
    ErrorCode.SET_RIGHTS: {"rights", "rules"},
    ErrorCode.LIST_RIGHTS: {"rights", "rules"},
    VNC: {"text_console", "vnc"},
}


def declared_capabilities(root: Path) -> dict[str, str]:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    declared: dict[str, str] = project["entry-points"]["archipel.capabilities"]
    return declared


def all_actions(root: Path) -> dict[tuple[str, str, str], Command]:
    """Every command by kind of entity, namespace and action."""
    registry = Registry()
    for name in declared_capabilities(root).values():
        registry.add(importlib.import_module(name))
    found = [(kind, command) for kind in EntityKind for command in registry.commands(kind)]
    return {(str(kind), command.request.namespace, command.request.action): command for kind, command in found}


def names_of_fields(request: type[Payload]) -> Iterator[str]:
    """The fields of a request as they are called on the wire, those of its list's items included."""
    for item in fields_of(request):
        if item.place == "children":
            yield from names_of_fields(item.type)
        else:
            yield item.xml_name


def test_every_capability_has_its_entry_point(root: Path) -> None:
    files = {path.stem for path in Path(capabilities.__path__[0]).glob("*.py")} - {"__init__"}
    assert {name.rpartition(".")[2] for name in declared_capabilities(root).values()} == files


def test_every_action_is_tried_on_a_real_server(root: Path) -> None:
    """Each row of the table is tried allowed, refused and malformed, with get and with set."""
    rows = {action.key: action for action in ACTIONS}
    assert len(rows) == len(ACTIONS), "two rows for one action"
    assert set(rows) == set(all_actions(root)), "tests/wire/actions/ has one row for each action of each kind of entity"


def test_the_table_of_actions_names_their_error_codes(root: Path) -> None:
    actions = all_actions(root)
    assert {key: command.failure for key, command in actions.items()} == {action.key: action.code for action in ACTIONS}


def test_no_two_capabilities_share_a_number_of_errors_unless_the_founders_did(root: Path) -> None:
    """Who reads a number shall know what failed."""
    owners: dict[int, set[str]] = {}
    for name in declared_capabilities(root).values():
        registry = Registry()
        registry.add(importlib.import_module(name))
        for kind in EntityKind:
            for command in registry.commands(kind):
                owners.setdefault(int(command.failure), set()).add(name.rpartition(".")[2])
    assert {code: names for code, names in owners.items() if len(names) > 1} == SHARED_CODES


def test_the_table_of_actions_names_their_rights(root: Path) -> None:
    """A right that everybody known has by default cannot be lacked: what it guards is refused to strangers alone."""
    defaults = {token.name for token in CORE_TOKENS if token.default}
    needed = {key: None if command.right in defaults else command.right for key, command in all_actions(root).items()}
    assert needed == {action.key: action.right for action in ACTIONS}


def test_every_field_of_an_action_is_tried_malformed(root: Path) -> None:
    untried = {}
    for action in ACTIONS:
        fields = {(action.action, name) for name in names_of_fields(all_actions(root)[action.key].request)} - FREE_TEXTS
        untried[action.key] = fields ^ {(action.action, wrong.field) for wrong in action.malformed}
    assert {key: sorted(fields) for key, fields in untried.items() if fields} == {}


def test_every_right_guards_an_action_or_is_named_as_waiting(root: Path) -> None:
    guarding = {command.right for command in all_actions(root).values()} | {command.in_chat.right for command in all_actions(root).values()}
    without_action = {"all", "presence", "message", "permission_getown", "domain_policy_bypass"}  # asked for elsewhere
    assert {token.name for token in CORE_TOKENS} - guarding - without_action - WAITING == set()


def test_every_command_has_a_help_text(root: Path) -> None:
    assert [command.request.action for command in all_actions(root).values() if not command.help] == []
