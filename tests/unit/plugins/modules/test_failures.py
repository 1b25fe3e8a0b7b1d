# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every module fails in words when the agent refuses, is silent, talks nonsense, or the server goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from archipel.protocol import namespaces as ns
from archipel.xmpp.errors import Disconnected, NoAnswer
from tests.plugin_documentation import module_names
from tests.unit.client.scripted_stream import Answer, no_right
from tests.unit.plugins.modules.wire import Wire, query, wire

__all__ = ["wire"]

# By the name of a module: arguments with which it asks somebody something at once, and an answer to that which makes no sense.
FIRST_CALLS = Path(__file__).parent / "first_calls"
TROUBLE: dict[str, Answer] = {
    "the right some_right": no_right("some_right"),
    "no answer": NoAnswer("no answer within 30 s"),
    "connection": Disconnected("the connection to the XMPP server was lost: gone"),
}


def fail(wire: Wire, module: str, arguments: dict[str, Any]) -> str:
    """Run a module and return the words with which it failed."""
    answer = wire.run(module, **arguments)
    assert answer["failed"]
    assert "secret-word" not in str(answer)
    return str(answer["msg"])


def first_call(module: str) -> dict[str, Any]:
    call: dict[str, Any] = yaml.safe_load((FIRST_CALLS / f"{module}.yml").read_text())
    return call


@pytest.mark.parametrize("module", module_names())
@pytest.mark.parametrize("words", TROUBLE)
def test_a_module_says_what_kept_it_from_its_work(module: str, words: str, wire: Wire) -> None:
    wire.anything = TROUBLE[words]
    assert words in fail(wire, module, first_call(module)["arguments"])


@pytest.mark.parametrize("module", module_names())
def test_an_answer_that_makes_no_sense_is_told_with_who_gave_it(module: str, wire: Wire) -> None:
    call = first_call(module)
    wire.anything = query(call.get("namespace", ns.HYPERVISOR_CONTROL), call["nonsense"])
    assert "example.org" in fail(wire, module, call["arguments"])
