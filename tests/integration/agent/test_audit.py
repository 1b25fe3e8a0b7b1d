# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who did what is read by right: of a machine what was asked of it, of the hypervisor all."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest

from archipel.agent.chat import REFUSAL
from tests.wire.matching import assert_error, assert_refused, child, show
from tests.wire.person import Person
from tests.wire.platform import CONTROL, Machine, Platform

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

AUDIT = "archipel:audit"


async def read(person: Person, address: str, attributes: str = "") -> ET.Element:
    answer = await person.command(address, AUDIT, f"<archipel action='entries' {attributes}/>", "get")
    assert answer.get("type") == "result", show(answer)
    return child(child(answer, "query"), "audit")


async def test_what_was_allowed_and_what_was_refused_is_told_the_newest_first(
    platform: Platform, admin: Person, student: Person, machine: Machine
):
    await platform.grant(admin, machine.full, student, "info")
    await student.command(machine.full, CONTROL, "<archipel action='destroy'/>")
    await admin.command(machine.full, CONTROL, "<archipel action='memory' value='32768'/>")
    entries = list(await read(admin, machine.full, "limit='2'"))
    assert [entry.get("command") for entry in entries] == ["memory", "destroy"]
    assert [entry.get("who") for entry in entries] == [admin.bare, student.bare]
    assert [entry.get("rule") for entry in entries] == ["administrator", "not granted"]
    assert json.loads(entries[0].get("arguments") or "") == {"value": 32768}
    assert "lacks the right 'destroy'" in (entries[1].get("outcome") or "")
    assert {entry.get("entity") for entry in entries} == {machine.bare}


async def test_who_is_refused_a_form_or_a_talk_is_told_of(platform: Platform, admin: Person, student: Person, machine: Machine):
    await platform.grant(admin, machine.full, student, "info")
    stranger = await platform.enter()
    form = f"<command xmlns='http://jabber.org/protocol/commands' node='{CONTROL}#destroy'/>"
    for person, condition in ((student, "item-not-found"), (stranger, "forbidden")):
        assert condition in show(await person.ask(machine.full, form))
        assert await person.say(machine.full, "destroy now") == REFUSAL
        talk, command = await read(admin, machine.full, f"who='{person.bare}' outcome='failed' limit='2'")
        assert (command.get("namespace"), command.get("command"), command.get("phrase")) == (CONTROL, "destroy", None)
        assert (talk.get("namespace"), talk.get("command"), talk.get("phrase")) == ("jabber:client", "message", "destroy now")
        assert talk.get("rule") == command.get("rule")


async def test_a_machine_tells_of_itself_and_the_hypervisor_of_all(platform: Platform, admin: Person, machine: Machine):
    other = await platform.make_machine(admin)
    await admin.command(other.full, CONTROL, "<archipel action='create'/>")
    assert {entry.get("entity") for entry in await read(admin, machine.full, "limit='500'")} <= {machine.bare}
    told = await read(admin, platform.host, f"command='create' entity='{other.bare}'")
    assert [entry.get("who") for entry in told] == [admin.bare]
    answer = await admin.command(machine.full, AUDIT, f"<archipel action='entries' entity='{other.bare}'/>")
    assert_error(answer, code=-460001, condition="not-allowed", mentions="hypervisor", action="entries")


async def test_all_on_a_machine_is_enough_but_all_on_the_hypervisor_is_not(
    platform: Platform, admin: Person, student: Person, machine: Machine
):
    for address in (machine.full, platform.host):
        await platform.grant(admin, address, student, "all")
    assert len(await read(student, machine.full, f"who='{admin.bare}'")) > 0
    assert_refused(await student.command(platform.host, AUDIT, "<archipel action='entries'/>"), "audit_get")
    await platform.grant(admin, platform.host, student, "audit_get")
    assert len(await read(student, platform.host)) > 0
    await platform.grant(admin, platform.host, student, "all", "audit_get", value="0")


async def test_pages_follow_each_other(admin: Person, machine: Machine):
    for value in range(5):
        await admin.command(machine.full, CONTROL, f"<archipel action='memory' value='{30000 + value}'/>")
    told, position = [], ""
    for _ in range(5):
        page = await read(admin, machine.full, f"limit='2' command='memory' {position}")
        told += [json.loads(entry.get("arguments") or "")["value"] for entry in page]
        if page.get("next") is None:
            break
        position = f"position='{page.get('next')}'"
    assert told == [30004, 30003, 30002, 30001, 30000]


async def test_it_is_asked_for_in_a_chat(admin: Person, machine: Machine):
    await admin.command(machine.full, CONTROL, "<archipel action='destroy'/>")
    admin.send(f"<message type='chat' to='{machine.full}'><body>audit 1</body></message>")
    (said, *_rest) = await admin.until(lambda: admin.heard(machine.bare), "an answer")
    assert f"{admin.bare} destroy: ok" in (said.findtext("{jabber:client}body") or "")
