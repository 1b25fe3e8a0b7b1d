# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One platform for each worker of the test run, empty before each test; playbooks that run against it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.certificates import Authority
from tests.integration.collection.platform import LEGACY, Platform, open_platform
from tests.unit.agent.feed_house import open_feed_house, pack

pytest.register_assert_rewrite("tests.integration.collection.playbook")

from tests.integration.collection.playbook import Ansible  # noqa: E402 - after the line that makes its assertions speak


@pytest.fixture(scope="session")
def servers(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A running platform."""
    with open_platform(tmp_path_factory.mktemp("platform"), authority) as platform:
        yield platform


@pytest.fixture
def platform(servers: Platform) -> Iterator[Platform]:
    """The platform, without machines, rights and contacts."""
    yield servers
    servers.clear()


@pytest.fixture
def feed() -> Iterator[str]:
    """The address of a server with a feed of one appliance."""
    with open_feed_house() as house:
        house.offer(pack({"description.xml": LEGACY.format(name="old").encode()}))
        yield house.base


@pytest.fixture
def ansible(platform: Platform, root: Path, tmp_path: Path) -> Ansible:
    """Ansible with the administrator's login in its environment."""
    return Ansible(root, tmp_path, platform.environment())
