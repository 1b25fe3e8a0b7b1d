# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What libvirt did unseen, or after its time, is put right: nothing half made stays, and a machine has one name."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import sqlite3
import uuid as uuids
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from testbed.certificates import Authority
from tests.wire.matching import assert_error, assert_payload, show
from tests.wire.person import Person, error_text
from tests.wire.platform import ADMIN, HOST, Machine, Platform, open_platform
from tests.wire.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def platform(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A platform whose agent gives libvirt little time."""
    options = {("GLOBAL", "libvirt_change_timeout"): "1"}
    async with open_platform(tmp_path_factory.mktemp("recovery"), authority, "recovery.localhost", options) as platform:
        await platform.meet_hypervisor(await platform.enter(ADMIN))
        yield platform
        assert "Traceback" not in platform.log, platform.log


@pytest.fixture
def admin(platform: Platform) -> Person:
    return platform.people[0]


@pytest.fixture
def fresh(platform: Platform) -> Machine:
    """A machine that is not there yet."""
    return Machine(str(uuids.uuid4()), f"vm-{secrets.token_hex(4)}", platform.domain)


@contextlib.contextmanager
def halted(pid: int | None) -> Iterator[None]:
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def alloc(machine: Machine) -> str:
    return f"<archipel action='alloc' name='{machine.name}' uuid='{machine.uuid}'>{machine.definition()}</archipel>"


def rows_of(platform: Platform, machine: Machine) -> list[tuple[str, str]]:
    return platform.rows("SELECT name, phase FROM virtual_machines WHERE uuid = ?", machine.uuid)


def is_gone(platform: Platform, machine: Machine) -> bool:
    """Whether nothing is left of a machine anywhere."""
    left = rows_of(platform, machine) or platform.definition_in_libvirt(machine.uuid) or machine.uuid in platform.accounts()
    return not left and not (platform.agent.machines / machine.uuid).exists()


async def begin_to_define(platform: Platform, admin: Person, machine: Machine) -> str:
    """Have a machine made, and return when its folder is there: its definition comes next."""
    key = admin.request(platform.host, f"<query xmlns='{HOST}'>{alloc(machine)}</query>")
    folder = platform.agent.machines / machine.uuid
    while not folder.exists():  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(0.0002)
    return key


async def test_a_machine_is_made_whole_or_not_at_all_while_libvirt_is_halted(platform: Platform, admin: Person):
    """Whenever libvirt is halted during the making: it is whole, or an error and in the end nothing."""
    for attempt in range(4):
        machine = Machine(str(uuids.uuid4()), f"late-{attempt}", platform.domain)
        key = await begin_to_define(platform, admin, machine)
        await asyncio.sleep(0.0015 * attempt)
        with halted(platform.libvirtd.pid):
            await asyncio.sleep(1.5)
        [answer] = await admin.until(lambda key=key: admin.answers(key), "the answer")
        if answer.get("type") == "result":
            assert rows_of(platform, machine) == [(machine.name, "active")]
            assert platform.definition_in_libvirt(machine.uuid) is not None
        else:
            assert "libvirt" in error_text(answer), show(answer)
            await eventually(lambda machine=machine: is_gone(platform, machine), "what is left of it")


async def test_a_definition_under_way_while_the_agent_is_killed_is_removed_again(platform: Platform, admin: Person, fresh: Machine):
    await begin_to_define(platform, admin, fresh)
    with halted(platform.libvirtd.pid):
        await asyncio.sleep(0.1)
        platform.agent.kill()
    await asyncio.to_thread(platform.agent.start)
    await eventually(lambda: is_gone(platform, fresh) or rows_of(platform, fresh) == [(fresh.name, "active")])
    assert is_gone(platform, fresh) or platform.definition_in_libvirt(fresh.uuid) is not None


async def test_a_name_that_changed_while_the_agent_was_away_is_the_machines(platform: Platform, admin: Person):
    machine = await platform.make_machine(admin)
    platform.agent.kill()
    name = f"renamed-{secrets.token_hex(3)}"
    with platform.libvirt() as connection:
        connection.lookupByUUIDString(machine.uuid).rename(name, 0)
    await asyncio.to_thread(platform.agent.start)
    await eventually(lambda: rows_of(platform, machine) == [(name, "active")])

    async def is_listed() -> bool:
        item = (await platform.roster_of_machines(admin))[machine.full]
        return item.get("name") == name

    assert await eventually(is_listed)


async def test_a_name_that_only_the_database_has_is_given_up(platform: Platform, admin: Person):
    """As a crash leaves it between the store and libvirt."""
    machine = await platform.make_machine(admin)
    await asyncio.to_thread(platform.agent.stop)
    with contextlib.closing(sqlite3.connect(platform.agent.database)) as database, database:
        database.execute("UPDATE virtual_machines SET name = 'never', name_key = 'never' WHERE uuid = ?", (machine.uuid,))
    await asyncio.to_thread(platform.agent.start)
    assert await eventually(lambda: rows_of(platform, machine) == [(machine.name, "active")])


async def test_kept_disks_are_not_for_whoever_knows_the_uuid(platform: Platform, admin: Person):
    owner, other = await platform.enter(), await platform.enter()
    for student in (owner, other):
        await platform.grant(admin, platform.host, student, "alloc")
    machine = await platform.make_machine(owner)
    disk = platform.agent.machines / machine.uuid / "exam.qcow2"
    disk.write_text("precious")
    answer = await admin.command(platform.host, HOST, f"<archipel action='free' jid='{machine.bare}' keep='disks'/>")
    assert answer.get("type") == "result", show(answer)
    answer = await other.command(platform.host, HOST, alloc(machine))
    assert_error(answer, code=-9001, condition="conflict", mentions="leave the UUID out", action="alloc")
    assert (disk.read_text(), rows_of(platform, machine)) == ("precious", [])
    answer = await owner.command(platform.host, HOST, alloc(machine))
    assert_payload(answer, HOST, f"<virtualmachine jid='{machine.bare}'/>")
    assert disk.read_text() == "precious"


async def test_names_that_differ_in_letter_case_only_are_one(platform: Platform, admin: Person, fresh: Machine):
    with platform.libvirt() as connection:
        domain = connection.defineXML(fresh.definition().replace(fresh.uuid, str(uuids.uuid4())))
        answer = await admin.command(platform.host, HOST, alloc(Machine(fresh.uuid, fresh.name.upper(), fresh.domain)))
        domain.undefine()
    assert_error(answer, code=-9001, condition="conflict", mentions="taken", action="alloc")
    assert is_gone(platform, fresh)
