# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an execution environment (ansible-builder) is told of the collection is what the collection needs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml


@pytest.fixture
def described(root: Path) -> dict[str, str]:
    """The files that the description names, by their kinds."""
    description = yaml.safe_load((root / "meta" / "execution-environment.yml").read_text())
    assert description["version"] == 3
    named: dict[str, str] = description["dependencies"]
    return named


def test_the_description_names_files_that_are_there_and_in_the_artifact(described: dict[str, str], root: Path) -> None:
    assert set(described) == {"python", "system"}
    assert all((root / file).is_file() for file in described.values())
    ignored = yaml.safe_load((root / "galaxy.yml").read_text())["build_ignore"]
    assert [file for file in described.values() if file in ignored or file.partition("/")[0] in ignored] == []


def test_it_brings_what_the_library_needs_in_the_same_versions(described: dict[str, str], root: Path) -> None:
    lines = (root / described["python"]).read_text().splitlines()
    brought = [line for line in lines if line and not line.startswith("#")]
    assert brought == tomllib.loads((root / "pyproject.toml").read_text())["project"]["dependencies"]


def test_its_packages_are_written_as_bindep_reads_them(described: dict[str, str], root: Path) -> None:
    lines = (root / described["system"]).read_text().splitlines()
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[\w.+-]+ \[platform:(dpkg|rpm)\]", line)] == []


def test_nothing_else_is_taken_for_requirements_of_the_collection(root: Path) -> None:
    """A requirements.txt or bindep.txt in the root would be taken by older builders, whatever it is for."""
    assert [name for name in ("requirements.txt", "bindep.txt", "test-requirements.txt") if (root / name).exists()] == []
