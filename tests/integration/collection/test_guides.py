# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guides of the documentation's site, from the top to the bottom: their files are written, their commands typed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documentation import Block, Step, list_blocks, split_steps
from tests.integration.collection.platform import Platform, password_of
from tests.integration.collection.playbook import SECONDS, Ansible

GUIDES = ["guide_adopt", "guide_declare", "guide_getting_started", "guide_gitops", "guide_rights"]
MADE_WITH_VIRSH = {"guide_adopt": ("legacy", "infra-dns")}
FAILURES = re.compile(r"\[ERROR\]|^fatal:|failed=[1-9]", re.MULTILINE)
ALL = ("ARCHIPEL_HOST", "ARCHIPEL_PORT", "ARCHIPEL_CA_FILE", "ARCHIPEL_API_URL")  # what DNS and the system's certificates tell a reader


class Reader:
    """Somebody who does what a guide says, in a folder of his own; whoever asks for a password hears the administrator's."""

    def __init__(self, folder: Path, ansible: Ansible, platform: Platform) -> None:
        self.folder = folder
        kept = {name: value for name, value in ansible.environment.items() if not name.startswith(("ARCHIPEL_", "ANSIBLE_"))}
        self.environment = {
            **kept,
            **{name: platform.environment()[name] for name in ALL},
            "ANSIBLE_COLLECTIONS_PATH": ansible.environment["ANSIBLE_COLLECTIONS_PATH"],
            "ANSIBLE_NOCOLOR": "true",
            "HOME": str(folder),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }

    def follow(self, block: Block) -> None:
        """Write the file that a block shows, or type its commands."""
        if block.caption:
            file = self.folder / block.caption
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.body)
        elif block.language == "console":
            for step in split_steps(block.body):
                self.type(step)

    def type(self, step: Step) -> None:
        """Run a command: it ends as the guide shows it, and each line shown is one that it wrote (C(...) stands for the rest)."""
        ended = subprocess.run(
            ["bash", "-c", step.command],
            env=self.environment,
            cwd=self.folder,
            input=f"{password_of('admin')}\n",
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        screen = [_squeeze(line) for line in f"{ended.stdout}\n{ended.stderr}".splitlines()]
        told = "\n".join([f"$ {step.command}", *screen])
        assert bool(ended.returncode) == bool(FAILURES.search("\n".join(step.shown))), told
        for line in step.shown:
            assert any(is_shown_by(_squeeze(line), written) for written in screen), f"{told}\n-- and not: {line}"


def _squeeze(line: str) -> str:
    return " ".join(line.split())


def is_shown_by(line: str, written: str) -> bool:
    """Whether a line of a guide shows a line of the screen."""
    pieces = [re.escape(piece.strip()) for piece in line.split("...")]
    return re.fullmatch(".*".join(pieces), written) is not None


@pytest.mark.timeout(300)
@pytest.mark.parametrize("guide", GUIDES)
def test_what_a_guide_says_works(guide: str, root: Path, ansible: Ansible, platform: Platform, tmp_path: Path) -> None:
    for domain in MADE_WITH_VIRSH.get(guide, ()):
        platform.define_domain(domain)
    folder = tmp_path / "reader"
    folder.mkdir()
    reader = Reader(folder, ansible, platform)
    for block in list_blocks(root / "docs" / "docsite" / "rst" / f"{guide}.rst"):
        if block.reason is None:
            reader.follow(block)
