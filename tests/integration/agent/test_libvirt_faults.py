# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt's daemon ends and comes back; with the test driver its world is then a new one, without any domain."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid as uuids
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from testbed.certificates import Authority
from tests.wire.matching import assert_error, assert_payload, child, show
from tests.wire.person import Person
from tests.wire.platform import ADMIN, CONTROL, DEFINITION, DEFINITION_XML, HOST, PERMISSIONS, Machine, Platform, open_platform
from tests.wire.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOST = ("dnd", "Libvirt connection lost")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def platform(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A platform whose libvirt these tests break and mend again."""
    async with open_platform(tmp_path_factory.mktemp("libvirt"), authority, "libvirt.localhost") as platform:
        await platform.meet_hypervisor(await platform.enter(ADMIN))
        yield platform


@pytest.fixture
def admin(platform: Platform) -> Person:
    return platform.people[0]


@pytest_asyncio.fixture(loop_scope="session")
async def outage(platform: Platform, admin: Person) -> AsyncIterator[list[Machine]]:
    """libvirt is gone, for two machines that ran; afterwards it is back."""
    machines = [await platform.make_machine(admin) for _ in range(2)]
    for machine in machines:
        await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
    platform.libvirtd.kill()
    for bare in (platform.hypervisor, *(machine.bare for machine in machines)):
        await admin.expect_shown(bare, *LOST)
    yield machines
    if platform.libvirtd.pid is None:
        await asyncio.to_thread(platform.libvirtd.start)
    await admin.until(lambda: (admin.shown(platform.hypervisor) or ("", ""))[1].startswith("Online"), "the hypervisor")


async def test_all_show_it_and_show_again_what_is_when_it_is_back(platform: Platform, admin: Person, outage: list[Machine]):
    await asyncio.to_thread(platform.libvirtd.start)
    for machine in outage:
        await admin.expect_shown(machine.bare, "xa", "Not defined")
    await admin.until(lambda: (admin.shown(platform.hypervisor) or ("", ""))[1].startswith("Online ("), "the hypervisor")
    machine = outage[0]
    define = f"<archipel action='define'>{machine.definition()}</archipel>"
    assert_payload(await admin.command(machine.full, DEFINITION, define), DEFINITION, "")
    assert_payload(await admin.command(machine.full, CONTROL, "<archipel action='create'/>"), CONTROL, "<domain id='*'/>")
    await admin.expect_shown(machine.bare, None, "Running")


async def test_what_needs_libvirt_is_an_error_at_once(platform: Platform, admin: Person, outage: list[Machine]):
    machine = outage[0]
    cases = [
        *((machine.full, CONTROL, f"<archipel action='{action}' value='40000'/>") for action in (
            "info", "create", "shutdown", "destroy", "reboot", "suspend", "resume", "xmldesc", "autostart", "memory", "networkinfo", "free",
        )),
        (machine.full, DEFINITION, f"<archipel action='define'>{machine.definition()}</archipel>"),
        (machine.full, DEFINITION, "<archipel action='undefine'/>"),
        (machine.full, DEFINITION, "<archipel action='capabilities'/>"),
        (platform.host, HOST, "<archipel action='rostervm'/>"),
        (platform.host, HOST, "<archipel action='capabilities'/>"),
        (platform.host, HOST, "<archipel action='nodeinfo'/>"),
        (platform.host, HOST, f"<archipel action='free' jid='{machine.bare}'/>"),
    ]  # fmt: skip
    for address, namespace, request in cases:
        asked = request.replace("40000", "1") if "autostart" in request else request
        answer = await admin.command(address, namespace, asked)
        assert_error(answer, code=503, condition="service-unavailable", mentions="libvirt")
    await admin.assert_one_answer_each()


async def test_what_does_not_need_libvirt_still_works(platform: Platform, admin: Person, outage: list[Machine]):
    for address in (platform.host, outage[0].full):
        answer = await admin.command(address, PERMISSIONS, "<archipel action='list'/>", "get")
        assert answer.get("type") == "result", show(answer)
    assert_payload(await admin.command(platform.host, HOST, "<archipel action='ip'/>", "get"), HOST, "<ip>*</ip>")


@pytest.mark.parametrize("defined", [False, True])
async def test_no_machine_is_made_meanwhile_and_nothing_is_left_of_the_attempt(
    platform: Platform, admin: Person, outage: list[Machine], defined: bool
):
    uuid = str(uuids.uuid4())
    inner = DEFINITION_XML.format(name="never", uuid=uuid, more="") if defined else ""
    answer = await admin.command(platform.host, HOST, f"<archipel action='alloc' name='never' uuid='{uuid}'>{inner}</archipel>")
    assert_error(answer, code=503, condition="service-unavailable", mentions="libvirt", action="alloc")
    assert platform.rows("SELECT * FROM virtual_machines WHERE uuid = ?", uuid) == []
    assert uuid not in platform.accounts()
    assert not (platform.agent.machines / uuid).exists()


async def test_a_machine_that_could_not_be_freed_is_as_it_was(platform: Platform, admin: Person, outage: list[Machine]):
    machine = outage[0]
    disk = platform.agent.machines / machine.uuid / "disk.img"
    disk.write_text("precious")
    answer = await admin.command(platform.host, HOST, f"<archipel action='free' jid='{machine.bare}'/>")
    assert answer.get("type") == "error"
    await asyncio.to_thread(platform.libvirtd.start)
    await admin.expect_shown(machine.bare, "xa", "Not defined")
    assert disk.read_text() == "precious"
    assert platform.rows("SELECT phase FROM virtual_machines WHERE uuid = ?", machine.uuid) == [("active",)]
    assert machine.full in await platform.roster_of_machines(admin)


async def test_a_daemon_that_hangs_does_not_take_the_agent_with_it(platform: Platform, admin: Person):
    """What does not need libvirt is answered; what does waits for its deadline, and works again as soon as libvirt does."""
    machine = await platform.make_machine(admin)
    pid = platform.libvirtd.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        waiting = admin.request(machine.full, f"<query xmlns='{CONTROL}'><archipel action='create'/></query>")
        for _ in range(20):
            answer = await admin.command(machine.full, PERMISSIONS, "<archipel action='list'/>", "get")
            assert answer.get("type") == "result"
        assert admin.answers(waiting) == []
    finally:
        os.kill(pid, signal.SIGCONT)
    [answer] = await admin.until(lambda: admin.answers(waiting), "the answer that waited")
    assert_payload(answer, CONTROL, "<domain id='*'/>")


async def test_an_agent_that_starts_without_libvirt_says_so_and_waits_for_it(platform: Platform, admin: Person):
    machine = await platform.make_machine(admin)
    await asyncio.to_thread(platform.agent.stop)
    await asyncio.to_thread(platform.libvirtd.stop)
    start = asyncio.create_task(asyncio.to_thread(platform.agent.start))
    await admin.until(lambda: admin.shown(machine.bare) == LOST, "the machine without libvirt")
    await start
    await asyncio.to_thread(platform.libvirtd.start)
    await admin.expect_shown(machine.bare, "xa", "Not defined")
    info = await admin.command(machine.full, CONTROL, "<archipel action='info'/>", "get")
    assert list(child(info, "query")) == []


async def test_libvirt_that_restarts_many_times_is_found_again_each_time(platform: Platform, admin: Person):
    machine = await platform.make_machine(admin)
    for _ in range(3):
        await asyncio.to_thread(platform.libvirtd.restart)
        with platform.libvirt() as connection:
            connection.defineXML(machine.definition()).create()

        async def running() -> bool:
            answer = await admin.command(machine.full, CONTROL, "<archipel action='info'/>", "get")
            return answer.get("type") == "result" and [info.get("state") for info in child(answer, "query")] == ["1"]

        await eventually(running)
        await admin.expect_shown(machine.bare, None, "Running")
    assert "Traceback" not in platform.log
