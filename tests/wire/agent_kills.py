# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent is killed at random moments while people make, change and free machines."""

from __future__ import annotations

import asyncio
import contextlib
import random

from tests.wire.load import Ledger, is_of_the_server
from tests.wire.person import Person
from tests.wire.platform import ADMIN, HOST, Platform
from tests.wire.waiting import eventually

WORKERS = 4
LONGEST_LIFE = 2.0  # seconds that an agent works until it is killed


async def assert_survives_agent_kills(platform: Platform, rounds: int, seed: int) -> None:
    """Kill it again and again; after each start everything that was acknowledged must be so."""
    chance = random.Random(seed)
    admin = await platform.enter(ADMIN)
    await platform.meet_hypervisor(admin)
    friend = (await platform.enter()).bare
    ledgers = [Ledger(platform, admin, friend, random.Random(chance.random())) for _ in range(WORKERS)]
    whole = Ledger(platform, admin, friend, chance)
    for number in range(rounds):
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(work_until_cancelled(ledger)) for ledger in ledgers]
            await asyncio.sleep(chance.uniform(0.05, LONGEST_LIFE))
            platform.agent.kill()
            await asyncio.to_thread(platform.agent.start)
            await wait_until_back(platform, admin)
            for worker in workers:
                worker.cancel()
        whole.machines = [known for ledger in ledgers for known in ledger.machines]
        await eventually(lambda: _settled(platform), f"no machine half made or half freed (round {number}, seed {seed})")
        await check_until_right(whole)


async def work_until_cancelled(ledger: Ledger) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            await ledger.work()


async def wait_until_back(platform: Platform, admin: Person) -> None:
    """Wait until the hypervisor answers."""

    async def answers() -> bool:
        answer = await admin.command(platform.host, HOST, "<archipel action='rostervm'/>", "get")
        return not (answer.get("type") == "error" and is_of_the_server(answer))

    await eventually(answers, "the hypervisor is back")


def _settled(platform: Platform) -> bool:
    return {phase for (phase,) in platform.rows("SELECT DISTINCT phase FROM virtual_machines")} <= {"active"}


async def check_until_right(ledger: Ledger) -> None:
    """Check the ledger as soon as all machines are back; what is wrong then is raised."""
    last: list[AssertionError] = []

    async def right() -> bool:
        try:
            await ledger.check()
        except AssertionError as error:
            last[:] = [error]
            return False
        return True

    try:
        await eventually(right, "the ledger", deadline=20)
    except AssertionError:
        raise last[0] from None
