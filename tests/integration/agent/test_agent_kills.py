# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent crashes while people work: nothing acknowledged is lost, nothing is half there afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from testbed.certificates import Authority
from tests.wire.agent_kills import assert_survives_agent_kills
from tests.wire.platform import Platform, open_platform


@pytest.fixture
async def platform(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    async with open_platform(tmp_path_factory.mktemp("kills"), authority, "kills.localhost") as platform:
        yield platform


async def test_an_agent_that_is_killed_four_times(platform: Platform):
    await assert_survives_agent_kills(platform, rounds=4, seed=1)
