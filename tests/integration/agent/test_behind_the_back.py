# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others do to domains through libvirt is shown and pushed; machines are renamed on either side."""

from __future__ import annotations

import secrets
import uuid as uuids

import pytest

from tests.wire.matching import assert_error, assert_payload, child, text_of
from tests.wire.person import Person
from tests.wire.platform import CONTROL, DEFINITION, HOST, Machine, Platform
from tests.wire.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]


async def test_every_change_is_pushed_and_shown(platform: Platform, admin: Person, machine: Machine):
    await admin.subscribe_to_events(machine.bare, platform.pubsub)
    await admin.expect_shown(machine.bare, "xa", "Off")
    since = len(admin.received)
    with platform.libvirt() as connection:
        domain = connection.lookupByUUIDString(machine.uuid)
        for change, topic, pushed, shown in (
            (domain.create, "virtualmachine:control", "created", (None, "Running")),
            (domain.suspend, "virtualmachine:control", "suspended", ("away", "Paused")),
            (domain.resume, "virtualmachine:control", "resumed", (None, "Running")),
            (domain.destroy, "virtualmachine:control", "shutdown", ("xa", "Off")),
            (domain.undefine, "virtualmachine:definition", "undefined", ("xa", "Not defined")),
            (lambda: connection.defineXML(machine.definition()), "virtualmachine:definition", "defined", ("xa", "Off")),
        ):
            change()
            await admin.expect_push(machine.bare, topic, pushed, since)
            await admin.expect_shown(machine.bare, *shown)
    wanted = ["created", "suspended", "resumed", "shutdown", "undefined", "defined"]
    assert [push.change for push in admin.pushes(machine.bare, since) if push.change in wanted][-6:] == wanted


async def test_a_definition_made_behind_the_back_is_pushed(platform: Platform, admin: Person, machine: Machine):
    await admin.subscribe_to_events(machine.bare, platform.pubsub)
    await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
    await admin.expect_shown(machine.bare, None, "Running")
    since = len(admin.received)
    with platform.libvirt() as connection:
        connection.defineXML(machine.definition().replace("<vcpu>2</vcpu>", "<vcpu>1</vcpu>"))
    await admin.expect_push(machine.bare, "virtualmachine:definition", "defined", since)


async def test_a_stop_that_was_not_asked_for_is_told_a_moment_later(platform: Platform, admin: Person, machine: Machine):
    """It is held back because a start may follow at once; when none does it is told all the same."""
    await admin.subscribe_to_events(machine.bare, platform.pubsub)
    await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
    await admin.expect_shown(machine.bare, None, "Running")
    since = len(admin.received)
    with platform.libvirt() as connection:
        connection.lookupByUUIDString(machine.uuid).shutdown()
    await admin.expect_push(machine.bare, "virtualmachine:control", "shutdown", since)
    await admin.expect_shown(machine.bare, "xa", "Off")


async def test_a_restart_behind_the_back_is_no_stop(platform: Platform, admin: Person, machine: Machine):
    await admin.subscribe_to_events(machine.bare, platform.pubsub)
    await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
    await admin.expect_shown(machine.bare, None, "Running")
    await admin.expect_push(machine.bare, "virtualmachine:control", "created")
    since = len(admin.received)
    with platform.libvirt() as connection:
        domain = connection.lookupByUUIDString(machine.uuid)
        domain.shutdown()
        domain.create()
    await admin.expect_push(machine.bare, "virtualmachine:control", "created", since)
    await admin.command(machine.full, CONTROL, "<archipel action='suspend'/>")
    await admin.expect_push(machine.bare, "virtualmachine:control", "suspended", since)
    assert [push.change for push in admin.pushes(machine.bare, since)] == ["created", "suspended"]
    assert [text_of(got, "status") for got in admin.presences(machine.bare, since)][-1:] != ["Off"]


async def test_a_new_domain_of_others_is_listed_not_managed(platform: Platform, admin: Person):
    machine = Machine(str(uuids.uuid4()), f"vm-{secrets.token_hex(4)}", platform.domain)
    with platform.libvirt() as connection:
        domain = connection.defineXML(machine.definition())
        assert (await platform.roster_of_machines(admin))[machine.bare].attrib == {"managed": "False", "name": machine.name}
        domain.undefine()
    assert machine.bare not in await platform.roster_of_machines(admin)


async def test_a_machine_undefined_behind_the_back_can_be_defined_again(platform: Platform, admin: Person, machine: Machine):
    with platform.libvirt() as connection:
        connection.lookupByUUIDString(machine.uuid).undefine()
    await admin.expect_shown(machine.bare, "xa", "Not defined")
    assert_payload(await admin.command(machine.full, CONTROL, "<archipel action='xmldesc'/>", "get"), CONTROL, "<not-defined/>")
    assert machine.full in await platform.roster_of_machines(admin)
    define = f"<archipel action='define'>{machine.definition()}</archipel>"
    assert_payload(await admin.command(machine.full, DEFINITION, define), DEFINITION, "")
    await admin.expect_shown(machine.bare, "xa", "Off")


# -- renaming ---------------------------------------------------------------------------------------------------------


async def names_of(platform: Platform, admin: Person, machine: Machine) -> set[str | None]:
    """The machine's name, everywhere it stands."""
    roster = (await platform.roster_of_machines(admin))[machine.full].get("name")
    card = await admin.ask_server(machine.bare, "<vCard xmlns='vcard-temp'/>", "get")
    [(stored,)] = platform.rows("SELECT name FROM virtual_machines WHERE uuid = ?", machine.uuid)
    with platform.libvirt() as connection:
        return {roster, text_of(card, "FN"), stored, connection.lookupByUUIDString(machine.uuid).name()}


@pytest.mark.parametrize("by", ["define", "setorginfo"])
async def test_a_machine_is_renamed_everywhere_at_once(platform: Platform, admin: Person, machine: Machine, by: str):
    name = f"renamed {secrets.token_hex(4)}"
    if by == "define":
        definition = machine.definition(name=name, more="<title>new</title>")
        answer = await admin.command(machine.full, DEFINITION, f"<archipel action='define'>{definition}</archipel>")
        assert_payload(answer, DEFINITION, "")
        assert "<title>new</title>" in (platform.definition_in_libvirt(machine.uuid) or "")
    else:
        answer = await admin.command(
            platform.host, HOST, f"<archipel action='setorginfo' target='{machine.uuid}'><FN>{name}</FN></archipel>"
        )
        assert_payload(answer, HOST, f"<virtualmachine jid='{machine.full}'/>")
    assert await names_of(platform, admin, machine) == {name}
    assert name in await admin.say(machine.full, "hello")
    definition = machine.definition(name=name.upper())  # only its spelling: it does not stand in its own way
    assert_payload(await admin.command(machine.full, DEFINITION, f"<archipel action='define'>{definition}</archipel>"), DEFINITION, "")
    assert await names_of(platform, admin, machine) == {name.upper()}


@pytest.mark.parametrize("by", ["define", "setorginfo"])
async def test_the_name_of_another_is_refused_and_nothing_changes(platform: Platform, admin: Person, machine: Machine, by: str):
    other = await platform.make_machine(admin)
    before = platform.definition_in_libvirt(machine.uuid)
    if by == "define":
        definition = machine.definition(name=other.name)
        answer = await admin.command(machine.full, DEFINITION, f"<archipel action='define'>{definition}</archipel>")
        assert_error(answer, code=-1007, condition="conflict", mentions=other.name, action="define")
    else:
        request = f"<archipel action='setorginfo' target='{machine.uuid}'><FN>{other.name}</FN></archipel>"
        answer = await admin.command(platform.host, HOST, request)
        assert_error(answer, code=-9013, condition="conflict", mentions=other.name, action="setorginfo")
    assert platform.definition_in_libvirt(machine.uuid) == before
    assert await names_of(platform, admin, machine) == {machine.name}


async def test_a_running_machine_is_not_renamed(platform: Platform, admin: Person, machine: Machine):
    await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
    before = platform.definition_in_libvirt(machine.uuid)
    definition = machine.definition(name=f"other-{machine.name}")
    answer = await admin.command(machine.full, DEFINITION, f"<archipel action='define'>{definition}</archipel>")
    assert child(answer, "error") is not None
    assert platform.definition_in_libvirt(machine.uuid) == before
    assert await names_of(platform, admin, machine) == {machine.name}


async def test_a_definition_that_libvirt_refuses_does_not_rename(platform: Platform, admin: Person, machine: Machine):
    definition = machine.definition(name=f"other-{machine.name}").replace("<type>hvm</type>", "<type>nonsense</type>")
    answer = await admin.command(machine.full, DEFINITION, f"<archipel action='define'>{definition}</archipel>")
    assert answer.get("type") == "error"

    async def as_before() -> bool:
        return await names_of(platform, admin, machine) == {machine.name}

    await eventually(as_before, "the old name everywhere")  # libvirt's events tell of the renaming and of its undoing


async def test_a_machine_renamed_behind_the_back_is_found_by_its_new_name(platform: Platform, admin: Person, machine: Machine):
    name = f"renamed-{secrets.token_hex(4)}"
    await admin.subscribe_to_events(machine.bare, platform.pubsub)
    since = len(admin.received)
    with platform.libvirt() as connection:
        connection.lookupByUUIDString(machine.uuid).rename(name)
    await admin.expect_push(machine.bare, "virtualmachine:definition", "defined", since)

    async def known() -> bool:
        return await names_of(platform, admin, machine) == {name}

    await eventually(known, "the new name everywhere")
    await admin.expect_shown(machine.bare, "xa", "Off")
