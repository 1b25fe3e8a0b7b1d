# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.plugins.inventory.conftest import MakePlugin


@pytest.mark.parametrize("name", ["xmpp.yml", "xmpp.yaml", "campus.xmpp.yml", "archipel.yml", "my-archipel.yaml"])
def test_a_file_with_the_plugins_name_is_its_own(name: str, make_plugin: MakePlugin, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    assert make_plugin().verify_file(str(tmp_path / name))


@pytest.mark.parametrize("name", ["hosts.yml", "xmpp.json", "xmpp.yml.orig"])
def test_any_other_file_is_not(name: str, make_plugin: MakePlugin, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    assert not make_plugin().verify_file(str(tmp_path / name))


def test_a_file_that_is_not_there_is_nobodys(make_plugin: MakePlugin, tmp_path: Path) -> None:
    assert not make_plugin().verify_file(str(tmp_path / "none" / "xmpp.yml"))
