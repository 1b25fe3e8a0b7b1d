# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent is killed while machines are parked and brought back: each is managed or parked afterwards, never both, never neither."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import pytest

from testbed.certificates import Authority
from tests.wire.actions.parking import PARKING
from tests.wire.agent_kills import wait_until_back
from tests.wire.person import Person
from tests.wire.platform import ADMIN, Machine, Platform, open_platform
from tests.wire.waiting import eventually

ROUNDS, MACHINES, LONGEST_LIFE = 3, 4, 0.6


@pytest.fixture
async def platform(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    async with open_platform(tmp_path_factory.mktemp("kills"), authority, "parking.localhost") as platform:
        yield platform


async def shuttle(platform: Platform, admin: Person, machine: Machine) -> None:
    """Park a machine and bring it back, again and again; what is refused meanwhile is asked again."""
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            for action, name in (("park", "uuid"), ("unpark", "identifier")):
                await admin.command(platform.host, PARKING, f"<archipel action='{action}'><item {name}='{machine.uuid}'/></archipel>")


def places(platform: Platform, machine: Machine) -> tuple[list[str], list[str], bool]:
    """The phases that it has as a managed machine, its states as a parked one, and whether libvirt has it."""
    managed = [phase for (phase,) in platform.rows("SELECT phase FROM virtual_machines WHERE uuid = ?", machine.uuid)]
    parked = [state for (state,) in platform.rows("SELECT state FROM parked_machines WHERE uuid = ?", machine.uuid)]
    return managed, parked, platform.definition_in_libvirt(machine.uuid) is not None


async def test_a_machine_is_managed_or_parked_wherever_the_agent_was_killed(platform: Platform):
    chance = random.Random(7)
    admin = await platform.enter(ADMIN)
    await platform.meet_hypervisor(admin)
    machines = [await platform.make_machine(admin) for _ in range(MACHINES)]
    rights = platform.rows("SELECT entity, subject, token FROM grants ORDER BY entity")
    seen = set()
    for _ in range(ROUNDS):
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(shuttle(platform, admin, machine)) for machine in machines]
            await asyncio.sleep(chance.uniform(0.05, LONGEST_LIFE))
            platform.agent.kill()
            seen.update(tuple(places(platform, machine)[0]) for machine in machines)
            for worker in workers:
                worker.cancel()
        await asyncio.to_thread(platform.agent.start)
        await wait_until_back(platform, admin)
        for machine in machines:
            await eventually(lambda: places(platform, machine) in ((["active"], [], True), ([], ["parked"], False)), str(machine))  # noqa: B023 - called in this very turn
    assert {machine.uuid for machine in machines} <= platform.accounts()
    assert platform.rows("SELECT entity, subject, token FROM grants ORDER BY entity") == rights
    assert len(seen) > 1, seen
