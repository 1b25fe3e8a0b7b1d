# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Server, agent and connections fail twenty times at random moments under load."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from testbed.certificates import Authority
from tests.wire.agent_kills import assert_survives_agent_kills
from tests.wire.connection_cuts import assert_survives_cuts
from tests.wire.matching import show
from tests.wire.platform import ADMIN, CONTROL, open_platform
from tests.wire.server_kills import assert_survives_server_kills
from tests.wire.waiting import eventually

TIMES = 20
pytestmark = pytest.mark.timeout(900)


async def test_the_server_is_killed_under_load(tmp_path: Path, authority: Authority, seed: int):
    async with open_platform(tmp_path, authority, "faults.localhost") as platform:
        await assert_survives_server_kills(platform, machines=40, rounds=TIMES, seed=seed)


async def test_the_agent_is_killed_while_people_work(tmp_path: Path, authority: Authority, seed: int):
    async with open_platform(tmp_path, authority, "faults.localhost") as platform:
        await assert_survives_agent_kills(platform, rounds=TIMES, seed=seed)


async def test_connections_are_cut_under_load(tmp_path: Path, authority: Authority, seed: int):
    async with open_platform(tmp_path, authority, "faults.localhost", proxied=True) as platform:
        await assert_survives_cuts(platform, machines=40, rounds=TIMES, seed=seed)


@pytest.mark.parametrize("entity", ["hypervisor", "machine"])
async def test_an_entity_that_was_thrown_out_comes_back_when_the_other_is_gone(tmp_path: Path, authority: Authority, entity: str):
    """It rests for a minute, then finds its account free again."""
    async with open_platform(tmp_path, authority, "faults.localhost") as platform:
        admin = await platform.enter(ADMIN)
        await platform.meet_hypervisor(admin)
        machine = await platform.make_machine(admin)
        platform.passwords |= platform.machine_passwords()
        full = {"hypervisor": platform.host, "machine": machine.full}[entity]
        intruder = await platform.enter(full.partition("@")[0], resource=full.partition("/")[2])
        await eventually(lambda: "logged in elsewhere" in platform.log)
        await intruder.log_out()

        async def answers() -> bool:
            answer = await admin.command(full, "archipel:permissions", "<archipel action='list'/>", "get")
            await asyncio.sleep(0.5)
            return answer.get("type") == "result"

        await eventually(answers, "the entity is back", deadline=120)
        answer = await admin.command(machine.full, CONTROL, "<archipel action='info'/>", "get")
        assert answer.get("type") == "result", show(answer)
