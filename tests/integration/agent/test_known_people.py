# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom an entity knows: who lost his last right is a stranger again, wherever he stood before; nobody takes what he could not give."""

from __future__ import annotations

import asyncio
import functools

import pytest

from tests.wire.matching import assert_refused, assert_stranger_refused, show
from tests.wire.person import PUBSUB, QUIET, Person
from tests.wire.platform import PERMISSIONS, SUBSCRIPTION, Machine, Platform
from tests.wire.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

ENTITIES = pytest.mark.parametrize("entity", ["hypervisor", "machine"])


@pytest.fixture
def address(platform: Platform, machine: Machine, entity: str) -> str:
    return {"hypervisor": platform.host, "machine": machine.full}[entity]


def permission(person: Person | str, right: str, value: str) -> str:
    target = person if isinstance(person, str) else person.bare
    return f"<permission permission_type='user' permission_target='{target}' permission_name='{right}' permission_value='{value}'/>"


async def befriend(platform: Platform, admin: Person, student: Person, address: str) -> None:
    """Give somebody rights, and have him use them to see the entity and hear its events."""
    bare = address.partition("/")[0]
    await platform.grant(admin, address, student, "message", "presence")
    student.send(f"<presence type='subscribe' to='{bare}'/>")
    await student.until(lambda: student.shown(bare), "the entity's presence")
    answer = await student.subscribe_to_events(bare, platform.pubsub)
    assert answer.get("type") == "result", show(answer)


async def assert_stranger(platform: Platform, admin: Person, student: Person, address: str) -> None:
    """Check that somebody sees, hears and learns nothing."""
    bare = address.partition("/")[0]
    own = f"<archipel action='getown' permission_type='user' permission_target='{student.bare}'/>"
    other = f"<archipel action='get' permission_type='user' permission_target='{admin.bare}'/>"
    for request in (own, other):
        assert_stranger_refused(await student.command(address, PERMISSIONS, request))
    assert_stranger_refused(await student.ask(address, "<query xmlns='http://jabber.org/protocol/disco#info'/>", "get"))
    for inner in (f"<items node='/archipel/{bare}/events'/>", f"<subscribe node='/archipel/{bare}/events' jid='{student.bare}'/>"):
        answer = await student.ask(platform.pubsub, f"<pubsub xmlns='{PUBSUB}'>{inner}</pubsub>", "get" if "items" in inner else "set")
        assert answer.get("type") == "error", show(answer)
    await student.until(lambda: student.shown(bare) is None, "the end of the entity's presence")
    await eventually(functools.partial(_left_the_roster, platform, bare, student.bare))


def _left_the_roster(platform: Platform, bare: str, who: str) -> bool:
    return who not in platform.roster_on_server(bare)


@ENTITIES
@pytest.mark.parametrize("order", [("presence", "message"), ("message", "presence"), ("message presence",)])
async def test_who_loses_his_last_right_is_a_stranger_again(
    platform: Platform, admin: Person, student: Person, address: str, order: tuple[str, ...]
):
    bare, other = address.partition("/")[0], await platform.enter()
    await befriend(platform, admin, student, address)
    for rights in order:
        await platform.grant(admin, address, student, *rights.split(), value="0")
    heard = len(student.received)
    await platform.grant(admin, address, other, "settags")
    await asyncio.sleep(QUIET)
    assert other.bare not in {push.change for push in student.pushes(bare, heard)}, "he still hears what changes"
    await assert_stranger(platform, admin, student, address)


@ENTITIES
async def test_who_keeps_a_right_is_known_but_sees_the_presence_no_more(platform: Platform, admin: Person, student: Person, address: str):
    bare, other = address.partition("/")[0], await platform.enter()
    await befriend(platform, admin, student, address)
    await platform.grant(admin, address, student, "presence", value="0")
    await student.until(lambda: student.shown(bare) is None, "the end of the entity's presence")
    heard = len(student.received)
    await platform.grant(admin, address, other, "settags")
    await student.expect_push(bare, "permissions", other.bare, heard)


@ENTITIES
async def test_who_was_let_go_may_come_back(platform: Platform, admin: Person, student: Person, address: str):
    for _ in range(2):
        await befriend(platform, admin, student, address)
        await platform.grant(admin, address, student, "message", "presence", value="0")
        await assert_stranger(platform, admin, student, address)


@ENTITIES
async def test_who_was_added_and_loses_his_right_is_a_stranger(platform: Platform, admin: Person, student: Person, address: str):
    bare = address.partition("/")[0]
    await admin.command(address, SUBSCRIPTION, f"<archipel action='add' jid='{student.bare}'/>")
    await student.until(lambda: student.shown(bare), "the entity's presence")
    await eventually(lambda: platform.roster_on_server(bare).get(student.bare) == "both")
    await platform.grant(admin, address, student, "presence", value="0")
    await assert_stranger(platform, admin, student, address)


@ENTITIES
async def test_who_changes_rights_cannot_dispossess_the_owner(platform: Platform, admin: Person, student: Person, address: str):
    owner = await platform.enter()
    await platform.grant(admin, address, owner, "all")
    await platform.grant(admin, address, owner, "domain_policy_bypass")
    await platform.grant(admin, address, student, "permission_set")
    for right in ("all", "domain_policy_bypass"):
        request = f"<archipel action='set'>{permission(owner, right, '0')}</archipel>"
        answer = await student.command(address, PERMISSIONS, request)
        assert_refused(answer, right)
        assert (await owner.command(address, PERMISSIONS, "<archipel action='list'/>")).get("type") == "result"
    request = f"<archipel action='set'>{permission(owner, 'all', '0')}{permission(owner, 'domain_policy_bypass', '0')}</archipel>"
    assert (await owner.command(address, PERMISSIONS, request)).get("type") == "result", "his own he may give up"
    assert_stranger_refused(await owner.command(address, PERMISSIONS, "<archipel action='list'/>"))


@ENTITIES
async def test_an_address_with_a_final_dot_is_the_same(platform: Platform, admin: Person, student: Person, address: str):
    bare = address.partition("/")[0]
    await admin.command(address, PERMISSIONS, f"<archipel action='set'>{permission(f'{student.bare}.', 'settags', '1')}</archipel>")
    assert platform.rows("SELECT subject FROM grants WHERE entity = ? AND subject LIKE ?", bare, f"{student.bare}%") == [(student.bare,)]
    await platform.grant(admin, address, student, "settags", value="0")
    assert platform.rows("SELECT subject FROM grants WHERE entity = ? AND subject LIKE ?", bare, f"{student.bare}%") == []
