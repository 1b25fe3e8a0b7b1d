# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One platform for each worker of the test run, on one loop: its people stay logged in. Tests that break things start their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from testbed.certificates import Authority
from tests.wire.person import Person
from tests.wire.platform import ADMIN, Machine, Platform, open_platform


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def platform(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A running platform that tests share."""
    async with open_platform(tmp_path_factory.mktemp("platform"), authority, "agents.localhost") as platform:
        yield platform
        assert platform.leaked_passwords() == []
        assert "Traceback" not in platform.log, platform.log


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def admin(platform: Platform) -> Person:
    """The administrator, with the hypervisor in his roster and subscribed to its events."""
    person = await platform.enter(ADMIN)
    await platform.meet_hypervisor(person)
    await person.subscribe_to_events(platform.hypervisor, platform.pubsub)
    return person


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def one_answer_each(platform: Platform) -> AsyncIterator[None]:
    """Whatever was asked in a module's tests was answered once, and a moment later still."""
    yield
    await asyncio.gather(*(person.assert_one_answer_each() for person in platform.people if not person.lost.done()))


@pytest_asyncio.fixture(loop_scope="session")
async def student(platform: Platform) -> Person:
    """An ordinary user, new for each test, whom no entity knows yet."""
    return await platform.enter()


@pytest_asyncio.fixture(loop_scope="session")
async def machine(platform: Platform, admin: Person) -> Machine:
    """A machine of the administrator's, defined and off."""
    return await platform.make_machine(admin)
