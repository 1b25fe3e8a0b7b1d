# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each action of the running agent, asked with hostile arguments by an administrator: one typed answer each, and it lives on.

Many more of them are tried without a server in tests/unit/agent/test_hostile_requests.py.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from tests.unit.agent.hostile_requests import BOMB, NAMES, PLACES, good_request
from tests.wire.action import HYPERVISOR, Action
from tests.wire.actions import ACTIONS
from tests.wire.matching import child, show
from tests.wire.person import Person
from tests.wire.platform import CONTROL, Machine, Platform
from tests.wire.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each", "tags_node")]

KINDS = sorted({row.kind for row in ACTIONS})
VALUES = (PLACES[0], "9" * 400, NAMES[0], "'; DROP TABLE grants;--", "\u202e%s{0}$(id)")
LARGEST_ANSWER = 200_000


def spoil(action: Action, words: dict[str, str], value: str) -> str:
    """The request of an action's row, each of whose values is replaced, with nonsense inside."""
    request = good_request(action, words)
    fields = {wrong.field for wrong in action.malformed if wrong.field.isidentifier()}
    for node in request.iter():
        for name in [*node.attrib, *(fields if node is request else ())]:
            if name != "action":
                node.set(name, value)
        if (node.text or "").strip():
            node.text = value
    request.append(ET.fromstring(BOMB))
    return ET.tostring(request, "unicode").replace(f'xmlns:ns0="{action.namespace}"', "").replace("ns0:", "")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_hostile_value_everywhere_gets_one_typed_answer(platform: Platform, admin: Person, machine: Machine, kind: str):
    words = {
        "jid": machine.bare,
        "full": machine.full,
        "uuid": machine.uuid,
        "other": f"00000000-0000-4000-8000-000000000001@{platform.domain}",
        "person": admin.bare,
        "host": platform.host,
        "pools": f"{platform.agent.folder}/vm/pools",
        "definition": machine.definition(),
    }
    accounts, outside = platform.accounts(), sorted(platform.agent.folder.parent.iterdir())
    address = platform.host if kind == HYPERVISOR else machine.full
    rows = [row for row in ACTIONS if row.kind == kind and row.action != "free"]
    asked = {}
    for row in rows:
        for value in VALUES:
            request = spoil(row, words, value)
            asked[admin.request(address, f"<query xmlns='{row.namespace}'>{request}</query>")] = request
    await admin.until(lambda: all(admin.answers(key) for key in asked), "an answer to each request", deadline=120)
    for key, request in asked.items():
        (answer,) = admin.answers(key)
        assert len(show(answer)) < LARGEST_ANSWER, request[:300]
        if answer.get("type") == "error":
            assert child(answer, "error").get("code"), show(answer)[:500]
    assert "Traceback" not in platform.log
    assert (platform.accounts(), sorted(platform.agent.folder.parent.iterdir())) == (accounts, outside)
    await eventually(lambda: platform.agent.pid is not None)
    answer = await admin.command(machine.full, CONTROL, "<archipel action='info'/>", "get")
    assert answer.get("type") == "result", show(answer)
