# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines are made whole or not at all, and freed whole."""

from __future__ import annotations

import secrets
import uuid as uuids

import pytest

from tests.wire.matching import LIBVIRT, PERMISSION, assert_error, assert_payload, child, show
from tests.wire.person import Person, error_text
from tests.wire.platform import CONTROL, DEFINITION, DEFINITION_XML, HOST, PERMISSIONS, Machine, Platform
from tests.wire.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]


def left(platform: Platform, uuid: str) -> dict[str, object]:
    """What there is of a machine."""
    return {
        "row": platform.rows("SELECT uuid FROM virtual_machines WHERE uuid = ?", uuid),
        "rights": platform.rows("SELECT token FROM grants WHERE entity = ?", f"{uuid}@{platform.domain}"),
        "account": uuid in platform.accounts(),
        "folder": (platform.agent.machines / uuid).exists(),
        "domain": platform.definition_in_libvirt(uuid) is not None,
    }


NOTHING = {"row": [], "rights": [], "account": False, "folder": False, "domain": False}


def alloc(uuid: str, name: str, definition: str = "") -> str:
    return f"<archipel action='alloc' name='{name}' uuid='{uuid}'>{definition}</archipel>"


@pytest.fixture
def fresh(platform: Platform) -> Machine:
    """A machine that is not there yet."""
    return Machine(str(uuids.uuid4()), f"vm-{secrets.token_hex(4)}", platform.domain)


# -- what does not become a machine -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong", ["<os><type>nonsense</type></os>", "<os><type>hvm</type></os><memory>lots</memory>", "<os><type>hvm</type></os>"]
)
async def test_a_definition_that_libvirt_refuses_leaves_nothing(platform: Platform, admin: Person, fresh: Machine, wrong: str):
    definition = f"<domain type='test'><name>{fresh.name}</name>{wrong}</domain>"
    answer = await admin.command(platform.host, HOST, alloc(fresh.uuid, fresh.name, definition))
    assert_error(
        answer, code=int(child(answer, "error").get("code") or 0), condition="internal-server-error", namespace=LIBVIRT, action="alloc"
    )
    assert left(platform, fresh.uuid) == NOTHING
    await admin.until(lambda: (admin.shown(platform.hypervisor) or ("", ""))[1] != "Online (Allocating vm...)", "the status as before")
    answer = await admin.command(platform.host, HOST, alloc(fresh.uuid, fresh.name, fresh.definition()))
    assert_payload(answer, HOST, f"<virtualmachine jid='{fresh.bare}'/>")


async def test_a_definition_outside_the_domain_policy_leaves_nothing(platform: Platform, admin: Person, student: Person, fresh: Machine):
    await platform.grant(admin, platform.host, student, "alloc")
    disk = "<devices><disk type='file' device='disk'><source file='/etc/shadow'/><target dev='vda'/></disk></devices>"
    answer = await student.command(platform.host, HOST, alloc(fresh.uuid, fresh.name, fresh.definition(more=disk)))
    assert_error(answer, code=-1, condition="forbidden", mentions="/etc/shadow", namespace=PERMISSION, action="alloc")
    assert left(platform, fresh.uuid) == NOTHING


async def test_disks_in_the_machines_own_folder_are_within_the_policy(platform: Platform, admin: Person, student: Person, fresh: Machine):
    await platform.grant(admin, platform.host, student, "alloc")
    disk = f"<disk type='file' device='disk'><source file='{platform.agent.machines / fresh.uuid}/disk.qcow2'/><target dev='vda'/></disk>"
    answer = await student.command(platform.host, HOST, alloc(fresh.uuid, fresh.name, fresh.definition(more=f"<devices>{disk}</devices>")))
    assert_payload(answer, HOST, f"<virtualmachine jid='{fresh.bare}'/>")


async def test_a_name_of_a_managed_machine_is_taken_in_any_spelling(platform: Platform, admin: Person, machine: Machine, fresh: Machine):
    for name in (machine.name, machine.name.upper(), f" {machine.name} "):
        answer = await admin.command(platform.host, HOST, alloc(fresh.uuid, name))
        assert_error(answer, code=-9001, condition="conflict", mentions="taken", action="alloc")
    assert left(platform, fresh.uuid) == NOTHING


async def test_a_name_of_an_unmanaged_domain_is_taken(platform: Platform, admin: Person, fresh: Machine):
    with platform.libvirt() as connection:
        domain = connection.defineXML(DEFINITION_XML.format(name=fresh.name, uuid=uuids.uuid4(), more=""))
        answer = await admin.command(platform.host, HOST, alloc(fresh.uuid, fresh.name))
        domain.undefine()
    assert_error(answer, code=-9001, condition="conflict", mentions=fresh.name, action="alloc")
    assert left(platform, fresh.uuid) == NOTHING


async def test_a_uuid_is_given_once(platform: Platform, admin: Person, machine: Machine, fresh: Machine):
    before = left(platform, machine.uuid), platform.machine_passwords()[machine.uuid]
    for uuid in (machine.uuid, machine.uuid.upper()):
        answer = await admin.command(platform.host, HOST, alloc(uuid, fresh.name, fresh.definition()))
        assert_error(answer, code=-9001, condition="conflict", mentions=machine.uuid, action="alloc")
    assert (left(platform, machine.uuid), platform.machine_passwords()[machine.uuid]) == before


async def test_the_uuid_of_an_unmanaged_domain_is_for_manage(platform: Platform, admin: Person, fresh: Machine):
    with platform.libvirt() as connection:
        domain = connection.defineXML(fresh.definition())
        before = domain.XMLDesc()
        answer = await admin.command(platform.host, HOST, alloc(fresh.uuid, "other", fresh.definition(name="other")))
        assert_error(answer, code=-9001, condition="conflict", mentions="manage", action="alloc")
        assert domain.XMLDesc() == before
        domain.undefine()
    assert left(platform, fresh.uuid) == NOTHING


async def test_an_account_of_somebody_else_is_never_taken_over(platform: Platform, admin: Person, fresh: Machine):
    platform.ejabberd.register(fresh.uuid, "another's")
    answer = await admin.command(platform.host, HOST, alloc(fresh.uuid, fresh.name, fresh.definition()))
    assert_error(answer, code=-9001, condition="conflict", mentions=fresh.bare, action="alloc")
    assert left(platform, fresh.uuid) == NOTHING | {"account": True}
    platform.passwords[fresh.uuid] = "another's"
    await platform.enter(fresh.uuid)  # his password still counts


async def test_a_folder_that_somebody_prepared_stays(platform: Platform, admin: Person, fresh: Machine):
    folder = platform.agent.machines / fresh.uuid
    folder.mkdir(parents=True)
    (folder / "disk.img").write_text("precious")
    broken = "<domain type='test'><os><type>nonsense</type></os></domain>"
    answer = await admin.command(platform.host, HOST, alloc(fresh.uuid, fresh.name, broken))
    assert answer.get("type") == "error", show(answer)
    assert left(platform, fresh.uuid) == NOTHING | {"folder": True}
    assert (folder / "disk.img").read_text() == "precious"
    answer = await admin.command(platform.host, HOST, alloc(fresh.uuid, fresh.name, fresh.definition()))
    assert_payload(answer, HOST, f"<virtualmachine jid='{fresh.bare}'/>")
    assert (folder / "disk.img").read_text() == "precious"


# -- free -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["off", "running", "paused", "undefined"])
@pytest.mark.parametrize("by", ["hypervisor", "machine"])
async def test_free_ends_a_machine_in_any_state_and_leaves_nothing(
    platform: Platform, admin: Person, machine: Machine, state: str, by: str
):
    steps = {"off": [], "running": ["create"], "paused": ["create", "suspend"], "undefined": ["undefine"]}[state]
    for action in steps:
        namespace = DEFINITION if action == "undefine" else CONTROL
        await admin.command(machine.full, namespace, f"<archipel action='{action}'/>")
    (platform.agent.machines / machine.uuid / "disk.img").write_text("x")
    address, namespace = {"hypervisor": (platform.host, HOST), "machine": (machine.full, CONTROL)}[by]
    answer = await admin.command(address, namespace, f"<archipel action='free' jid='{machine.bare}'/>")
    assert answer.get("type") == "result", show(answer)
    await eventually(lambda: left(platform, machine.uuid) == NOTHING)
    await admin.until(lambda: admin.shown(machine.bare) is None, "the end of its presence")


@pytest.mark.parametrize("by", ["hypervisor", "machine"])
async def test_free_can_keep_the_disks(platform: Platform, admin: Person, machine: Machine, by: str):
    disk = platform.agent.machines / machine.uuid / "disk.img"
    disk.write_text("precious")
    address, namespace = {"hypervisor": (platform.host, HOST), "machine": (machine.full, CONTROL)}[by]
    answer = await admin.command(address, namespace, f"<archipel action='free' jid='{machine.bare}' keep='disks'/>")
    assert answer.get("type") == "result", show(answer)
    await eventually(lambda: left(platform, machine.uuid) == NOTHING | {"folder": True})
    assert disk.read_text() == "precious"


async def test_a_freed_name_and_uuid_can_be_used_again(platform: Platform, admin: Person, machine: Machine):
    for _ in range(2):
        answer = await admin.command(platform.host, HOST, f"<archipel action='free' jid='{machine.bare}'/>")
        assert answer.get("type") == "result", show(answer)
        answer = await admin.command(platform.host, HOST, alloc(machine.uuid, machine.name, machine.definition()))
        assert_payload(answer, HOST, f"<virtualmachine jid='{machine.bare}'/>")
        assert_payload(await admin.command(machine.full, CONTROL, "<archipel action='create'/>"), CONTROL, "<domain id='*'/>")


async def test_rights_on_a_freed_machine_are_not_inherited(platform: Platform, admin: Person, student: Person, machine: Machine):
    await platform.grant(admin, machine.full, student, "all")
    await admin.command(platform.host, HOST, f"<archipel action='free' jid='{machine.bare}'/>")
    await admin.command(platform.host, HOST, alloc(machine.uuid, machine.name))
    own = f"<archipel action='getown' permission_type='user' permission_target='{student.bare}'/>"
    answer = await student.command(machine.full, PERMISSIONS, own)
    assert_error(answer, code=-1, condition="forbidden", namespace=PERMISSION)


async def test_a_machine_that_is_being_freed_says_so(platform: Platform, admin: Person, machine: Machine):
    free = admin.request(machine.full, f"<query xmlns='{CONTROL}'><archipel action='free'/></query>")
    keys = [admin.request(machine.full, f"<query xmlns='{CONTROL}'><archipel action='info'/></query>") for _ in range(30)]
    await admin.until(lambda: all(admin.answers(key) for key in (free, *keys)), "all answers")
    assert admin.answers(free)[0].get("type") == "result"
    for key in keys:
        [answer] = admin.answers(key)
        if answer.get("type") == "error":
            found = {part.tag.rpartition("}")[2] for part in child(answer, "error")}
            assert "service-unavailable" in found, show(answer)
            assert "freed" in error_text(answer) or "session" in error_text(answer), show(answer)
