# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""archipel:hypervisor:vmcasting and archipel:virtualmachine:vmcasting on the wire (refusals: test_every_action.py)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.unit.agent.feed_house import FEED_UUID, ITEM_UUID, FeedHouse, open_feed_house, pack
from tests.wire.matching import assert_payload, child, show
from tests.wire.person import Person
from tests.wire.platform import DEFINITION_XML, Machine, Platform

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("one_answer_each")]

CASTS, APPLIANCE = "archipel:hypervisor:vmcasting", "archipel:virtualmachine:vmcasting"
DISK = "<devices><disk type='file'><driver type='raw'/><source file='/old/disk.raw'/><target dev='vda'/></disk></devices>"
OTHER = "99999999-1b7d-4c55-9a0e-3d2b1c4f5a69"
GOOD = {"description.xml": DEFINITION_XML.format(name="old", uuid=OTHER, more=DISK).encode(), "disk.raw": b"x" * 1_000_000}


@pytest.fixture
def house() -> Iterator[FeedHouse]:
    with open_feed_house() as house:
        house.offer(pack(GOOD))
        yield house


def files_below(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*")]


async def ask(person: Person, platform: Platform, action: str, more: str = "") -> ET.Element:
    answer = await person.command(platform.host, CASTS, f"<archipel action='{action}' {more}/>")
    assert answer.get("type") == "result", show(answer)
    return child(answer, "query")


async def do(person: Person, machine: Machine, action: str, more: str = "") -> ET.Element:
    answer = await person.command(machine.full, APPLIANCE, f"<archipel action='{action}' {more}/>")
    assert answer.get("type") == "result", show(answer)
    return child(answer, "query")


async def bring(admin: Person, platform: Platform, house: FeedHouse) -> None:
    """Register the feed and download what it offers."""
    before = len(admin.received)
    await ask(admin, platform, "register", f"url='{house.url}'")
    await admin.expect_push(platform.hypervisor, "vmcasting", "register", before)
    await ask(admin, platform, "downloadappliance", f"uuid='{ITEM_UUID}'")
    await admin.expect_push(platform.hypervisor, "vmcasting", "download_start", before)
    await admin.expect_push(platform.hypervisor, "vmcasting", "download_complete", before)


async def remove(admin: Person, platform: Platform) -> None:
    before = len(admin.received)
    await ask(admin, platform, "deleteappliance", f"uuid='{ITEM_UUID}'")
    await admin.expect_push(platform.hypervisor, "vmcasting", "appliancedeleted", before)
    await ask(admin, platform, "unregister", f"uuid='{FEED_UUID}'")
    await admin.expect_push(platform.hypervisor, "vmcasting", "unregister", before)


async def test_an_appliance_is_downloaded_installed_and_let_go(platform: Platform, admin: Person, house: FeedHouse):
    await bring(admin, platform, house)
    machine = await platform.make_machine(admin, defined=False)
    await admin.subscribe_to_events(machine.bare, platform.pubsub)
    assert f"web: none - {ITEM_UUID}" in await admin.say(machine.full, "list appliances")
    assert "replaces my definition" in await admin.say(machine.full, f"attach appliance {ITEM_UUID}")
    assert await admin.say(machine.full, "yes") == "I have begun."
    await admin.expect_push(machine.bare, "vmcasting", "applianceinstalling")
    await admin.expect_push(machine.bare, "vmcasting", "applianceinstalled")
    definition = ET.fromstring(platform.definition_in_libvirt(machine.uuid) or "")
    assert definition.findtext("name") == machine.name
    drive = platform.agent.machines / machine.uuid / "disk.raw"
    assert [source.get("file") for source in definition.iter("source")] == [str(drive)]
    assert drive.read_bytes() == GOOD["disk.raw"]
    assert [one.get("status") for one in await do(admin, machine, "get")] == ["installed"]
    assert await admin.say(machine.full, "detach appliance") == "I have forgotten which it was."
    await admin.expect_push(machine.bare, "vmcasting", "appliancedetached")
    await remove(admin, platform)
    assert_payload(await admin.command(platform.host, CASTS, "<archipel action='getinstalledappliances'/>"), CASTS, "")


async def test_a_download_and_an_installation_that_fail_say_so_and_leave_nothing(platform: Platform, admin: Person, house: FeedHouse):
    house.offer(pack({"../evil": b"x"}), sha256="0" * 64)
    before = len(admin.received)
    await ask(admin, platform, "register", f"url='{house.url}'")
    await ask(admin, platform, "downloadappliance", f"uuid='{ITEM_UUID}'")
    await admin.expect_push(platform.hypervisor, "vmcasting", "download_error", before)
    house.offer(pack({"../evil": b"x"}))
    await ask(admin, platform, "get")
    await ask(admin, platform, "downloadappliance", f"uuid='{ITEM_UUID}'")
    await admin.expect_push(platform.hypervisor, "vmcasting", "download_complete", before)
    machine = await platform.make_machine(admin)
    await admin.subscribe_to_events(machine.bare, platform.pubsub)
    await do(admin, machine, "attach", f"uuid='{ITEM_UUID}'")
    await admin.expect_push(machine.bare, "vmcasting", "applianceerror")
    assert files_below(platform.agent.machines / machine.uuid) == []
    assert "evil" not in files_below(platform.agent.folder)
    await remove(admin, platform)


async def test_a_machine_becomes_a_package_of_the_own_feed(platform: Platform, admin: Person):
    machine = await platform.make_machine(admin)
    await admin.subscribe_to_events(machine.bare, platform.pubsub)
    await do(admin, machine, "package", f"name='{machine.name}'")
    await admin.expect_push(machine.bare, "vmcasting", "packaging")
    await admin.expect_push(machine.bare, "vmcasting", "packaged")
    folder = platform.agent.folder / "vm" / "vmcasts"
    assert (folder / f"{machine.name}.xvm2").is_file()
    assert (folder / "rss.xml").is_file()


async def test_a_package_that_cannot_be_made_says_so_and_leaves_nothing(platform: Platform, admin: Person):
    machine = await platform.make_machine(admin)
    gone = f"{platform.agent.machines}/{machine.uuid}/gone.qcow2"
    more = DISK.replace("/old/disk.raw", gone).replace("raw", "qcow2", 1)
    request = f"<archipel action='define'>{machine.definition(more=more)}</archipel>"
    assert (await admin.command(machine.full, "archipel:vm:definition", request)).get("type") == "result"
    await admin.subscribe_to_events(machine.bare, platform.pubsub)
    await do(admin, machine, "package", f"name='{machine.name}'")
    await admin.expect_push(machine.bare, "vmcasting", "packagingerror")
    assert [name for name in files_below(platform.agent.folder / "vm" / "vmcasts") if machine.name in name] == []
