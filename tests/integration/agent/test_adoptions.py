# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Existing domains are taken in and let go as they are, whatever they do meanwhile."""

from __future__ import annotations

import secrets
import uuid as uuids
from typing import Any

import libvirt
import pytest

from tests.wire.matching import assert_error, assert_payload, show
from tests.wire.person import Person, error_text
from tests.wire.platform import CONTROL, DEFINITION_XML, HOST, Machine, Platform
from tests.wire.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

DEVICES = (
    "<description>made by hand</description><devices>"
    "<disk type='file' device='disk'><source file='/srv/somewhere/else.img'/><target dev='vda' bus='virtio'/></disk>"
    "<hostdev mode='subsystem' type='usb'><source><vendor id='0x1234'/><product id='0xbeef'/></source></hostdev>"
    "<graphics type='vnc' port='-1' passwd='by-hand'/></devices>"
)


@pytest.fixture
def foreign(platform: Platform) -> Machine:
    """A domain that was made without the agent, with devices that no policy would let in."""
    machine = Machine(str(uuids.uuid4()), f"vm {secrets.token_hex(4)}", platform.domain)
    with platform.libvirt() as connection:
        connection.defineXML(DEFINITION_XML.format(name=machine.name, uuid=machine.uuid, more=DEVICES))
    return machine


def bring(domain: Any, state: str) -> None:
    if state != "off":
        domain.create()
    if state == "paused":
        domain.suspend()


def all_of(domain: Any) -> tuple[Any, ...]:
    """Everything that libvirt says of a domain."""
    secure = libvirt.VIR_DOMAIN_XML_SECURE
    return domain.XMLDesc(secure), domain.XMLDesc(secure | libvirt.VIR_DOMAIN_XML_INACTIVE), domain.state(), domain.ID(), domain.autostart()


async def order(platform: Platform, person: Person, action: str, *jids: str) -> Any:
    items = "".join(f"<item jid='{jid}'/>" for jid in jids)
    return await person.command(platform.host, HOST, f"<archipel action='{action}'>{items}</archipel>")


@pytest.mark.parametrize("state", ["off", "running", "paused"])
async def test_a_domain_is_byte_for_byte_the_same_before_during_and_after(platform: Platform, admin: Person, foreign: Machine, state: str):
    with platform.libvirt() as connection:
        domain = connection.lookupByUUIDString(foreign.uuid)
        bring(domain, state)
        before = all_of(domain)
        assert_payload(await order(platform, admin, "manage", foreign.bare), HOST, "")
        await admin.expect_shown(foreign.bare, *{"off": ("xa", "Off"), "running": (None, "Running"), "paused": ("away", "Paused")}[state])
        assert all_of(domain) == before
        assert_payload(await order(platform, admin, "unmanage", foreign.full), HOST, "")
        assert all_of(domain) == before
    assert foreign.uuid not in platform.accounts()
    assert platform.rows("SELECT * FROM virtual_machines WHERE uuid = ?", foreign.uuid) == []
    assert platform.rows("SELECT * FROM grants WHERE entity = ?", foreign.bare) == []


async def test_an_adopted_machine_obeys(platform: Platform, admin: Person, foreign: Machine):
    await order(platform, admin, "manage", foreign.uuid)
    await admin.expect_shown(foreign.bare, "xa", "Off")
    assert_payload(await admin.command(foreign.full, CONTROL, "<archipel action='create'/>"), CONTROL, "<domain id='*'/>")
    await admin.expect_shown(foreign.bare, None, "Running")


async def test_the_folder_of_an_adopted_machine_stays_when_it_is_freed(platform: Platform, admin: Person, foreign: Machine):
    folder = platform.agent.machines / foreign.uuid
    folder.mkdir(parents=True)
    (folder / "disk.img").write_text("not the agent's")
    await order(platform, admin, "manage", foreign.bare)
    answer = await admin.command(platform.host, HOST, f"<archipel action='free' jid='{foreign.bare}'/>")
    assert answer.get("type") == "result", show(answer)
    assert (folder / "disk.img").read_text() == "not the agent's"
    assert platform.definition_in_libvirt(foreign.uuid) is None


async def test_what_cannot_be_taken_in_is_named_and_the_others_are(platform: Platform, admin: Person, foreign: Machine, machine: Machine):
    nobody = f"{uuids.uuid4()}@{platform.domain}"
    answer = await order(platform, admin, "manage", nobody, foreign.bare, machine.bare, "no uuid")
    assert_error(answer, code=-9010, condition="undefined-condition", mentions=nobody, action="manage")
    for failed in (nobody, machine.bare, "no uuid"):
        assert failed in error_text(answer)
    assert foreign.bare not in error_text(answer)
    assert foreign.full in await platform.roster_of_machines(admin)
    assert machine.full in await platform.roster_of_machines(admin)


async def test_what_cannot_be_let_go_is_named_and_the_others_are(platform: Platform, admin: Person, foreign: Machine, machine: Machine):
    nobody = f"{uuids.uuid4()}@{platform.domain}"
    answer = await order(platform, admin, "unmanage", nobody, machine.bare, foreign.bare)
    assert_error(answer, code=-9011, condition="undefined-condition", mentions=nobody, action="unmanage")
    assert foreign.bare in error_text(answer)
    assert machine.bare not in error_text(answer)
    assert (await platform.roster_of_machines(admin))[machine.bare].get("managed") == "False"


async def test_a_machine_of_the_agents_own_can_be_let_go_and_taken_back(platform: Platform, admin: Person, machine: Machine):
    await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
    disk = platform.agent.machines / machine.uuid / "disk.img"
    disk.write_text("precious")
    old = platform.machine_passwords()[machine.uuid]
    for action in ("unmanage", "manage"):
        assert_payload(await order(platform, admin, action, machine.bare), HOST, "")
        with platform.libvirt() as connection:
            assert connection.lookupByUUIDString(machine.uuid).isActive() == 1
        assert disk.read_text() == "precious"
    assert platform.machine_passwords()[machine.uuid] != old
    assert_payload(await admin.command(machine.full, CONTROL, "<archipel action='destroy'/>"), CONTROL, "")


async def test_manage_of_one_domain_twice_at_once_takes_it_in_once(platform: Platform, admin: Person, foreign: Machine):
    request = f"<query xmlns='{HOST}'><archipel action='manage'><item jid='{foreign.bare}'/></archipel></query>"
    keys = [admin.request(platform.host, request) for _ in range(10)]
    await admin.until(lambda: all(admin.answers(key) for key in keys), "all answers")
    assert sorted(admin.answers(key)[0].get("type") or "" for key in keys) == ["error"] * 9 + ["result"]
    await admin.expect_shown(foreign.bare, "xa", "Off")
    assert len(platform.rows("SELECT * FROM virtual_machines WHERE uuid = ?", foreign.uuid)) == 1


async def test_a_running_domain_without_a_definition_is_taken_in_and_shown_gone_at_its_end(platform: Platform, admin: Person):
    machine = Machine(str(uuids.uuid4()), f"vm-{secrets.token_hex(4)}", platform.domain)
    with platform.libvirt() as connection:
        domain = connection.createXML(machine.definition())
        before = all_of(domain)[0]
        assert_payload(await order(platform, admin, "manage", machine.bare), HOST, "")
        await admin.expect_shown(machine.bare, None, "Running")
        assert all_of(domain)[0] == before
        domain.destroy()
    await admin.expect_shown(machine.bare, "xa", "Not defined")


async def test_all_unmanaged_domains_can_be_taken_in_by_one_request(platform: Platform, admin: Person):
    uuids_ = platform.libvirtd.define_domains(10, prefix=f"many-{secrets.token_hex(3)}")
    assert_payload(await order(platform, admin, "manage", *uuids_), HOST, "")
    roster = await platform.roster_of_machines(admin)
    assert {roster[f"{uuid}@{platform.domain}/hypervisor"].get("managed") for uuid in uuids_} == {"True"}
    for uuid in uuids_:
        await admin.expect_shown(f"{uuid}@{platform.domain}", "xa", "Off")
    assert_payload(await order(platform, admin, "unmanage", *uuids_), HOST, "")
    await eventually(lambda: platform.accounts().isdisjoint(uuids_))
