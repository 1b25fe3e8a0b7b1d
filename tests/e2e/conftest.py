# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests with real QEMU guests stand on: a libvirt in namespaces of its own, a platform around it. That takes root."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from archipel.client import Session
from testbed.certificates import Authority
from testbed.demo.virtualization import PrivateLibvirt
from testbed.ejabberd import Ejabberd
from tests.e2e.other_host import open_server
from tests.e2e.real_guest import Place, open_libvirt, open_place
from tests.integration.collection.platform import Platform, open_platform


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateLibvirt]:
    """A libvirt that runs QEMU and whose networks are not this host's."""
    with open_libvirt(tmp_path_factory.mktemp("libvirt")) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def platform(daemon: PrivateLibvirt, authority: Authority) -> Iterator[Platform]:
    """A platform whose agent drives that libvirt; QEMU's user can go to its folder."""
    with tempfile.TemporaryDirectory(prefix="archipel-platform-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        with open_platform(Path(folder), authority, daemon.uri) as platform:
            yield platform
            platform.clear()


@pytest.fixture(scope="module")
def place(root: Path, platform: Platform) -> Iterator[Place]:
    """That platform, with a folder that holds a guest's kernel."""
    with open_place(root, platform) as place:
        yield place


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(place: Place) -> AsyncIterator[Session]:
    """The administrator's session."""
    async with place.log_in() as session:
        yield session


@pytest.fixture(scope="module")
def ejabberd(authority: Authority) -> Iterator[Ejabberd]:
    """A server, with its accounts, for agents on other hosts."""
    with open_server(authority) as server:
        yield server
