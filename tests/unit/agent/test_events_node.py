# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An entity's events node: only for those who may know, counted without gaps, and never in the way of what was done."""

from __future__ import annotations

from typing import cast

import pytest

from archipel.agent.events import CONFIGURATION, EPOCH, EventsNode
from archipel.protocol.errors import CommandError, Condition
from archipel.protocol.events import Push, Topic, events_node
from archipel.xmpp.errors import Disconnected, NoAnswer
from archipel.xmpp.pubsub import PubSub
from archipel.xmpp.stream import Stream
from tests.unit.agent.fake_xmpp import PUBSUB, FakeXmpp, Node

WEB = "web@lab.example"
NODE = events_node(WEB)
ALICE, BOB, EVE = (f"{name}@lab.example" for name in ("alice", "bob", "eve"))


@pytest.fixture
async def events(xmpp: FakeXmpp) -> EventsNode:
    return EventsNode(PubSub(cast(Stream, xmpp.open_stream(f"{WEB}/hyp", "", None)), PUBSUB), WEB)


async def test_a_missing_node_is_made_closed_to_all_but_the_readers(xmpp: FakeXmpp, events: EventsNode) -> None:
    await events.prepare({ALICE, BOB, WEB})
    node = xmpp.nodes[NODE]
    assert node.configuration == {"FORM_TYPE": "http://jabber.org/protocol/pubsub#node_config", **CONFIGURATION}
    assert node.configuration["pubsub#access_model"] == "whitelist"
    assert node.affiliations == {ALICE: "member", BOB: "member"}


async def test_a_node_that_is_there_is_kept_and_its_readers_brought_up_to_date(xmpp: FakeXmpp, events: EventsNode) -> None:
    xmpp.nodes[NODE] = Node(WEB, affiliations={ALICE: "member", EVE: "member", "spy@x": "outcast"})
    await events.prepare({ALICE, BOB})
    assert xmpp.nodes[NODE].affiliations == {ALICE: "member", BOB: "member", "spy@x": "outcast"}
    assert xmpp.asked("create node") == 0


async def test_a_node_that_was_open_to_all_is_closed_and_strangers_are_sent_away(xmpp: FakeXmpp, events: EventsNode) -> None:
    """The founding agent's nodes were open, and had the same names and owners."""
    xmpp.nodes[NODE] = Node(WEB, {**CONFIGURATION, "pubsub#access_model": "open"}, subscribers=[f"{ALICE}/desk", f"{EVE}/desk"])
    await events.prepare({ALICE})
    assert xmpp.nodes[NODE].configuration["pubsub#access_model"] == "whitelist"
    assert xmpp.nodes[NODE].subscribers == [f"{ALICE}/desk"]


async def test_a_node_that_is_as_it_should_be_is_not_configured_again(xmpp: FakeXmpp, events: EventsNode) -> None:
    xmpp.nodes[NODE] = Node(WEB, dict(CONFIGURATION))
    await events.prepare({ALICE})
    assert xmpp.asked("change configuration") == 0


async def test_nothing_is_published_on_a_node_that_cannot_be_closed(xmpp: FakeXmpp, events: EventsNode) -> None:
    xmpp.nodes[NODE] = Node(WEB, {"pubsub#access_model": "open"})
    xmpp.refuse["change configuration"] = CommandError("not now", 500, Condition.INTERNAL_SERVER_ERROR)
    await events.prepare({ALICE})
    await events.push(Topic.VM_CONTROL, "created")
    assert xmpp.nodes[NODE].items == {}


async def test_readers_come_and_go_one_by_one(xmpp: FakeXmpp, events: EventsNode) -> None:
    await events.prepare({ALICE})
    await events.admit({ALICE, BOB})
    await events.admit({BOB})
    assert xmpp.nodes[NODE].affiliations == {BOB: "member"}


async def test_who_may_not_read_any_more_is_no_subscriber_either(xmpp: FakeXmpp, events: EventsNode) -> None:
    """ejabberd goes on delivering to subscribers who are no members."""
    await events.prepare({ALICE, BOB})
    xmpp.nodes[NODE].subscribers = [f"{ALICE}/desk", f"{ALICE}/phone", BOB, f"{BOB}/desk"]
    await events.admit({BOB})
    assert xmpp.nodes[NODE].subscribers == [BOB, f"{BOB}/desk"]


async def test_nothing_is_asked_where_nothing_changes(xmpp: FakeXmpp, events: EventsNode) -> None:
    await events.prepare({ALICE})
    before = xmpp.asked("change affiliations")
    await events.admit({ALICE, WEB})
    assert xmpp.asked("change affiliations") == before


async def test_readers_that_could_not_be_changed_are_tried_again(xmpp: FakeXmpp, events: EventsNode) -> None:
    await events.prepare(set())
    xmpp.refuse["change affiliations"] = CommandError("not now")
    with pytest.raises(CommandError):
        await events.admit({ALICE})
    xmpp.refuse.clear()
    await events.admit({ALICE})
    assert xmpp.nodes[NODE].affiliations == {ALICE: "member"}


# -- pushes -------------------------------------------------------------------------------------------------------------


def pushes(xmpp: FakeXmpp) -> list[Push | None]:
    return [Push.read(payload) for payload, _publisher in xmpp.nodes[NODE].items.values() if payload is not None]


async def test_pushes_are_counted_from_one_within_the_life_of_the_agent(xmpp: FakeXmpp, events: EventsNode) -> None:
    await events.prepare(set())
    for change in ("created", "suspended", "resumed"):
        await events.push(Topic.VM_CONTROL, change)
    found = [(push.topic, push.change, push.sequence, push.epoch) for push in pushes(xmpp) if push is not None]
    assert found == [
        ("virtualmachine:control", change, number, EPOCH) for number, change in enumerate(("created", "suspended", "resumed"), 1)
    ]


@pytest.mark.parametrize("error", [CommandError("full"), NoAnswer("late"), Disconnected("gone")])
async def test_a_push_that_fails_is_logged_and_leaves_a_gap_in_the_count(
    xmpp: FakeXmpp, events: EventsNode, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    await events.prepare(set())
    xmpp.refuse["publish"] = error
    await events.push(Topic.VM_CONTROL, "created")
    xmpp.refuse.clear()
    await events.push(Topic.VM_CONTROL, "suspended")
    assert [push.sequence for push in pushes(xmpp) if push is not None] == [2]
    assert f"push virtualmachine:control created was lost: {error}" in caplog.text


async def test_items_have_different_names(xmpp: FakeXmpp, events: EventsNode) -> None:
    await events.prepare(set())
    for _ in range(3):
        await events.push(Topic.VM_CONTROL, "same")
    assert len(xmpp.nodes[NODE].items) == 3


# -- somebody else's node -----------------------------------------------------------------------------------------------


async def test_nothing_is_published_on_a_node_that_somebody_else_made(
    xmpp: FakeXmpp, events: EventsNode, caplog: pytest.LogCaptureFixture
) -> None:
    xmpp.nodes[NODE] = Node(EVE)
    await events.prepare({ALICE})
    await events.push(Topic.VM_CONTROL, "created")
    assert xmpp.nodes[NODE].items == {}
    assert xmpp.nodes[NODE].affiliations == {}
    assert "belongs to somebody else" in caplog.text


async def test_a_node_that_was_taken_back_is_used_with_the_count_going_on(xmpp: FakeXmpp, events: EventsNode) -> None:
    xmpp.nodes[NODE] = Node(EVE)
    await events.prepare(set())
    await events.push(Topic.VM_CONTROL, "created")
    del xmpp.nodes[NODE]
    await events.prepare(set())
    await events.push(Topic.VM_CONTROL, "suspended")
    assert [push.sequence for push in pushes(xmpp) if push is not None] == [2]


async def test_before_the_node_is_prepared_pushes_are_counted_and_not_sent(xmpp: FakeXmpp, events: EventsNode) -> None:
    await events.push(Topic.VM_CONTROL, "created")
    assert (events.sequence, xmpp.steps) == (1, [])


# -- the end ------------------------------------------------------------------------------------------------------------


async def test_a_removed_node_is_gone_and_removing_it_again_is_no_error(xmpp: FakeXmpp, events: EventsNode) -> None:
    await events.prepare(set())
    await events.remove()
    assert NODE not in xmpp.nodes
    await events.remove()


async def test_a_node_that_cannot_be_removed_is_told(xmpp: FakeXmpp, events: EventsNode) -> None:
    await events.prepare(set())
    xmpp.refuse["delete node"] = CommandError("no", condition=Condition.FORBIDDEN)
    with pytest.raises(CommandError):
        await events.remove()
