# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The PubSub service: exact questions, answers read, collisions in the server's database survived, forgeries ignored."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast
from xml.etree import ElementTree as ET

import pytest

from archipel.protocol import namespaces as ns
from archipel.protocol.errors import CommandError, Condition
from archipel.xmpp import pubsub as module
from archipel.xmpp.pubsub import RETRIES, Item, PubSub, read_notification
from archipel.xmpp.stream import Stream
from tests.unit.client.scripted_stream import OWN, PUBSUB, ScriptedStream, error, normal
from tests.unit.protocol.golden import canonical, xml

NODE = "/archipel/web@example.org/events"
FORM = f"<x xmlns='{ns.DATA_FORMS}' type='submit'><field var='FORM_TYPE' type='hidden'><value>{ns.PUBSUB_NODE_CONFIG}</value></field>"
WHITELIST = {"pubsub#access_model": "whitelist"}
WHITELIST_FIELD = "<field var='pubsub#access_model'><value>whitelist</value></field>"
BUSY = error("internal-server-error")


def ask(kind: str, content: str, namespace: str = ns.PUBSUB) -> str:
    return f"<iq type='{kind}' to='{PUBSUB}'><pubsub xmlns='{namespace}'>{content}</pubsub></iq>"


CREATE = ask("set", f"<create node='{NODE}'/><configure>{FORM}{WHITELIST_FIELD}</x></configure>")
DELETE = ask("set", f"<delete node='{NODE}'/>", ns.PUBSUB_OWNER)


@pytest.fixture
async def stream() -> ScriptedStream:
    return ScriptedStream()


@pytest.fixture
def pubsub(stream: ScriptedStream, monkeypatch: pytest.MonkeyPatch) -> PubSub:
    monkeypatch.setattr(module, "FIRST_PAUSE", 0)
    return PubSub(cast(Stream, stream), PUBSUB)


# -- questions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "act,asked",
    [
        (lambda pubsub: pubsub.create(NODE, WHITELIST), CREATE),
        (
            lambda pubsub: pubsub.configure(NODE, WHITELIST),
            ask("set", f"<configure node='{NODE}'>{FORM}{WHITELIST_FIELD}</x></configure>", ns.PUBSUB_OWNER),
        ),
        (lambda pubsub: pubsub.delete(NODE), DELETE),
        (
            lambda pubsub: pubsub.set_affiliations(NODE, {"bob@example.org": "member", "eve@example.org": "none"}),
            ask(
                "set",
                f"<affiliations node='{NODE}'><affiliation jid='bob@example.org' affiliation='member'/>"
                "<affiliation jid='eve@example.org' affiliation='none'/></affiliations>",
                ns.PUBSUB_OWNER,
            ),
        ),
        (
            lambda pubsub: pubsub.publish(NODE, ET.Element("{archipel:push:tags}push", {"change": "x"}), "item-1"),
            ask("set", f"<publish node='{NODE}'><item id='item-1'><push xmlns='archipel:push:tags' change='x'/></item></publish>"),
        ),
        (lambda pubsub: pubsub.retract(NODE, "i"), ask("set", f"<retract node='{NODE}' notify='true'><item id='i'/></retract>")),
        (lambda pubsub: pubsub.unsubscribe(NODE), ask("set", f"<unsubscribe node='{NODE}' jid='{OWN}'/>")),
    ],
    ids=["create", "configure", "delete", "affiliations", "publish", "retract", "unsubscribe"],
)
async def test_a_change_is_asked_for_exactly(
    stream: ScriptedStream, pubsub: PubSub, act: Callable[[PubSub], Awaitable[None]], asked: str
) -> None:
    stream.answer(asked, "")
    await act(pubsub)
    assert stream.asked == [normal(asked)]


async def test_affiliations_are_read(stream: ScriptedStream, pubsub: PubSub) -> None:
    found = "<affiliation jid='a@b' affiliation='owner'/><affiliation jid='c@d' affiliation='member'/><affiliation jid='e@f'/>"
    stream.answer(
        ask("get", f"<affiliations node='{NODE}'/>", ns.PUBSUB_OWNER),
        f"<pubsub xmlns='{ns.PUBSUB_OWNER}'><affiliations node='{NODE}'>{found}</affiliations></pubsub>",
    )
    assert await pubsub.affiliations(NODE) == {"a@b": "owner", "c@d": "member", "e@f": "none"}


async def test_items_are_read_with_their_publishers(stream: ScriptedStream, pubsub: PubSub) -> None:
    items = "<item id='1' publisher='a@b/c'><tag xmlns='archipel:tags' jid='x'/></item><item id='2'/>"
    stream.answer(ask("get", f"<items node='{NODE}'/>"), f"<pubsub xmlns='{ns.PUBSUB}'><items node='{NODE}'>{items}</items></pubsub>")
    first, second = await pubsub.items(NODE)
    assert (first.id, first.publisher, second) == ("1", "a@b/c", Item("2", None))
    assert first.payload is not None
    assert first.payload.get("jid") == "x"


async def test_owners_are_read_from_the_meta_data_of_the_node(stream: ScriptedStream, pubsub: PubSub) -> None:
    fields = "<field var='pubsub#title'><value>x@y</value></field><field var='pubsub#owner'><value>a@b</value><value>c@d</value></field>"
    stream.answer(
        f"<iq type='get' to='{PUBSUB}'><query xmlns='{ns.DISCO_INFO}' node='{NODE}'/></iq>",
        f"<query xmlns='{ns.DISCO_INFO}'><x xmlns='{ns.DATA_FORMS}' type='result'>{fields}</x></query>",
    )
    assert await pubsub.owners(NODE) == {"a@b", "c@d"}


@pytest.mark.parametrize("model,writers", [("publishers", {"a@b", "c@d"}), ("open", None), ("subscribers", None), ("", None)])
async def test_who_may_publish_is_known_where_only_publishers_may(
    stream: ScriptedStream, pubsub: PubSub, model: str, writers: set[str] | None
) -> None:
    told = (("publish_model", model), ("owner", "a@b"), ("publisher", "c@d"))
    fields = "".join(f"<field var='pubsub#{name}'><value>{value}</value></field>" for name, value in told)
    stream.answer(
        f"<iq type='get' to='{PUBSUB}'><query xmlns='{ns.DISCO_INFO}' node='{NODE}'/></iq>",
        f"<query xmlns='{ns.DISCO_INFO}'><x xmlns='{ns.DATA_FORMS}' type='result'>{fields}</x></query>",
    )
    assert await pubsub.writers(NODE) == writers


async def test_the_configuration_of_a_node_is_read(stream: ScriptedStream, pubsub: PubSub) -> None:
    fields = "<field var='pubsub#access_model'><value>open</value></field><field var='pubsub#title'/>"
    stream.answer(
        ask("get", f"<configure node='{NODE}'/>", ns.PUBSUB_OWNER),
        f"<pubsub xmlns='{ns.PUBSUB_OWNER}'><configure><x xmlns='{ns.DATA_FORMS}'>{fields}</x></configure></pubsub>",
    )
    assert await pubsub.configuration(NODE) == {"pubsub#access_model": "open", "pubsub#title": ""}


async def test_subscriptions_of_an_account_are_ended_whatever_their_resource(stream: ScriptedStream, pubsub: PubSub) -> None:
    found = "".join(
        f"<subscription jid='{jid}' subscription='subscribed' subid='{number}'/>"
        for number, jid in enumerate(("bob@example.org", "bob@example.org/x", "eve@example.org"))
    )
    stream.answer(
        ask("get", f"<subscriptions node='{NODE}'/>", ns.PUBSUB_OWNER),
        f"<pubsub xmlns='{ns.PUBSUB_OWNER}'><subscriptions node='{NODE}'>{found}</subscriptions></pubsub>",
    )
    ended = ask(
        "set",
        f"<subscriptions node='{NODE}'><subscription jid='bob@example.org' subscription='none' subid='0'/>"
        "<subscription jid='bob@example.org/x' subscription='none' subid='1'/></subscriptions>",
        ns.PUBSUB_OWNER,
    )
    stream.answer(ended, "")
    await pubsub.end_subscriptions(NODE, {"bob@example.org"})
    assert stream.asked[-1] == normal(ended)
    await pubsub.end_subscriptions(NODE, {"carol@example.org"})
    assert stream.asked.count(normal(ended)) == 1


# -- subscriptions ------------------------------------------------------------------------------------------------------

SUBSCRIPTIONS = ask("get", f"<subscriptions node='{NODE}'/>")
SUBSCRIBE = ask("set", f"<subscribe node='{NODE}' jid='{OWN}'/>")


def subscribed(*items: str) -> str:
    return f"<pubsub xmlns='{ns.PUBSUB}'><subscriptions>{''.join(items)}</subscriptions></pubsub>"


@pytest.mark.parametrize(
    "present",
    [
        (),
        ("<subscription jid='bob@example.org' subscription='subscribed'/>",),
        (f"<subscription jid='{OWN}' node='/archipel/other' subscription='subscribed'/>",),
    ],
)
async def test_a_subscription_is_made_where_there_is_none(stream: ScriptedStream, pubsub: PubSub, present: tuple[str, ...]) -> None:
    stream.answer(SUBSCRIPTIONS, subscribed(*present))
    stream.answer(SUBSCRIBE, "")
    await pubsub.subscribe(NODE)
    assert stream.asked[-1] == normal(SUBSCRIBE)


@pytest.mark.parametrize("node", ["", f"node='{NODE}'"])
async def test_a_subscription_is_not_made_twice(stream: ScriptedStream, pubsub: PubSub, node: str) -> None:
    stream.answer(SUBSCRIPTIONS, subscribed(f"<subscription jid='{OWN}' {node} subscription='subscribed'/>"))
    await pubsub.subscribe(NODE)
    assert stream.asked == [normal(SUBSCRIPTIONS)]


# -- collisions in the server's database --------------------------------------------------------------------------------


@pytest.mark.parametrize("collisions", [1, RETRIES - 1])
async def test_a_creation_that_met_another_is_tried_again(stream: ScriptedStream, pubsub: PubSub, collisions: int) -> None:
    stream.answer(CREATE, *[BUSY] * collisions, "")
    await pubsub.create(NODE, WHITELIST)
    assert len(stream.asked) == collisions + 1


async def test_a_deletion_that_met_another_is_tried_again(stream: ScriptedStream, pubsub: PubSub) -> None:
    stream.answer(DELETE, BUSY, "")
    await pubsub.delete(NODE)
    assert len(stream.asked) == 2


async def test_after_so_many_tries_the_error_is_told(stream: ScriptedStream, pubsub: PubSub) -> None:
    stream.answer(CREATE, BUSY)
    with pytest.raises(CommandError) as failed:
        await pubsub.create(NODE, WHITELIST)
    assert failed.value.condition == Condition.INTERNAL_SERVER_ERROR
    assert len(stream.asked) == RETRIES


async def test_another_error_is_told_at_once(stream: ScriptedStream, pubsub: PubSub) -> None:
    stream.answer(CREATE, error("conflict"))
    with pytest.raises(CommandError) as failed:
        await pubsub.create(NODE, WHITELIST)
    assert failed.value.condition == Condition.CONFLICT
    assert len(stream.asked) == 1


async def test_what_is_no_creation_is_not_tried_again(stream: ScriptedStream, pubsub: PubSub) -> None:
    stream.answer(ask("set", f"<unsubscribe node='{NODE}' jid='{OWN}'/>"), BUSY)
    with pytest.raises(CommandError):
        await pubsub.unsubscribe(NODE)
    assert len(stream.asked) == 1


async def test_all_accounts_of_a_process_create_one_after_the_other(stream: ScriptedStream) -> None:
    turn = asyncio.Lock()
    stream.answer(CREATE, "")
    await asyncio.gather(*(PubSub(cast(Stream, stream), PUBSUB, turn).create(NODE, WHITELIST) for _ in range(5)))
    assert (len(stream.asked), stream.most_in_flight) == (5, 1)


# -- notifications ------------------------------------------------------------------------------------------------------


def notification(content: str, sender: str | None = PUBSUB) -> ET.Element:
    stamp = "" if sender is None else f"from='{sender}'"
    return xml(f"<message xmlns='{ns.CLIENT}' {stamp}><event xmlns='{ns.PUBSUB_EVENT}'>{content}</event></message>")


def test_a_notification_tells_new_items_and_retracted_ones() -> None:
    found = read_notification(
        notification("<items node='/archipel/tags'><item id='1'><tag xmlns='archipel:tags'/></item><retract id='2'/></items>"), PUBSUB
    )
    assert found is not None
    assert (found.node, [item.id for item in found.items], found.retracted) == ("/archipel/tags", ["1"], ("2",))
    assert found.items[0].payload is not None
    assert canonical(found.items[0].payload) == canonical(xml("<tag xmlns='archipel:tags'/>"))


@pytest.mark.parametrize("sender", ["eve@example.org/x", "example.org", "pubsub.evil.org", f"{PUBSUB}/x", "", None])
def test_a_notification_from_anybody_else_is_a_forgery(sender: str | None) -> None:
    assert read_notification(notification("<items node='/archipel/adminaccounts'><retract id='1'/></items>", sender), PUBSUB) is None


@pytest.mark.parametrize("content", ["", "<purge node='x'/>", "<delete node='x'/>", "<items xmlns='urn:x'/>"])
def test_an_event_without_items_is_no_notification(content: str) -> None:
    """The founders' agent lost its connection over one."""
    assert read_notification(notification(content), PUBSUB) is None


def test_items_may_lack_everything() -> None:
    found = read_notification(notification("<items><item/><retract/><other/></items>"), PUBSUB)
    assert found is not None
    assert (found.node, found.items, found.retracted) == ("", (Item("", None),), ("",))
