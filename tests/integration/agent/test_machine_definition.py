# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""archipel:vm:definition on the wire: definitions and devices (refused and malformed: test_every_action.py)."""

from __future__ import annotations

import pytest

from tests.wire.matching import LIBVIRT, PERMISSION, assert_error, assert_payload, assert_unsupported, child, name_of, show, text_of
from tests.wire.person import Person
from tests.wire.platform import CONTROL, DEFINITION, Machine, Platform

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

INTERFACE = "<interface type='network'><mac address='52:54:00:00:00:aa'/><source network='default'/></interface>"
DEVICE_ACTIONS = ("attachdevice", "detachdevice", "updatedevice")


def define(machine: Machine, definition: str | None = None) -> str:
    return f"<archipel action='define'>{definition or machine.definition().replace('65536', '32768')}</archipel>"


@pytest.mark.parametrize("kind", ["get", "set"])
async def test_who_may_define_defines(platform: Platform, admin: Person, student: Person, machine: Machine, kind: str):
    await platform.grant(admin, machine.full, student, "define")
    assert_payload(await student.command(machine.full, DEFINITION, define(machine), kind), DEFINITION, "")
    assert "<memory unit='KiB'>32768</memory>" in (platform.definition_in_libvirt(machine.uuid) or "")


@pytest.mark.parametrize("kind", ["get", "set"])
async def test_who_may_undefine_undefines(platform: Platform, admin: Person, student: Person, machine: Machine, kind: str):
    await platform.grant(admin, machine.full, student, "undefine")
    for _ in range(2):  # the second time there is nothing left, which is what was asked for
        assert_payload(await student.command(machine.full, DEFINITION, "<archipel action='undefine'/>", kind), DEFINITION, "")
        assert platform.definition_in_libvirt(machine.uuid) is None


@pytest.mark.parametrize("kind", ["get", "set"])
async def test_who_may_sees_the_capabilities(platform: Platform, admin: Person, student: Person, machine: Machine, kind: str):
    await platform.grant(admin, machine.full, student, "capabilities")
    answer = await student.command(machine.full, DEFINITION, "<archipel action='capabilities'/>", kind)
    assert [name_of(part) for part in child(answer, "query")] == ["capabilities"], show(answer)
    assert {name_of(part) for part in answer.iter()} >= {"host", "guest", "os_type", "arch", "domain"}


# -- definitions that are wrong ---------------------------------------------------------------------------------------


async def test_the_uuid_is_the_machines_in_any_spelling(platform: Platform, admin: Person, machine: Machine):
    definition = machine.definition().replace(machine.uuid, machine.uuid.upper())
    assert_payload(await admin.command(machine.full, DEFINITION, define(machine, definition)), DEFINITION, "")
    assert platform.definition_in_libvirt(machine.uuid) is not None


async def test_a_definition_without_a_name_keeps_the_machines(platform: Platform, admin: Person, machine: Machine):
    definition = machine.definition().replace(f"<name>{machine.name}</name>", "")
    assert_payload(await admin.command(machine.full, DEFINITION, define(machine, definition)), DEFINITION, "")
    assert f"<name>{machine.name}</name>" in (platform.definition_in_libvirt(machine.uuid) or "")


async def test_what_libvirt_refuses_is_told_in_its_words_and_changes_nothing(platform: Platform, admin: Person, machine: Machine):
    before = platform.definition_in_libvirt(machine.uuid)
    definition = machine.definition().replace("<type>hvm</type>", "<type>nonsense</type>")
    answer = await admin.command(machine.full, DEFINITION, define(machine, definition))
    code = int(child(answer, "error").get("code", "0"))
    assert code > 0
    assert_error(answer, code=code, condition="internal-server-error", mentions="nonsense", namespace=LIBVIRT, action="define")
    assert platform.definition_in_libvirt(machine.uuid) == before


@pytest.mark.parametrize("namespace", ["archipel:vm:definition", "", "http://www.gajim.org/xmlns/undeclared", "jabber:client"])
async def test_the_definition_may_come_in_any_of_the_founders_namespaces(
    platform: Platform, admin: Person, machine: Machine, namespace: str
):
    definition = machine.definition().replace("65536", "32768").replace("<domain ", f"<domain xmlns='{namespace}' ")
    assert_payload(await admin.command(machine.full, DEFINITION, define(machine, definition)), DEFINITION, "")
    stored = platform.definition_in_libvirt(machine.uuid) or ""
    assert "32768" in stored
    assert "xmlns" not in stored


async def test_what_libvirt_keeps_for_others_survives_the_way(platform: Platform, admin: Person, machine: Machine):
    metadata = "<metadata><app:owner xmlns:app='http://example.org/app' app:since='2016'>R&amp;D &lt;lab&gt;</app:owner></metadata>"
    definition = machine.definition(more=f"<title>Caf\u00e9 \u2014 \u6d4b\u8bd5</title>{metadata}")
    assert_payload(await admin.command(machine.full, DEFINITION, define(machine, definition)), DEFINITION, "")
    stored = platform.definition_in_libvirt(machine.uuid) or ""
    assert "<title>Caf\u00e9 \u2014 \u6d4b\u8bd5</title>" in stored
    assert "http://example.org/app" in stored
    assert "R&amp;D &lt;lab&gt;" in stored
    answer = await admin.command(machine.full, CONTROL, "<archipel action='xmldesc'/>", "get")
    assert text_of(answer, "title") == "Caf\u00e9 \u2014 \u6d4b\u8bd5"
    assert text_of(answer, "owner") == "R&D <lab>"


async def test_a_running_machine_takes_a_definition_for_its_next_start(platform: Platform, admin: Person, machine: Machine):
    await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
    assert_payload(await admin.command(machine.full, DEFINITION, define(machine)), DEFINITION, "")
    info = child(child(await admin.command(machine.full, CONTROL, "<archipel action='info'/>", "get"), "query"), "info")
    assert (info.get("state"), info.get("maxMem")) == ("1", "65536")
    assert "32768" in (platform.definition_in_libvirt(machine.uuid) or "")


# -- devices ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["attachdevice", "updatedevice"])
async def test_a_device_needs_a_definition_around_it(platform: Platform, admin: Person, action: str):
    machine = await platform.make_machine(admin, defined=False)
    answer = await admin.command(machine.full, DEFINITION, f"<archipel action='{action}'><device>{INTERFACE}</device></archipel>")
    assert_error(answer, code=-1007, condition="item-not-found", mentions="define it first", action=action)


@pytest.mark.parametrize("action", DEVICE_ACTIONS)
async def test_what_the_driver_cannot_do_is_an_error_in_its_words_and_announces_nothing(
    platform: Platform, admin: Person, student: Person, machine: Machine, action: str
):
    """libvirt's test driver plugs nothing in or out; that it works is shown with real guests."""
    await platform.grant(admin, machine.full, student, "define")
    await admin.subscribe_to_events(machine.bare, platform.pubsub)
    before, received = platform.definition_in_libvirt(machine.uuid), len(admin.received)
    answer = await student.command(machine.full, DEFINITION, f"<archipel action='{action}'><device>{INTERFACE}</device></archipel>", "get")
    assert_unsupported(answer, action)
    assert platform.definition_in_libvirt(machine.uuid) == before
    await platform.grant(admin, machine.full, student, "xmldesc")  # whatever was announced before has arrived when this is
    await admin.expect_push(machine.bare, "permissions", student.bare, received)
    assert ("virtualmachine:definition", "defined") not in {push.what for push in admin.pushes(machine.bare, received)}


@pytest.mark.parametrize(
    "device",
    [
        "<hostdev mode='subsystem' type='usb'><source><vendor id='0x1234'/><product id='0xbeef'/></source></hostdev>",
        "<disk type='file' device='disk'><source file='/etc/shadow'/><target dev='vdb' bus='virtio'/></disk>",
        "<disk type='block' device='disk'><source dev='/dev/sda'/><target dev='vdb' bus='virtio'/></disk>",
        "<interface type='bridge'><source bridge='br-management'/></interface>",
    ],
)
async def test_a_device_outside_the_domain_policy_needs_a_right_of_its_own(
    platform: Platform, admin: Person, student: Person, machine: Machine, device: str
):
    await platform.grant(admin, machine.full, student, "all")
    before = platform.definition_in_libvirt(machine.uuid)
    for action, request in (
        ("attachdevice", f"<device>{device}</device>"),
        ("define", machine.definition(more=f"<devices>{device}</devices>")),
    ):
        answer = await student.command(machine.full, DEFINITION, f"<archipel action='{action}'>{request}</archipel>")
        assert_error(answer, code=-1, condition="forbidden", mentions="domain policy", namespace=PERMISSION, action=action)
        assert child(answer, "error")[2].get("right") == "domain_policy_bypass"
        assert platform.definition_in_libvirt(machine.uuid) == before
