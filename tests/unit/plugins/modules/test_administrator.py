# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.archipel.platform.plugins.module_utils import administrators

from archipel.client import Session
from archipel.protocol import namespaces as ns
from archipel.protocol.events import ADMIN_ACCOUNTS_NODE as NODE
from tests.unit.client.scripted_stream import PUBSUB, ScriptedStream
from tests.unit.plugins.modules.wire import Wire, wire

__all__ = ["wire"]

BOB, EVE = "bob@example.org", "eve@example.org"
READ = f"<iq type='get' to='{PUBSUB}'><pubsub xmlns='{ns.PUBSUB}'><items node='{NODE}'/></pubsub></iq>"


def listed(*people: str) -> str:
    items = "".join(f"<item id='{jid}'><admin xmlns='' node='{jid.partition('@')[0]}' domain='example.org'/></item>" for jid in people)
    return f"<pubsub xmlns='{ns.PUBSUB}'><items node='{NODE}'>{items}</items></pubsub>"


@pytest.mark.parametrize(
    "declared, changed, after",
    [
        ({"people": [BOB]}, False, [BOB, EVE]),
        ({"people": ["zoe@example.org"]}, True, [BOB, EVE, "zoe@example.org"]),
        ({"people": [f"{EVE}/desk"], "state": "absent"}, True, [BOB]),
        ({"people": [BOB], "exclusive": True}, True, [BOB]),
        ({"people": [], "exclusive": True}, True, []),
    ],
)
def test_check_mode_tells_who_would_be_on_the_list(declared: dict[str, Any], changed: bool, after: list[str], wire: Wire) -> None:
    wire.script.append((READ, (listed(BOB, EVE),)))
    answer = wire.run("administrator", check=True, **declared)
    assert answer["changed"] is changed
    assert answer["lists"] == [{"list": NODE, "administrators": after}]
    wire.assert_asked()


def test_somebody_is_taken_off(wire: Wire) -> None:
    wire.script.append((READ, (listed(BOB, EVE), listed(BOB, EVE), listed(BOB))))
    retract = f"<retract node='{NODE}' notify='true'><item id='{EVE}'/></retract>"
    request = f"<iq type='set' to='{PUBSUB}'><pubsub xmlns='{ns.PUBSUB}'>{retract}</pubsub></iq>"
    wire.script.append((request, ("",)))
    assert wire.run("administrator", people=[EVE], state="absent")["lists"][0]["administrators"] == [BOB]
    wire.assert_asked(request)


def test_exclusive_goes_with_present(wire: Wire) -> None:
    assert "exclusive: goes with state: present" in wire.run("administrator", people=[], state="absent", exclusive=True)["msg"]


async def test_the_list_is_described_as_it_may_be_declared(stream: ScriptedStream, session: Session) -> None:
    stream.answer(READ, listed(EVE, BOB))
    [described] = await administrators.describe_all(session)
    assert described == {"people": [BOB, EVE], "exclusive": True}
    declared = administrators.DeclaredAdministrators(session, {"state": None, **described}, check_mode=True)
    before = await declared.read()
    assert declared.desired(before) == before
