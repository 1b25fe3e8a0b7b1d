# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many machines in one answer, and what declarations own, on the wire (refused and malformed: test_every_action.py)."""

from __future__ import annotations

import asyncio
import re
import uuid as uuids
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.documentation import read_blocks, read_talks
from tests.integration.agent.test_guest_addresses import CARD
from tests.integration.agent.test_parking import park, unpark
from tests.wire.actions.declaration import DECLARATION
from tests.wire.actions.parking import PARKING
from tests.wire.matching import assert_error, assert_refused, assert_stranger_refused, child, show
from tests.wire.person import Person
from tests.wire.platform import CONTROL, HOST, TAGS, Machine, Platform
from tests.wire.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each", "tags_node")]
SECRET = "<devices><graphics type='vnc' port='-1' autoport='yes' passwd='hidden12'/></devices>"
SNAPSHOT = "<domainsnapshot><name>before</name></domainsnapshot>"
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
LARGE, MANY = 20_000, 12
MOST_BYTES = 200_000


def named(*machines: Machine) -> str:
    return "".join(f"<machine uuid='{machine.uuid}'/>" for machine in machines)


async def describe(platform: Platform, person: Person, parts: str = "", inner: str = "") -> ET.Element:
    """A page of descriptions."""
    answer = await person.command(platform.host, DECLARATION, f"<archipel action='describe' parts='{parts}'>{inner}</archipel>", "get")
    assert answer.get("type") == "result", show(answer)
    return child(child(answer, "query"), "machines")


def local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def machines_of(page: ET.Element) -> dict[str, dict[str, ET.Element]]:
    """The parts by UUID and name."""
    found = [element for element in page if local(element) == "machine"]
    return {element.get("uuid", ""): {part.get("name", ""): part for part in element} for element in found}


async def own(platform: Platform, person: Person, label: str, inner: str, more: str = "") -> ET.Element:
    return await person.command(platform.host, DECLARATION, f"<archipel action='own' label='{label}' {more}>{inner}</archipel>")


async def claim(platform: Platform, person: Person, label: str, machine: Machine) -> None:
    items = f"<add kind='machine' key='{machine.uuid}'/><add kind='grant' key='{machine.uuid}/ada/info'/>"
    answer = await own(platform, person, label, items)
    assert answer.get("type") == "result", show(answer)


def owners(platform: Platform, machine: Machine) -> list[tuple[str, str]]:
    return platform.rows("SELECT kind, label FROM ownership WHERE key LIKE ? ORDER BY kind", f"{machine.uuid}%")


def both(label: str) -> list[tuple[str, str]]:
    return [("grant", label), ("machine", label)]


# -- descriptions -------------------------------------------------------------------------------------------------------


async def test_one_answer_says_what_single_questions_say(platform: Platform, admin: Person):
    running, off = await platform.make_machine(admin, more=SECRET), await platform.make_machine(admin, defined=False)
    for namespace, request in (
        (CONTROL, "<archipel action='create'/>"),
        (TAGS, "<archipel action='settags' tags='red;;blue'/>"),
        ("archipel:entity:scheduler", "<archipel action='schedule' job='shutdown' hour='3' minute='0' second='0' comment='night'/>"),
    ):
        answer = await admin.command(running.full, namespace, request)
        assert answer.get("type") == "result", show(answer)
    with platform.libvirt() as connection:
        connection.lookupByUUIDString(running.uuid).snapshotCreateXML(SNAPSHOT)
    found = machines_of(await describe(platform, admin, inner=named(running, off)))
    assert set(found) == {running.uuid, off.uuid}
    parts = found[running.uuid]
    assert all(part.get("denied") is None and part.get("failed") is None for part in parts.values())
    info = child(await single(running, admin, CONTROL, "<archipel action='info'/>"), "info")
    told = child(parts["info"], "info")
    for name in ("state", "maxMem", "memory", "nrVirtCpu", "hypervisor", "autostart"):
        assert told.get(name) == info.get(name)
    definition = child(await single(running, admin, CONTROL, "<archipel action='xmldesc' inactive='1'/>"), "domain")
    assert content(child(child(parts["definition"], "stored"), "domain")) == content(definition)
    assert local(child(parts["definition"], "running")) == "running"
    assert "hidden12" not in show(parts["definition"])
    assert [part.text for part in parts["tags"]] == ["red", "blue"]
    assert [child(part, "name").text for part in parts["snapshots"]] == ["before"]
    assert not any(local(part) == "domain" for part in parts["snapshots"].iter())
    assert [part.get("comment") for part in parts["schedule"]] == ["night"]
    assert (admin.bare, "all") in {(rule.get("subject"), rule.get("right")) for rule in parts["rights"]}
    assert admin.bare in {contact.get("jid") for contact in parts["roster"]}
    assert [list(found[off.uuid][name]) for name in ("info", "definition", "snapshots")] == [[], [], []]


async def test_addresses_are_those_that_the_machine_tells(platform: Platform, admin: Person, student: Person):
    running, off = await platform.make_machine(admin, more=CARD), await platform.make_machine(admin, more=CARD)
    answer = await admin.command(running.full, CONTROL, "<archipel action='create'/>")
    assert answer.get("type") == "result", show(answer)
    asked = await describe(platform, admin, "addresses system", named(running, off))
    parts = machines_of(asked)
    told = await single(running, admin, CONTROL, "<archipel action='addresses'/>")
    assert [content(part) for part in parts[running.uuid]["addresses"]] == [content(part) for part in told]
    assert len(told) == 1
    assert "not supported" in (parts[running.uuid]["system"].get("failed") or "")  # libvirt's test driver has no guests
    assert [(dict(part.attrib), len(part)) for part in parts[off.uuid].values()] == [({"name": "addresses"}, 0), ({"name": "system"}, 0)]
    await platform.grant(admin, platform.host, student, "message")
    await platform.grant(admin, running.full, student, "info")
    denied = machines_of(await describe(platform, student, "addresses system"))[running.uuid]
    assert [part.get("denied") for part in denied.values()] == ["networkinfo", "guest_info"]
    await platform.grant(admin, running.full, student, "networkinfo")
    allowed = machines_of(await describe(platform, student, "addresses system"))[running.uuid]
    assert [(len(part), part.get("denied")) for part in allowed.values()] == [(1, None), (0, "guest_info")]


async def single(machine: Machine, person: Person, namespace: str, request: str) -> ET.Element:
    answer = await person.command(machine.full, namespace, request, "get")
    assert answer.get("type") == "result", show(answer)
    return child(answer, "query")


def content(element: ET.Element) -> object:
    """What an element holds, its indentation left out."""
    return local(element), sorted(element.attrib.items()), (element.text or "").strip(), [content(part) for part in element]


async def test_a_student_sees_his_machine_and_of_it_what_he_may(platform: Platform, admin: Person):
    mine, other = await platform.make_machine(admin), await platform.make_machine(admin)
    student = await platform.enter()
    await platform.grant(admin, platform.host, student, "message")
    await platform.grant(admin, mine.full, student, "info", "scheduler_jobs")
    for inner in ("", named(mine, other)):
        found = machines_of(await describe(platform, student, inner=inner))
        assert set(found) == {mine.uuid}
        denied = {name: part.get("denied") for name, part in found[mine.uuid].items() if part.get("denied")}
        assert denied == {"definition": "xmldesc", "roster": "getroster", "snapshots": "snapshot_get"}
        assert all(len(found[mine.uuid][name]) == 0 for name in denied)
    assert machines_of(await describe(platform, student, inner=named(other))) == {}


async def test_a_stranger_learns_of_nothing(platform: Platform, admin: Person):
    machine, stranger = await platform.make_machine(admin), await platform.enter()
    for kind in ("get", "set"):
        request = f"<archipel action='describe'>{named(machine)}</archipel>"
        assert_stranger_refused(await stranger.command(platform.host, DECLARATION, request, kind))


async def test_a_domain_that_is_gone_does_not_hide_the_others(platform: Platform, admin: Person):
    gone, there = await platform.make_machine(admin), await platform.make_machine(admin)
    with platform.libvirt() as connection:
        connection.lookupByUUIDString(gone.uuid).undefine()
    found = machines_of(await describe(platform, admin, "info definition", named(gone, there)))
    assert [len(found[machine.uuid][part]) for machine in (gone, there) for part in ("info", "definition")] == [0, 0, 1, 1]


async def test_pages_are_small_enough_for_any_server_and_leave_nobody_out(platform: Platform, admin: Person):
    large = f"<description>{'x' * LARGE}</description>"
    made = await asyncio.gather(*(platform.make_machine(admin, more=large) for _ in range(MANY)))
    await asyncio.gather(*(admin.command(machine.full, CONTROL, "<archipel action='create'/>") for machine in made))
    found: dict[str, list[str]] = {}
    inner, pages = named(*made), 0
    page = await describe(platform, admin, "info definition tags", inner)
    while True:
        pages += 1
        assert len(show(page)) < MOST_BYTES
        for uuid, parts in machines_of(page).items():
            found.setdefault(uuid, []).extend(parts)
        following = [element for element in page if local(element) == "next"]
        if not following:
            break
        cursor = " ".join(f"{name}='{value}'" for name, value in following[0].attrib.items())
        page = await describe(platform, admin, "info definition tags", f"<next {cursor}/>{inner}")
    assert pages >= MANY * 2 * LARGE // MOST_BYTES + 1
    assert found == {machine.uuid: ["info", "definition", "tags"] for machine in made}


# -- ownership ----------------------------------------------------------------------------------------------------------


async def test_a_label_owns_and_others_are_told_whose_it_is(platform: Platform, admin: Person):
    machine, label = await platform.make_machine(admin), f"lab-{uuids.uuid4()}"
    await claim(platform, admin, label, machine)
    answer = await admin.command(platform.host, DECLARATION, f"<archipel action='owned' label='{label}'/>", "get")
    items = [(item.get("kind"), item.get("key"), item.get("by")) for item in child(child(answer, "query"), "owned")]
    assert items == [("grant", f"{machine.uuid}/ada/info", admin.bare), ("machine", machine.uuid, admin.bare)]
    wanted = f"<add kind='network' key='{label}'/><add kind='machine' key='{machine.uuid}'/>"
    refused = await own(platform, admin, "other", wanted)
    assert_error(refused, code=-470003, condition="conflict", mentions=f"machine {machine.uuid} ({label})", action="own")
    assert platform.rows("SELECT key FROM ownership WHERE key = ?", label) == []
    assert (await own(platform, admin, "other", wanted, "take='1'")).get("type") == "result"
    assert owners(platform, machine) == [("grant", label), ("machine", "other")]


async def test_seeing_and_changing_are_two_rights(platform: Platform, admin: Person):
    reader = await platform.enter()
    await platform.grant(admin, platform.host, reader, "ownership_get")
    assert (await reader.command(platform.host, DECLARATION, "<archipel action='owned'/>", "get")).get("type") == "result"
    assert_refused(await own(platform, reader, "mine", "<add kind='network' key='x'/>"), "ownership_set")


@pytest.mark.parametrize("way", ["free", "unmanage"])
async def test_a_machine_that_leaves_for_good_belongs_to_nobody(platform: Platform, admin: Person, way: str):
    machine = await platform.make_machine(admin)
    await claim(platform, admin, "lab", machine)
    what = f"jid='{machine.bare}'" if way == "free" else ""
    inner = "" if way == "free" else f"<item jid='{machine.bare}'/>"
    answer = await admin.command(platform.host, HOST, f"<archipel action='{way}' {what}>{inner}</archipel>")
    assert answer.get("type") == "result", show(answer)
    await eventually(lambda: owners(platform, machine) == [], "nobody owns it")
    if way == "unmanage":
        with platform.libvirt() as connection:
            connection.lookupByUUIDString(machine.uuid).undefine()


async def test_a_parked_machine_keeps_its_owner_until_it_is_deleted(platform: Platform, admin: Person):
    machine = await platform.make_machine(admin)
    await claim(platform, admin, "lab", machine)
    await park(platform, admin, machine)
    assert owners(platform, machine) == both("lab")
    await unpark(platform, admin, machine)
    assert owners(platform, machine) == both("lab")
    await park(platform, admin, machine)
    since = len(admin.received)
    await admin.command(platform.host, PARKING, f"<archipel action='delete'><item identifier='{machine.uuid}'/></archipel>")
    await admin.expect_push(platform.hypervisor, "vmparking", "deleted", since)
    assert owners(platform, machine) == []


async def test_what_the_page_shows_is_answered_so(platform: Platform, admin: Person, root: Path):
    machine = await platform.make_machine(admin)
    await admin.command(machine.full, TAGS, "<archipel action='settags' tags='course-101'/>")
    page = root / "docs" / "declarations.md"
    request, shown, change = (UUID.sub(machine.uuid, block) for block in read_blocks(page, "xml"))
    answer = await admin.command(platform.host, DECLARATION, request, "get")
    assert shape(child(child(answer, "query"), "machines")) == shape(ET.fromstring(shown))
    answer = await admin.command(platform.host, DECLARATION, ET.tostring(ET.fromstring(change)[0], "unicode"))
    assert answer.get("type") == "result", show(answer)
    [[said]] = read_talks(page)
    assert await admin.say(platform.host, said.words) == UUID.sub(machine.uuid, said.answer)


def shape(element: ET.Element) -> object:
    """What an answer is made of; figures and names differ."""
    return local(element), sorted(element.attrib), [shape(part) for part in element]


async def test_who_owns_what_is_talked_about(platform: Platform, admin: Person):
    label = f"lab-{uuids.uuid4()}"
    await own(platform, admin, label, f"<add kind='network' key='{label}'/>")
    reply = await admin.say(platform.host, f"owned {label}")
    assert f"network {label}: {label}" in reply
