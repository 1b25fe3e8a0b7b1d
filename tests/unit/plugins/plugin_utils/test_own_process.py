# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action that runs modules: where, with which arguments, and what it shows."""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

import pytest
from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display
from ansible_collections.archipel.platform.plugins.module_utils.connection import connection_arguments
from ansible_collections.archipel.platform.plugins.module_utils.execution import Module, Run
from ansible_collections.archipel.platform.plugins.plugin_utils import own_process
from ansible_collections.archipel.platform.plugins.plugin_utils.own_process import HIDDEN, ActionModule

from archipel.protocol.errors import PermissionDenied
from archipel.xmpp.errors import Disconnected
from tests.unit.plugins.modules.wire import LOGIN, Wire, wire

__all__ = ["wire"]

PATH = "ansible_collections.archipel.platform.plugins.plugin_utils.own_process"
ARGUMENTS: dict[str, Any] = {
    **connection_arguments(),
    "word": {"type": "str"},
    "number": {"type": "int", "aliases": ["count"]},
    "names": {"type": "list", "elements": "str"},
    "raw": {"type": "raw"},
    "secret": {"type": "str", "no_log": True, "aliases": ["hidden"]},
    "parts": {"type": "list", "elements": "dict", "options": {"key": {"type": "str", "no_log": True}}},
    "old": {"type": "str", "removed_in_version": "9.0.0", "removed_from_collection": "archipel.platform"},
    "new": {
        "type": "str",
        "aliases": ["former"],
        "deprecated_aliases": [{"name": "former", "version": "9.0.0", "collection_name": "archipel.platform"}],
    },
}


async def say(run: Run) -> Mapping[str, Any]:
    """Return what came, and warn and tell of it."""
    run.warn(f"careful with {run.arguments['secret']}")
    run.tell(f"half of {run.arguments['word']}")
    return {
        "changed": False,
        "arguments": {name: run.arguments[name] for name in ("word", "number", "names", "raw", "secret", "parts")},
        "modes": [run.check_mode, run.diff_mode],
        "path": os.environ.get("GATES_PATH"),
    }


@pytest.fixture(autouse=True)
def fresh_session() -> Iterator[None]:
    yield
    ActionModule.KEPT.close()


def make_action(arguments: Mapping[str, Any], **task: Any) -> ActionModule:
    """Return an action for a task with these arguments."""
    said = {
        "args": dict(arguments),
        "action": "sample",
        "resolved_action": "archipel.platform.sample",
        "async_val": 0,
        "check_mode": False,
        "diff": False,
        "delegate_to": None,
        "environment": [],
        "no_log": False,
        "get_name": lambda: "Try it",
        **task,
    }
    connection = SimpleNamespace(
        transport=said.pop("transport", "local"), become=said.pop("become", None), _shell=SimpleNamespace(tmpdir=None, env_prefix=dict)
    )
    templar = SimpleNamespace(template=lambda value: value)
    return ActionModule(SimpleNamespace(**said), connection, None, None, templar, None)


def call(arguments: Mapping[str, Any], work: Any = say, *, variables: Mapping[str, Any] | None = None, **task: Any) -> dict[str, Any]:
    """Run a sample module by the action."""
    action = make_action({**LOGIN, **arguments}, **task)
    module = Module(ARGUMENTS, work, constraints=task.get("constraints", {"required_one_of": [["word", "number", "secret", "old", "new"]]}))
    with mock.patch.object(action, "_find_module", return_value=module):
        return action.run(task_vars=dict(variables or {}))


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the user is warned of."""
    told: list[str] = []
    monkeypatch.setattr(own_process, "warn", told.append)
    monkeypatch.setattr(
        own_process, "deprecate", lambda msg, **about: told.append(f"{msg} ({about['version']}, {about['deprecator'].resolved_name})")
    )
    return told


@pytest.mark.usefixtures("wire")
def test_arguments_are_as_the_module_takes_them(warnings: list[str]) -> None:
    from ansible.template import trust_as_template

    day = datetime.date(2026, 11, 22)
    raw = {"on": day, 5: [trust_as_template("x"), 1.5, True, None]}
    result = call({"word": trust_as_template("hello"), "count": "7", "names": "a,b", "raw": raw}, check_mode=True, diff=True)
    assert result["arguments"] == {
        "word": "hello",
        "number": 7,
        "names": ["a", "b"],
        "raw": {"on": "2026-11-22", "5": ["x", 1.5, True, None]},
        "secret": None,
        "parts": None,
    }
    assert type(result["arguments"]["word"]) is str
    assert result["modes"] == [True, True]
    assert warnings == ["careful with None"]


@pytest.mark.usefixtures("wire")
def test_nothing_that_is_shown_has_a_secret_in_it(warnings: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    result = call({"hidden": "my-secret", "parts": [{"key": "its-key"}], "word": "of my-secret"})
    shown = result["invocation"]["module_args"]
    assert (shown["secret"], shown["hidden"], shown["xmpp_password"]) == (HIDDEN, HIDDEN, HIDDEN)
    assert result["arguments"]["word"] == "of ********"
    for secret in ("my-secret", "its-key", "secret-word"):
        assert secret not in str(result)
        assert secret not in str(warnings)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (
            {"word": "x", "wrod": "y"},
            r"^Unsupported parameters for \(archipel.platform.sample\) module: wrod. Supported parameters include: ",
        ),
        ({"wrod": "y"}, "module: wrod. Supported parameters include: "),
        ({"number": "many"}, "argument 'number' is of type"),
        ({}, "one of the following is required: word, number"),
        ({"secret": "hush", "number": "hush"}, r"unable to convert to int: .*\*{8}"),
    ],
)
def test_wrong_arguments_are_told_without_secrets(arguments: dict[str, Any], words: str, wire: Wire) -> None:
    with pytest.raises(AnsibleActionFail, match=words) as failure:
        call(arguments)
    assert "hush" not in str(failure.value)
    assert wire.streams == []


@pytest.mark.usefixtures("wire")
def test_what_is_deprecated_is_told(warnings: list[str]) -> None:
    call({"old": "a", "former": "b", "number": 1, "count": 2})
    assert warnings[:3] == [
        "Alias 'former' is deprecated. See the module docs for more information (9.0.0, archipel.platform)",
        "Param 'old' is deprecated. See the module docs for more information (9.0.0, archipel.platform)",
        "Both option number and its alias count are set.",
    ]


@pytest.mark.usefixtures("wire", "warnings")
def test_the_environment_of_the_task_is_there_meanwhile_and_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATES_PATH", "before")
    assert call({"word": "x"}, environment=[{"GATES_PATH": "a"}, {"GATES_MORE": 5}])["path"] == "a"
    assert os.environ["GATES_PATH"] == "before"
    assert "GATES_MORE" not in os.environ


@pytest.mark.usefixtures("wire", "warnings")
@pytest.mark.parametrize("hushed, told", [(False, ["Try it: half of way"]), (True, [])])
def test_progress_is_told_at_once_unless_the_task_is_silent(hushed: bool, told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(Display, "display", lambda _self, text, **_how: shown.append(text))
    call({"word": "way"}, no_log=hushed)
    assert shown == told


@pytest.mark.usefixtures("warnings")
@pytest.mark.parametrize(
    "failure", [PermissionDenied("no", "shutdown"), Disconnected("gone"), ValueError("hypervisor: name it"), OSError("no")]
)
def test_an_expected_failure_is_a_result_and_ends_the_session(failure: Exception, wire: Wire) -> None:
    async def fail(_run: Run) -> Mapping[str, Any]:
        raise failure

    result = call({"word": "x"}, fail)
    assert result["failed"]
    assert result["msg"].startswith(str(failure))
    assert result.get("missing_right") == getattr(failure, "right", None)
    assert wire.streams[0].logged_out
    call({"word": "x"})
    assert len(wire.streams) == 2


@pytest.mark.usefixtures("warnings")
def test_a_defect_is_an_error_of_its_own_and_ends_the_session(wire: Wire) -> None:
    async def fail(_run: Run) -> Mapping[str, Any]:
        raise ZeroDivisionError("a defect")

    with pytest.raises(ZeroDivisionError, match="a defect"):
        call({"word": "x"}, fail)
    assert wire.streams[0].logged_out


@pytest.mark.usefixtures("warnings")
def test_the_rounds_of_a_loop_share_a_session_and_another_account_does_not(wire: Wire) -> None:
    for number in range(3):
        call({"number": number})
    assert len(wire.streams) == 1
    call({"word": "x"}, environment=[{"ARCHIPEL_HOST": "elsewhere.example"}])
    assert [stream.logged_out for stream in wire.streams] == [True, False]


@pytest.mark.parametrize(
    "task, variables",
    [
        ({"transport": "ssh"}, {}),
        ({"become": object()}, {}),
        ({"async_val": 60}, {}),
        ({}, {"ansible_python_interpreter": "/usr/bin/python3.99"}),
        ({"delegate_to": "far"}, {"ansible_delegated_vars": {"far": {"ansible_python_interpreter": "/usr/bin/python3.99"}}}),
    ],
)
def test_what_only_another_process_does_is_done_there(task: dict[str, Any], variables: dict[str, Any]) -> None:
    action = make_action({"word": "x"}, **task)
    with mock.patch.object(action, "_execute_module", return_value={"changed": True}) as execute:
        assert action.run(task_vars=variables) == {"changed": True}
    execute.assert_called_once_with(task_vars=variables, wrap_async=task.get("async_val", 0) > 0)


@pytest.mark.usefixtures("wire", "warnings")
@pytest.mark.parametrize(
    "task, variables",
    [
        ({}, {"ansible_python_interpreter": sys.executable}),
        ({}, {"ansible_python_interpreter": "auto_silent"}),
        (
            {"delegate_to": "localhost"},
            {
                "ansible_python_interpreter": "/usr/bin/python3.99",
                "ansible_delegated_vars": {"localhost": {"ansible_python_interpreter": sys.executable}},
            },
        ),
    ],
)
def test_the_rest_is_done_here(task: dict[str, Any], variables: dict[str, Any]) -> None:
    assert call({"word": "x"}, variables=variables, **task)["arguments"]["word"] == "x"


def test_without_the_library_another_process_tells_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_process, "MISSING", "ImportError")
    action = make_action({"word": "x"})
    with mock.patch.object(action, "_execute_module", return_value={"failed": True}):
        assert action.run()["failed"]


@pytest.mark.parametrize("name", ["archipel.platform.vm_info", "vm_info"])
def test_the_module_is_found_by_the_full_name_of_the_task(name: str) -> None:
    action = make_action({}, action=name, resolved_action="archipel.platform.vm_info")
    assert cast(Any, action._find_module().work).__module__.endswith(".vm_info")
