# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What entities show in contact lists: presences, vCards and their pictures, headlines."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import socket
from xml.etree import ElementTree as ET

import libvirt
import pytest

from tests.wire.matching import CLIENT, assert_payload, name_of, namespace_of, show, text_of
from tests.wire.person import Person
from tests.wire.platform import CONTROL, DEFINITION, HOST, Machine, Platform

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

UPDATE = "{vcard-temp:x:update}"
PNG = b"\x89PNG\r\n\x1a\n"


async def do(person: Person, address: str, namespace: str, request: str) -> None:
    answer = await person.command(address, namespace, request if request.startswith("<") else f"<archipel action='{request}'/>")
    assert answer.get("type") == "result", show(answer)


async def read_card(person: Person, bare: str) -> ET.Element:
    """The vCard, as any client reads it from the server."""
    answer = await person.ask_server(bare, "<vCard xmlns='vcard-temp'/>", "get")
    assert [(name_of(part), namespace_of(part)) for part in answer] == [("vCard", "vcard-temp")]
    return answer[0]


async def test_a_machine_shows_its_states(platform: Platform, admin: Person, machine: Machine):
    await admin.expect_shown(machine.bare, "xa", "Off")
    for action, show_, status in (
        ("create", None, "Running"),
        ("suspend", "away", "Paused"),
        ("resume", None, "Running"),
        ("shutdown", "xa", "Off"),
    ):
        await do(admin, machine.full, CONTROL, action)
        await admin.expect_shown(machine.bare, show_, status)
    await do(admin, machine.full, DEFINITION, "undefine")
    await admin.expect_shown(machine.bare, "xa", "Not defined")
    await do(admin, machine.full, DEFINITION, f"<archipel action='define'>{machine.definition()}</archipel>")
    await admin.expect_shown(machine.bare, "xa", "Off")


async def test_a_machine_without_definition_shows_that(platform: Platform, admin: Person):
    machine = await platform.make_machine(admin, defined=False)
    await admin.expect_shown(machine.bare, "xa", "Not defined")


async def test_a_presence_comes_from_the_full_jid_by_which_clients_group_machines(admin: Person, machine: Machine):
    await admin.expect_shown(machine.bare, "xa", "Off")
    assert {got.get("from") for got in admin.presences(machine.bare) if got.get("type") is None} == {machine.full}


async def test_the_hypervisor_counts_its_machines_and_says_when_it_is_busy(platform: Platform, admin: Person):
    def shown() -> list[str]:
        texts = [got.findtext(f"{{{CLIENT}}}status") or "" for got in admin.presences(platform.hypervisor) if got.get("type") is None]
        assert all(got.find(f"{{{CLIENT}}}show") is None for got in admin.presences(platform.hypervisor))
        return texts

    await platform.make_machine(admin)
    count = len(platform.rows("SELECT uuid FROM virtual_machines"))
    counted = re.compile(rf"Online \({count}\)( \u2014 no VT)?")
    await admin.until(lambda: counted.fullmatch(shown()[-1]), "the number of machines")
    assert shown()[-2] == "Online (Allocating vm...)"


@pytest.mark.parametrize("entity", ["hypervisor", "machine"])
async def test_a_vcard_says_what_the_entity_is(platform: Platform, admin: Person, machine: Machine, entity: str):
    bare, role, title, name = {
        "hypervisor": (platform.hypervisor, "hypervisor", "Hypervisor (TEST)", socket.gethostname()),
        "machine": (machine.bare, "virtualmachine", "Virtual machine (TEST)", machine.name),
    }[entity]
    card = await read_card(admin, bare)
    assert {key: text_of(card, key) for key in ("ROLE", "TITLE", "FN")} == {"ROLE": role, "TITLE": title, "FN": name}


@pytest.mark.parametrize("entity", ["hypervisor", "machine"])
async def test_the_photo_is_a_png_whose_hash_every_presence_bears(platform: Platform, admin: Person, machine: Machine, entity: str):
    bare = {"hypervisor": platform.hypervisor, "machine": machine.bare}[entity]
    await admin.until(lambda: admin.shown(bare))
    card = await read_card(admin, bare)
    photo = base64.b64decode(text_of(card, "BINVAL") or "")
    assert photo.startswith(PNG)
    assert text_of(card, "TYPE") == "image/png"
    digest = hashlib.sha1(photo).hexdigest()  # others may have chosen another picture before
    await admin.until(lambda: admin.presences(bare)[-1].findtext(f"{UPDATE}x/{UPDATE}photo") == digest, f"the hash {digest}")
    assert all(got.findtext(f"{UPDATE}x/{UPDATE}photo") for got in admin.presences(bare) if got.get("type") is None)


async def test_the_organisation_stands_in_the_vcard_at_some_depth(platform: Platform, admin: Person):
    fields = {"orgname": "IUT", "orgunit": "R&T", "locality": "Annecy", "userid": "t@example.org", "categories": "lab"}
    attributes = " ".join(f"{key}='{value.replace('&', '&amp;')}'" for key, value in fields.items())
    answer = await admin.command(platform.host, HOST, f"<archipel action='alloc' name='vm-{secrets.token_hex(4)}' {attributes}/>")
    assert_payload(answer, HOST, "<virtualmachine jid='*'/>")
    card = await read_card(admin, answer[0][0].get("jid") or "")
    found = {key: text_of(card, key) for key in ("ORGNAME", "ORGUNIT", "LOCALITY", "USERID")}
    assert found == {"ORGNAME": "IUT", "ORGUNIT": "R&T", "LOCALITY": "Annecy", "USERID": "t@example.org"}
    assert "lab" in [part.text for part in card.iter()]


async def test_a_changed_vcard_is_announced_by_a_presence(platform: Platform, admin: Person, machine: Machine):
    await admin.expect_shown(machine.bare, "xa", "Off")
    before = len(admin.received)
    await do(admin, platform.host, HOST, f"<archipel action='setorginfo' target='{machine.uuid}'><ORGNAME>IUT</ORGNAME></archipel>")
    got = (await admin.until(lambda: admin.presences(machine.bare, before)))[0]
    assert "delay" not in {name_of(part) for part in got}
    assert text_of(await read_card(admin, machine.bare), "ORGNAME") == "IUT"


async def test_changes_behind_the_agents_back_show_at_once(platform: Platform, admin: Person, machine: Machine):
    await admin.expect_shown(machine.bare, "xa", "Off")
    with platform.libvirt() as connection:
        domain = connection.lookupByUUIDString(machine.uuid)
        for change, show_, status in (
            (domain.create, None, "Running"),
            (domain.suspend, "away", "Paused"),
            (domain.resume, None, "Running"),
        ):
            change()
            await admin.expect_shown(machine.bare, show_, status)
        domain.destroy()
        await admin.expect_shown(machine.bare, "xa", "Off")
        assert domain.state()[0] == libvirt.VIR_DOMAIN_SHUTOFF


@pytest.mark.usefixtures("usual_news")
async def test_everybody_in_the_roster_is_told_of_new_and_freed_machines(platform: Platform, admin: Person):
    before = len(admin.received)
    machine = await platform.make_machine(admin)
    await do(admin, platform.host, HOST, f"<archipel action='free' jid='{machine.bare}'/>")
    heard = await admin.until(lambda: len(found := admin.heard(platform.hypervisor, before, "headline")) >= 2 and found)
    bodies = [got.findtext(f"{{{CLIENT}}}body") or "" for got in heard]
    assert all(machine.name in body and admin.bare in body for body in bodies), bodies
