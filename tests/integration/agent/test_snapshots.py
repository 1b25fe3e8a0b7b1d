# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""archipel:virtualmachine:snapshoting on the wire: what is answered, told and shown (refusals: test_every_action.py)."""

from __future__ import annotations

import libvirt
import pytest

from tests.wire.actions.core import CARD
from tests.wire.actions.snapshots import SNAPSHOTS
from tests.wire.matching import PERMISSION, assert_error, assert_payload, child, name_of, show, text_of
from tests.wire.person import Person
from tests.wire.platform import CONTROL, DEFINITION, Machine, Platform

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

SECRET = "<description>web@agents.localhost::::hunter2</description>"
DISK = "<disk type='file'><driver type='qcow2'/><source file='/nowhere/other.qcow2'/><target dev='vdb'/></disk></devices>"


@pytest.fixture
def outside(machine: Machine) -> str:
    """A definition with a disk more."""
    return machine.definition(more=CARD.replace("</devices>", DISK))


async def ask(admin: Person, machine: Machine, action: str, more: str = "", inner: str = "", kind: str = "set"):
    return await admin.command(machine.full, SNAPSHOTS, f"<archipel action='{action}' {more}>{inner}</archipel>", kind)


async def take(admin: Person, machine: Machine, name: str, description: str = "", more: str = "") -> None:
    inner = f"<domainsnapshot><name>{name}</name><description>{description}</description></domainsnapshot>"
    assert_payload(await ask(admin, machine, "take", more, inner), SNAPSHOTS, "")


async def snapshots(admin: Person, machine: Machine) -> dict[str, tuple[str | None, str | None]]:
    """State and parent of each, by name."""
    answer = await ask(admin, machine, "get", kind="get")
    assert answer.get("type") == "result", show(answer)
    found = {}
    for snapshot in child(answer, "query"):
        parents = [text_of(part, "name") for part in snapshot if name_of(part) == "parent"]
        found[text_of(snapshot, "name") or ""] = (text_of(snapshot, "state"), parents[0] if parents else None)
    return found


async def current(admin: Person, machine: Machine) -> list[str | None]:
    return [text_of(found, "name") for found in child(await ask(admin, machine, "current"), "query")]


async def make(platform: Platform, admin: Person, more: str = CARD) -> Machine:
    machine = await platform.make_machine(admin, more=more)
    await admin.subscribe_to_events(machine.bare, platform.pubsub)
    await admin.until(lambda: admin.shown(machine.bare), "its presence")
    return machine


@pytest.mark.usefixtures("usual_news")
async def test_snapshots_are_taken_on_each_other_told_and_gone_back_to(platform: Platform, admin: Person):
    machine = await make(platform, admin)
    assert (await snapshots(admin, machine), await current(admin, machine)) == ({}, [])
    await take(admin, machine, "first", "before the update")
    await admin.expect_push(machine.bare, "snapshoting", "taken")
    assert_payload(await admin.command(machine.full, CONTROL, "<archipel action='create'/>"), CONTROL, "<domain id='*'/>")
    await take(admin, machine, "second")
    assert await snapshots(admin, machine) == {"first": ("shutoff", None), "second": ("running", "first")}
    assert await current(admin, machine) == ["second"]

    assert_payload(await ask(admin, machine, "revert", "name='first'"), SNAPSHOTS, "")
    await admin.expect_push(machine.bare, "snapshoting", "restored")
    await admin.expect_shown(machine.bare, "xa", "Off")
    assert await current(admin, machine) == ["first"]
    told = [text_of(stanza, "body") for stanza in admin.heard(machine.bare, kind="headline")]
    assert f"{admin.bare} took {machine.name} back to the snapshot first" in told

    assert_payload(await ask(admin, machine, "delete", "name='first'"), SNAPSHOTS, "")
    await admin.expect_push(machine.bare, "snapshoting", "deleted")
    assert await snapshots(admin, machine) == {"second": ("running", None)}


async def test_what_stands_on_a_snapshot_goes_with_it_only_if_that_is_said(platform: Platform, admin: Person):
    machine = await make(platform, admin)
    for name in ("first", "second", "third"):
        await take(admin, machine, name)
    assert_payload(await ask(admin, machine, "delete", "name='second' children='1'"), SNAPSHOTS, "")
    assert await snapshots(admin, machine) == {"first": ("shutoff", None)}


async def test_founding_clients_find_each_snapshots_own_words_first_and_no_secret(platform: Platform, admin: Person):
    display = "<graphics type='vnc' passwd='letmein'/></devices>"
    machine = await make(platform, admin, SECRET + CARD.replace("</devices>", display))
    await take(admin, machine, "first", "before the update")
    for action in ("get", "current"):
        answer = await ask(admin, machine, action)
        [snapshot] = child(answer, "query")
        told = {name: text_of(snapshot, name) for name in ("name", "description", "state", "uuid")}
        assert told == {"name": "first", "description": "before the update", "state": "shutoff", "uuid": machine.uuid}
        assert int(text_of(snapshot, "creationTime") or 0) > 1_600_000_000
        assert snapshot.attrib == {"current": "1", "external": "0", "memory": "0"}
        assert "hunter2" not in show(answer)
        assert "letmein" not in show(answer)


async def test_a_snapshot_without_a_description_does_not_show_the_machines(platform: Platform, admin: Person):
    machine = await make(platform, admin, "<description>my machine</description>" + CARD)
    assert_payload(await ask(admin, machine, "take"), SNAPSHOTS, "")
    [snapshot] = child(await ask(admin, machine, "current"), "query")
    assert text_of(snapshot, "description") == ""
    assert text_of(snapshot, "name"), "a name was made"


@pytest.mark.parametrize(
    "action,more,code",
    [("take", "", -2001), ("get", "", -2002), ("current", "", -2003), ("delete", "name='x'", -2004), ("revert", "name='x'", -2005)],
)
async def test_a_machine_without_definition_says_so(platform: Platform, admin: Person, action: str, more: str, code: int):
    """The founders answered nothing at all."""
    machine = await platform.make_machine(admin, defined=False)
    assert_error(await ask(admin, machine, action, more), code=code, condition="item-not-found", mentions="define it first", action=action)


async def test_a_machine_without_disks_has_nothing_to_take_a_snapshot_of(machine: Machine, admin: Person):
    answer = await ask(admin, machine, "take")
    assert_error(answer, code=-2006, condition="undefined-condition", mentions="no disk in a file", action="take")


@pytest.mark.parametrize("action,code", [("delete", -2004), ("revert", -2005)])
async def test_a_snapshot_that_is_not_there_is_named_with_those_that_are(platform: Platform, admin: Person, action: str, code: int):
    machine = await make(platform, admin)
    await take(admin, machine, "first")
    answer = await ask(admin, machine, action, "name='last'")
    assert_error(answer, code=code, condition="item-not-found", mentions="there are: 'first'", action=action)


async def test_a_name_is_taken_once(platform: Platform, admin: Person):
    machine = await make(platform, admin)
    await take(admin, machine, "first")
    answer = await ask(admin, machine, "take", "name='first'")
    assert_error(answer, code=-2001, condition="conflict", mentions="'first' already", action="take")
    assert await snapshots(admin, machine) == {"first": ("shutoff", None)}


async def test_what_cannot_be_done_is_refused_before_anything_changes(platform: Platform, admin: Person):
    machine = await make(platform, admin)
    for more, field in (("memory='1'", "memory"), ("quiesce='1'", "quiesce"), ("quiesce='1' external='1'", "quiesce")):
        assert_error(await ask(admin, machine, "take", more), code=-2001, condition="not-acceptable", mentions=field, action="take")
    await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
    assert_error(
        await ask(admin, machine, "take", "memory='0'"), code=-2001, condition="not-acceptable", mentions="external='1'", action="take"
    )
    assert await snapshots(admin, machine) == {}


async def test_a_snapshot_that_fails_leaves_nothing_and_the_state_is_shown_again(platform: Platform, admin: Person):
    """libvirt's test driver takes no external ones."""
    machine = await platform.make_machine(admin)
    image = f"{platform.agent.machines}/{machine.uuid}/disk"
    disk = f"<devices><disk type='file'><driver type='raw'/><source file='{image}'/><target dev='vda'/></disk></devices>"
    await admin.command(machine.full, DEFINITION, f"<archipel action='define'>{machine.definition(more=disk)}</archipel>")
    await admin.subscribe_to_events(machine.bare, platform.pubsub)
    before = len(admin.received)
    answer = await ask(admin, machine, "take", "external='1'")
    assert answer.get("type") == "error", show(answer)
    assert await snapshots(admin, machine) == {}
    await admin.expect_shown(machine.bare, "xa", "Off")
    shown = [text_of(presence, "status") for presence in admin.presences(machine.bare, before)]
    assert shown[-2:] == ["Taking a snapshot...", "Off"]
    assert "taken" not in {push.change for push in admin.pushes(machine.bare, before)}


async def test_a_definition_that_the_policy_forbids_does_not_come_back_for_everybody(
    platform: Platform, admin: Person, student: Person, machine: Machine, outside: str
):
    """He who has all rights on the machine but that one could give himself what an administrator took away."""
    assert_payload(await admin.command(machine.full, DEFINITION, f"<archipel action='define'>{outside}</archipel>"), DEFINITION, "")
    await take(admin, machine, "generous")
    plain = machine.definition(more=CARD)
    assert_payload(await admin.command(machine.full, DEFINITION, f"<archipel action='define'>{plain}</archipel>"), DEFINITION, "")
    await platform.grant(admin, machine.full, student, "all")
    answer = await ask(student, machine, "revert", "name='generous'")
    assert_error(answer, code=-1, condition="forbidden", mentions="'/nowhere/other.qcow2' leads out", namespace=PERMISSION, action="revert")
    assert "other.qcow2" not in (platform.definition_in_libvirt(machine.uuid) or "")
    assert_payload(await ask(admin, machine, "revert", "name='generous'"), SNAPSHOTS, "")
    assert "other.qcow2" in (platform.definition_in_libvirt(machine.uuid) or "")


async def test_snapshots_can_be_talked_about(platform: Platform, admin: Person):
    machine = await make(platform, admin)
    assert await admin.say(machine.full, "snapshots") == "I have no snapshot."
    assert await admin.say(machine.full, "snapshot take before the update") == "The snapshot is taken."
    assert "before the update: shutoff, without memory, 20" in await admin.say(machine.full, "snapshot current")
    assert (await admin.say(machine.full, "snapshots")).startswith("* before the update: shutoff")
    assert "is lost" in await admin.say(machine.full, "snapshot revert before the update")
    assert await admin.say(machine.full, "yes") == "I am as I was then."
    assert "cannot go back" in await admin.say(machine.full, "snapshot delete before the update")
    assert await admin.say(machine.full, "yes") == "The snapshot is deleted."
    with platform.libvirt() as connection:
        domain: libvirt.virDomain = connection.lookupByUUIDString(machine.uuid)
        assert domain.listAllSnapshots() == []
