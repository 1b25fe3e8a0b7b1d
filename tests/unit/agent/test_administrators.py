# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The platform's list of administrators: it counts as far as those who wrote it are trusted."""

from __future__ import annotations

import asyncio
from xml.etree import ElementTree as ET

import pytest

from archipel.agent import trusted_nodes
from archipel.agent.administrators import NODE
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.trusted_nodes import TrustedNode
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import CommandError
from archipel.protocol.events import events_node
from archipel.xmpp.errors import NoAnswer
from tests.unit.agent.conftest import finish_work, go_online
from tests.unit.agent.fake_xmpp import PUBSUB, FakeXmpp, Node
from tests.unit.agent.fakes import HYP, VM
from tests.wire.waiting import eventually

ADMIN, BOSS, EVE = (f"{name}@lab.example" for name in ("admin", "boss", "eve"))


def publish(xmpp: FakeXmpp, *names: str, publisher: str | None = ADMIN, owner: str = ADMIN) -> None:
    """Make the node, with an item for each account."""
    items = {name: (ET.Element("admin", {"node": name, "domain": "lab.example"}), publisher) for name in names}
    xmpp.nodes[NODE] = Node(owner, items=dict(items))


def the_list(hypervisor: Hypervisor) -> TrustedNode:
    return next(node for node in hypervisor.trusted_nodes if node.name == NODE)


def admins(hypervisor: Hypervisor) -> set[str]:
    return set(hypervisor.services.rights.admins)


async def test_who_is_on_the_list_is_an_administrator(xmpp: FakeXmpp, hypervisor: Hypervisor) -> None:
    publish(xmpp, "boss")
    await the_list(hypervisor).follow()
    assert admins(hypervisor) == {ADMIN, BOSS}
    assert xmpp.nodes[NODE].subscribers == [HYP]


async def test_a_platform_without_a_list_has_the_administrators_of_the_settings(hypervisor: Hypervisor) -> None:
    await the_list(hypervisor).follow()
    assert admins(hypervisor) == {ADMIN}


async def test_a_list_that_is_made_later_is_found(xmpp: FakeXmpp, hypervisor: Hypervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trusted_nodes, "LOOK_AGAIN", 0.001)
    await go_online(hypervisor)
    looking = asyncio.create_task(the_list(hypervisor).look_out())
    await asyncio.sleep(0.01)
    assert admins(hypervisor) == {ADMIN}
    publish(xmpp, "boss")
    await eventually(lambda: admins(hypervisor) == {ADMIN, BOSS})
    await asyncio.sleep(0.01)
    assert xmpp.nodes[NODE].subscribers == [HYP], "once it is found it is followed, and not looked for"
    looking.cancel()


async def test_a_list_that_is_deleted_and_made_anew_is_followed_again(
    xmpp: FakeXmpp, hypervisor: Hypervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trusted_nodes, "LOOK_AGAIN", 0.001)
    publish(xmpp, "boss")
    await go_online(hypervisor)
    looking = asyncio.create_task(the_list(hypervisor).look_out())
    await asyncio.sleep(0.01)
    assert admins(hypervisor) == {ADMIN, BOSS}
    publish(xmpp)
    await eventually(lambda: xmpp.nodes[NODE].subscribers == [HYP])
    await eventually(lambda: admins(hypervisor) == {ADMIN})
    looking.cancel()


async def test_who_is_taken_off_the_list_is_one_no_more(xmpp: FakeXmpp, hypervisor: Hypervisor) -> None:
    publish(xmpp, "boss")
    await the_list(hypervisor).follow()
    publish(xmpp)
    await the_list(hypervisor).refresh()
    assert admins(hypervisor) == {ADMIN}


@pytest.mark.parametrize("owner", [EVE, f"{ADMIN} {EVE}", "", f"{ADMIN} @@"])
async def test_a_list_is_ignored_if_anybody_owns_it_who_is_not_trusted(
    xmpp: FakeXmpp, hypervisor: Hypervisor, caplog: pytest.LogCaptureFixture, owner: str
) -> None:
    publish(xmpp, "eve", owner=owner)
    await the_list(hypervisor).follow()
    assert admins(hypervisor) == {ADMIN}
    assert "not trusted" in caplog.text


@pytest.mark.parametrize("model", ["open", "subscribers", ""])
async def test_a_list_is_ignored_if_others_may_publish_there(xmpp: FakeXmpp, hypervisor: Hypervisor, model: str) -> None:
    publish(xmpp, "boss")
    xmpp.nodes[NODE].publish_model = model
    await the_list(hypervisor).follow()
    assert admins(hypervisor) == {ADMIN}


@pytest.mark.parametrize("publisher,counts", [(ADMIN, True), (EVE, False)])
async def test_those_who_may_publish_must_be_trusted_too(xmpp: FakeXmpp, hypervisor: Hypervisor, publisher: str, counts: bool) -> None:
    publish(xmpp, "boss")
    xmpp.nodes[NODE].publishers = [publisher]
    await the_list(hypervisor).follow()
    assert (BOSS in admins(hypervisor)) is counts


async def test_a_list_that_is_taken_over_loses_its_effect(xmpp: FakeXmpp, hypervisor: Hypervisor) -> None:
    publish(xmpp, "boss")
    await the_list(hypervisor).follow()
    publish(xmpp, "boss", "eve", owner=EVE)
    await the_list(hypervisor).refresh()
    assert admins(hypervisor) == {ADMIN}


@pytest.mark.parametrize(
    "publisher,counts", [(ADMIN, True), (f"{ADMIN}/desk", True), ("Admin@LAB.example", True), (None, True), (EVE, False)]
)
async def test_an_item_counts_if_its_publisher_is_trusted_where_the_server_tells_him(
    xmpp: FakeXmpp, hypervisor: Hypervisor, publisher: str | None, counts: bool
) -> None:
    publish(xmpp, "boss", publisher=publisher)
    await the_list(hypervisor).follow()
    assert (BOSS in admins(hypervisor)) is counts


@pytest.mark.parametrize("node,domain", [("", "lab.example"), ("a b", "lab.example"), ("boss", ""), ("a@b", "c")])
async def test_an_item_that_names_no_account_spoils_nothing(xmpp: FakeXmpp, hypervisor: Hypervisor, node: str, domain: str) -> None:
    publish(xmpp, "boss")
    xmpp.nodes[NODE].items |= {"odd": (ET.Element("admin", {"node": node, "domain": domain}), ADMIN), "empty": (None, ADMIN)}
    await the_list(hypervisor).follow()
    assert admins(hypervisor) == {ADMIN, BOSS}


async def test_an_item_of_a_publisher_that_cannot_be_read_spoils_nothing(xmpp: FakeXmpp, hypervisor: Hypervisor) -> None:
    publish(xmpp, "boss")
    xmpp.nodes[NODE].items["odd"] = (ET.Element("admin", {"node": "eve", "domain": "lab.example"}), "@@")
    await the_list(hypervisor).follow()
    assert admins(hypervisor) == {ADMIN, BOSS}


@pytest.mark.parametrize("step", ["read metadata", "read items"])
@pytest.mark.parametrize("error", [CommandError("no"), NoAnswer("late")])
async def test_a_list_that_cannot_be_read_now_leaves_the_administrators_as_they_are(
    xmpp: FakeXmpp, hypervisor: Hypervisor, step: str, error: Exception
) -> None:
    publish(xmpp, "boss")
    await the_list(hypervisor).follow()
    xmpp.refuse[step] = error
    await the_list(hypervisor).refresh()
    assert admins(hypervisor) == {ADMIN, BOSS}


async def test_a_retraction_cannot_remove_an_administrator_of_the_settings(xmpp: FakeXmpp, hypervisor: Hypervisor) -> None:
    """A forged retraction did that to the founders' agent."""
    publish(xmpp, "admin")
    await the_list(hypervisor).follow()
    publish(xmpp)
    await the_list(hypervisor).refresh()
    assert ADMIN in admins(hypervisor)


def notification(sender: str) -> str:
    item = "<item id='1'><admin node='eve' domain='lab.example'/></item>"
    items = f"<items node='{NODE}'>{item}</items>"
    return f"<message from='{sender}'><event xmlns='http://jabber.org/protocol/pubsub#event'>{items}</event></message>"


async def test_a_notification_is_only_a_hint_to_read_the_list(xmpp: FakeXmpp, hypervisor: Hypervisor) -> None:
    publish(xmpp)
    stream = await go_online(hypervisor)
    publish(xmpp, "boss")
    stream.deliver(notification(PUBSUB))
    await finish_work(hypervisor)
    assert admins(hypervisor) == {ADMIN, BOSS}, "what the list says counts, not what the message said"


async def test_a_notification_from_anybody_else_is_not_even_that(xmpp: FakeXmpp, hypervisor: Hypervisor) -> None:
    publish(xmpp)
    stream = await go_online(hypervisor)
    read = xmpp.asked("read items")
    stream.deliver(notification("eve@lab.example/x"))
    await finish_work(hypervisor)
    assert xmpp.asked("read items") == read


async def test_new_administrators_read_the_events_of_all_entities(xmpp: FakeXmpp, hypervisor: Hypervisor, machine: VirtualMachine) -> None:
    publish(xmpp)
    stream = await go_online(hypervisor)
    await go_online(machine)
    publish(xmpp, "boss")
    stream.deliver(notification(PUBSUB))
    await finish_work(hypervisor)
    assert all(xmpp.nodes[events_node(bare)].affiliations[BOSS] == "member" for bare in (HYP, VM))
