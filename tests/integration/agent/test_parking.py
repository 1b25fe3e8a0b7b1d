# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parked machines on the wire: what goes, what stays, what comes back (refused and malformed: test_every_action.py)."""

from __future__ import annotations

import uuid as uuids
from xml.etree import ElementTree as ET

import pytest

from tests.wire.actions.parking import OWN, PARKING
from tests.wire.matching import child, show
from tests.wire.person import Person
from tests.wire.platform import CONTROL, DEFINITION_XML, HOST, PERMISSIONS, Machine, Platform
from tests.wire.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each", "tags_node")]


async def ask(platform: Platform, person: Person, request: str, kind: str = "set") -> ET.Element:
    return await person.command(platform.host, PARKING, request, kind)


async def park(platform: Platform, person: Person, machine: Machine) -> None:
    answer = await ask(platform, person, f"<archipel action='park'><item uuid='{machine.uuid}'/></archipel>")
    assert answer.get("type") == "result", show(answer)


async def unpark(platform: Platform, person: Person, machine: Machine, start: str = "no") -> None:
    since = len(person.received)
    answer = await ask(platform, person, f"<archipel action='unpark'><item identifier='{machine.uuid}' start='{start}'/></archipel>")
    assert answer.get("type") == "result", show(answer)
    await person.expect_push(platform.hypervisor, "vmparking", "unparked", since)


async def parked(platform: Platform, person: Person, machine: Machine) -> ET.Element | None:
    """What the list shows of a machine."""
    answer = await ask(platform, person, f"<archipel action='list' filter='{machine.name}'/>", "get")
    assert answer.get("type") == "result", show(answer)
    return next((item for item in child(answer, "query") if item.get("uuid") == machine.uuid), None)


async def expect_error(answer: ET.Element, text: str, code: str) -> None:
    assert answer.get("type") == "error", show(answer)
    assert (child(answer, "error").get("code"), text in show(answer)) == (code, True), show(answer)


async def test_a_parked_machine_is_gone_from_the_host_and_comes_back_as_it_was(platform: Platform, admin: Person, student: Person):
    machine = await platform.make_machine(admin, more="<description>kept</description>")
    await platform.grant(admin, machine.full, student, "info", "presence")
    disk = platform.agent.machines / machine.uuid / "data.img"
    disk.write_text("disk")
    with platform.libvirt() as connection:
        connection.lookupByUUIDString(machine.uuid).setAutostart(1)
    before = platform.definition_in_libvirt(machine.uuid)
    since = len(admin.received)
    await park(platform, admin, machine)

    await admin.expect_push(platform.hypervisor, "vmparking", "parked", since)
    assert platform.definition_in_libvirt(machine.uuid) is None
    assert machine.uuid in platform.accounts()
    assert platform.rows("SELECT uuid FROM virtual_machines WHERE uuid = ?", machine.uuid) == []
    item = await parked(platform, admin, machine)
    assert item is not None
    assert (item.get("name"), item.get("parker")) == (machine.name, admin.bare)
    assert child(item, "domain").tag.endswith("domain")

    await unpark(platform, admin, machine)
    assert platform.definition_in_libvirt(machine.uuid) == before
    assert disk.read_text() == "disk"
    with platform.libvirt() as connection:
        assert connection.lookupByUUIDString(machine.uuid).autostart() == 1
    answer = await student.command(machine.full, CONTROL, "<archipel action='info'/>", "get")
    assert answer.get("type") == "result", show(answer)
    assert await parked(platform, admin, machine) is None


async def test_unparked_with_start_it_runs(platform: Platform, admin: Person, machine: Machine):
    await park(platform, admin, machine)
    await unpark(platform, admin, machine, start="yes")
    with platform.libvirt() as connection:
        assert connection.lookupByUUIDString(machine.uuid).isActive()


async def test_a_running_machine_parks_itself_only_with_force(platform: Platform, admin: Person, machine: Machine):
    await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
    await expect_error(await admin.command(machine.full, OWN, "<archipel action='park'/>"), "shut it down first", "-11002")
    answer = await admin.command(machine.full, OWN, "<archipel action='park' force='True'/>")
    assert answer.get("type") == "result", show(answer)
    await eventually(lambda: platform.rows("SELECT uuid FROM virtual_machines WHERE uuid = ?", machine.uuid) == [])
    assert await parked(platform, admin, machine) is not None


async def test_a_machine_with_snapshots_is_not_parked(platform: Platform, admin: Person, machine: Machine):
    with platform.libvirt() as connection:
        connection.lookupByUUIDString(machine.uuid).snapshotCreateXML("<domainsnapshot/>")
    answer = await ask(platform, admin, f"<archipel action='park'><item uuid='{machine.uuid}'/></archipel>")
    await expect_error(answer, "1 snapshots, which libvirt would lose", "-11002")
    assert platform.definition_in_libvirt(machine.uuid) is not None


async def test_a_deleted_one_leaves_nothing_and_others_are_never_deleted(platform: Platform, admin: Person, machine: Machine):
    folder = platform.agent.machines / machine.uuid
    request = f"<archipel action='delete'><item identifier='{machine.uuid}'/></archipel>"
    await expect_error(await ask(platform, admin, request), "is parked", "-11004")
    assert folder.is_dir()

    await park(platform, admin, machine)
    since = len(admin.received)
    assert (await ask(platform, admin, request)).get("type") == "result"
    await admin.expect_push(platform.hypervisor, "vmparking", "deleted", since)
    assert not folder.exists()
    assert machine.uuid not in platform.accounts()
    assert platform.rows("SELECT token FROM grants WHERE entity = ?", machine.bare) == []
    assert await parked(platform, admin, machine) is None


@pytest.mark.parametrize("action", ["edit_definition", "updatexml"])
async def test_a_parked_definition_is_changed_within_identity_and_policy(
    platform: Platform, admin: Person, student: Person, machine: Machine, action: str
):
    await park(platform, admin, machine)
    await platform.grant(admin, platform.host, student, "vmparking_edit_definition", "vmparking_updatexml")
    begin = f"<archipel action='{action}' identifier='{machine.uuid}'>"
    for definition, text in (
        (machine.definition(name="another"), "name is another, it must stay"),
        (machine.definition().replace(machine.uuid, str(uuids.uuid4())), "it must stay"),
        (machine.definition(more="<devices><disk type='file'><source file='/etc/shadow'/><target dev='vda'/></disk></devices>"), "policy"),
    ):
        answer = await student.command(platform.host, PARKING, f"{begin}{definition}</archipel>")
        assert answer.get("type") == "error", show(answer)
        assert text in show(answer)
    since = len(admin.received)
    changed = machine.definition().replace("65536", "32768")
    answer = await student.command(platform.host, PARKING, f"{begin}{changed}</archipel>")
    assert answer.get("type") == "result", show(answer)
    await admin.expect_push(platform.hypervisor, "vmparking", "updated", since)
    await unpark(platform, admin, machine)
    assert "32768" in (platform.definition_in_libvirt(machine.uuid) or "")


async def test_a_machine_is_made_parked_and_can_be_unparked(platform: Platform, admin: Person):
    machine = Machine(str(uuids.uuid4()), f"made-{uuids.uuid4().hex[:8]}", platform.domain)
    request = f"<archipel action='create_parked'><item uuid='{machine.uuid}'>{machine.definition()}</item></archipel>"
    answer = await ask(platform, admin, request)
    assert answer.get("type") == "result", show(answer)
    assert await parked(platform, admin, machine) is not None
    assert (machine.uuid in platform.accounts(), platform.definition_in_libvirt(machine.uuid)) == (True, None)
    await expect_error(await ask(platform, admin, request), "is parked: unpark or delete it", "-11005")
    alloc = f"<archipel action='alloc' uuid='{machine.uuid}'/>"
    await expect_error(await admin.command(platform.host, HOST, alloc), "is parked: unpark or delete it", "-9001")

    await unpark(platform, admin, machine)
    await admin.expect_shown(machine.bare, "xa", "Off")
    answer = await admin.command(
        machine.full, PERMISSIONS, f"<archipel action='get' permission_type='user' permission_target='{admin.bare}'/>"
    )
    assert "all" in show(answer)


async def test_what_fails_after_the_answer_is_pushed_and_leaves_it_parked(
    platform: Platform, admin: Person, student: Person, machine: Machine
):
    """Who lacks the right to pass the policy does not bring back what an administrator gave the machine."""
    foreign = "<devices><disk type='file'><source file='/etc/shadow'/><target dev='vda'/></disk></devices>"
    answer = await admin.command(
        machine.full, "archipel:vm:definition", f"<archipel action='define'>{machine.definition(more=foreign)}</archipel>"
    )
    assert answer.get("type") == "result", show(answer)
    await park(platform, admin, machine)
    await platform.grant(admin, platform.host, student, "vmparking_unpark")
    since = len(admin.received)
    request = f"<archipel action='unpark'><item identifier='{machine.uuid}'/></archipel>"
    assert (await student.command(platform.host, PARKING, request)).get("type") == "result"
    await admin.expect_push(platform.hypervisor, "vmparking", "cannot-unpark", since)
    assert platform.definition_in_libvirt(machine.uuid) is None
    assert await parked(platform, admin, machine) is not None


async def test_the_name_of_a_parked_machine_may_be_taken_meanwhile_and_that_is_told(platform: Platform, admin: Person, machine: Machine):
    await park(platform, admin, machine)
    with platform.libvirt() as connection:
        other = connection.defineXML(DEFINITION_XML.format(name=machine.name, uuid=uuids.uuid4(), more=""))
        answer = await ask(platform, admin, f"<archipel action='unpark'><item identifier='{machine.uuid}'/></archipel>")
        other.undefine()
    await expect_error(answer, "is taken", "-11003")


async def test_it_is_talked_about(platform: Platform, admin: Person, machine: Machine):
    async def said(body: str, entity: str = platform.hypervisor) -> str:
        return await admin.say(f"{platform.host}" if entity == platform.hypervisor else entity, body)

    assert "what their guests have not saved is lost" in await said(f"park {machine.name}")
    assert await said("yes") == "Parked."
    assert machine.uuid in await said("park list")
    since = len(admin.received)
    assert "I bring back" in await said(f"unpark {machine.uuid}")
    await admin.expect_push(platform.hypervisor, "vmparking", "unparked", since)
    with platform.libvirt() as connection:
        connection.lookupByUUIDString(machine.uuid).create()
    assert "shut it down first" in await said("park", machine.full)
    assert "what my guest has not saved is lost" in await said("park force", machine.full)
    assert await said("yes", machine.full) == "See you."
