# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may read an entity's events, and when the node is there."""

from __future__ import annotations

import asyncio
import functools
import secrets
from xml.etree import ElementTree as ET

import pytest

from tests.wire.matching import child, name_of, show
from tests.wire.person import PUBSUB, Person
from tests.wire.platform import CONTROL, HOST, SUBSCRIPTION, Machine, Platform
from tests.wire.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

ENTITIES = pytest.mark.parametrize("entity", ["hypervisor", "machine"])


@pytest.fixture
def address(platform: Platform, machine: Machine, entity: str) -> str:
    return {"hypervisor": platform.host, "machine": machine.full}[entity]


def may(answer: ET.Element) -> bool:
    return answer.get("type") == "result"


async def read_items(platform: Platform, person: Person, bare: str) -> ET.Element:
    return await person.ask(platform.pubsub, f"<pubsub xmlns='{PUBSUB}'><items node='/archipel/{bare}/events'/></pubsub>", "get")


@ENTITIES
async def test_strangers_may_not_read_events(platform: Platform, student: Person, address: str):
    bare = address.partition("/")[0]
    assert not may(await student.subscribe_to_events(bare, platform.pubsub))
    assert not may(await read_items(platform, student, bare))


@ENTITIES
async def test_administrators_may_read_events(platform: Platform, admin: Person, address: str):
    assert may(await admin.subscribe_to_events(address.partition("/")[0], platform.pubsub))


@ENTITIES
async def test_holders_of_a_grant_may_and_lose_that_with_their_last_right(platform: Platform, admin: Person, student: Person, address: str):
    bare = address.partition("/")[0]
    await platform.grant(admin, address, student, "message", "settags")
    assert may(await student.subscribe_to_events(bare, platform.pubsub))
    await platform.grant(admin, address, student, "message", value="0")
    await platform.grant(admin, address, student, "settags", value="0")
    assert not may(await student.subscribe_to_events(bare, platform.pubsub))
    await admin.subscribe_to_events(bare, platform.pubsub)
    other, since = await platform.enter(), len(admin.received)
    await platform.grant(admin, address, other, "message")
    await admin.expect_push(bare, "permissions", other.bare, since)
    assert other.bare not in {push.change for push in student.pushes(bare)}, "he heard what came after his last right"


@ENTITIES
async def test_people_in_the_roster_may_and_lose_that_with_their_place(platform: Platform, admin: Person, student: Person, address: str):
    bare = address.partition("/")[0]
    for action, allowed in (("add", True), ("remove", False)):
        await admin.command(address, SUBSCRIPTION, f"<archipel action='{action}' jid='{student.bare}'/>")
        await eventually(functools.partial(_subscribes, platform, student, bare, wanted=allowed))
    assert not may(await read_items(platform, student, bare))


@ENTITIES
async def test_many_changes_at_once_leave_exactly_the_right_readers(platform: Platform, admin: Person, address: str):
    bare = address.partition("/")[0]
    people = [await platform.enter() for _ in range(8)]
    await asyncio.gather(*(platform.grant(admin, address, person, "message") for person in people))
    for person in people:
        assert may(await person.subscribe_to_events(bare, platform.pubsub))
    changes = [platform.grant(admin, address, person, "message", value="0") for person in people[:4]]
    more = [platform.grant(admin, address, person, "settags") for person in people[4:]]
    await asyncio.gather(*(change for pair in zip(changes, more, strict=True) for change in pair))
    assert [may(await person.subscribe_to_events(bare, platform.pubsub)) for person in people] == [False] * 4 + [True] * 4


async def _subscribes(platform: Platform, person: Person, bare: str, *, wanted: bool) -> bool:
    return may(await person.subscribe_to_events(bare, platform.pubsub)) is wanted


@ENTITIES
async def test_readers_may_not_publish(platform: Platform, admin: Person, student: Person, address: str):
    bare = address.partition("/")[0]
    await platform.grant(admin, address, student, "all")
    push = "<push xmlns='archipel:push:virtualmachine:control' date='2026-01-01 00:00:00.000000' change='created'/>"
    publish = f"<pubsub xmlns='{PUBSUB}'><publish node='/archipel/{bare}/events'><item>{push}</item></publish></pubsub>"
    for person in (student, admin):
        assert not may(await person.ask(platform.pubsub, publish))


async def test_the_node_is_there_before_the_vcard_can_be_read(platform: Platform, admin: Person):
    """A founding client subscribes once, when it has read a new contact's vCard: it must not come too early."""
    watcher = await platform.enter()
    await platform.grant(admin, platform.host, watcher, "alloc")
    machine = await platform.make_machine(watcher)
    request = (await watcher.until(lambda: [got for got in watcher.presences(machine.bare) if got.get("type") == "subscribe"]))[0]
    assert request.get("from") == machine.bare
    assert may(await watcher.ask(machine.bare, "<vCard xmlns='vcard-temp'/>", "get"))
    assert may(await watcher.subscribe_to_events(machine.bare, platform.pubsub))


async def test_the_node_of_a_freed_machine_is_gone(platform: Platform, admin: Person, machine: Machine):
    await admin.subscribe_to_events(machine.bare, platform.pubsub)
    await admin.command(platform.host, HOST, f"<archipel action='free' jid='{machine.bare}'/>")
    answer = await admin.subscribe_to_events(machine.bare, platform.pubsub)
    assert {name_of(part) for part in child(answer, "error")} & {"item-not-found"}, show(answer)


async def test_the_node_keeps_nothing(platform: Platform, admin: Person, machine: Machine):
    await admin.subscribe_to_events(machine.bare, platform.pubsub)
    since = len(admin.received)
    await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
    await admin.expect_push(machine.bare, "virtualmachine:control", "created", since)
    answer = await read_items(platform, admin, machine.bare)
    assert [part for part in answer.iter() if name_of(part) == "item"] == []


async def test_nobody_else_may_delete_or_configure_the_node(platform: Platform, admin: Person, student: Person, machine: Machine):
    await platform.grant(admin, machine.full, student, "all")
    form = f"<x xmlns='jabber:x:data' type='submit'><field var='pubsub#access_model'><value>open</value></field></x><!--{secrets.token_hex(2)}-->"
    for inner in (f"<delete node='{machine.node}'/>", f"<configure node='{machine.node}'>{form}</configure>"):
        assert not may(await student.ask(platform.pubsub, f"<pubsub xmlns='{PUBSUB}#owner'>{inner}</pubsub>"))
