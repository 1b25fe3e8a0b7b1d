# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release can be made at any time: the fragments become a changelog."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

NEEDED = ("galaxy.yml", "changelogs", "plugins", "meta", "README.md")


@pytest.fixture
def checkout(root: Path, tmp_path: Path) -> Path:
    """A copy of what a release reads, where it may write."""
    folder = tmp_path / "ansible_collections" / "archipel" / "platform"
    folder.mkdir(parents=True)
    for name in NEEDED:
        copy = shutil.copytree if (root / name).is_dir() else shutil.copy
        copy(root / name, folder / name)
    return folder


def test_the_fragments_become_the_changelog_of_a_release(checkout: Path) -> None:
    fragments = [yaml.safe_load(file.read_text()) for file in (checkout / "changelogs" / "fragments").glob("*.yml")]
    program = Path(sys.executable).with_name("antsibull-changelog")
    environment = {
        **os.environ,
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "ANSIBLE_COLLECTIONS_PATH": str(checkout.parents[2]),
    }
    ended = subprocess.run([program, "release"], cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "v0.1.0" in (checkout / "CHANGELOG.rst").read_text()
    released = yaml.safe_load((checkout / "changelogs" / "changelog.yaml").read_text())["releases"]["0.1.0"]["changes"]
    written = sum(len(text) for fragment in fragments for text in fragment.values() if isinstance(text, list))
    assert sum(len(texts) for texts in released.values() if isinstance(texts, list)) == written
