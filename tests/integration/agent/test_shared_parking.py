# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two hosts share a folder for parked machines: what one parks the other lists, brings back, edits, deletes, whoever is dead."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import pytest_asyncio

from testbed.certificates import Authority
from testbed.libvirtd import TestLibvirtd
from tests.documentation import read_talks
from tests.wire.actions.parking import PARKING
from tests.wire.matching import assert_error, child, show
from tests.wire.person import Person
from tests.wire.platform import CONTROL, PERMISSIONS, Machine
from tests.wire.two_hypervisors import SHARED, House, Pair, open_pair
from tests.wire.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")
LINK = "44444444-4444-4444-8444-444444444444"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    folder = tmp_path_factory.mktemp("shelf")
    shared_folder(folder).mkdir(mode=0o700)
    options = {("VMPARKING", "shared_folder"): str(shared_folder(folder))}
    with TestLibvirtd() as first, TestLibvirtd() as second:
        async with open_pair(folder, authority, "shelf.localhost", (first, second), options=options) as pair:
            for house in pair.both:
                await pair.admin.subscribe_to_events(house.hypervisor, house.pubsub)
            yield pair
            for house in pair.both:
                assert house.leaked_passwords() == []
                assert "Traceback" not in house.log, house.log


def shared_folder(folder: Path) -> Path:
    return folder / "parking"


def drives(pair: Pair) -> Path:
    return pair.first.agent.folder.parent / SHARED / "drives"


@pytest.fixture
def shelf(pair: Pair) -> Path:
    return shared_folder(pair.first.agent.folder.parent)


async def ask(house: House, person: Person, action: str, machine: Machine, name: str = "identifier") -> ET.Element:
    return await person.command(house.host, PARKING, f"<archipel action='{action}'><item {name}='{machine.uuid}'/></archipel>")


async def park(house: House, admin: Person, machine: Machine) -> None:
    answer = await ask(house, admin, "park", machine, "uuid")
    assert answer.get("type") == "result", show(answer)


async def unpark(pair: Pair, house: House, machine: Machine) -> None:
    answer = await ask(house, pair.admin, "unpark", machine)
    assert answer.get("type") == "result", show(answer)
    await eventually(lambda: house.phase(machine.uuid) == "active", "it is managed")
    await eventually(lambda: pair.sessions(machine) == [house.name], "its account is served")


async def listed(house: House, person: Person, machine: Machine) -> ET.Element | None:
    answer = await person.command(house.host, PARKING, f"<archipel action='list' filter='{machine.name}'/>", "get")
    assert answer.get("type") == "result", show(answer)
    return next((item for item in child(answer, "query") if item.get("uuid") == machine.uuid), None)


def places(pair: Pair, shelf: Path, machine: Machine) -> list[str]:
    """Where anything of a machine is: in which database, in which libvirt, in which file."""
    found = [path.name.removeprefix(f"{machine.uuid}.") for path in shelf.glob(f"{machine.uuid}.*")]
    for house in pair.both:
        parked = house.rows("SELECT state FROM parked_machines WHERE uuid = ?", machine.uuid)
        found += [f"{house.name} {what}" for what in (house.phase(machine.uuid), *(state for (state,) in parked)) if what]
        found += [f"{house.name} libvirt"] if machine.uuid in house.domains else []
    return found


async def test_a_machine_goes_through_the_shared_folder_with_all_that_is_known_of_it(pair: Pair, shelf: Path):
    first, second, admin = pair.first, pair.second, pair.admin
    machine = await first.make_machine(admin)
    student = await first.enter()
    await first.grant(admin, first.address_of(machine), student, "info", "domain_policy_bypass")
    await admin.command(first.address_of(machine), CONTROL, "<archipel action='autostart' value='1'/>")
    (drives(pair) / machine.uuid / "disk.img").write_text("disk")
    rights, account = first.grants(machine), first.machine_passwords()[machine.uuid]
    definition = first.definition_in_libvirt(machine.uuid)

    await park(first, admin, machine)
    assert places(pair, shelf, machine) == ["parked"]
    for house in pair.both:
        item = await listed(house, admin, machine)
        assert item is not None
        assert (item.get("parker"), account in show(item)) == (admin.bare, False)
        assert house.grants(machine) == []

    since = len(admin.received)
    await unpark(pair, second, machine)
    await admin.expect_push(second.hypervisor, "vmparking", "unparked", since)
    assert places(pair, shelf, machine) == ["second active", "second libvirt"]
    assert (second.definition_in_libvirt(machine.uuid), second.grants(machine)) == (definition, rights)
    assert second.machine_passwords()[machine.uuid] == account
    info = await student.command(second.address_of(machine), CONTROL, "<archipel action='info'/>", "get")
    assert child(child(info, "query"), "info").get("autostart") == "1"
    assert await listed(first, admin, machine) is None


async def test_it_comes_back_although_the_host_that_parked_it_is_dead(pair: Pair, shelf: Path):
    machine = await pair.first.make_machine(pair.admin)
    await park(pair.first, pair.admin, machine)
    pair.first.agent.kill()
    try:
        await unpark(pair, pair.second, machine)
        started = await pair.admin.command(pair.second.address_of(machine), CONTROL, "<archipel action='create'/>")
        assert started.get("type") == "result"
    finally:
        await asyncio.to_thread(pair.first.agent.start)
    await pair.first.meet_hypervisor(pair.admin)
    assert await listed(pair.first, pair.admin, machine) is None
    assert places(pair, shelf, machine) == ["second active", "second libvirt"]


async def test_the_other_host_edits_it_and_deletes_it(pair: Pair, shelf: Path):
    machine = await pair.first.make_machine(pair.admin)
    folder = drives(pair) / machine.uuid
    assert folder.is_dir()
    await park(pair.first, pair.admin, machine)
    changed = machine.definition().replace("65536", "32768")
    edit = f"<archipel action='edit_definition' identifier='{machine.uuid}'>{changed}</archipel>"
    answer = await pair.admin.command(pair.second.host, PARKING, edit)
    assert answer.get("type") == "result", show(answer)
    item = await listed(pair.first, pair.admin, machine)
    assert item is not None
    assert (places(pair, shelf, machine), "32768" in show(item)) == (["parked"], True)

    since = len(pair.admin.received)
    assert (await ask(pair.second, pair.admin, "delete", machine)).get("type") == "result"
    await pair.admin.expect_push(pair.second.hypervisor, "vmparking", "deleted", since)
    assert (places(pair, shelf, machine), folder.exists(), machine.uuid in pair.first.accounts()) == ([], False, False)


async def test_the_right_counts_where_it_is_unparked(pair: Pair, shelf: Path):
    machine = await pair.first.make_machine(pair.admin)
    student = await pair.first.enter()
    await pair.first.grant(pair.admin, pair.first.host, student, "vmparking_unpark")
    await park(pair.first, pair.admin, machine)
    refused = await ask(pair.second, student, "unpark", machine)
    assert (refused.get("type"), "forbidden" in show(refused)) == ("error", True), show(refused)
    assert places(pair, shelf, machine) == ["parked"]
    await pair.second.grant(pair.admin, pair.second.host, student, "vmparking_unpark")
    assert (await ask(pair.second, student, "unpark", machine)).get("type") == "result"
    await eventually(lambda: places(pair, shelf, machine) == ["second active", "second libvirt"])
    rights = f"<archipel action='get' permission_type='user' permission_target='{student.bare}'/>"
    assert "permission " not in show(await pair.admin.command(pair.second.address_of(machine), PERMISSIONS, rights))


async def test_two_hosts_that_want_it_at_once_do_not_both_get_it(pair: Pair, shelf: Path):
    machine = await pair.first.make_machine(pair.admin)
    for _ in range(3):
        holder = next(house for house in pair.both if house.phase(machine.uuid))
        await park(holder, pair.admin, machine)
        await asyncio.gather(*(ask(house, pair.admin, "unpark", machine) for house in pair.both))
        await eventually(lambda: is_managed(pair, shelf, machine), "one has it")


async def test_what_is_in_the_folder_and_does_not_belong_there_hinders_nobody(pair: Pair, shelf: Path):
    machine = await pair.first.make_machine(pair.admin)
    await park(pair.first, pair.admin, machine)
    whole = json.loads((shelf / f"{machine.uuid}.parked").read_text())
    hostile = {
        "11111111-1111-4111-8111-111111111111": "{",
        "22222222-2222-4222-8222-222222222222": json.dumps(whole),
        "33333333-3333-4333-8333-333333333333": json.dumps({**whole, "version": 99}),
    }
    for uuid, text in hostile.items():
        (shelf / f"{uuid}.parked").write_text(text)
        (shelf / f"{uuid}.parked").chmod(0o600)
    (shelf / f"{LINK}.parked").symlink_to("/etc/passwd")
    assert await listed(pair.second, pair.admin, machine) is not None
    answer = await pair.admin.command(
        pair.second.host, PARKING, f"<archipel action='unpark'><item identifier='{next(iter(hostile))}'/></archipel>"
    )
    assert_error(answer, code=-11003, condition="conflict", action="unpark")
    for uuid in (*hostile, LINK):
        (shelf / f"{uuid}.parked").unlink()
    assert pair.second.log.count("is no plain file: it is left out") == 1


async def test_what_the_page_says_in_a_chat_brings_a_machine_to_another_host(pair: Pair, root: Path):
    machine = await pair.first.make_machine(pair.admin)
    await park(pair.first, pair.admin, machine)
    said = next(said for talk in read_talks(root / "docs" / "parking.md") for said in talk if said.words.startswith("unpark"))
    assert await pair.admin.say(pair.second.host, said.words.replace("db", machine.name)) == said.answer
    await eventually(lambda: pair.second.phase(machine.uuid) == "active")


# -- agents are killed --------------------------------------------------------------------------------------------------

ROUNDS, MACHINES, LONGEST_LIFE = 3, 4, 0.6


def is_whole(pair: Pair, shelf: Path, machine: Machine) -> bool:
    """Whether a machine is in one place, and its account served there alone."""
    return is_managed(pair, shelf, machine) or (places(pair, shelf, machine) == ["parked"] and pair.sessions(machine) == [])


def is_managed(pair: Pair, shelf: Path, machine: Machine) -> bool:
    """Whether a machine is at one host, whole, and nowhere else."""
    place = places(pair, shelf, machine)
    return any(place == [f"{house.name} active", f"{house.name} libvirt"] and pair.sessions(machine) == [house.name] for house in pair.both)


async def shuttle(pair: Pair, machine: Machine, chance: random.Random) -> None:
    """Park a machine and bring it back at either host, again and again; what is refused meanwhile is asked again."""
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            house = chance.choice(pair.both)
            await ask(house, pair.admin, "park", machine, "uuid")
            await ask(chance.choice(pair.both), pair.admin, "unpark", machine)


async def bring_back(pair: Pair, shelf: Path, machine: Machine) -> bool:
    """Have a machine unparked that is parked; what was asked for before may still be under way. Return whether it is managed."""
    if places(pair, shelf, machine) == ["parked"]:
        await ask(pair.first, pair.admin, "unpark", machine)
    return is_managed(pair, shelf, machine)


async def test_a_machine_is_in_one_place_wherever_an_agent_was_killed(pair: Pair, shelf: Path):
    chance = random.Random(5)
    machines = [await pair.first.make_machine(pair.admin) for _ in range(MACHINES)]
    rights = {machine.uuid: pair.first.grants(machine) for machine in machines}
    seen: set[str] = set()
    for number in range(ROUNDS):
        victim = pair.both[number % 2]
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(shuttle(pair, machine, chance)) for machine in machines]
            await asyncio.sleep(chance.uniform(0.1, LONGEST_LIFE))
            victim.agent.kill()
            seen.update(place for machine in machines for place in places(pair, shelf, machine))
            for worker in workers:
                worker.cancel()
        await asyncio.to_thread(victim.agent.start)
        for machine in machines:
            await eventually(lambda: is_whole(pair, shelf, machine), f"{machine} in one place", 60)  # noqa: B023 - called in this very turn
    for machine in machines:
        await eventually(lambda: bring_back(pair, shelf, machine), f"{machine} managed", 60)  # noqa: B023 - as above
        [house] = [house for house in pair.both if house.phase(machine.uuid)]
        assert house.grants(machine) == rights[machine.uuid]
    assert len(seen) > 2, seen
