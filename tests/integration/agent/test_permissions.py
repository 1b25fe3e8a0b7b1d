# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""archipel:permissions on the wire, on hypervisors and machines alike (refused and malformed: test_every_action.py)."""

from __future__ import annotations

from xml.sax.saxutils import quoteattr

import pytest

from tests.wire.matching import assert_error, assert_payload, assert_refused, child, name_of, show
from tests.wire.person import Person, error_text
from tests.wire.platform import PERMISSIONS, Machine, Platform

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

ENTITIES = pytest.mark.parametrize("entity", ["hypervisor", "machine"])
KINDS = pytest.mark.parametrize("kind", ["get", "set"])

EVERYWHERE = {
    "all", "presence", "message", "permission_get", "permission_getown", "permission_list", "permission_set", "permission_setown",
    "subscription_add", "subscription_remove", "settags", "getavatars", "setavatar",
}  # fmt: skip
HERE = {
    "hypervisor": {"alloc", "free", "rostervm", "clone", "ip", "migrationinfo", "capabilities", "nodeinfo", "manage", "unmanage", "setorginfo"},
    "machine": {
        "info", "create", "shutdown", "destroy", "reboot", "suspend", "resume", "xmldesc", "migrate", "autostart", "memory", "setvcpus",
        "networkinfo", "define", "undefine", "capabilities", "nodeinfo", "free", "screenshot",
    },
}  # fmt: skip


@pytest.fixture
def address(platform: Platform, machine: Machine, entity: str) -> str:
    return {"hypervisor": platform.host, "machine": machine.full}[entity]


def permission(target: str, name: str, value: str, kind: str = "user") -> str:
    """An element as founding clients write it."""
    attributes = {"permission_type": kind, "permission_target": target, "permission_name": name, "permission_value": value}
    return f"<permission {' '.join(f'{key}={quoteattr(text)}' for key, text in attributes.items())}/>"


def change(*elements: str, action: str = "set") -> str:
    return f"<archipel action='{action}'>{''.join(elements)}</archipel>"


def question(target: str, action: str = "get", kind: str = "user") -> str:
    return f"<archipel action='{action}' permission_type='{kind}' permission_target={quoteattr(target)}/>"


async def rights_of(admin: Person, address: str, person: Person) -> set[str]:
    answer = await admin.command(address, PERMISSIONS, question(person.bare), "get")
    assert answer.get("type") == "result", show(answer)
    return {item.get("name") or "" for item in child(answer, "query")}


# -- list, get, getown ------------------------------------------------------------------------------------------------


@ENTITIES
@KINDS
async def test_list_names_every_right_with_default_and_description(
    platform: Platform, admin: Person, student: Person, address: str, entity: str, kind: str
):
    await platform.grant(admin, address, student, "permission_list")
    answer = await student.command(address, PERMISSIONS, "<archipel action='list'/>", kind)
    items = list(child(answer, "query"))
    assert {name_of(item) for item in items} == {"permission"}
    assert all(set(item.attrib) == {"name", "description", "default"} and item.get("description") for item in items)
    assert {item.get("name") for item in items} >= EVERYWHERE | HERE[entity]
    assert {item.get("name") for item in items if item.get("default") == "1"} == {"permission_get"}
    assert {item.get("default") for item in items} == {"0", "1"}


@ENTITIES
@KINDS
async def test_get_tells_what_somebody_was_granted(platform: Platform, admin: Person, student: Person, address: str, kind: str):
    other = await platform.enter()
    await platform.grant(admin, address, other, "presence", "message")
    await platform.grant(admin, address, student, "settags")  # permission_get is everybody's by default, once he is known
    answer = await student.command(address, PERMISSIONS, question(other.bare), kind)
    assert_payload(answer, PERMISSIONS, "<permission name='message'/><permission name='presence'/>")


@ENTITIES
async def test_get_takes_the_target_in_any_spelling(platform: Platform, admin: Person, student: Person, address: str):
    await platform.grant(admin, address, student, "message")
    for target in (student.full, student.bare.upper(), f"{student.bare}/other"):
        assert_payload(await admin.command(address, PERMISSIONS, question(target), "get"), PERMISSIONS, "<permission name='message'/>")


@ENTITIES
async def test_get_of_another_type_is_empty(admin: Person, address: str):
    answer = await admin.command(address, PERMISSIONS, question(admin.bare, kind="role"), "get")
    assert_payload(answer, PERMISSIONS, "")


@ENTITIES
async def test_administrators_are_not_shown_as_holders(admin: Person, address: str, entity: str):
    if entity == "hypervisor":  # of a machine that he made he holds "all" besides
        assert_payload(await admin.command(address, PERMISSIONS, question(admin.bare, "getown"), "get"), PERMISSIONS, "")


@ENTITIES
@KINDS
async def test_getown_needs_no_right_but_to_be_known(platform: Platform, admin: Person, student: Person, address: str, kind: str):
    await platform.grant(admin, address, student, "presence")
    answer = await student.command(address, PERMISSIONS, question(student.bare, "getown"), kind)
    assert_payload(answer, PERMISSIONS, "<permission name='presence'/>")


@ENTITIES
async def test_getown_is_about_oneself(platform: Platform, admin: Person, student: Person, address: str):
    await platform.grant(admin, address, student, "permission_getown")
    answer = await student.command(address, PERMISSIONS, question(admin.bare, "getown"), "get")
    assert_error(answer, code=-4, condition="not-allowed", mentions="permission_target", action="getown")


# -- set ----------------------------------------------------------------------------------------------------------------


@ENTITIES
@KINDS
async def test_who_may_set_grants_and_revokes_for_several_people_at_once(
    platform: Platform, admin: Person, student: Person, address: str, kind: str
):
    one, two = await platform.enter(), await platform.enter()
    await platform.grant(admin, address, student, "permission_set", "message")
    await platform.grant(admin, address, one, "settags")
    wanted = change(permission(one.bare, "message", "1"), permission(one.bare, "settags", "0"), permission(two.bare, "message", "1"))
    assert_payload(await student.command(address, PERMISSIONS, wanted, kind), PERMISSIONS, "")
    assert await rights_of(admin, address, one) == {"message"}
    assert await rights_of(admin, address, two) == {"message"}


@ENTITIES
@pytest.mark.parametrize(
    "value, granted",
    [(word, True) for word in ("1", "TRUE", "Yes", "y", "oui", "O", " true ")]
    + [(word, False) for word in ("0", "false", "no", "", "2", "on?")],
)
async def test_the_founders_words_for_yes_grant_and_all_others_revoke(
    platform: Platform, admin: Person, student: Person, address: str, value: str, granted: bool
):
    await platform.grant(admin, address, student, *(() if granted else ("message",)), "presence")
    assert_payload(await admin.command(address, PERMISSIONS, change(permission(student.bare, "message", value))), PERMISSIONS, "")
    assert ("message" in await rights_of(admin, address, student)) is granted


@ENTITIES
async def test_an_unknown_right_is_refused_with_similar_names_and_nothing_is_changed(admin: Person, student: Person, address: str):
    wanted = change(permission(student.bare, "message", "1"), permission(student.bare, "mesage", "1"))
    answer = await admin.command(address, PERMISSIONS, wanted)
    assert_error(answer, code=-5, condition="bad-request", mentions="message", action="set")
    assert "'mesage'" in error_text(answer)
    assert await rights_of(admin, address, student) == set()


@ENTITIES
async def test_a_right_of_another_kind_of_entity_is_unknown(admin: Person, student: Person, address: str, entity: str):
    other = {"hypervisor": "suspend", "machine": "alloc"}[entity]
    answer = await admin.command(address, PERMISSIONS, change(permission(student.bare, other, "1")))
    assert_error(answer, code=-5, condition="bad-request", mentions=f"'{other}'", action="set")
    assert await rights_of(admin, address, student) == set()


@ENTITIES
async def test_an_empty_set_changes_nothing(admin: Person, address: str):
    assert_payload(await admin.command(address, PERMISSIONS, "<archipel action='set'/>"), PERMISSIONS, "")


@ENTITIES
@pytest.mark.parametrize("wanted", ["all", "message", "permission_setown", "domain_policy_bypass"])
async def test_who_may_set_gives_nobody_what_he_lacks(platform: Platform, admin: Person, student: Person, address: str, wanted: str):
    """In the founding system he could give himself everything."""
    other = await platform.enter()
    await platform.grant(admin, address, student, "permission_set")
    for target in (student, other):
        answer = await student.command(address, PERMISSIONS, change(permission(target.bare, wanted, "1")))
        assert_refused(answer, wanted)
    assert await rights_of(admin, address, student) == {"permission_set"}
    assert await rights_of(admin, address, other) == set()


@ENTITIES
async def test_a_whole_set_of_a_founding_client_is_taken(admin: Person, student: Person, address: str, entity: str):
    """Clients send every right that they know; some of them wait for their capability here."""
    waiting = {"hypervisor": ("health_info", "vmparking_park"), "machine": ("vnc_display", "snapshot_take", "drives_get")}[entity]
    elements = [permission(student.bare, name, "1") for name in (*waiting, "message", "presence")]
    assert_payload(await admin.command(address, PERMISSIONS, change(*elements)), PERMISSIONS, "")
    assert await rights_of(admin, address, student) == {*waiting, "message", "presence"}


# -- setown -----------------------------------------------------------------------------------------------------------


@ENTITIES
@KINDS
async def test_setown_gives_up_own_rights(platform: Platform, admin: Person, student: Person, address: str, kind: str):
    await platform.grant(admin, address, student, "permission_setown", "message")
    request = change(permission(student.bare, "message", "0"), action="setown")
    assert_payload(await student.command(address, PERMISSIONS, request, kind), PERMISSIONS, "")
    assert await rights_of(admin, address, student) == {"permission_setown"}


@ENTITIES
@pytest.mark.parametrize("wanted", ["all", "permission_set", "message", "domain_policy_bypass"])
async def test_setown_does_not_escalate(platform: Platform, admin: Person, student: Person, address: str, wanted: str):
    await platform.grant(admin, address, student, "permission_setown")
    answer = await student.command(address, PERMISSIONS, change(permission(student.bare, wanted, "1"), action="setown"))
    assert_refused(answer, wanted)
    assert await rights_of(admin, address, student) == {"permission_setown"}


@ENTITIES
async def test_setown_is_about_oneself(platform: Platform, admin: Person, student: Person, address: str):
    other = await platform.enter()
    await platform.grant(admin, address, student, "permission_setown", "message")
    answer = await student.command(address, PERMISSIONS, change(permission(other.bare, "message", "1"), action="setown"))
    assert_error(answer, code=-5, condition="not-allowed", mentions="permission_target", action="setown")
    assert await rights_of(admin, address, other) == set()


@ENTITIES
async def test_the_right_to_pass_the_domain_policy_is_given_only_by_who_has_it(
    platform: Platform, admin: Person, student: Person, address: str
):
    other = await platform.enter()
    await platform.grant(admin, address, student, "all")
    request = change(permission(other.bare, "domain_policy_bypass", "1"))
    assert_refused(await student.command(address, PERMISSIONS, request), "domain_policy_bypass")
    assert await rights_of(admin, address, other) == set()
    await platform.grant(admin, address, student, "domain_policy_bypass")
    assert_payload(await student.command(address, PERMISSIONS, request), PERMISSIONS, "")


# -- what changes of rights do ----------------------------------------------------------------------------------------


@ENTITIES
async def test_each_person_concerned_is_pushed_once_by_bare_jid(platform: Platform, admin: Person, student: Person, address: str):
    bare = address.partition("/")[0]
    await admin.subscribe_to_events(bare, platform.pubsub)
    other, before = await platform.enter(), len(admin.received)
    await admin.command(
        address, PERMISSIONS, change(*(permission(who.bare, name, "1") for who in (student, other) for name in ("presence", "message")))
    )
    await platform.grant(admin, address, student, "message")  # he has it: nothing changes, nothing is pushed
    await platform.grant(admin, address, other, "message", value="0")

    def pushed_rights() -> list[str]:
        return [push.change for push in admin.pushes(bare, before) if push.namespace == "archipel:push:permissions"]

    await admin.until(lambda: len(pushed_rights()) >= 3, "three pushes of rights")
    pushed = pushed_rights()
    assert sorted(pushed[:2]) == sorted([student.bare, other.bare])
    assert pushed[2:] == [other.bare]


@ENTITIES
async def test_presence_follows_the_right_to_see_it(platform: Platform, admin: Person, student: Person, address: str):
    bare = address.partition("/")[0]
    student.send(f"<presence type='subscribe' to='{bare}'/>")
    await student.until(lambda: [got for got in student.presences(bare) if got.get("type") == "unsubscribed"], "a refusal")
    await platform.grant(admin, address, student, "presence")
    student.send(f"<presence type='subscribe' to='{bare}'/>")
    await student.until(lambda: student.shown(bare), "the entity's presence")
    await platform.grant(admin, address, student, "presence", value="0")
    await student.until(lambda: student.shown(bare) is None, "the end of the entity's presence")
    assert "unsubscribed" in [got.get("type") for got in student.presences(bare)[-3:]]
