# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The XMPP server crashes, goes away, comes back, or says that somebody else uses the account."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from testbed.certificates import Authority
from tests.wire.matching import assert_payload
from tests.wire.platform import ADMIN, CONTROL, Platform, open_platform
from tests.wire.server_kills import assert_all_answer, assert_survives_server_kills
from tests.wire.waiting import eventually

STUBBORN = 4.0  # seconds in which an agent that fights for its account would have come back


@pytest.fixture
async def platform(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A platform of the test's own, whose server it may break."""
    async with open_platform(tmp_path_factory.mktemp("server"), authority, "faults.localhost") as platform:
        yield platform


async def test_a_server_that_is_killed_three_times_under_load(platform: Platform):
    await assert_survives_server_kills(platform, machines=15, rounds=3, seed=1)


async def test_a_server_that_stays_away_for_a_while(platform: Platform):
    """Machines go on meanwhile; what became of them is shown when it is back."""
    admin = await platform.enter(ADMIN)
    await platform.meet_hypervisor(admin)
    machines = [await platform.make_machine(admin) for _ in range(5)]
    await asyncio.to_thread(platform.ejabberd.stop)
    await asyncio.sleep(2.5)  # longer than the agent takes between two tries
    with platform.libvirt() as connection:
        for machine in machines:
            connection.lookupByUUIDString(machine.uuid).create()
    await asyncio.to_thread(platform.ejabberd.start)
    admin = await platform.enter(ADMIN)
    await assert_all_answer(platform, admin, machines)
    assert platform.log.count("XMPP server is down") == 1, "one line when it goes ..."
    assert platform.log.count("XMPP server is back") == 1, "... and one when it comes"


async def test_an_agent_that_starts_before_the_server_waits_for_it(platform: Platform):
    admin = await platform.enter(ADMIN)
    await platform.meet_hypervisor(admin)
    machine = await platform.make_machine(admin)
    await admin.command(machine.full, CONTROL, "<archipel action='create'/>")
    await asyncio.to_thread(platform.agent.stop)
    await asyncio.to_thread(platform.ejabberd.stop)
    start = asyncio.create_task(asyncio.to_thread(platform.agent.start))
    await eventually(lambda: platform.agent.pid)
    await asyncio.sleep(2)
    await asyncio.to_thread(platform.ejabberd.start)
    await start
    assert platform.host in platform.ejabberd.call("connected_users"), "started means: can be talked to"
    admin = await platform.enter(ADMIN)
    await assert_all_answer(platform, admin, [machine])


@pytest.mark.parametrize("entity", ["hypervisor", "machine"])
async def test_an_entity_whose_account_another_uses_rests_and_does_not_fight(platform: Platform, entity: str):
    admin = await platform.enter(ADMIN)
    await platform.meet_hypervisor(admin)
    machine = await platform.make_machine(admin)
    other = await platform.make_machine(admin)
    platform.passwords |= platform.machine_passwords()
    full = {"hypervisor": platform.host, "machine": machine.full}[entity]
    intruder = await platform.enter(full.partition("@")[0], resource=full.partition("/")[2])
    await eventually(lambda: "logged in elsewhere" in platform.log)
    await asyncio.sleep(STUBBORN)
    assert not intruder.lost.done(), "the agent threw the other out again"
    assert platform.log.count("logged in elsewhere") == 1
    assert_payload(await admin.command(other.full, CONTROL, "<archipel action='create'/>"), CONTROL, "<domain id='*'/>")


async def test_an_agent_whose_password_was_changed_says_so_and_does_not_hammer(platform: Platform):
    admin = await platform.enter(ADMIN)
    await platform.meet_hypervisor(admin)
    platform.ejabberd.call("change_password", user="hypervisor", host=platform.domain, newpass="another")
    await asyncio.to_thread(platform.agent.stop)
    start = asyncio.create_task(asyncio.to_thread(platform.agent.start))
    await eventually(lambda: "does not accept this account and password" in platform.log)
    await asyncio.sleep(STUBBORN)
    assert platform.log.count("does not accept this account and password") == 1
    await start  # it serves nobody, but is ready to: somebody will mend the password
