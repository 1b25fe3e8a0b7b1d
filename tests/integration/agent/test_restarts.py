# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent is stopped and started: everything comes back as it was."""

from __future__ import annotations

import asyncio
import uuid as uuids
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from testbed.certificates import Authority
from tests.wire.matching import assert_payload, assert_refused, child, text_of
from tests.wire.person import Person
from tests.wire.platform import ADMIN, CONTROL, DEFINITION, HOST, PERMISSIONS, Machine, Platform, open_platform
from tests.wire.waiting import DEADLINE, eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def platform(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A platform of these tests' own."""
    async with open_platform(tmp_path_factory.mktemp("restarts"), authority, "restarts.localhost") as platform:
        yield platform


@pytest_asyncio.fixture(loop_scope="session")
async def admin(platform: Platform) -> AsyncIterator[Person]:
    person = await platform.enter(ADMIN)
    await platform.meet_hypervisor(person)
    yield person
    await person.log_out()


async def restart(platform: Platform, admin: Person, *, gently: bool = True) -> None:
    """End the agent, in good order or not, and start it again."""
    await asyncio.to_thread(platform.agent.stop if gently else platform.agent.kill)
    if gently:
        await admin.until(lambda: admin.shown(platform.hypervisor) is None, "the hypervisor's leave")
    since = len(admin.received)
    await asyncio.to_thread(platform.agent.start)
    await admin.until(lambda: admin.presences(platform.hypervisor, since), "the hypervisor's presence")


@pytest.mark.parametrize("gently", [True, False], ids=["stopped", "killed"])
async def test_everything_is_as_it_was(platform: Platform, admin: Person, gently: bool):
    student = await platform.enter()
    running, off, undefined = [await platform.make_machine(admin, defined=number < 2) for number in range(3)]
    await admin.command(running.full, CONTROL, "<archipel action='create'/>")
    await platform.grant(admin, running.full, student, "info", "message")
    await platform.grant(admin, platform.host, student, "ip")
    await admin.command(platform.host, HOST, f"<archipel action='setorginfo' target='{off.uuid}'><ORGNAME>IUT</ORGNAME></archipel>")
    passwords = platform.machine_passwords()
    roster = {jid: dict(item.attrib) for jid, item in (await platform.roster_of_machines(admin)).items()}
    await restart(platform, admin, gently=gently)
    for machine, shown in ((running, (None, "Running")), (off, ("xa", "Off")), (undefined, ("xa", "Not defined"))):
        await admin.expect_shown(machine.bare, *shown)
    assert {jid: dict(item.attrib) for jid, item in (await platform.roster_of_machines(admin)).items()} == roster
    assert platform.machine_passwords() == passwords
    answer = await student.command(running.full, CONTROL, "<archipel action='info'/>", "get")
    assert child(child(answer, "query"), "info").get("state") == "1"
    assert_refused(await student.command(running.full, CONTROL, "<archipel action='create'/>"), "create")
    own = f"<archipel action='getown' permission_type='user' permission_target='{student.bare}'/>"
    assert_payload(await student.command(platform.host, PERMISSIONS, own), PERMISSIONS, "<permission name='ip'/>")
    card = await admin.ask_server(off.bare, "<vCard xmlns='vcard-temp'/>", "get")
    assert (text_of(card, "FN"), text_of(card, "ORGNAME")) == (off.name, "IUT")


async def test_a_leave_in_good_order_is_seen_by_everybody(platform: Platform, admin: Person):
    machine = await platform.make_machine(admin)
    await admin.expect_shown(machine.bare, "xa", "Off")
    await asyncio.to_thread(platform.agent.stop)
    await admin.until(lambda: admin.shown(machine.bare) is None, "the machine's leave")
    await asyncio.to_thread(platform.agent.start)
    await admin.expect_shown(machine.bare, "xa", "Off")


async def test_sequence_numbers_begin_anew_in_another_epoch(platform: Platform, admin: Person):
    machine = await platform.make_machine(admin)
    await admin.subscribe_to_events(machine.bare, platform.pubsub)
    await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
    before = await admin.expect_push(machine.bare, "virtualmachine:control", "created")
    await restart(platform, admin)
    await admin.expect_shown(machine.bare, None, "Running")
    since = len(admin.received)
    await admin.command(machine.full, CONTROL, "<archipel action='suspend'/>")
    after = await admin.expect_push(machine.bare, "virtualmachine:control", "suspended", since)
    assert before.epoch != after.epoch
    assert after.sequence == 1
    info = child(child(await admin.command(machine.full, CONTROL, "<archipel action='info'/>", "get"), "query"), "info")
    assert (info.get("epoch"), info.get("sequence")) == (after.epoch, "1")


@pytest.mark.parametrize("by", ["define", "setorginfo"])
async def test_a_new_name_survives(platform: Platform, admin: Person, by: str):
    machine = await platform.make_machine(admin)
    name = f"new {machine.name}"
    if by == "define":
        await admin.command(machine.full, DEFINITION, f"<archipel action='define'>{machine.definition(name=name)}</archipel>")
    else:
        await admin.command(platform.host, HOST, f"<archipel action='setorginfo' target='{machine.uuid}'><FN>{name}</FN></archipel>")
    await restart(platform, admin)
    await admin.expect_shown(machine.bare, "xa", "Off")
    assert (await platform.roster_of_machines(admin))[machine.full].get("name") == name
    assert name in await admin.say(machine.full, "hello")


async def test_what_changed_meanwhile_is_shown(platform: Platform, admin: Person):
    started, gone, renamed = [await platform.make_machine(admin) for _ in range(3)]
    await asyncio.to_thread(platform.agent.stop)
    with platform.libvirt() as connection:
        connection.lookupByUUIDString(started.uuid).create()
        connection.lookupByUUIDString(gone.uuid).undefine()
        connection.lookupByUUIDString(renamed.uuid).rename(f"new-{renamed.name}")
    await asyncio.to_thread(platform.agent.start)
    await admin.expect_shown(started.bare, None, "Running")
    await admin.expect_shown(gone.bare, "xa", "Not defined")
    await admin.expect_shown(renamed.bare, "xa", "Off")


async def test_an_account_that_the_server_lost_is_made_anew(platform: Platform, admin: Person):
    machine = await platform.make_machine(admin)
    await asyncio.to_thread(platform.agent.stop)
    platform.ejabberd.unregister(machine.uuid)
    await asyncio.to_thread(platform.agent.start)
    await admin.until(lambda: [got for got in admin.presences(platform.hypervisor)[-1:] if got.get("type") is None])

    async def answers() -> bool:
        answer = await admin.command(machine.full, CONTROL, "<archipel action='info'/>", "get")
        return answer.get("type") == "result"

    await eventually(answers)
    assert machine.uuid in platform.accounts()


async def test_a_second_agent_of_the_same_state_does_not_start(platform: Platform, admin: Person):
    """Two agents with one account would throw each other out of the server."""
    second = await asyncio.create_subprocess_exec(
        *platform.agent.command(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(DEADLINE):
            said, _ = await second.communicate()
    finally:
        if second.returncode is None:
            second.kill()
    assert second.returncode != 0
    assert b"another agent" in said
    assert b"Traceback" not in said
    assert "resting" not in platform.log
    assert await platform.roster_of_machines(admin) is not None


async def test_an_unfinished_request_does_not_keep_the_agent_from_stopping(platform: Platform, admin: Person):
    uuid = str(uuids.uuid4())
    machine = Machine(uuid, f"vm-{uuid[:8]}", platform.domain)
    alloc = "<query xmlns='{}'><archipel action='alloc' name='late-{}-{}'/></query>"
    asked = [admin.request(platform.host, alloc.format(HOST, number, uuid[:8])) for number in range(20)]
    await asyncio.to_thread(platform.agent.stop)
    assert platform.agent.pid is None
    await admin.until(lambda: all(admin.answers(key) for key in asked), "an answer to each, if only that none is known")
    await asyncio.to_thread(platform.agent.start)
    await admin.until(lambda: (admin.shown(platform.hypervisor) or ("", ""))[1].startswith("Online ("), "the hypervisor")
    assert machine.full not in await platform.roster_of_machines(admin)
    await admin.assert_one_answer_each()
