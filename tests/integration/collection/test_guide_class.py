# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook of the guide about a class works as it is written."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import yaml

from tests.integration.collection.platform import Platform, password_of
from tests.integration.collection.playbook import Ansible

BLOCK = ".. code-block:: yaml\n"


def read_play(page: Path) -> dict[str, Any]:
    """Return the one play of a page."""
    after = page.read_text().partition(BLOCK)[2].lstrip("\n")
    lines = after.splitlines()
    end = next(number for number, line in enumerate(lines) if line and not line.startswith(" "))
    [play] = yaml.safe_load(textwrap.dedent("\n".join(lines[:end])))
    return dict(play)


def test_the_class_of_the_guide_is_there_and_stays(ansible: Ansible, platform: Platform, root: Path, tmp_path: Path) -> None:
    play = read_play(root / "docs" / "docsite" / "rst" / "guide_class.rst")
    password_file = tmp_path / "admin.password"
    password_file.touch(mode=0o600)
    password_file.write_text(password_of("admin"))
    [connection] = play["module_defaults"].values()
    connection["xmpp_password_file"] = str(password_file)
    tasks = [{**task, "vars": play["vars"], "module_defaults": play["module_defaults"]} for task in play["tasks"]]
    for first, second in zip(ansible.run(tasks), ansible.run(tasks), strict=True):
        assert (first.get("failed", False), first["changed"]) == (False, True), first.get("msg")
        assert (second.get("failed", False), second["changed"]) == (False, False), second.get("msg")
    assert {"seat-ada", "seat-ben", "seat-cleo", "seat-dan"} <= platform.domains()
