# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release can be made at any time: the fragments become a changelog."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

NEEDED = ("galaxy.yml", "changelogs", "plugins", "meta", "README.md", "LICENSE", "src/archipel/__init__.py", "tools/release")
GIT = ("git", "-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")


@pytest.fixture
def checkout(root: Path, tmp_path: Path) -> Path:
    """A repository with what a release reads."""
    folder = tmp_path / "ansible_collections" / "archipel" / "platform"
    for name in NEEDED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (root / name).is_dir() else shutil.copy
        copy(root / name, folder / name)
    (folder / ".gitignore").write_text("/dist/\n__pycache__/\n")
    commit(folder, "init", "--quiet")
    return folder


def commit(checkout: Path, *first: str) -> None:
    for command in (first, ("add", "--all"), ("commit", "--quiet", "--message", "All of it")):
        subprocess.run([*GIT, *command], cwd=checkout, check=True)


def release(checkout: Path) -> subprocess.CompletedProcess[str]:
    programs = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "ANSIBLE_COLLECTIONS_PATH": str(checkout.parents[2]),
    }
    return subprocess.run([checkout / "tools" / "release"], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.timeout(600)
def test_the_fragments_become_the_changelog_of_a_release(checkout: Path) -> None:
    fragments = [yaml.safe_load(file.read_text()) for file in (checkout / "changelogs" / "fragments").glob("*.yml")]
    ended = release(checkout)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "v0.1.0" in (checkout / "CHANGELOG.rst").read_text()
    assert "#v0-1-0" in (checkout / "CHANGELOG.md").read_text()
    released = yaml.safe_load((checkout / "changelogs" / "changelog.yaml").read_text())["releases"]["0.1.0"]["changes"]
    written = sum(len(text) for fragment in fragments for text in fragment.values() if isinstance(text, list))
    assert sum(len(texts) for texts in released.values() if isinstance(texts, list)) == written
    assert list((checkout / "changelogs" / "fragments").glob("*.yml")) == []
    with tarfile.open(checkout / "dist" / "archipel-platform-0.1.0.tar.gz") as artifact:
        assert {"CHANGELOG.rst", "CHANGELOG.md", "changelogs/changelog.yaml"} <= set(artifact.getnames())
    commit(checkout, "status")
    again = release(checkout)
    assert "release: 0.1.0 was released: raise version in galaxy.yml" in again.stderr


@pytest.mark.parametrize(
    "file, text, words",
    [
        ("galaxy.yml", "version: 0.2.0\n", '__version__: must be "0.2.0", as in galaxy.yml'),
        ("galaxy.yml", "namespace: archipel\n", "galaxy.yml: version: say which"),
        ("README.md", "Something new.\n", "commit what is here before"),
    ],
)
def test_what_is_no_release_is_refused(checkout: Path, file: str, text: str, words: str) -> None:
    (checkout / file).write_text(text)
    ended = release(checkout)
    assert (ended.returncode, words in ended.stderr) == (1, True), ended.stderr
    assert not (checkout / "CHANGELOG.rst").exists()
