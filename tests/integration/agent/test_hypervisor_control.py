# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""archipel:hypervisor:control on the wire: what the actions answer and do (refused and malformed: test_every_action.py)."""

from __future__ import annotations

import ipaddress
import re
import secrets
import uuid as uuids

import pytest

from tests.wire.matching import assert_error, assert_payload, child, name_of, show
from tests.wire.person import Person
from tests.wire.platform import DEFINITION_XML, HOST, Machine, Platform

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

ORG = "orgname='' orgunit='' locality='' userid='' categories=''"
KINDS = pytest.mark.parametrize("kind", ["get", "set"])


def new_name() -> str:
    return f"vm-{secrets.token_hex(4)}"


def define_behind(platform: Platform) -> tuple[str, str]:
    """Define a domain that no agent manages; return its UUID and name."""
    uuid, name = str(uuids.uuid4()), new_name()
    with platform.libvirt() as connection:
        connection.defineXML(DEFINITION_XML.format(name=name, uuid=uuid, more=""))
    return uuid, name


# -- readings ---------------------------------------------------------------------------------------------------------


@KINDS
async def test_rostervm_lists_managed_and_other_machines(platform: Platform, admin: Person, student: Person, machine: Machine, kind: str):
    uuid, name = define_behind(platform)
    await platform.grant(admin, platform.host, student, "rostervm")
    answer = await student.command(platform.host, HOST, "<archipel action='rostervm'/>", kind)
    items = list(child(answer, "query"))
    assert {name_of(item) for item in items} == {"item"}
    assert [item.text for item in items] == sorted(item.text or "" for item in items)
    found = {item.text: item.attrib for item in items}
    assert found[machine.full] == {"managed": "True", "name": machine.name}
    assert found[f"{uuid}@{platform.domain}"] == {"managed": "False", "name": name}
    with platform.libvirt() as connection:
        connection.lookupByUUIDString(uuid).undefine()


@KINDS
async def test_ip_tells_an_address(platform: Platform, admin: Person, student: Person, kind: str):
    await platform.grant(admin, platform.host, student, "ip")
    answer = await student.command(platform.host, HOST, "<archipel action='ip'/>", kind)
    assert_payload(answer, HOST, "<ip>*</ip>")
    assert ipaddress.ip_address(child(answer, "query")[0].text or "")


@KINDS
async def test_capabilities_are_libvirts(platform: Platform, admin: Person, student: Person, kind: str):
    await platform.grant(admin, platform.host, student, "capabilities")
    answer = await student.command(platform.host, HOST, "<archipel action='capabilities'/>", kind)
    assert [name_of(part) for part in child(answer, "query")] == ["capabilities"], show(answer)
    assert {name_of(part) for part in answer.iter()} >= {"host", "guest", "os_type", "arch", "domain"}


@KINDS
async def test_nodeinfo_is_one_element_with_libvirts_figures(platform: Platform, admin: Person, student: Person, kind: str):
    await platform.grant(admin, platform.host, student, "nodeinfo")
    answer = await student.command(platform.host, HOST, "<archipel action='nodeinfo'/>", kind)
    with platform.libvirt() as connection:
        figures = connection.getInfo()
    names = ("model", "memory", "nrCPU", "mHzCPU", "nrNumaNodes", "nrSockets", "nrCoreperSocket", "nrThreadperCore")
    attributes = " ".join(f"{name}='{figure}'" for name, figure in zip(names, figures, strict=True))
    assert_payload(answer, HOST, f"<nodeinfo {attributes}/>")


# -- alloc ------------------------------------------------------------------------------------------------------------


@KINDS
async def test_alloc_as_founding_clients_ask_for_it(platform: Platform, admin: Person, student: Person, kind: str):
    await platform.grant(admin, platform.host, student, "alloc")
    name = new_name()
    answer = await student.command(platform.host, HOST, f"<archipel action='alloc' name='{name}' {ORG}/>", kind)
    assert_payload(answer, HOST, "<virtualmachine jid='*'/>")
    bare = child(answer, "query")[0].get("jid") or ""
    assert re.fullmatch(rf"[0-9a-f-]{{36}}@{platform.domain}", bare)
    machines = await platform.roster_of_machines(admin)
    assert machines[f"{bare}/hypervisor"].attrib == {"managed": "True", "name": name}


@KINDS
async def test_alloc_with_a_definition_answers_when_it_is_defined(platform: Platform, admin: Person, student: Person, kind: str):
    await platform.grant(admin, platform.host, student, "alloc")
    name = new_name()
    definition = DEFINITION_XML.format(name="ignored", uuid="6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69", more="")
    answer = await student.command(platform.host, HOST, f"<archipel action='alloc' name='{name}' {ORG}>{definition}</archipel>", kind)
    uuid = (child(answer, "query")[0].get("jid") or "").partition("@")[0]
    stored = platform.definition_in_libvirt(uuid) or ""
    assert f"<name>{name}</name>" in stored
    assert f"<uuid>{uuid}</uuid>" in stored


async def test_alloc_without_a_name_makes_one_up(platform: Platform, admin: Person):
    for attributes in ("", "name=''", "name='  '"):
        answer = await admin.command(platform.host, HOST, f"<archipel action='alloc' {attributes}/>")
        bare = child(answer, "query")[0].get("jid")
        name = (await platform.roster_of_machines(admin))[f"{bare}/hypervisor"].get("name") or ""
        assert re.fullmatch(r"[a-z]+-[a-z]+(-\d+)?", name)


async def test_alloc_without_a_name_takes_the_definitions(platform: Platform, admin: Person):
    name = new_name()
    definition = DEFINITION_XML.format(name=name, uuid=uuids.uuid4(), more="")
    answer = await admin.command(platform.host, HOST, f"<archipel action='alloc'>{definition}</archipel>")
    bare = child(answer, "query")[0].get("jid")
    assert (await platform.roster_of_machines(admin))[f"{bare}/hypervisor"].get("name") == name


async def test_the_maker_holds_all_on_the_machine_and_is_in_its_roster(platform: Platform, admin: Person, student: Person):
    await platform.grant(admin, platform.host, student, "alloc")
    machine = await platform.make_machine(student)
    own = await student.command(
        machine.full, "archipel:permissions", f"<archipel action='getown' permission_type='user' permission_target='{student.bare}'/>"
    )
    assert_payload(own, "archipel:permissions", "<permission name='all'/>")
    await student.expect_shown(machine.bare, "xa", "Off")
    request = next(presence for presence in student.presences(machine.bare) if presence.get("type") == "subscribe")
    assert [(part.tag, part.text) for part in request if "nick" in part.tag] == [("{http://jabber.org/protocol/nick}nick", machine.name)]


# -- free -------------------------------------------------------------------------------------------------------------


@KINDS
async def test_free_with_its_right(platform: Platform, admin: Person, student: Person, machine: Machine, kind: str):
    await platform.grant(admin, platform.host, student, "free")
    named = {"get": machine.bare, "set": machine.full}[kind]
    answer = await student.command(platform.host, HOST, f"<archipel xmlns='{HOST}' action='free' jid='{named}'/>", kind)
    assert_payload(answer, HOST, f"<virtualmachine jid='{named}'/>")
    assert machine.full not in await platform.roster_of_machines(admin)
    assert platform.definition_in_libvirt(machine.uuid) is None
    assert machine.uuid not in platform.accounts()


@pytest.mark.parametrize("action, inner", [("free", ""), ("setorginfo", "<FN>x</FN>")])
async def test_what_is_no_machine_here_is_not_found(platform: Platform, admin: Person, action: str, inner: str):
    nobody = f"{uuids.uuid4()}@{platform.domain}"
    code = {"free": -9002, "setorginfo": -9013}[action]
    answer = await admin.command(platform.host, HOST, f"<archipel action='{action}' jid='{nobody}' target='{nobody}'>{inner}</archipel>")
    assert_error(answer, code=code, condition="item-not-found", mentions=nobody, action=action)


# -- manage, unmanage, setorginfo -------------------------------------------------------------------------------------


@KINDS
async def test_manage_and_unmanage_with_their_rights(platform: Platform, admin: Person, student: Person, kind: str):
    uuid, name = define_behind(platform)
    await platform.grant(admin, platform.host, student, "manage", "unmanage", "rostervm")
    item = f"<item jid='{uuid}@{platform.domain}'/>"
    assert_payload(await student.command(platform.host, HOST, f"<archipel action='manage'>{item}</archipel>", kind), HOST, "")
    assert (await platform.roster_of_machines(student))[f"{uuid}@{platform.domain}/hypervisor"].attrib == {"managed": "True", "name": name}
    assert_payload(await student.command(platform.host, HOST, f"<archipel action='unmanage'>{item}</archipel>", kind), HOST, "")
    assert (await platform.roster_of_machines(student))[f"{uuid}@{platform.domain}"].attrib == {"managed": "False", "name": name}


@KINDS
async def test_setorginfo_with_its_right_changes_the_vcard(platform: Platform, admin: Person, student: Person, machine: Machine, kind: str):
    await platform.grant(admin, platform.host, student, "setorginfo")
    name = new_name()
    fields = f"<FN>{name}</FN><ORGNAME>IUT</ORGNAME><ORGUNIT>R&amp;T</ORGUNIT><LOCALITY>Annecy</LOCALITY><USERID>t@x.org</USERID><CATEGORIES>lab</CATEGORIES>"
    answer = await student.command(platform.host, HOST, f"<archipel action='setorginfo' target='{machine.uuid}'>{fields}</archipel>", kind)
    assert_payload(answer, HOST, f"<virtualmachine jid='{machine.full}'/>")
    card = await admin.ask_server(machine.bare, "<vCard xmlns='vcard-temp'/>", "get")
    texts = {name_of(part): part.text for part in card.iter()}
    found = {key: texts.get(key) for key in ("FN", "ORGNAME", "ORGUNIT", "LOCALITY", "USERID", "KEYWORD")}
    assert found == {"FN": name, "ORGNAME": "IUT", "ORGUNIT": "R&T", "LOCALITY": "Annecy", "USERID": "t@x.org", "KEYWORD": "lab"}
    assert f"<name>{name}</name>" in (platform.definition_in_libvirt(machine.uuid) or "")


async def test_setorginfo_leaves_what_is_not_named_and_empties_what_is_empty(platform: Platform, admin: Person, machine: Machine):
    for fields in ("<ORGNAME>IUT</ORGNAME><LOCALITY>Annecy</LOCALITY>", "<LOCALITY/>"):
        request = f"<archipel action='setorginfo' target='{machine.uuid}'>{fields}</archipel>"
        assert_payload(await admin.command(platform.host, HOST, request), HOST, f"<virtualmachine jid='{machine.full}'/>")
    card = await admin.ask_server(machine.bare, "<vCard xmlns='vcard-temp'/>", "get")
    texts = {name_of(part): part.text for part in card.iter()}
    assert (texts.get("FN"), texts.get("ORGNAME"), texts.get("LOCALITY")) == (machine.name, "IUT", None)


async def test_setorginfo_waits_for_the_machine_to_be_off(platform: Platform, admin: Person, machine: Machine):
    await admin.command(machine.full, "archipel:vm:control", "<archipel action='create'/>")
    request = f"<archipel action='setorginfo' target='{machine.uuid}'><ORGNAME>IUT</ORGNAME></archipel>"
    answer = await admin.command(platform.host, HOST, request)
    assert_error(answer, code=-9013, condition="unexpected-request", mentions="shut it down first", action="setorginfo")
