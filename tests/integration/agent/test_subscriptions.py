# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""archipel:subscription, archipel:roster and presence subscriptions on the wire."""

from __future__ import annotations

import pytest

from tests.wire.matching import assert_error, assert_payload, child, name_of, show
from tests.wire.person import Person
from tests.wire.platform import CONTROL, PERMISSIONS, ROSTER, SUBSCRIPTION, Machine, Platform
from tests.wire.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

ENTITIES = pytest.mark.parametrize("entity", ["hypervisor", "machine"])
KINDS = pytest.mark.parametrize("kind", ["get", "set"])
NICK = "{http://jabber.org/protocol/nick}nick"


@pytest.fixture
def address(platform: Platform, machine: Machine, entity: str) -> str:
    return {"hypervisor": platform.host, "machine": machine.full}[entity]


def bare(jid: str) -> str:
    return jid.partition("/")[0]


def roster_on_server(platform: Platform, account: str) -> dict[str, str]:
    """Who is in an account's roster, with the subscription, as the server keeps it."""
    found = platform.ejabberd.call("get_roster", user=account.partition("@")[0], server=platform.domain)
    assert isinstance(found, list)
    return {item["jid"]: item["subscription"] for item in found}


async def assert_pushed_last(admin: Person, owner: str, since: int, *expected: tuple[str, str]) -> None:
    """Check that these pushes came in this order (others, of what was done before, may come in front)."""
    await admin.until(
        lambda: tuple(push.what for push in admin.pushes(owner, since))[-len(expected) :] == expected, f"the pushes {expected}"
    )


@ENTITIES
@KINDS
async def test_add_takes_somebody_in(platform: Platform, admin: Person, student: Person, address: str, kind: str):
    other = await platform.enter()
    await platform.grant(admin, address, student, "subscription_add")
    await admin.subscribe_to_events(bare(address), platform.pubsub)
    before = len(admin.received)
    answer = await student.command(address, SUBSCRIPTION, f"<archipel action='add' jid='{other.bare}'/>", kind)
    assert_payload(answer, SUBSCRIPTION, "")
    request = (await other.until(lambda: [got for got in other.presences(bare(address)) if got.get("type") == "subscribe"]))[0]
    assert request.findtext(NICK)
    await other.until(lambda: other.shown(bare(address)), "the entity's presence")
    await assert_pushed_last(admin, bare(address), before, ("permissions", other.bare), ("subscription", "added"))
    own = f"<archipel action='getown' permission_type='user' permission_target='{other.bare}'/>"
    assert_payload(await other.command(address, PERMISSIONS, own), PERMISSIONS, "<permission name='presence'/>")
    await eventually(lambda: roster_on_server(platform, bare(address)).get(other.bare) == "both")


@ENTITIES
@KINDS
async def test_remove_lets_somebody_go(platform: Platform, admin: Person, student: Person, address: str, kind: str):
    other = await platform.enter()
    await platform.grant(admin, address, student, "subscription_add", "subscription_remove")
    await student.command(address, SUBSCRIPTION, f"<archipel action='add' jid='{other.bare}'/>")
    await eventually(lambda: roster_on_server(platform, bare(address)).get(other.bare) == "both")
    await admin.subscribe_to_events(bare(address), platform.pubsub)
    before = len(admin.received)
    answer = await student.command(address, SUBSCRIPTION, f"<archipel action='remove' jid='{other.bare}'/>", kind)
    assert_payload(answer, SUBSCRIPTION, "")
    await assert_pushed_last(admin, bare(address), before, ("permissions", other.bare), ("subscription", "removed"))
    assert other.bare not in roster_on_server(platform, bare(address))
    await other.until(lambda: other.shown(bare(address)) is None, "the end of the entity's presence")
    own = f"<archipel action='getown' permission_type='user' permission_target='{other.bare}'/>"
    assert_error(await other.command(address, PERMISSIONS, own), code=-1, condition="forbidden", namespace="archipel:error:permission")


@ENTITIES
async def test_remove_of_somebody_who_is_not_there_is_done_already(admin: Person, student: Person, address: str):
    assert_payload(await admin.command(address, SUBSCRIPTION, f"<archipel action='remove' jid='{student.bare}'/>"), SUBSCRIPTION, "")


# -- archipel:roster --------------------------------------------------------------------------------------------------


@KINDS
async def test_getroster_lists_who_is_in_the_roster(platform: Platform, admin: Person, student: Person, machine: Machine, kind: str):
    await platform.grant(admin, machine.full, student, "getroster")
    await eventually(lambda: roster_on_server(platform, machine.bare) == {admin.bare: "both"})
    answer = await student.command(machine.full, ROSTER, "<archipel action='getroster'/>", kind)
    assert_payload(answer, ROSTER, f"<item jid='{admin.bare}' subscription='both'/>")


async def test_a_hypervisor_lists_its_roster_too(platform: Platform, admin: Person, student: Person):
    await platform.grant(admin, platform.host, student, "getroster")
    answer = await student.command(platform.host, ROSTER, "<archipel action='getroster'/>")
    assert {item.get("jid"): item.get("subscription") for item in child(answer, "query")}[admin.bare] in {"from", "both"}


# -- presence subscriptions -------------------------------------------------------------------------------------------


@ENTITIES
async def test_who_has_the_right_may_subscribe_himself(platform: Platform, admin: Person, student: Person, address: str):
    await platform.grant(admin, address, student, "presence")
    student.send(f"<presence type='subscribe' to='{bare(address)}'/>")
    await student.until(lambda: student.shown(bare(address)), "the entity's presence")
    kinds = [got.get("type") for got in student.presences(bare(address))]
    assert kinds.count("subscribed") >= 1
    assert "subscribe" not in kinds, "nobody asked the entity to see the student"
    assert student.presences(bare(address))[-1].get("from") == address


@ENTITIES
async def test_who_lacks_the_right_is_refused_and_changes_nothing(platform: Platform, admin: Person, student: Person, address: str):
    await platform.grant(admin, address, student, "message")
    await admin.subscribe_to_events(bare(address), platform.pubsub)
    before, roster = len(admin.received), roster_on_server(platform, bare(address))
    student.send(f"<presence type='subscribe' to='{bare(address)}'/>")
    await student.until(lambda: [got for got in student.presences(bare(address)) if got.get("type") == "unsubscribed"], "a refusal")
    assert {who for who, how in roster_on_server(platform, bare(address)).items() if how != "none"} == {
        who for who, how in roster.items() if how != "none"
    }
    await platform.grant(admin, address, student, "settags")  # what was pushed before has come when this has
    await admin.expect_push(bare(address), "permissions", student.bare, before)
    assert {push.what for push in admin.pushes(bare(address), before)} == {("permissions", student.bare)}


@ENTITIES
async def test_who_unsubscribes_leaves_the_roster(platform: Platform, admin: Person, student: Person, address: str):
    await platform.grant(admin, address, student, "presence")
    await admin.subscribe_to_events(bare(address), platform.pubsub)
    student.send(f"<presence type='subscribe' to='{bare(address)}'/>")
    await student.until(lambda: student.shown(bare(address)), "the entity's presence")
    before = len(admin.received)
    student.send(f"<presence type='unsubscribe' to='{bare(address)}'/>")
    await admin.expect_push(bare(address), "subscription", "removed", before)
    assert student.bare not in roster_on_server(platform, bare(address))


@ENTITIES
async def test_a_directed_presence_is_answered_to_those_who_may_see_it(platform: Platform, admin: Person, student: Person, address: str):
    await platform.grant(admin, address, student, "presence")
    student.send(f"<presence to='{bare(address)}'/>")
    got = (await student.until(lambda: student.presences(bare(address))))[0]
    assert (got.get("from"), got.get("type")) == (address, None), show(got)
    assert "status" in {name_of(part) for part in got}


@ENTITIES
async def test_a_directed_presence_of_others_is_not_answered(platform: Platform, admin: Person, student: Person, address: str):
    await platform.grant(admin, address, student, "message")
    student.send(f"<presence to='{bare(address)}'/>")
    await student.command(address, PERMISSIONS, f"<archipel action='getown' permission_type='user' permission_target='{student.bare}'/>")
    assert student.presences(bare(address)) == []


async def test_a_contact_hears_each_change_once(platform: Platform, admin: Person, machine: Machine):
    await admin.expect_shown(machine.bare, "xa", "Off")
    await eventually(lambda: roster_on_server(platform, machine.bare) == {admin.bare: "both"})
    await admin.command(machine.full, CONTROL, "<archipel action='info'/>")  # what the subscription brought has come when this has
    before = len(admin.received)
    for action, shown in (
        ("create", (None, "Running")),
        ("suspend", ("away", "Paused")),
        ("resume", (None, "Running")),
        ("destroy", ("xa", "Off")),
    ):
        answer = await admin.command(machine.full, CONTROL, f"<archipel action='{action}'/>")
        assert answer.get("type") == "result", show(answer)
        await admin.expect_shown(machine.bare, *shown)
    await admin.assert_one_answer_each()
    texts = [next((part.text for part in got if name_of(part) == "status"), None) for got in admin.presences(machine.bare, before)]
    assert texts == ["Running", "Paused", "Running", "Off"]
