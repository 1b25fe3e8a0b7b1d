# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests made to break something: deep and huge XML, names and identifiers that lead elsewhere."""

from __future__ import annotations

import uuid as uuids
from xml.sax.saxutils import quoteattr

import pytest

from tests.wire.matching import assert_error, assert_payload, child, show
from tests.wire.person import Person
from tests.wire.platform import CONTROL, DEFINITION, HOST, PERMISSIONS, Machine, Platform

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]


async def assert_alive(platform: Platform, admin: Person, machine: Machine) -> None:
    """Check that the agent answers as before, in the same life."""
    answer = await admin.command(machine.full, CONTROL, "<archipel action='info'/>", "get")
    assert answer.get("type") == "result", show(answer)
    assert platform.agent.pid is not None
    assert "Traceback" not in platform.log


def nested(depth: int, inner: str = "") -> str:
    return "<a>" * depth + inner + "</a>" * depth


@pytest.mark.parametrize("depth", [150, 600, 2000])  # at 4000 ejabberd 23.01 itself ends
@pytest.mark.parametrize(
    "namespace, before, after",
    [
        (DEFINITION, "<archipel action='define'><domain type='test'>", "</domain></archipel>"),
        (DEFINITION, "<archipel action='attachdevice'><device>", "</device></archipel>"),
        (PERMISSIONS, "<archipel action='list'>", "</archipel>"),
        (PERMISSIONS, "", ""),
        ("urn:example:nothing", "", ""),
    ],
    ids=["define", "attachdevice", "list", "no command", "unknown"],
)
async def test_deep_xml_gets_an_answer_and_breaks_nothing(
    platform: Platform, admin: Person, machine: Machine, depth: int, namespace: str, before: str, after: str
):
    answer = await admin.command(machine.full, namespace, f"{before}{nested(depth)}{after}")
    assert (answer.get("type") == "result") is ("list" in before), show(answer)[:500]
    await assert_alive(platform, admin, machine)


async def test_deep_xml_in_a_new_machines_definition_leaves_nothing(platform: Platform, admin: Person, machine: Machine):
    before = platform.rows("SELECT uuid FROM virtual_machines"), platform.accounts()
    for depth in (150, 2000):
        request = f"<archipel action='alloc' name='deep'><domain type='test'><name>deep</name>{nested(depth)}</domain></archipel>"
        answer = await admin.command(platform.host, HOST, request)
        assert answer.get("type") == "error", show(answer)[:500]
    assert (platform.rows("SELECT uuid FROM virtual_machines"), platform.accounts()) == before
    await assert_alive(platform, admin, machine)


HUGE = "x" * 500_000
ATTRIBUTES = " ".join(f"a{number}='x'" for number in range(20_000))
COMMANDS = "<archipel action='no'/>" * 30_000
HUGE_REQUESTS = {
    "children": f"<query xmlns='{PERMISSIONS}'><archipel action='set'>{'<permission/>' * 20_000}</archipel></query>",
    "attributes": f"<query xmlns='{PERMISSIONS}'><archipel action='get' {ATTRIBUTES}/></query>",
    "value": f"<query xmlns='{PERMISSIONS}'><archipel action='get' permission_target='{HUGE}'/></query>",
    "name": f"<query xmlns='{PERMISSIONS}'><archipel action='set'><permission permission_target='a@b' permission_name='{HUGE}' permission_value='1'/></archipel></query>",
    "action": f"<query xmlns='{PERMISSIONS}'><archipel action='{HUGE}'/></query>",
    "namespace": f"<query xmlns='archipel:{HUGE}'><archipel action='list'/></query>",
    "other namespace": f"<query xmlns='urn:{HUGE}'/>",
    "commands": f"<query xmlns='{PERMISSIONS}'>{COMMANDS}</query>",
}


@pytest.mark.parametrize("who", ["admin", "student"])
@pytest.mark.parametrize("request_", HUGE_REQUESTS.values(), ids=HUGE_REQUESTS)
async def test_a_huge_request_gets_a_small_answer(
    platform: Platform, admin: Person, student: Person, machine: Machine, who: str, request_: str
):
    """An answer that gives much of it back, perhaps twice, would exceed what the server takes: it ends such a stream."""
    answer = await {"admin": admin, "student": student}[who].ask(machine.full, request_)
    assert answer.get("type") == "error"
    assert len(show(answer)) < 20_000
    await assert_alive(platform, admin, machine)


async def test_a_huge_id_or_thread_does_not_end_the_stream(platform: Platform, admin: Person, student: Person, machine: Machine):
    room = "x" * (1_048_576 // 2 - 400)  # the server takes a mebibyte at once, the blanks after the stanza included
    student.send(f"<iq type='get' to='{machine.full}' id='{room}'><query xmlns='{PERMISSIONS}'/></iq>")
    student.send(f"<message type='chat' to='{machine.full}'><body>hello</body><thread>{room}</thread></message>")
    await student.until(lambda: student.heard(machine.bare))
    await assert_alive(platform, admin, machine)


@pytest.mark.parametrize("field", ["orgname", "orgunit", "locality", "userid", "categories"])
async def test_huge_organisation_fields_are_refused(platform: Platform, admin: Person, machine: Machine, field: str):
    """A vCard that the server does not take would keep the machine's entity from coming online ever again."""
    answer = await admin.command(platform.host, HOST, f"<archipel action='alloc' name='never' {field}='{HUGE}'/>")
    assert_error(answer, code=-9001, condition="bad-request", mentions=field, action="alloc")
    tag = field.upper()
    change = f"<archipel action='setorginfo' target='{machine.uuid}'><{tag}>{HUGE}</{tag}></archipel>"
    answer = await admin.command(platform.host, HOST, change)
    assert_error(answer, code=-9013, condition="bad-request", mentions=tag, action="setorginfo")
    await assert_alive(platform, admin, machine)


async def test_a_thousand_grants_at_once_are_all_or_none(platform: Platform, admin: Person, machine: Machine):
    people = "".join(
        f"<permission permission_type='user' permission_target='p{number}@{platform.domain}' permission_name='info' permission_value='1'/>"
        for number in range(1000)
    )
    wrong = f"<permission permission_type='user' permission_target='p@{platform.domain}' permission_name='inf' permission_value='1'/>"
    count = "SELECT count(*) FROM grants WHERE entity = ? AND token = 'info'"
    answer = await admin.command(machine.full, PERMISSIONS, f"<archipel action='set'>{people}{wrong}</archipel>")
    assert answer.get("type") == "error"
    assert platform.rows(count, machine.bare) == [(0,)]
    assert_payload(await admin.command(machine.full, PERMISSIONS, f"<archipel action='set'>{people}</archipel>"), PERMISSIONS, "")
    assert platform.rows(count, machine.bare) == [(1000,)]


# -- names ------------------------------------------------------------------------------------------------------------

BAD_NAMES = {
    "a/b": "slash",
    "../../etc/passwd": "",
    "/": "",
    ".hidden": "dot",
    "-rf": "hyphen",
    "tab\there": "U+0009",
    "line\nbreak": "U+000A",
    "del\x7fete": "U+007F",
    "next\x85line": "U+0085",
    "right\u202eto left": "U+202E",
    "zero\u200bwidth": "U+200B",
    "x" * 300: "200 bytes",
    "\u00e9" * 150: "200 bytes",
    "6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69": "UUID",
}
NAMES = pytest.mark.parametrize("name, mentions", [pytest.param(*pair, id=ascii(pair[0])[:24]) for pair in BAD_NAMES.items()])


def write_attribute(name: str) -> str:
    """The name as an attribute; what XML would turn into blanks stays what it is."""
    return quoteattr(name, {"\n": "&#10;", "\t": "&#9;", "\x7f": "&#127;", "\x85": "&#133;"})


@NAMES
async def test_a_bad_name_makes_no_machine(platform: Platform, admin: Person, name: str, mentions: str):
    before = platform.rows("SELECT uuid FROM virtual_machines"), sorted(platform.agent.machines.iterdir()), platform.accounts()
    answer = await admin.command(platform.host, HOST, f"<archipel action='alloc' name={write_attribute(name)}/>")
    assert_error(answer, code=-9001, condition="bad-request", mentions=mentions, action="alloc")
    assert (platform.rows("SELECT uuid FROM virtual_machines"), sorted(platform.agent.machines.iterdir()), platform.accounts()) == before


@NAMES
async def test_a_bad_name_renames_no_machine(platform: Platform, admin: Person, machine: Machine, name: str, mentions: str):
    text = write_attribute(name)[1:-1]
    answer = await admin.command(platform.host, HOST, f"<archipel action='setorginfo' target='{machine.uuid}'><FN>{text}</FN></archipel>")
    assert_error(answer, code=-9013, condition="bad-request", mentions=mentions, action="setorginfo")
    definition = machine.definition(name="PLACE").replace("PLACE", text)
    answer = await admin.command(machine.full, DEFINITION, f"<archipel action='define'>{definition}</archipel>")
    assert_error(answer, code=-1007, condition="bad-request", mentions=mentions, action="define")
    assert f"<name>{machine.name}</name>" in (platform.definition_in_libvirt(machine.uuid) or "")
    assert platform.rows("SELECT name FROM virtual_machines WHERE uuid = ?", machine.uuid) == [(machine.name,)]


@pytest.mark.parametrize("name", ["caf\u00e9 \u6d4b\u8bd5", "a'b\"c", "<&>", "%s{0}$(id)`id`;", "..a", "x" * 200])
async def test_an_odd_name_is_borne_as_it_is(platform: Platform, admin: Person, name: str):
    if name == "..a":
        name = "a.."  # a dot in front is refused
    unique = f"{name[:190]}{uuids.uuid4().hex[:8]}"
    answer = await admin.command(platform.host, HOST, f"<archipel action='alloc' name={write_attribute(unique)}/>")
    bare = child(answer, "query")[0].get("jid") or ""
    assert (await platform.roster_of_machines(admin))[f"{bare}/hypervisor"].get("name") == unique
    machine = Machine(bare.partition("@")[0], unique, platform.domain)
    definition = machine.definition(name="PLACE").replace("PLACE", write_attribute(unique)[1:-1])
    assert_payload(await admin.command(machine.full, DEFINITION, f"<archipel action='define'>{definition}</archipel>"), DEFINITION, "")
    with platform.libvirt() as connection:
        assert connection.lookupByUUIDString(machine.uuid).name() == unique


# -- identifiers ------------------------------------------------------------------------------------------------------

BAD_IDENTIFIERS = [
    "../../../tmp",
    "..",
    "/etc",
    "%2e%2e",
    "x/6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69",
    "' OR 1=1 --",
    "\u0661" * 36,
    "x" * 5000,
]


@pytest.mark.parametrize("identifier", BAD_IDENTIFIERS, ids=lambda text: ascii(text)[:20])
async def test_what_is_no_uuid_names_no_machine(platform: Platform, admin: Person, machine: Machine, identifier: str):
    before = platform.rows("SELECT * FROM virtual_machines ORDER BY uuid"), sorted(platform.agent.machines.iterdir())
    address = quoteattr(f"{identifier}@{platform.domain}")
    for request in (
        f"<archipel action='free' jid={address}/>",
        f"<archipel action='manage'><item jid={address}/></archipel>",
        f"<archipel action='unmanage'><item jid={address}/></archipel>",
        f"<archipel action='setorginfo' target={address}><FN>x</FN></archipel>",
        f"<archipel action='alloc' uuid={quoteattr(identifier)} name='never'/>",
    ):
        answer = await admin.command(platform.host, HOST, request)
        assert answer.get("type") == "error", show(answer)
    assert (platform.rows("SELECT * FROM virtual_machines ORDER BY uuid"), sorted(platform.agent.machines.iterdir())) == before
    await assert_alive(platform, admin, machine)


async def test_the_hypervisor_is_no_machine(platform: Platform, admin: Person):
    for jid in (platform.hypervisor, platform.host, admin.bare):
        answer = await admin.command(platform.host, HOST, f"<archipel action='free' jid='{jid}'/>")
        assert_error(answer, code=-9002, condition="item-not-found", action="free")


async def test_a_machine_is_found_by_its_uuid_in_any_case(platform: Platform, admin: Person, machine: Machine):
    answer = await admin.command(platform.host, HOST, f"<archipel action='free' jid='{machine.uuid.upper()}@{platform.domain}/x'/>")
    assert answer.get("type") == "result", show(answer)


async def test_illegal_characters_of_others_do_not_break_the_stream(platform: Platform, admin: Person, machine: Machine):
    """A name that XML cannot hold comes from libvirt, not over the wire: it is shown with a substitute."""
    uuid = str(uuids.uuid4())
    with platform.libvirt() as connection:
        connection.defineXML(
            f"<domain type='test'><name>odd \ufffd {uuid[:8]}</name><uuid>{uuid}</uuid><memory>1024</memory><os><type>hvm</type></os></domain>"
        )
        roster = await platform.roster_of_machines(admin)
        connection.lookupByUUIDString(uuid).undefine()
    assert roster[f"{uuid}@{platform.domain}"].get("name") == f"odd \ufffd {uuid[:8]}"
    await assert_alive(platform, admin, machine)
