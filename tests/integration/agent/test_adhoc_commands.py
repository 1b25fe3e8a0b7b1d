# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""XEP-0030 and XEP-0050: what an ordinary XMPP client shows as a menu of an entity."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from tests.wire.matching import child, name_of, show
from tests.wire.person import Person
from tests.wire.platform import Machine, Platform

pytestmark = pytest.mark.asyncio(loop_scope="session")

COMMANDS = "http://jabber.org/protocol/commands"
ITEMS, INFO = "http://jabber.org/protocol/disco#items", "http://jabber.org/protocol/disco#info"
FORMS = "jabber:x:data"


async def menu(person: Person, entity: str) -> dict[str, str]:
    answer = await person.ask(entity, f"<query xmlns='{ITEMS}' node='{COMMANDS}'/>", "get")
    return {item.get("node", ""): item.get("name", "") for item in child(answer, "query")}


async def execute(person: Person, entity: str, node: str, inner: str = "", action: str = "execute") -> ET.Element:
    return await person.ask(entity, f"<command xmlns='{COMMANDS}' node='{node}' action='{action}'>{inner}</command>")


async def test_an_entity_says_that_it_has_commands(admin: Person, machine: Machine) -> None:
    answer = await admin.ask(machine.full, f"<query xmlns='{INFO}'/>", "get")
    features = {feature.get("var") for feature in child(answer, "query") if name_of(feature) == "feature"}
    assert {COMMANDS, INFO, ITEMS, "urn:xmpp:ping", "archipel:vm:control"} <= features


async def test_the_menu_holds_what_its_reader_may_do(platform: Platform, admin: Person, machine: Machine, student: Person) -> None:
    await platform.grant(admin, machine.full, student, "create", "info")
    assert set(await menu(student, machine.full)) == {
        "archipel:vm:control#create",
        "archipel:vm:control#info",
        "archipel:permissions#get",
        "archipel:permissions#getown",
        "archipel:rights#rules",
        "archipel:rights#why",
        *(f"archipel:contact:preferences#{action}" for action in ("get", "set", "sethours", "hush", "reset")),
    }
    assert "archipel:vm:control#memory" in await menu(admin, machine.full)


async def test_a_command_without_fields_is_done_at_once(admin: Person, machine: Machine) -> None:
    answer = await execute(admin, machine.full, "archipel:vm:control#create")
    command = child(answer, "command")
    assert command.get("status") == "completed", show(answer)
    assert child(command, "note").text == "I am starting."
    await admin.expect_shown(machine.bare, None, "Running")


async def test_a_command_with_fields_asks_for_them_first(admin: Person, machine: Machine) -> None:
    asked = child(await execute(admin, machine.full, "archipel:vm:control#memory"), "command")
    assert asked.get("status") == "executing"
    fields = [field.get("var") for field in child(asked, "x") if name_of(field) == "field"]
    assert fields == ["value"]
    form = f"<x xmlns='{FORMS}' type='submit'><field var='value'><value>40000</value></field></x>"
    done = child(await execute(admin, machine.full, "archipel:vm:control#memory", form, "complete"), "command")
    assert done.get("status") == "completed"
    info = await admin.command(machine.full, "archipel:vm:control", "<archipel action='info'/>", "get")
    assert child(child(info, "query"), "info").get("memory") == "40000"


async def test_a_wrong_value_is_named(admin: Person, machine: Machine) -> None:
    form = f"<x xmlns='{FORMS}' type='submit'><field var='value'><value>much</value></field></x>"
    answer = await execute(admin, machine.full, "archipel:vm:control#memory", form, "complete")
    assert answer.get("type") == "error"
    assert "value: must be a whole number" in show(answer)


async def test_what_one_may_not_do_is_not_there(platform: Platform, admin: Person, machine: Machine, student: Person) -> None:
    await platform.grant(admin, machine.full, student, "info")
    answer = await execute(student, machine.full, "archipel:vm:control#create")
    assert answer.get("type") == "error"
    assert "item-not-found" in show(answer)


async def test_a_command_can_be_cancelled(admin: Person, machine: Machine) -> None:
    answer = await execute(admin, machine.full, "archipel:vm:control#memory", action="cancel")
    assert child(answer, "command").get("status") == "canceled"


async def test_a_stranger_sees_no_menu(machine: Machine, student: Person) -> None:
    answer = await student.ask(machine.full, f"<query xmlns='{ITEMS}' node='{COMMANDS}'/>", "get")
    assert answer.get("type") == "error"
    assert (await execute(student, machine.full, "archipel:vm:control#info")).get("type") == "error"
