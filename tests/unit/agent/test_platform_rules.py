# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the platform: what an item says, what follows from it, and that they count as far as those who wrote them are trusted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.agent import daemon
from archipel.agent.decision import Decision, Rule
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.platform_rules import NODE, PlatformRules, read_items, replace_rules
from archipel.agent.rights import MayNotGrant, Rights
from archipel.agent.rules import BadRule, RuleRecord
from archipel.agent.trusted_nodes import TrustedNode
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import CommandError
from archipel.protocol.events import events_node
from archipel.protocol.roles import Role
from archipel.xmpp.pubsub import Item
from tests.unit.agent import rights_house as house_of
from tests.unit.agent.conftest import ask, finish_work, go_online
from tests.unit.agent.fake_xmpp import PUBSUB, FakeXmpp, Node
from tests.unit.agent.fakes import ADMIN, HYP, OWNER, STUDENT, VM, Calendar
from tests.unit.agent.rights_house import SEAT, WEB, House, build_house, wish

NOON = "2029-01-01T12:00:00Z"
BOB = "bob@lab.example"
EVE = "eve@lab.example"


def rule(**attributes: str) -> ET.Element:
    """A rule as it stands on the node."""
    return ET.Element(f"{{{ns.RIGHTS}}}rule", {"given_at": NOON, **attributes})


def role(name: str, rights: str, **attributes: str) -> ET.Element:
    element = ET.Element(f"{{{ns.RIGHTS}}}role", {"name": name, **attributes})
    element.text = rights
    return element


def read(*payloads: ET.Element | None, publisher: str | None = ADMIN.bare) -> PlatformRules:
    return read_items([Item(str(number), payload, publisher) for number, payload in enumerate(payloads)])


# -- what an item says --------------------------------------------------------------------------------------------------


def test_a_rule_is_read_with_who_published_it() -> None:
    [found] = read(
        rule(subject="Bob@LAB.example/desk", right="info", reason=" exam ", given_by=EVE, expires="2031-01-01T02:00:00+02:00")
    ).rules
    assert found.key == (NODE, "platform", "allow", f"person:{BOB}", "right:info")
    assert (found.granted_by, found.reason) == (ADMIN.bare, "exam"), "who published it counts, not who says he did"
    assert (found.granted_at, found.expires_at) == (datetime(2029, 1, 1, 12, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC))


def test_where_the_server_does_not_tell_the_publisher_the_rule_does() -> None:
    [found] = read(rule(group="tp1", role="student", effect="deny", given_by=BOB), publisher=None).rules
    assert found.key == (NODE, "platform", "deny", "group:tp1", "role:student")
    assert found.granted_by == BOB
    assert read(rule(subject=BOB, right="info"), publisher=None).rules[0].granted_by == "an administrator of the platform"


def test_a_role_is_read() -> None:
    assert read(role("crew", "info  create", description=" all hands ")).roles == (
        Role("crew", "all hands", frozenset({"info", "create"})),
    )


@pytest.mark.parametrize(
    "wrong",
    [
        rule(right="info"),
        rule(subject=BOB),
        rule(subject=BOB, group="tp1", right="info"),
        rule(subject=BOB, right="info", role="student"),
        rule(subject="lab.example", right="info"),
        rule(subject="@@", right="info"),
        rule(subject=" ", right="info"),
        rule(group="\u200b", right="info"),
        rule(subject=BOB, role="Two words"),
        rule(subject=BOB, right="info", effect="perhaps"),
        rule(subject=BOB, right="info", scope="entity"),
        rule(subject=BOB, right="info", scope="tag:tp1"),
        rule(subject=BOB, right="info", expires="soon"),
        rule(subject=BOB, right="info", expires="9999-12-31T23:59:59-23:59"),
        rule(subject=BOB, right="info", given_at="never"),
        rule(subject=BOB, right="info", reason="x" * 501),
        role("student", "all"),
        role("Two words", "all"),
        ET.Element("rule"),
        ET.Element("group", {"name": "tp1"}),
        ET.Element("admin", {"node": "eve", "domain": "lab.example"}),
        None,
    ],
)
def test_an_item_that_is_not_as_it_must_be_is_named_and_spoils_nothing(wrong: ET.Element | None, caplog: pytest.LogCaptureFixture) -> None:
    found = read(wrong, rule(subject=BOB, right="info"))
    assert [(each.subject, each.right) for each in found.rules] == [(BOB, "info")]
    assert found.roles == ()
    assert f"{NODE}: item '0' is ignored" in caplog.text


NAMES = st.sampled_from(["subject", "group", "right", "role", "scope", "effect", "expires", "given_at", "given_by", "reason", "name"])


@given(st.sampled_from(["rule", "role", "x"]), st.dictionaries(NAMES, st.text(max_size=30)), st.text(max_size=30), st.text(max_size=30))
def test_hostile_items_are_read_or_left_out(tag: str, attributes: dict[str, str], text: str, publisher: str) -> None:
    element = ET.Element(tag, attributes)
    element.text = text
    found = read(element, rule(subject=BOB, right="info"), publisher=publisher or None)
    assert len(found.rules) <= 2


def test_of_two_rules_of_one_name_the_longer_counts() -> None:
    ends = ("2030-06-01T00:00:00Z", "never", "2030-01-01T00:00:00Z")
    [found] = read(*(rule(subject=BOB, right="info", effect="deny", expires=end) for end in ends)).rules
    assert found.expires_at is None


# -- what follows from it -----------------------------------------------------------------------------------------------


@pytest.fixture
async def house() -> House:
    return await build_house()


async def say(house: House, *payloads: ET.Element) -> None:
    """Let these be the rules of the platform."""
    await replace_rules(house.rights, read(*payloads, publisher=house_of.ADMIN))


def everywhere(who: str, token: str, house: House) -> list[bool]:
    return [house.may(who, token, entity) for entity in (house_of.HYP, WEB, SEAT)]


async def test_a_rule_counts_on_the_hypervisor_and_on_each_machine_where_the_right_exists(house: House) -> None:
    await say(house, rule(subject=house_of.FRIEND, right="message"), rule(subject=house_of.FRIEND, right="alloc"))
    assert everywhere(house_of.FRIEND, "message", house) == [True, True, True]
    assert everywhere(house_of.FRIEND, "alloc", house) == [True, False, False]
    await say(house)
    assert everywhere(house_of.FRIEND, "message", house) == [False, False, False]


async def test_a_denial_comes_before_every_grant(house: House) -> None:
    await say(house, rule(subject=house_of.OWNER, right="destroy", effect="deny", reason="exam"))
    assert house.rights.check(WEB, house_of.OWNER, "destroy") == Decision(False, Rule.DENIED)
    assert house.may(house_of.OWNER, "create")


async def test_nothing_is_denied_to_administrators(house: House) -> None:
    await say(house, rule(subject=house_of.ADMIN, right="all", effect="deny"))
    assert everywhere(house_of.ADMIN, "message", house) == [True, True, True]


async def test_why_names_the_platform_who_said_it_and_until_when(house: House) -> None:
    await say(house, rule(subject=house_of.FRIEND, role="student", reason="summer school", expires="2030-07-01T00:00:00Z"))
    assert house.rights.why(WEB, house_of.FRIEND, "info") == (
        f"{house_of.FRIEND} may 'info' on {WEB}: granted: the role 'student' granted to {house_of.FRIEND} on all hypervisors and machines of "
        "the platform; given by admin@lab.example on 2029-01-01 12:00:00 UTC, until 2030-07-01 00:00:00 UTC: summer school"
    )


async def test_what_is_nearer_is_named_first(house: House) -> None:
    await say(house, rule(subject=house_of.HOSTESS, right="info"))
    assert "all machines of this hypervisor" in house.rights.why(WEB, house_of.HOSTESS, "info")


async def test_a_rule_ends_by_itself(house: House) -> None:
    await say(house, rule(subject=house_of.FRIEND, right="message", expires="2030-01-01T13:00:00Z"))
    assert house.may(house_of.FRIEND, "message", house_of.HYP)
    house.clock.now += house_of.HOUR
    assert not house.may(house_of.FRIEND, "message", house_of.HYP)
    assert {concern.entity for concern in await house.rules.drop_expired()} >= {house_of.HYP, WEB, SEAT}


async def test_only_the_server_s_groups_mean_anything_to_the_platform(house: House) -> None:
    """Who may make groups on one hypervisor would else give himself what the platform gives to the server's group of that name."""
    await house.rules.set_group("staff", [house_of.FRIEND], caller=house_of.ADMIN)
    await say(house, rule(group="staff", right="message"))
    assert everywhere(house_of.FRIEND, "message", house) == [False, False, False]
    house.rules.take_roster_groups({"staff": frozenset({house_of.STRANGER})})
    assert everywhere(house_of.STRANGER, "message", house) == [True, True, True]
    assert everywhere(house_of.FRIEND, "message", house) == [False, False, False]


async def test_a_hypervisor_s_own_role_means_nothing_to_the_platform(house: House) -> None:
    """Who may change roles on one hypervisor would else change what the platform gives."""
    await say(house, rule(subject=house_of.FRIEND, role="crew"), rule(subject=house_of.STRANGER, right="sing"))
    assert not house.may(house_of.FRIEND, "info")
    faults = {found.right: house.rights.find_fault(found) for found in house.rights.book.of_platform()}
    assert faults == {
        "crew": "the role 'crew' names no right that exists here: the rule changes nothing",
        "sing": "the right 'sing' names no right that exists here: the rule changes nothing",
    }


async def test_a_role_of_the_platform_serves_its_rules_and_those_of_hypervisors(house: House) -> None:
    await say(house, rule(subject=house_of.FRIEND, role="greeters"), role("greeters", "message"))
    assert everywhere(house_of.FRIEND, "message", house) == [True, True, True]
    await house.give(WEB, wish(house_of.STRANGER, "role:greeters"))
    assert everywhere(house_of.STRANGER, "message", house) == [False, True, False]
    concerns = await replace_rules(house.rights, read(rule(subject=house_of.FRIEND, role="greeters"), role("greeters", "presence")))
    assert {concern.label for concern in concerns} == {house_of.FRIEND, house_of.STRANGER}
    assert not house.may(house_of.STRANGER, "message")


async def test_a_role_of_the_platform_does_not_keep_a_hypervisor_from_removing_its_own(house: House) -> None:
    await house.rules.set_role(Role("greeters", "", frozenset({"info"})), caller=house_of.ADMIN)
    await say(house, rule(subject=house_of.FRIEND, role="greeters"), role("greeters", "message"))
    assert not house.may(house_of.FRIEND, "info")
    await house.rules.remove_role("greeters")
    assert house.may(house_of.FRIEND, "message")


async def test_who_changes_rights_everywhere_hands_out_on_each_entity_what_he_holds_there(house: House) -> None:
    await say(house, rule(subject=house_of.FRIEND, right="permission_set"), rule(subject=house_of.FRIEND, right="message"))
    for entity in (house_of.HYP, WEB, SEAT):
        await house.set(entity, house_of.STRANGER, "message", caller=house_of.FRIEND)
    await house.give(house_of.HYP, wish(house_of.MEMBER, "message", "hypervisor"), caller=house_of.FRIEND)
    with pytest.raises(MayNotGrant):
        await house.set(WEB, house_of.STRANGER, "info", caller=house_of.FRIEND)
    with pytest.raises(MayNotGrant):
        await house.set(WEB, house_of.FRIEND, "message", caller=house_of.FRIEND)


async def test_what_is_given_by_a_right_that_ends_ends_with_it(house: House) -> None:
    until = "2030-01-01T13:00:00Z"
    await say(house, *(rule(subject=house_of.FRIEND, right=right, expires=until) for right in ("permission_set", "message")))
    await house.set(WEB, house_of.STRANGER, "message", caller=house_of.FRIEND)
    assert [grant.expires_at for grant in house.rights.grants_on(WEB) if grant.subject == house_of.STRANGER] == [
        house_of.NOON + house_of.HOUR
    ]


async def test_an_agent_makes_no_rule_of_the_platform(house: House) -> None:
    for change in (house.give, house.take):
        for entity in (house_of.HYP, WEB):
            with pytest.raises(BadRule, match=r"scope: no hypervisor keeps the rules of the platform: they stand on /archipel/rules .*"):
                await change(entity, wish(house_of.FRIEND, "message", "platform"), caller=house_of.ADMIN)


def test_a_machine_that_moves_takes_nothing_of_it_along() -> None:
    [found] = read(rule(subject=BOB, right="info")).rules
    assert found.entity == NODE, "luggage holds the rules of the machine itself"


# -- the node -----------------------------------------------------------------------------------------------------------


def publish(xmpp: FakeXmpp, *payloads: ET.Element, publisher: str | None = ADMIN.bare, owner: str = ADMIN.bare) -> None:
    xmpp.nodes[NODE] = Node(owner, items={str(number): (payload, publisher) for number, payload in enumerate(payloads)})


def the_rules(hypervisor: Hypervisor) -> TrustedNode:
    return next(node for node in hypervisor.trusted_nodes if node.name == NODE)


def may(entity: Hypervisor | VirtualMachine, right: str = "message", who: str = STUDENT.bare) -> bool:
    return entity.decide(who, right).allowed


GIVEN = rule(subject=STUDENT.bare, right="message")
DENIED = rule(subject=OWNER.bare, right="destroy", effect="deny")


async def test_what_stands_there_counts_and_those_concerned_are_told(
    xmpp: FakeXmpp, hypervisor: Hypervisor, machine: VirtualMachine
) -> None:
    publish(xmpp)
    stream = await go_online(hypervisor)
    await go_online(machine)
    publish(xmpp, GIVEN)
    items = f"<items node='{NODE}'><item id='0'/></items>"
    stream.deliver(f"<message from='{PUBSUB}'><event xmlns='http://jabber.org/protocol/pubsub#event'>{items}</event></message>")
    await finish_work(hypervisor, machine)
    for entity in (hypervisor, machine):
        assert may(entity)
        assert xmpp.nodes[events_node(entity.bare)].affiliations[STUDENT.bare] == "member"
        assert xmpp.pushes(entity.bare) == [("permissions", STUDENT.bare)]


async def test_what_is_taken_away_counts_no_more(xmpp: FakeXmpp, online: Hypervisor, machine: VirtualMachine) -> None:
    publish(xmpp, GIVEN, DENIED)
    await the_rules(online).follow()
    assert may(machine)
    publish(xmpp)
    await the_rules(online).refresh()
    assert not may(machine)
    assert may(machine, "destroy", OWNER.bare)


@pytest.mark.parametrize("owner,model", [(EVE, "publishers"), (f"{ADMIN.bare} {EVE}", "publishers"), (ADMIN.bare, "open")])
async def test_in_hands_that_are_not_trusted_nothing_is_given_and_what_was_denied_stays_denied(
    xmpp: FakeXmpp, online: Hypervisor, machine: VirtualMachine, owner: str, model: str
) -> None:
    publish(xmpp, GIVEN, DENIED)
    await the_rules(online).follow()
    publish(xmpp, GIVEN, rule(subject=EVE, right="all"), owner=owner)
    xmpp.nodes[NODE].publish_model = model
    await the_rules(online).refresh()
    assert not any(may(machine, "message", who) for who in (STUDENT.bare, EVE))
    assert not may(machine, "destroy", OWNER.bare)


async def test_an_item_of_somebody_who_is_not_trusted_is_ignored(
    xmpp: FakeXmpp, online: Hypervisor, caplog: pytest.LogCaptureFixture
) -> None:
    publish(xmpp, GIVEN, rule(subject=EVE, right="all"), publisher=EVE)
    xmpp.nodes[NODE].items["mine"] = (GIVEN, f"{ADMIN.bare}/desk")
    await the_rules(online).follow()
    assert may(online)
    assert not may(online, who=EVE)
    assert "who is not trusted: it is ignored" in caplog.text


@pytest.mark.parametrize("step", ["subscribe", "read metadata", "read items"])
async def test_what_was_read_last_counts_while_the_node_cannot_be_read(
    xmpp: FakeXmpp, online: Hypervisor, machine: VirtualMachine, step: str
) -> None:
    publish(xmpp, GIVEN, DENIED)
    await the_rules(online).follow()
    xmpp.nodes[NODE].subscribers.clear()
    xmpp.refuse[step] = CommandError("no")
    publish(xmpp)
    await the_rules(online).follow()
    assert may(machine)
    assert not may(machine, "destroy", OWNER.bare)


async def test_another_life_of_the_agent_knows_what_was_read_last(xmpp: FakeXmpp, online: Hypervisor) -> None:
    publish(xmpp, GIVEN, rule(subject=BOB, role="greeters", effect="deny"), role("greeters", "message"))
    await the_rules(online).follow()
    services = online.services
    again = await Rights.load(services.store, services.rights.catalogue, [ADMIN.bare], clock=services.rights.now)
    assert set(again.book.of_platform()) == set(services.rights.book.of_platform())
    assert again.book.platform_roles == {"greeters": Role("greeters", "", frozenset({"message"}))}
    publish(xmpp)
    await the_rules(online).refresh()
    emptied = await Rights.load(services.store, services.rights.catalogue, [ADMIN.bare])
    assert (emptied.book.of_platform(), dict(emptied.book.platform_roles)) == ((), {})


async def test_a_rule_that_is_over_is_told_once_and_does_not_come_back(xmpp: FakeXmpp, online: Hypervisor, calendar: Calendar) -> None:
    publish(xmpp, rule(subject=STUDENT.bare, right="message", expires="2030-01-01T01:00:00Z"))
    await the_rules(online).follow()
    await finish_work(online)
    calendar.pass_time(timedelta(hours=1))
    await daemon.expire_grants(online)
    await the_rules(online).refresh()
    await finish_work(online)
    assert xmpp.pushes(HYP) == [("permissions", STUDENT.bare)] * 2
    assert online.services.rights.book.of_platform() == ()


async def test_who_asks_for_the_rules_of_an_entity_sees_those_that_count_there(
    xmpp: FakeXmpp, online: Hypervisor, machine: VirtualMachine
) -> None:
    publish(xmpp, GIVEN, rule(subject=BOB, right="alloc"), rule(subject=BOB, role="nobody-knows", effect="deny"))
    await the_rules(online).follow()

    async def listed(entity: Hypervisor | VirtualMachine) -> dict[str | None, Any]:
        found = await ask(entity, ns.RIGHTS, "<archipel action='rules'/>", ADMIN)
        return {each.get("right") or each.get("role"): each for each in found if each.get("scope") == "platform"}

    assert set(await listed(machine)) == {"message"}
    shown = await listed(online)
    assert set(shown) == {"message", "alloc", "nobody-knows"}
    assert shown["message"].attrib == {
        "subject": STUDENT.bare, "right": "message", "scope": "platform", "effect": "allow", "entity": NODE, "given_by": ADMIN.bare,
        "given_at": NOON, "expires": "never", "reason": "",
    }  # fmt: skip
    assert "changes nothing" in shown["nobody-knows"].get("note")


async def test_the_action_grant_says_where_these_rules_are_kept(online: Hypervisor) -> None:
    with pytest.raises(CommandError, match=r"scope: .*/archipel/rules.*archipel grant"):
        await ask(online, ns.RIGHTS, f"<archipel action='grant'><rule subject='{BOB}' right='message' scope='platform'/></archipel>", ADMIN)


async def test_many_notifications_are_few_readings(xmpp: FakeXmpp, online: Hypervisor) -> None:
    publish(xmpp, GIVEN)
    read_before = xmpp.asked("read items")
    for _ in range(50):
        online.spawn(the_rules(online).refresh())
    await finish_work(online)
    assert 1 <= xmpp.asked("read items") - read_before <= 2
    assert may(online)


def test_records_of_the_platform_say_so() -> None:
    record = RuleRecord(entity=NODE, subject=BOB, right="info", scope=read(rule(subject=BOB, right="info")).rules[0].scope)
    assert record.of_platform
    assert not RuleRecord(entity=VM, subject=BOB, right="info").of_platform
