# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The artifact of the collection in an environment that has nothing but ansible-core: what the guide installs makes modules answer."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from tests.documentation import read_blocks
from tests.integration.collection.platform import Platform
from tests.integration.collection.playbook import SECONDS

PLAY = [{"hosts": "localhost", "gather_facts": False, "tasks": [{"archipel.platform.vm_info": {}}]}]
NEEDED = {"LICENSE", "README.md", "meta/runtime.yml", "plugins/modules/vm.py", "pyproject.toml", "src/archipel/client/session.py"}
UNWANTED = (".venv", ".cache", ".git", "Makefile", "benchmarks", "testbed", "tools", "requirements/dev.txt", "ansible.cfg")


class Environment:
    """A Python of its own with a home of its own; ``run`` runs a program of it."""

    def __init__(self, folder: Path) -> None:
        self.programs = folder / "environment" / "bin"
        self.folder = folder
        (folder / "home").mkdir()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "ARCHIPEL_", "PYTHON"))}
        self.variables = {**kept, "HOME": str(folder / "home"), "LC_ALL": "C.UTF-8", "PATH": f"{self.programs}{os.pathsep}/usr/bin:/bin"}
        self.run(sys.executable, "-m", "venv", str(self.programs.parent))
        self.run("pip", "install", "--quiet", f"ansible-core=={version('ansible-core')}")

    def run(self, program: str, *arguments: str, variables: Mapping[str, str] | None = None) -> str:
        """Return all that a program says; it must go well."""
        command = [program if "/" in program else str(self.programs / program), *arguments]
        ended = subprocess.run(
            command,
            env={**self.variables, **(variables or {})},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert ended.returncode == 0, f"{command}\n{ended.stdout}"
        return ended.stdout


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(tmp_path)


@pytest.fixture
def artifact(environment: Environment, root: Path) -> Path:
    """What C(ansible-galaxy collection build) makes of this checkout."""
    environment.run("ansible-galaxy", "collection", "build", str(root), "--output-path", str(environment.folder))
    [file] = environment.folder.glob("archipel-platform-*.tar.gz")
    return file


@pytest.mark.timeout(300)  # two environments are filled from a package index
def test_what_the_guide_installs_answers(environment: Environment, artifact: Path, platform: Platform, root: Path) -> None:
    with tarfile.open(artifact) as packed:
        names = set(packed.getnames())
    assert names >= NEEDED
    assert [name for name in names if name.startswith(UNWANTED)] == []

    guide = root / "docs" / "docsite" / "rst" / "guide_getting_started.rst"
    [block] = read_blocks(guide, "sh")
    collection = environment.folder / "home" / ".ansible" / "collections" / "ansible_collections" / "archipel" / "platform"
    assert f"~/{collection.relative_to(environment.folder / 'home')}" in guide.read_text()
    block = block.replace("PATH-OF-THE-CHECKOUT", str(artifact)).replace("PATH-OF-THE-COLLECTION", str(collection))
    environment.run("/bin/sh", "-ec", block)

    (environment.folder / "play.yml").write_text(yaml.safe_dump(PLAY))
    said = environment.run("ansible-playbook", "play.yml", "-vvv", variables=platform.environment())
    assert '"machines": []' in said
