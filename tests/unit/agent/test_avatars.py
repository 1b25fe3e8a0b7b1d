# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures for vCards."""

from __future__ import annotations

from pathlib import Path

import pytest

from archipel.agent.avatars import LARGEST, read_avatar
from archipel.agent.settings import Settings

PNG = b"\x89PNG"


@pytest.mark.parametrize("packaged", ["defaultvm.png", "defaulthypervisor.png"])
def test_without_a_picture_of_the_administrator_s_there_is_a_packaged_one(agent_settings: Settings, packaged: str) -> None:
    assert read_avatar(agent_settings.vcard, "own.png", packaged).startswith(PNG)


@pytest.mark.parametrize("size,own", [(1, True), (LARGEST, True), (LARGEST + 1, False)])
def test_the_administrator_s_picture_counts_unless_it_is_too_big(agent_settings: Settings, size: int, own: bool) -> None:
    """Every client reads it again and again."""
    folder: Path = agent_settings.vcard.avatar_folder
    folder.mkdir(parents=True)
    (folder / "own.png").write_bytes(bytes(size))
    assert (read_avatar(agent_settings.vcard, "own.png", "defaultvm.png") == bytes(size)) is own
