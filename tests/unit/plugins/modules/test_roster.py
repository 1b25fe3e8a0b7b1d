# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from archipel.protocol import namespaces as ns
from tests.unit.client.scripted_stream import HYPERVISOR_FULL, command
from tests.unit.plugins.modules.wire import Wire, wire

__all__ = ["wire"]

BOB = "bob@example.org"
EVE = "eve@example.org"
READ = "<archipel action='getroster'/>"


def items(*people: str) -> str:
    return "".join(f"<item jid='{person}' subscription='both'/>" for person in people)


def subscription(action: str, person: str) -> str:
    return f"<archipel jid='{person}' action='{action}'/>"


@pytest.mark.parametrize(
    "declared, before, sent, after",
    [
        ({"people": [BOB]}, [EVE], [("add", BOB)], [BOB, EVE]),
        ({"people": [BOB], "state": "absent"}, [BOB, EVE], [("remove", BOB)], [EVE]),
        ({"people": [BOB], "exclusive": True}, [EVE], [("add", BOB), ("remove", EVE)], [BOB]),
        ({"people": [], "exclusive": True}, [BOB, EVE], [("remove", BOB), ("remove", EVE)], []),
    ],
)
def test_people_are_taken_in_and_out(
    declared: dict[str, Any], before: list[str], sent: list[tuple[str, str]], after: list[str], wire: Wire
) -> None:
    wire.entity(HYPERVISOR_FULL, "get", ns.ROSTER, READ, items(*before), items(*after))
    for action, person in sent:
        wire.entity(HYPERVISOR_FULL, "set", ns.SUBSCRIPTION, subscription(action, person))
    answer = wire.run("roster", **declared)
    assert answer["changed"]
    assert answer["entities"][0]["contacts"] == [{"jid": person, "subscription": "both"} for person in after]
    wire.assert_asked(*(command("set", HYPERVISOR_FULL, ns.SUBSCRIPTION, subscription(action, person)) for action, person in sent))


@pytest.mark.parametrize(
    "declared", [{"people": [f"{BOB}/desk"]}, {"people": [EVE, BOB], "exclusive": True}, {"people": ["zoe@example.org"], "state": "absent"}]
)
def test_what_is_so_already_is_left_alone(declared: dict[str, Any], wire: Wire) -> None:
    wire.entity(HYPERVISOR_FULL, "get", ns.ROSTER, READ, items(BOB, EVE))
    assert not wire.run("roster", **declared)["changed"]
    wire.assert_asked()


def test_check_mode_tells_who_would_be_there(wire: Wire) -> None:
    wire.entity(HYPERVISOR_FULL, "get", ns.ROSTER, READ, items(EVE))
    answer = wire.run("roster", check=True, people=[BOB])
    assert answer["entities"][0]["contacts"] == [{"jid": BOB, "subscription": "none"}, {"jid": EVE, "subscription": "both"}]
    wire.assert_asked()
