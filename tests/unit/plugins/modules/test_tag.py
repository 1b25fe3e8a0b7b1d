# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.archipel.platform.plugins.module_utils import tags

from archipel.client import Hypervisor
from archipel.protocol import namespaces as ns
from archipel.protocol.events import TAGS_NODE
from tests.unit.client.scripted_stream import HYPERVISOR, HYPERVISOR_FULL, MACHINE, MACHINE_FULL, PUBSUB, ScriptedStream, command
from tests.unit.plugins.modules.wire import Wire, query, wire

__all__ = ["wire"]

NODE = f"<iq type='get' to='{PUBSUB}'><pubsub xmlns='{ns.PUBSUB}'><items node='{TAGS_NODE}'/></pubsub></iq>"
LIST = f"<item managed='True' name='web'>{MACHINE_FULL}</item>"


def node(jid: str, words: str) -> str:
    item = f"<item id='{jid}'><tag xmlns='' jid='{jid}' tags='{words}'/></item>"
    return f"<pubsub xmlns='{ns.PUBSUB}'><items node='{TAGS_NODE}'>{item}</items></pubsub>"


def set_tags(words: str) -> str:
    return f"<archipel tags='{words}' action='settags'/>"


@pytest.mark.parametrize(
    "declared, before, sent, after",
    [
        ({"tags": ["tp1", "a"]}, "z;;a", "z;;a;;tp1", ["a", "tp1", "z"]),
        ({"tags": ["tp1"], "exclusive": True}, "z;;a", "tp1", ["tp1"]),
        ({"tags": ["a", "b"], "state": "absent"}, "z;;a", "z", ["z"]),
        ({"tags": [], "exclusive": True}, "z;;a", "", []),
    ],
)
def test_the_other_tags_stay_unless_told(declared: dict[str, Any], before: str, sent: str, after: list[str], wire: Wire) -> None:
    wire.script.append((NODE, (node(HYPERVISOR, before), node(HYPERVISOR, ";;".join(after)))))
    wire.entity(HYPERVISOR_FULL, "set", ns.TAGS, set_tags(sent))
    answer = wire.run("tag", **declared)
    assert answer["changed"]
    assert answer["entities"] == [{"name": HYPERVISOR, "jid": HYPERVISOR, "tags": after}]
    wire.assert_asked(command("set", HYPERVISOR_FULL, ns.TAGS, set_tags(sent)))


@pytest.mark.parametrize("declared", [{"tags": ["a"]}, {"tags": ["z", "a"], "exclusive": True}, {"tags": ["b"], "state": "absent"}])
def test_what_is_so_already_is_left_alone(declared: dict[str, Any], wire: Wire) -> None:
    wire.script.append((NODE, (node(HYPERVISOR, "a;;z"),)))
    assert not wire.run("tag", **declared)["changed"]
    wire.assert_asked()


def test_check_mode_tells_all_tags_that_there_would_be(wire: Wire) -> None:
    wire.script.append((NODE, (node(HYPERVISOR, "a;;z"),)))
    assert wire.run("tag", check=True, tags=["b"])["entities"][0]["tags"] == ["a", "b", "z"]
    wire.assert_asked()


def test_many_machines_ask_for_the_list_of_tags_once(wire: Wire) -> None:
    other = "6f0c0000-0000-4000-8000-000000000002@example.org"
    wire.hypervisor("get", "<archipel action='rostervm'/>", f"{LIST}<item managed='True' name='mail'>{other}/hyp</item>")
    wire.script.append((NODE, (node(MACHINE, "a"),)))
    answer = wire.run("tag", machines=["web", "mail"], tags=["b"], state="absent")
    assert [(entity["name"], entity["tags"]) for entity in answer["entities"]] == [("web", ["a"]), ("mail", [])]
    assert len(wire.asked) == 2


@pytest.mark.parametrize("word", ["", "a;;b"])
def test_what_is_no_tag_is_refused(word: str, wire: Wire) -> None:
    assert "is no tag" in wire.run("tag", tags=[word])["msg"]


async def test_what_is_described_is_what_may_be_declared(stream: ScriptedStream, hypervisor: Hypervisor) -> None:
    stream.answer(
        command("get", HYPERVISOR_FULL, ns.HYPERVISOR_CONTROL, "<archipel action='rostervm'/>"), query(ns.HYPERVISOR_CONTROL, LIST)
    )
    stream.answer(NODE, node(MACHINE, "z;;a"))
    described = await tags.describe_all(hypervisor)
    assert described == [{"machine": "web", "tags": ["a", "z"], "exclusive": True}]
    declared = tags.DeclaredTags(hypervisor, {"state": None, **described[0]}, check_mode=True)
    before = await declared.read()
    assert declared.desired(before) == before
