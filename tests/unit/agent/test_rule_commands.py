# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel:rights`` as it is asked for, and what follows: who reads events, who sees the presence, who is told."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from xml.etree import ElementTree as ET

import pytest

from archipel.agent import daemon, following
from archipel.agent.chat import reply
from archipel.agent.dispatch import Caller
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import CommandError, PermissionDenied
from archipel.protocol.events import TAGS_NODE, events_node
from archipel.xmpp.errors import NoAnswer
from tests.unit.agent.conftest import ask, finish_work, go_online
from tests.unit.agent.fake_xmpp import FakeStream, FakeXmpp, Node, parse_stanza
from tests.unit.agent.fakes import ADMIN, HYP, OWNER, STUDENT, VM, Calendar
from tests.wire.waiting import eventually

NODE = events_node(VM)


@pytest.fixture
async def both(online: Hypervisor, machine: VirtualMachine) -> VirtualMachine:
    """The machine, online as its hypervisor is."""
    await go_online(machine)
    return machine


async def change(entity: VirtualMachine | Hypervisor, action: str, *rules: str, caller: Caller = ADMIN) -> None:
    content = "".join(f"<rule {rule}/>" for rule in rules)
    await ask(entity, ns.RIGHTS, f"<archipel action='{action}'>{content}</archipel>", caller)


async def set_group(hypervisor: Hypervisor, name: str, *members: str) -> None:
    content = "".join(f"<member jid='{member}'/>" for member in members)
    await ask(hypervisor, ns.RIGHTS, f"<archipel action='setgroup' name='{name}'>{content}</archipel>", ADMIN)


async def test_a_role_lets_in_and_its_end_shuts_out(xmpp: FakeXmpp, both: VirtualMachine, calendar: Calendar) -> None:
    await change(both, "grant", f"subject='{STUDENT.bare}' role='student' expires='2030-01-01T01:00:00Z'", caller=OWNER)
    assert both.knows(STUDENT.bare)
    assert xmpp.nodes[NODE].affiliations[STUDENT.bare] == "member"
    assert xmpp.pushes(VM) == [("permissions", STUDENT.bare)]
    calendar.pass_time(timedelta(hours=1))
    assert not both.knows(STUDENT.bare)
    await daemon.expire_grants(both.hypervisor)
    await finish_work(both)
    assert STUDENT.bare not in xmpp.nodes[NODE].affiliations
    assert xmpp.pushes(VM) == [("permissions", STUDENT.bare)] * 2


async def test_a_rule_of_the_hypervisor_reaches_its_machines(xmpp: FakeXmpp, both: VirtualMachine) -> None:
    await set_group(both.hypervisor, "tp1", STUDENT.bare)
    await change(both.hypervisor, "grant", "group='tp1' role='student' scope='hypervisor'")
    await finish_work(both)
    assert both.decide(STUDENT.bare, "create").allowed
    assert not both.hypervisor.knows(STUDENT.bare)
    assert xmpp.nodes[NODE].affiliations[STUDENT.bare] == "member"
    assert xmpp.pushes(VM) == [("permissions", "tp1")]
    await set_group(both.hypervisor, "tp1")
    await finish_work(both)
    assert STUDENT.bare not in xmpp.nodes[NODE].affiliations


@pytest.mark.parametrize("how", ["deny", "withdraw"])
async def test_who_loses_the_presence_leaves_the_roster(xmpp: FakeXmpp, online: Hypervisor, machine: VirtualMachine, how: str) -> None:
    await machine.services.rights.make_owner(VM, OWNER.bare)
    rule = f"subject='{STUDENT.bare}' role='student'"
    await change(machine, "grant", rule)
    xmpp.rosters[VM] = {STUDENT.bare: "both"}
    stream = await go_online(machine)
    await change(machine, how, f"subject='{STUDENT.bare}' right='all'" if how == "deny" else rule)
    assert xmpp.rosters[VM] == {}
    assert not machine.knows(STUDENT.bare)
    assert told(stream)[-1] == ("unsubscribed", STUDENT.bare)
    assert STUDENT.bare not in xmpp.nodes[NODE].affiliations


def told(stream: FakeStream) -> list[tuple[str | None, str | None]]:
    return [(each.get("type"), each.get("to")) for each in map(parse_stanza, stream.took("<presence"))]


async def test_the_groups_of_the_hypervisor_s_roster_are_the_server_s(xmpp: FakeXmpp, both: VirtualMachine) -> None:
    hypervisor = both.hypervisor
    await change(hypervisor, "grant", "group='tp1' role='student' scope='hypervisor'")
    item = f"<item jid='{STUDENT.bare}' subscription='both'><group>tp1</group></item>"
    push = f"<iq type='set' id='p' to='{hypervisor.full}'><query xmlns='jabber:iq:roster'>{{}}</query></iq>"
    hypervisor._take_request(parse_stanza(push.format(item)))
    await finish_work(hypervisor, both)
    assert both.decide(STUDENT.bare, "create").allowed
    assert xmpp.nodes[NODE].affiliations[STUDENT.bare] == "member"
    listed = await ask(hypervisor, ns.RIGHTS, "<archipel action='groups'/>", ADMIN)
    assert [(group.get("name"), group.get("shared"), [member.get("jid") for member in group]) for group in listed] == [
        ("tp1", "1", [STUDENT.bare])
    ]
    hypervisor._take_request(parse_stanza(push.format(f"<item jid='{STUDENT.bare}' subscription='remove'/>")))
    await finish_work(hypervisor, both)
    assert not both.decide(STUDENT.bare, "create").allowed
    assert STUDENT.bare not in xmpp.nodes[NODE].affiliations


async def test_groups_of_which_the_server_tells_no_change_are_read_again(xmpp: FakeXmpp, both: VirtualMachine) -> None:
    """ejabberd tells nobody what changes in a directory."""
    hypervisor = both.hypervisor
    await change(hypervisor, "grant", "group='tp1' role='student' scope='hypervisor'")
    following_it = asyncio.create_task(following.follow_directory(hypervisor, 0.001))
    xmpp.rosters[HYP] = {STUDENT.bare: "both"}
    xmpp.groups[HYP, STUDENT.bare] = "tp1"
    await eventually(lambda: both.decide(STUDENT.bare, "create").allowed)
    await eventually(lambda: xmpp.nodes[NODE].affiliations.get(STUDENT.bare) == "member")
    xmpp.refuse["read roster"] = NoAnswer("late")
    xmpp.rosters[HYP] = {}
    await asyncio.sleep(0.01)
    assert both.decide(STUDENT.bare, "create").allowed, "what cannot be read stays as it was"
    del xmpp.refuse["read roster"]
    await eventually(lambda: not both.decide(STUDENT.bare, "create").allowed)
    await eventually(lambda: STUDENT.bare not in xmpp.nodes[NODE].affiliations)
    await eventually(lambda: STUDENT.bare not in xmpp.nodes[events_node(HYP)].affiliations)
    following_it.cancel()


async def test_a_tag_brings_the_rights_that_go_by_it(xmpp: FakeXmpp, both: VirtualMachine) -> None:
    xmpp.nodes[TAGS_NODE] = Node(ADMIN.bare)
    await change(both.hypervisor, "grant", f"subject='{STUDENT.bare}' role='student' scope='tag:lab'")
    await both.services.rights.grant(VM, "tagger@lab.example", "settags", granted_by=HYP)
    tagger = Caller("tagger@lab.example/x", "tagger@lab.example")
    with pytest.raises(PermissionDenied, match="the tag 'lab' carries rights"):
        await ask(both, ns.TAGS, "<archipel action='settags' tags='lab'/>", tagger)
    await ask(both, ns.TAGS, "<archipel action='settags' tags='blue'/>", tagger)
    assert not both.knows(STUDENT.bare)
    await ask(both, ns.TAGS, "<archipel action='settags' tags='lab'/>", OWNER)
    assert both.decide(STUDENT.bare, "create").allowed
    assert xmpp.nodes[NODE].affiliations[STUDENT.bare] == "member"
    await ask(both, ns.TAGS, "<archipel action='settags' tags=''/>", OWNER)
    assert STUDENT.bare not in xmpp.nodes[NODE].affiliations


async def test_rules_are_listed_with_all_that_is_known_of_them(both: VirtualMachine) -> None:
    await change(both, "grant", f"subject='{STUDENT.bare}' right='info' expires='2030-02-01T00:00:00+01:00' reason='looks on'")
    await change(both, "deny", "group='tp1' role='student'")
    await change(both.hypervisor, "grant", f"subject='{STUDENT.bare}' right='create' scope='hypervisor'")
    await change(both.hypervisor, "grant", f"subject='{STUDENT.bare}' right='create' scope='tag:other'")
    listed = await ask(both, ns.RIGHTS, "<archipel action='rules'/>", OWNER)
    assert [{name: value for name, value in rule.attrib.items() if name != "given_at"} for rule in listed] == [
        {"subject": OWNER.bare, "right": "all", **origin(given_by=HYP)},
        {"subject": STUDENT.bare, "right": "info", **origin(expires="2030-01-31T23:00:00Z", reason="looks on")},
        {"group": "tp1", "role": "student", **origin(effect="deny")},
        {"subject": STUDENT.bare, "right": "create", **origin(entity=HYP, scope="hypervisor")},
    ]


def origin(**more: str) -> dict[str, str]:
    return {"scope": "entity", "effect": "allow", "entity": VM, "given_by": ADMIN.bare, "expires": "never", "reason": ""} | more


async def why(entity: VirtualMachine, right: str, caller: Caller, more: str = "") -> ET.Element:
    return (await ask(entity, ns.RIGHTS, f"<archipel action='why' right='{right}' {more}/>", caller))[0]


async def test_why_tells_what_decided(both: VirtualMachine) -> None:
    await change(both, "grant", f"subject='{STUDENT.bare}' role='student'")
    found = await why(both, "start", STUDENT)
    assert (found.get("right"), found.get("allowed"), found.get("rule")) == ("create", "1", "granted")
    assert "the role 'student'" in (found.text or "")
    assert (await why(both, "define", OWNER, f"subject='{STUDENT.bare}'")).get("allowed") == "0"
    await change(both, "deny", f"subject='{STUDENT.bare}' right='permission_get'")
    with pytest.raises(PermissionDenied, match="to see others' rights"):
        await why(both, "start", STUDENT, f"subject='{OWNER.bare}'")
    with pytest.raises(CommandError, match="right: there is no right 'creat' on a virtualmachine, and no command; create"):
        await why(both, "creat", OWNER)


@pytest.mark.parametrize("words", ["Why may I not start?", "why can I not create", "why can't I boot?", "why start"])
async def test_the_machine_says_why_one_may_not(both: VirtualMachine, words: str) -> None:
    await both.services.rights.grant(VM, STUDENT.bare, "message", granted_by=OWNER.bare)
    assert await reply(both, words, STUDENT) == f"{STUDENT.bare} may not (create): not granted."
    await change(both, "deny", f"subject='{STUDENT.bare}' right='create' reason='exam'")
    assert (await reply(both, words, STUDENT)).endswith(": exam.")


async def test_getown_tells_what_roles_give(both: VirtualMachine) -> None:
    """By it founding clients show what one may do."""
    await change(both, "grant", f"subject='{STUDENT.bare}' role='student'")
    own = f"<archipel action='getown' permission_type='user' permission_target='{STUDENT.bare}'/>"
    assert {"create", "info"} <= {found.get("name") for found in await ask(both, ns.PERMISSIONS, own, STUDENT)}
    others = f"<archipel action='get' permission_type='user' permission_target='{STUDENT.bare}'/>"
    assert list(await ask(both, ns.PERMISSIONS, others)) == []


async def test_what_is_denied_is_said_to_be(both: VirtualMachine) -> None:
    await change(both, "deny", f"subject='{OWNER.bare}' right='create'")
    with pytest.raises(PermissionDenied, match="lacks the right 'create' on web: it is denied explicitly"):
        await ask(both, ns.VM_CONTROL, "<archipel action='create'/>", OWNER)
    assert (await why(both, "all", OWNER)).get("allowed") == "0"


async def test_the_maker_of_a_machine_owns_it(online: Hypervisor, xmpp: FakeXmpp) -> None:
    made = await ask(online, ns.HYPERVISOR_CONTROL, "<archipel action='alloc' name='new'/>", ADMIN)
    bare = made[0].get("jid", "")
    assert online.services.rights.owns(bare, ADMIN.bare)
    assert online.services.rights.tokens_of(bare, ADMIN.bare) == ("all",)
