# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody whom an entity does not know: a permission error for everything, and nothing that he does leaves a trace."""

from __future__ import annotations

import asyncio

import pytest

from tests.wire.matching import PERMISSION, assert_error, assert_stranger_refused, child, name_of, show, text_of
from tests.wire.person import QUIET, Person
from tests.wire.platform import CONTROL, DEFINITION, HOST, PERMISSIONS, ROSTER, SUBSCRIPTION, TAGS, Machine, Platform
from tests.wire.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

ENTITIES = pytest.mark.parametrize("entity", ["hypervisor", "machine"])
EVERYWHERE = {
    PERMISSIONS: ("list", "get", "getown", "set", "setown"),
    SUBSCRIPTION: ("add", "remove"),
    TAGS: ("settags",),
    ROSTER: ("getroster",),
    "archipel:avatar": ("getavatars", "setavatar"),
    "archipel:hypervisor:health": ("info",),
}
ACTIONS = {
    "hypervisor": EVERYWHERE
    | {HOST: ("alloc", "free", "rostervm", "clone", "ip", "migrationinfo", "capabilities", "nodeinfo", "manage", "unmanage", "setorginfo", "soft_alloc")},
    "machine": EVERYWHERE
    | {
        CONTROL: (
            "info", "create", "shutdown", "destroy", "reboot", "suspend", "resume", "xmldesc", "migrate", "autostart", "memory", "setvcpus",
            "networkinfo", "addresses", "free", "screenshot",
        ),
        DEFINITION: ("define", "undefine", "capabilities", "attachdevice", "detachdevice", "updatedevice"),
    },
}  # fmt: skip


@pytest.fixture
def address(platform: Platform, machine: Machine, entity: str) -> str:
    return {"hypervisor": platform.host, "machine": machine.full}[entity]


def arguments(machine: Machine, stranger: Person) -> str:
    """Attributes and children of every command at once: what is not a command's own does not matter."""
    attributes = (
        f"jid='{stranger.bare}' permission_type='user' permission_target='{stranger.bare}' tags='x' value='1' name='x' "
        f"target='{machine.uuid}' hypervisorjid='hypervisor@agents.localhost/x'"
    )
    permission = f"<permission permission_type='user' permission_target='{stranger.bare}' permission_name='all' permission_value='1'/>"
    item, organisation = f"<item jid='{machine.bare}'/>", "<FN>x</FN><ORGNAME>x</ORGNAME>"
    return f"{attributes}>{permission}{item}{organisation}{machine.definition()}<device><interface/></device>"


def traces(platform: Platform, address: str) -> object:
    """Everything that a stranger could have changed."""
    bare = address.partition("/")[0]
    roster = platform.ejabberd.call("get_roster", user=bare.partition("@")[0], server=platform.domain)
    assert isinstance(roster, list)
    with platform.libvirt() as connection:
        domains = sorted((domain.XMLDesc(), domain.state()) for domain in connection.listAllDomains())
    tables = [platform.rows(f"SELECT * FROM {table} ORDER BY 1") for table in ("virtual_machines", "grants")]
    return sorted(item["jid"] for item in roster), domains, tables


@ENTITIES
@pytest.mark.parametrize("kind", ["get", "set"])
async def test_every_action_is_refused_and_nothing_changes(
    platform: Platform, admin: Person, student: Person, machine: Machine, address: str, entity: str, kind: str
):
    await admin.subscribe_to_events(address.partition("/")[0], platform.pubsub)
    await admin.expect_shown(machine.bare, "xa", "Off")
    before, since = traces(platform, address), len(admin.received)
    for namespace, actions in ACTIONS[entity].items():
        for action in actions:
            request = f"<archipel action='{action}' {arguments(machine, student)}</archipel>"
            answer = await student.command(address, namespace, request, kind)
            assert_stranger_refused(answer)
            assert (text_of(answer, "text") or "").endswith(f"\n\n{namespace}\n{action}")
    assert traces(platform, address) == before
    await asyncio.sleep(QUIET)
    changes = {push.change for push in admin.pushes(address.partition("/")[0], since)}
    assert changes <= {"added", "defined", "alloc"}, "only what making the machine had left to say"


@ENTITIES
async def test_a_stranger_does_not_learn_which_actions_exist(student: Person, address: str):
    texts = []
    for action in ("getown", "levitate"):
        answer = await student.command(address, PERMISSIONS, f"<archipel action='{action}' permission_target='{student.bare}'/>")
        assert_error(answer, code=-1, condition="forbidden", namespace=PERMISSION, action=action)
        texts.append(child(answer, "error")[2].attrib)
    assert texts == [{}, {}]


@ENTITIES
async def test_a_stranger_discovers_nothing(student: Person, address: str):
    for namespace in ("http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items", "jabber:iq:version"):
        assert_stranger_refused(await student.ask(address, f"<query xmlns='{namespace}'/>", "get"))
    menu = "<query xmlns='http://jabber.org/protocol/disco#items' node='http://jabber.org/protocol/commands'/>"
    assert_stranger_refused(await student.ask(address, menu, "get"))
    execute = "<command xmlns='http://jabber.org/protocol/commands' node='{}' action='execute'/>"
    for node in ("create", "archipel:vm:control#create", "archipel:hypervisor:control#rostervm", ""):
        answer = await student.ask(address, execute.format(node))
        assert answer.get("type") == "error", show(answer)
        assert "forbidden" in {name_of(part) for part in child(answer, "error")}, show(answer)


@ENTITIES
async def test_a_strangers_presences_leave_the_roster_alone(platform: Platform, admin: Person, student: Person, address: str):
    bare = address.partition("/")[0]
    await admin.subscribe_to_events(bare, platform.pubsub)
    since = len(admin.received)
    student.send(f"<presence to='{address}'><status>hello</status></presence>")
    for kind in ("subscribed", "unsubscribe", "unsubscribed", "probe", "subscribe"):
        student.send(f"<presence type='{kind}' to='{bare}'/>")
    await student.until(lambda: [got for got in student.presences(bare) if got.get("type") == "unsubscribed"], "a refusal")
    await asyncio.sleep(QUIET)
    assert student.shown(bare) is None
    assert [push for push in admin.pushes(bare, since) if push.change == "removed"] == []

    def left_out() -> bool:
        roster = platform.ejabberd.call("get_roster", user=bare.partition("@")[0], server=platform.domain)
        assert isinstance(roster, list)
        return all(item["subscription"] == "none" and item["pending"] == "none" for item in roster if item["jid"] == student.bare)

    await eventually(left_out)
    answer = await student.command(address, PERMISSIONS, f"<archipel action='getown' permission_target='{student.bare}'/>")
    assert_stranger_refused(answer)


@ENTITIES
async def test_a_stranger_becomes_known_with_a_grant_and_a_stranger_again_with_its_end(
    platform: Platform, admin: Person, student: Person, address: str
):
    request = f"<archipel action='getown' permission_target='{student.bare}'/>"
    for value, known in (("1", True), ("0", False)):
        await platform.grant(admin, address, student, "settags", value=value)
        answer = await student.command(address, PERMISSIONS, request, "get")
        assert (answer.get("type") == "result") is known
    assert_stranger_refused(answer)


async def test_what_is_known_on_one_entity_is_a_stranger_on_another(platform: Platform, admin: Person, student: Person, machine: Machine):
    await platform.grant(admin, machine.full, student, "all")
    other = await platform.make_machine(admin)
    for address in (platform.host, other.full):
        answer = await student.command(address, PERMISSIONS, f"<archipel action='getown' permission_target='{student.bare}'/>")
        assert_stranger_refused(answer)


async def test_a_machine_is_a_stranger_to_the_hypervisor_and_to_other_machines(platform: Platform, admin: Person, machine: Machine):
    """Whoever breaks into a guest's account gains nothing."""
    platform.passwords[machine.uuid] = platform.machine_passwords()[machine.uuid]
    intruder = await platform.enter(machine.uuid, resource="intruder")
    other = await platform.make_machine(admin)
    assert_stranger_refused(await intruder.command(platform.host, HOST, "<archipel action='rostervm'/>"))
    assert_stranger_refused(await intruder.command(other.full, CONTROL, "<archipel action='create'/>"))


@ENTITIES
async def test_refusals_are_audited(platform: Platform, student: Person, address: str):
    await student.command(address, PERMISSIONS, f"<archipel action='getown' permission_target='{student.bare}'/>")
    [line] = await eventually(lambda: [line for line in platform.audit.splitlines() if f'"{student.full}"' in line])
    assert '"action": "getown"' in line
    assert "not known" in line
