# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Feeds of a real server with TLS: whose certificate counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from archipel.agent import download as download_module
from archipel.agent.appliance_repository import repository_of
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.settings import Settings
from archipel.protocol.errors import CommandError
from testbed.certificates import Authority, make_authority
from tests.unit.agent.conftest import ask as ask_entity
from tests.unit.agent.fakes import ADMIN, make_settings
from tests.unit.agent.feed_house import ITEM_UUID, FeedHouse, open_feed_house

CASTS = "archipel:hypervisor:vmcasting"
CONTENT = bytes(range(256)) * 4000


@pytest.fixture
def house(authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FeedHouse]:
    monkeypatch.setattr(download_module, "PAUSE", 0.0)
    with open_feed_house(authority.issue("feeds.example", tmp_path)) as house:
        house.offer(CONTENT)
        yield house


@pytest.fixture
def trusted(authority: Authority) -> bool:
    return True


@pytest.fixture
def agent_settings(agent_folder: Path, authority: Authority, trusted: bool) -> Settings:
    return make_settings(agent_folder, f"[VMCASTING]\nvmcasting_ca_file = {authority.certificate}\n" if trusted else "")


async def ask(hypervisor: Hypervisor, action: str, more: str) -> None:
    await ask_entity(hypervisor, CASTS, f"<archipel action='{action}' {more}/>", ADMIN)


async def test_a_feed_is_read_by_https_where_its_authority_is_trusted(hypervisor: Hypervisor, house: FeedHouse) -> None:
    house.breaks = 1
    await ask(hypervisor, "register", f"url='{house.url}'")
    await ask(hypervisor, "downloadappliance", f"uuid='{ITEM_UUID}'")
    assert repository_of(hypervisor).file_of(ITEM_UUID).read_bytes() == CONTENT
    assert house.ranges == [f"bytes={len(CONTENT) // 2}-"]


@pytest.mark.parametrize("trusted", [False])
async def test_a_feed_whose_authority_is_not_trusted_is_refused(hypervisor: Hypervisor, house: FeedHouse) -> None:
    with pytest.raises(CommandError, match="the certificate does not count"):
        await ask(hypervisor, "register", f"url='{house.url}'")


async def test_a_certificate_for_another_name_is_refused(hypervisor: Hypervisor, house: FeedHouse) -> None:
    with pytest.raises(CommandError, match="the certificate does not count"):
        await ask(hypervisor, "register", f"url='{house.url.replace('127.0.0.1', 'localhost')}'")


async def test_an_appliance_on_a_server_that_nobody_vouches_for_is_not_downloaded(
    hypervisor: Hypervisor, house: FeedHouse, tmp_path: Path
) -> None:
    (tmp_path / "theirs").mkdir()
    with open_feed_house(make_authority(tmp_path / "their").issue("feeds.example", tmp_path / "theirs")) as theirs:
        theirs.offer(CONTENT)
        house.offer(CONTENT, url=f"{theirs.base}/web.xvm2")
        await ask(hypervisor, "register", f"url='{house.url}'")
        await ask(hypervisor, "downloadappliance", f"uuid='{ITEM_UUID}'")
    assert not repository_of(hypervisor).file_of(ITEM_UUID).exists()
