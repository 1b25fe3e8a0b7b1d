# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rights, subscriptions, rosters and tags, as they are asked for: changed whole or not at all, and everybody concerned is told."""

from __future__ import annotations

from datetime import timedelta
from xml.etree import ElementTree as ET

import pytest

from archipel.agent.hypervisor import Hypervisor
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import CommandError, Condition, ErrorCode, PermissionDenied
from archipel.protocol.events import TAGS_NODE, events_node
from archipel.protocol.rights import EntityKind
from tests.unit.agent.conftest import ask, go_online
from tests.unit.agent.fake_xmpp import FakeStream, FakeXmpp, Node, parse_stanza
from tests.unit.agent.fakes import ADMIN, HYP, OWNER, STRANGER, STUDENT, UUID, VM, Calendar

NODE = events_node(VM)


def permission(token: str, value: str = "1", target: str = STUDENT.bare, kind: str = "user") -> str:
    what = f"permission_name='{token}' permission_value='{value}'"
    return f"<permission permission_type='{kind}' permission_target='{target}' {what}/>"


def change(*permissions: str, action: str = "set") -> str:
    return f"<archipel action='{action}'>{''.join(permissions)}</archipel>"


def rights_of(machine: VirtualMachine, who: str = STUDENT.bare) -> tuple[str, ...]:
    return machine.services.rights.tokens_of(VM, who)


def kinds(stream: FakeStream) -> list[tuple[str | None, str | None]]:
    found = [parse_stanza(text) for text in stream.took("<presence")]
    return [(each.get("type"), each.get("to")) for each in found]


# -- looking ------------------------------------------------------------------------------------------------------------


async def test_all_rights_that_exist_are_listed_with_what_they_mean(machine: VirtualMachine) -> None:
    listed = await ask(machine, ns.PERMISSIONS, "<archipel action='list'/>")
    told = [(found.get("name"), found.get("description"), found.get("default")) for found in listed]
    catalogue = machine.services.rights.catalogue
    assert [name for name, _meaning, _default in told] == [token.name for token in catalogue.tokens(EntityKind.VIRTUAL_MACHINE)]
    for token, (name, meaning, default) in zip(catalogue.tokens(EntityKind.VIRTUAL_MACHINE), told, strict=True):
        waits = " (nothing on this agent asks for it yet)" if catalogue.waits(EntityKind.VIRTUAL_MACHINE, token.name) else ""
        assert (name, meaning, default) == (token.name, token.description + waits, str(int(token.default)))


def get(action: str, target: str, kind: str = "user") -> str:
    return f"<archipel action='{action}' permission_type='{kind}' permission_target='{target}'/>"


def names(query: ET.Element) -> list[str | None]:
    return [found.get("name") for found in query]


async def test_rights_of_others_are_those_that_were_granted(machine: VirtualMachine) -> None:
    await machine.services.rights.grant(VM, STUDENT.bare, "info", "create", granted_by=OWNER.bare)
    assert names(await ask(machine, ns.PERMISSIONS, get("get", "Student@LAB.example/desk"))) == ["create", "info"]
    assert names(await ask(machine, ns.PERMISSIONS, get("get", "nobody@lab.example"))) == []
    assert names(await ask(machine, ns.PERMISSIONS, get("get", STUDENT.bare, "role"))) == []


@pytest.mark.parametrize("target", ["@@", "lab.example", "a b@c"])
async def test_an_address_that_is_none_is_named(machine: VirtualMachine, target: str) -> None:
    with pytest.raises(CommandError, match="permission_target: ") as refused:
        await ask(machine, ns.PERMISSIONS, get("get", target))
    assert (refused.value.code, refused.value.condition) == (ErrorCode.GET_RIGHTS, Condition.BAD_REQUEST)


async def test_own_rights_need_no_right_and_are_nobody_else_s(machine: VirtualMachine) -> None:
    """The tabs of founding clients wait for this answer."""
    await machine.services.rights.grant(VM, STUDENT.bare, "info", granted_by=OWNER.bare)
    assert names(await ask(machine, ns.PERMISSIONS, get("getown", STUDENT.bare), STUDENT)) == ["info"]
    with pytest.raises(CommandError, match="must be your own JID"):
        await ask(machine, ns.PERMISSIONS, get("getown", OWNER.bare), STUDENT)
    with pytest.raises(PermissionDenied):
        await ask(machine, ns.PERMISSIONS, get("getown", STRANGER.bare), STRANGER)


# -- changing -----------------------------------------------------------------------------------------------------------


async def test_rights_are_granted_and_revoked_and_the_person_is_told(xmpp: FakeXmpp, machine: VirtualMachine, stream: FakeStream) -> None:
    await ask(machine, ns.PERMISSIONS, change(permission("info"), permission("create")))
    assert rights_of(machine) == ("create", "info")
    await ask(machine, ns.PERMISSIONS, change(permission("create", "0")))
    assert rights_of(machine) == ("info",)
    assert xmpp.pushes(VM) == [("permissions", STUDENT.bare)] * 2


async def test_each_person_concerned_gets_a_push_of_his_own(xmpp: FakeXmpp, machine: VirtualMachine, stream: FakeStream) -> None:
    """The founders pushed the printed form of a Python list, which no client could read."""
    await ask(machine, ns.PERMISSIONS, change(permission("info"), permission("info", target="bob@lab.example"), permission("create")))
    assert xmpp.pushes(VM) == [("permissions", STUDENT.bare), ("permissions", "bob@lab.example")]


async def test_nobody_is_told_of_what_did_not_change(xmpp: FakeXmpp, machine: VirtualMachine, stream: FakeStream) -> None:
    await ask(machine, ns.PERMISSIONS, change(permission("info", "0")))
    assert xmpp.pushes(VM) == []


async def test_who_gets_his_first_right_may_read_events_and_who_loses_his_last_may_not(
    xmpp: FakeXmpp, machine: VirtualMachine, stream: FakeStream
) -> None:
    await ask(machine, ns.PERMISSIONS, change(permission("info")))
    assert xmpp.nodes[NODE].affiliations[STUDENT.bare] == "member"
    await ask(machine, ns.PERMISSIONS, change(permission("info", "0")))
    assert STUDENT.bare not in xmpp.nodes[NODE].affiliations


async def test_the_right_to_see_the_presence_lets_in_and_shuts_out(machine: VirtualMachine, stream: FakeStream) -> None:
    await ask(machine, ns.PERMISSIONS, change(permission("presence")))
    await ask(machine, ns.PERMISSIONS, change(permission("presence", "0")))
    await ask(machine, ns.PERMISSIONS, change(permission("info")))
    assert kinds(stream) == [("subscribed", STUDENT.bare), ("unsubscribed", STUDENT.bare)]


@pytest.mark.parametrize("last", ["presence", "info"])
async def test_who_loses_his_last_right_leaves_the_roster_too(xmpp: FakeXmpp, machine: VirtualMachine, last: str) -> None:
    """In the roster he would stay known, and read events."""
    await machine.services.rights.grant(VM, STUDENT.bare, "presence", "info", granted_by=OWNER.bare)
    xmpp.rosters[VM] = {STUDENT.bare: "both"}
    stream = await go_online(machine)
    first = {"presence": "info", "info": "presence"}[last]
    await ask(machine, ns.PERMISSIONS, change(permission(first, "0")))
    assert STUDENT.bare in xmpp.rosters[VM]
    assert machine.knows(STUDENT.bare)
    await ask(machine, ns.PERMISSIONS, change(permission(last, "0")))
    assert xmpp.rosters[VM] == {}
    assert not machine.knows(STUDENT.bare)
    assert STUDENT.bare not in xmpp.nodes[NODE].affiliations
    assert kinds(stream)[-1] == ("unsubscribed", STUDENT.bare)
    assert xmpp.pushes(VM)[-1] == ("subscription", "removed")


async def test_administrators_stay_in_the_roster_whatever_is_revoked(xmpp: FakeXmpp, machine: VirtualMachine) -> None:
    xmpp.rosters[VM] = {ADMIN.bare: "both"}
    await go_online(machine)
    for value in ("1", "0"):
        await ask(machine, ns.PERMISSIONS, change(permission("presence", value, ADMIN.bare)))
    assert xmpp.rosters[VM] == {ADMIN.bare: "both"}


@pytest.mark.parametrize("others,kept", [((), {}), (("info",), {STUDENT.bare: "both"})])
async def test_presence_and_roster_follow_a_right_that_ends(
    xmpp: FakeXmpp, machine: VirtualMachine, calendar: Calendar, others: tuple[str, ...], kept: dict[str, str]
) -> None:
    await machine.services.rights.grant(VM, STUDENT.bare, "presence", granted_by=HYP, expires_at=calendar() + timedelta(hours=1))
    await machine.services.rights.grant(VM, STUDENT.bare, *others, granted_by=HYP)
    xmpp.rosters[VM] = {STUDENT.bare: "both"}
    stream = await go_online(machine)
    calendar.pass_time(timedelta(hours=2))
    await machine.withdraw(STUDENT.bare)
    assert xmpp.rosters[VM] == kept
    assert kinds(stream)[-1] == ("unsubscribed", STUDENT.bare)


async def test_who_may_see_it_anyway_is_not_shut_out(machine: VirtualMachine, stream: FakeStream) -> None:
    await ask(machine, ns.PERMISSIONS, change(permission("presence"), permission("all")))
    await ask(machine, ns.PERMISSIONS, change(permission("presence", "0")))
    assert kinds(stream) == [("subscribed", STUDENT.bare)] * 2


@pytest.mark.parametrize(
    "wrong,text",
    [
        (permission("creat"), "no such right on a virtualmachine: 'creat'; did you mean create"),
        (permission("create", kind="role"), "permission_type: must be 'user', not 'role'"),
        (permission("create", target="@@"), "permission_target: "),
        (permission("domain_policy_bypass"), "given only by those who have it themselves"),
    ],
)
async def test_changes_are_made_all_or_none(xmpp: FakeXmpp, machine: VirtualMachine, stream: FakeStream, wrong: str, text: str) -> None:
    with pytest.raises(CommandError, match=text) as refused:
        await ask(machine, ns.PERMISSIONS, change(permission("info"), wrong))
    assert refused.value.code in {ErrorCode.SET_RIGHTS, ErrorCode.PERMISSION}
    assert rights_of(machine) == ()
    assert xmpp.pushes(VM) == []


async def test_nobody_gives_himself_what_he_lacks(machine: VirtualMachine) -> None:
    await machine.services.rights.grant(VM, STUDENT.bare, "permission_setown", "info", granted_by=OWNER.bare)
    with pytest.raises(PermissionDenied, match="lacks the right 'create'"):
        await ask(machine, ns.PERMISSIONS, change(permission("create"), action="setown"), STUDENT)
    with pytest.raises(CommandError, match="must be your own JID"):
        await ask(machine, ns.PERMISSIONS, change(permission("info", "0", OWNER.bare), action="setown"), STUDENT)
    await ask(machine, ns.PERMISSIONS, change(permission("info", "0"), action="setown"), STUDENT)
    assert rights_of(machine) == ("permission_setown",)


# -- subscriptions and roster -------------------------------------------------------------------------------------------


async def test_a_contact_is_added_with_his_right_and_removed_with_it(xmpp: FakeXmpp, machine: VirtualMachine, stream: FakeStream) -> None:
    await ask(machine, ns.SUBSCRIPTION, "<archipel action='add' jid='Student@lab.example/x'/>")
    assert (rights_of(machine), xmpp.rosters[VM]) == (("presence",), {STUDENT.bare: "none"})
    assert kinds(stream) == [("subscribe", STUDENT.bare), ("subscribed", STUDENT.bare)]
    await ask(machine, ns.SUBSCRIPTION, f"<archipel action='remove' jid='{STUDENT.bare}'/>")
    assert (rights_of(machine), xmpp.rosters[VM]) == ((), {})
    told = [("permissions", STUDENT.bare), ("subscription", "added"), ("permissions", STUDENT.bare), ("subscription", "removed")]
    assert xmpp.pushes(VM) == told


async def test_who_adds_somebody_by_a_right_that_ends_lets_him_in_until_then(
    machine: VirtualMachine, calendar: Calendar, stream: FakeStream
) -> None:
    end = calendar() + timedelta(hours=1)
    await machine.services.rights.grant(VM, STUDENT.bare, "subscription_add", granted_by=OWNER.bare, expires_at=end)
    await ask(machine, ns.SUBSCRIPTION, f"<archipel action='add' jid='{STUDENT.bare}'/>", STUDENT)
    calendar.pass_time(timedelta(hours=2))
    assert not machine.knows(STUDENT.bare)


@pytest.mark.parametrize("action,code", [("add", ErrorCode.ADD_SUBSCRIPTION), ("remove", ErrorCode.REMOVE_SUBSCRIPTION)])
async def test_a_contact_without_an_address_is_refused(machine: VirtualMachine, action: str, code: ErrorCode) -> None:
    with pytest.raises(CommandError, match="jid: ") as refused:
        await ask(machine, ns.SUBSCRIPTION, f"<archipel action='{action}' jid='lab.example'/>")
    assert refused.value.code == code


async def test_the_roster_is_told_in_order(xmpp: FakeXmpp, machine: VirtualMachine) -> None:
    xmpp.rosters[VM] = {"b@lab.example": "both", "a@lab.example": "to"}
    await go_online(machine)
    listed = await ask(machine, ns.ROSTER, "<archipel action='getroster'/>")
    assert [(found.get("jid"), found.get("subscription")) for found in listed] == [("a@lab.example", "to"), ("b@lab.example", "both")]


# -- tags ---------------------------------------------------------------------------------------------------------------


async def test_tags_are_kept_and_published(xmpp: FakeXmpp, online: Hypervisor, machine: VirtualMachine) -> None:
    xmpp.nodes[TAGS_NODE] = Node("admin@lab.example")
    await ask(machine, ns.TAGS, "<archipel action='settags' tags='lab;; blue;;lab'/>")
    record = await machine.services.store.machine(UUID)
    assert record is not None
    payload, _publisher = xmpp.nodes[TAGS_NODE].items[VM]
    assert payload is not None
    assert (record.tags, payload.get("tags")) == (("lab", "blue"), "lab;;blue")


@pytest.mark.parametrize("tags", [";;".join(map(str, range(51))), "x" * 101])
async def test_too_many_or_too_long_tags_are_refused(machine: VirtualMachine, tags: str) -> None:
    with pytest.raises(CommandError, match="tags: at most 50, of 100 characters each") as refused:
        await ask(machine, ns.TAGS, f"<archipel action='settags' tags='{tags}'/>")
    assert refused.value.code == ErrorCode.SET_TAGS
