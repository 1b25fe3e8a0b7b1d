# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords of machines' accounts and of consoles: nobody gets them, nothing loses them."""

from __future__ import annotations

import secrets
import stat
import uuid as uuids
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.wire.matching import assert_payload, child, name_of, show
from tests.wire.person import Person
from tests.wire.platform import CONTROL, DEFINITION, DEFINITION_XML, HOST, PERMISSIONS, Machine, Platform

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]


def console(password: str) -> str:
    return f"<devices><graphics type='vnc' port='-1' autoport='yes' listen='127.0.0.1' passwd='{password}'/></devices>"


def told(platform: Platform) -> str:
    """All that people heard and the agent wrote down."""
    return "".join(show(person.received) for person in platform.people) + platform.log + platform.audit


async def describe(person: Person, machine: Machine, attributes: str = "") -> ET.Element:
    answer = await person.command(machine.full, CONTROL, f"<archipel action='xmldesc' {attributes}/>", "get")
    assert answer.get("type") == "result", show(answer)
    return child(answer, "query")[0]


def as_sent(element: ET.Element) -> str:
    """The XML of an answer as a client sends it back: without namespaces of the stanza."""
    for part in element.iter():
        part.tag = name_of(part)
    return ET.tostring(element, "unicode")


async def test_a_machines_password_is_known_to_the_agent_alone(platform: Platform, admin: Person, machine: Machine):
    for namespace, action in (
        (CONTROL, "create"),
        (CONTROL, "info"),
        (CONTROL, "xmldesc"),
        (CONTROL, "nonsense"),
        (PERMISSIONS, "list"),
        (DEFINITION, "capabilities"),
        (DEFINITION, "define"),
    ):
        await admin.command(machine.full, namespace, f"<archipel action='{action}'/>")
    for body in ("help", "xml", "info", "roster"):
        await admin.say(machine.full, body)
    await admin.command(platform.host, HOST, f"<archipel action='alloc' uuid='{machine.uuid}' name='twice'/>")
    assert len(platform.machine_passwords()[machine.uuid]) >= 32
    assert platform.leaked_passwords() == []


async def test_passwords_of_machines_differ_and_are_long(platform: Platform, admin: Person, machine: Machine):
    await platform.make_machine(admin)
    passwords = list(platform.machine_passwords().values())
    assert len(set(passwords)) == len(passwords) >= 2
    assert all(len(password) >= 32 and password.isalnum() for password in passwords)


async def test_what_holds_secrets_is_for_its_owner_only(platform: Platform, machine: Machine):
    files = [platform.agent.database, *platform.agent.database.parent.glob("archipel.sqlite3-*"), platform.agent.audit_file]
    assert [path for path in files if stat.S_IMODE(path.stat().st_mode) & 0o077] == []
    process = Path(f"/proc/{platform.agent.pid}")
    seen = (process / "cmdline").read_text() + (process / "environ").read_text()
    assert [password for password in (*platform.machine_passwords().values(), *platform.passwords.values()) if password in seen] == []


# -- consoles ---------------------------------------------------------------------------------------------------------


async def test_the_description_lacks_the_consoles_password_and_defining_it_again_keeps_it(
    platform: Platform, admin: Person, student: Person
):
    password = f"hunter{secrets.token_hex(4)}"
    machine = await platform.make_machine(admin, more=console(password))
    await platform.grant(admin, machine.full, student, "xmldesc", "define")
    assert f"passwd='{password}'" in (platform.definition_in_libvirt(machine.uuid) or "")
    await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
    for attributes in ("", "inactive='1'"):
        description = as_sent(await describe(student, machine, attributes))
        assert "graphics" in description
        assert "passwd" not in description
        answer = await student.command(machine.full, DEFINITION, f"<archipel action='define'>{description}</archipel>")
        assert_payload(answer, DEFINITION, "")
        assert f"passwd='{password}'" in (platform.definition_in_libvirt(machine.uuid) or "")
    assert password not in await admin.say(machine.full, "xml")
    assert password not in told(platform)


async def test_a_consoles_password_can_be_changed(platform: Platform, admin: Person):
    machine = await platform.make_machine(admin, more=console("old-word"))
    define = f"<archipel action='define'>{machine.definition(more=console('new-word'))}</archipel>"
    assert_payload(await admin.command(machine.full, DEFINITION, define), DEFINITION, "")
    assert "passwd='new-word'" in (platform.definition_in_libvirt(machine.uuid) or "")


@pytest.mark.parametrize(
    "wrong", ["<os><type>nonsense</type></os>", "<memory>lots</memory>", "<uuid>1234</uuid>", "<devices><disk/></devices>"]
)
async def test_an_error_does_not_repeat_the_definition(platform: Platform, admin: Person, student: Person, machine: Machine, wrong: str):
    password = f"hunter{secrets.token_hex(4)}"
    await platform.grant(admin, machine.full, student, "define")
    await platform.grant(admin, platform.host, student, "alloc")
    inner = f"<name>x</name>{wrong}<description>secret-{password}</description>{console(password)}"
    definition = f"<domain type='test'><uuid>{machine.uuid}</uuid>{inner}</domain>"
    for address, namespace, request in (
        (machine.full, DEFINITION, f"<archipel action='define'>{definition}</archipel>"),
        (machine.full, DEFINITION, f"<archipel action='attachdevice'><device>{console(password)}</device></archipel>"),
        (platform.host, HOST, f"<archipel action='alloc' name='vm-{secrets.token_hex(4)}'>{definition}</archipel>"),
        (platform.host, HOST, f"<archipel action='no-such-action'>{definition}</archipel>"),
    ):
        answer = await student.command(address, namespace, request)
        if answer.get("type") == "error":
            assert [name_of(part) for part in child(answer, "query")[0]] == []
        assert password not in show(answer)
    assert password not in platform.log + platform.audit


# -- what founding agents left behind ---------------------------------------------------------------------------------


async def test_a_founding_agents_password_in_an_adopted_domain_stays_where_it_is(platform: Platform, admin: Person):
    uuid, password = str(uuids.uuid4()), secrets.token_hex(16)
    machine = Machine(uuid, f"vm-{secrets.token_hex(4)}", platform.domain)
    description = f"<description>{machine.bare}::::{password}</description>"
    with platform.libvirt() as connection:
        connection.defineXML(DEFINITION_XML.format(name=machine.name, uuid=uuid, more=description))
    manage = f"<archipel action='manage'><item jid='{machine.bare}'/></archipel>"
    assert_payload(await admin.command(platform.host, HOST, manage), HOST, "")
    found = await describe(admin, machine)
    assert [part for part in found if name_of(part) == "description"] == []
    assert password not in await admin.say(machine.full, "xml")
    await admin.command(machine.full, DEFINITION, f"<archipel action='define'>{as_sent(found)}</archipel>")
    await admin.command(machine.full, DEFINITION, "<archipel action='define'><domain/></archipel>")
    assert password not in told(platform)
    assert platform.machine_passwords()[uuid] != password, "the account is new, and so is its password"


async def test_an_ordinary_description_is_shown(platform: Platform, admin: Person):
    machine = await platform.make_machine(admin, more="<description>web server of lab 3::</description>")
    assert "web server of lab 3::" in as_sent(await describe(admin, machine))
