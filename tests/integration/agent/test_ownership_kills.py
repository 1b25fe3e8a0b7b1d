# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent is killed while declarations change what they own: each request was done whole, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator

import pytest

from testbed.certificates import Authority
from tests.wire.actions.declaration import DECLARATION
from tests.wire.agent_kills import wait_until_back
from tests.wire.person import Person
from tests.wire.platform import ADMIN, Platform, open_platform

ROUNDS, ITEMS, LONGEST_LIFE = 3, 200, 0.6


@pytest.fixture
async def platform(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    async with open_platform(tmp_path_factory.mktemp("kills"), authority, "owners.localhost") as platform:
        yield platform


async def give_all(platform: Platform, admin: Person, label: str) -> None:
    """Give many things to a label."""
    items = "".join(f"<add kind='network' key='n-{number}'/>" for number in range(ITEMS))
    await admin.command(platform.host, DECLARATION, f"<archipel action='own' take='1' label='{label}'>{items}</archipel>")


async def hand_round(platform: Platform, admin: Person) -> None:
    """Give them from one label to the next, again and again."""
    with contextlib.suppress(asyncio.CancelledError):
        for number in itertools.count():
            await give_all(platform, admin, f"label-{number % 7}")


async def test_all_of_it_has_one_owner_whenever_the_agent_was_killed(platform: Platform):
    chance = random.Random(7)
    admin = await platform.enter(ADMIN)
    await platform.meet_hypervisor(admin)
    await give_all(platform, admin, "label-first")
    for _ in range(ROUNDS):
        worker = asyncio.create_task(hand_round(platform, admin))
        await asyncio.sleep(0.2 + chance.uniform(0.05, LONGEST_LIFE))
        platform.agent.kill()
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
        await asyncio.to_thread(platform.agent.start)
        await wait_until_back(platform, admin)
        [(owner, count)] = platform.rows("SELECT label, COUNT(*) FROM ownership GROUP BY label")
        assert (owner.startswith("label-"), count) == (True, ITEMS)
