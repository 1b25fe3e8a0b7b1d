# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections between agent and server break while the server lives on: sessions are resumed, nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from testbed.certificates import Authority
from tests.wire.connection_cuts import assert_survives_cuts
from tests.wire.matching import assert_payload
from tests.wire.platform import ADMIN, CONTROL, HOST, Platform, open_platform

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def platform(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A platform whose agent comes to the server through a network that fails."""
    async with open_platform(tmp_path_factory.mktemp("cuts"), authority, "cuts.localhost", proxied=True) as platform:
        yield platform


async def test_requests_under_way_over_a_cut_are_answered_once(platform: Platform):
    await assert_survives_cuts(platform, machines=8, rounds=5, seed=1)


async def test_pushes_over_a_cut_come_in_order_without_gaps(platform: Platform):
    admin = await platform.enter(ADMIN)
    await platform.meet_hypervisor(admin)
    machine = await platform.make_machine(admin)
    await admin.subscribe_to_events(machine.bare, platform.pubsub)
    await admin.expect_shown(machine.bare, "xa", "Off")
    since = len(admin.received)
    assert platform.proxy is not None
    with platform.libvirt() as connection:
        domain = connection.lookupByUUIDString(machine.uuid)
        domain.create()
        for number in range(40):
            (domain.resume if number % 2 else domain.suspend)()
            if number % 8 == 3:
                platform.proxy.cut()
            await asyncio.sleep(0.01)
    wanted = ["created", *["suspended", "resumed"] * 20]
    changes = await admin.until(
        lambda: len(found := [push for push in admin.pushes(machine.bare, since) if push.change in wanted]) >= 41 and found, "41 pushes"
    )
    assert [push.change for push in changes] == wanted
    numbers = [push.sequence for push in admin.pushes(machine.bare, since)]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def test_a_connection_that_only_stalls_delays_and_loses_nothing(platform: Platform):
    admin = await platform.enter(ADMIN)
    await platform.meet_hypervisor(admin)
    machine = await platform.make_machine(admin)
    assert platform.proxy is not None
    platform.proxy.hold()
    keys = [admin.request(machine.full, f"<query xmlns='{CONTROL}'><archipel action='info'/></query>") for _ in range(20)]
    await asyncio.sleep(1)
    assert not any(admin.answers(key) for key in keys)
    platform.proxy.cut()
    platform.proxy.release()
    await admin.until(lambda: all(admin.answers(key) for key in keys), "all answers")
    assert {admin.answers(key)[0].get("type") for key in keys} == {"result"}
    await admin.assert_one_answer_each()


async def test_a_machine_made_over_a_cut_is_made_once(platform: Platform):
    admin = await platform.enter(ADMIN)
    await platform.meet_hypervisor(admin)
    assert platform.proxy is not None
    for number in range(6):
        key = admin.request(platform.host, f"<query xmlns='{HOST}'><archipel action='alloc' name='cut-{number}'/></query>")
        await asyncio.sleep(0.005 * number)
        platform.proxy.cut()
        [answer] = await admin.until(lambda key=key: admin.answers(key), "the answer")
        assert_payload(answer, HOST, "<virtualmachine jid='*'/>")
    await admin.assert_one_answer_each()
    rows = {uuid for (uuid,) in platform.rows("SELECT uuid FROM virtual_machines WHERE phase = 'active' AND name LIKE 'cut-%'")}
    assert len(rows) == 6
    assert rows <= platform.accounts()
