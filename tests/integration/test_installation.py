# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``archipel-agent-init`` makes what the agent needs: what it wrote passes the agent's own check against a real server and libvirt."""

from __future__ import annotations

import grp
import os
import pwd
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from testbed.ejabberd import Ejabberd
from testbed.libvirtd import TestLibvirtd
from tests.documentation import list_blocks
from tests.integration.conftest import Account

PROGRAMS = Path(sys.executable).parent
USER, GROUP = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name


def run(program: str, *arguments: object, password: str = "") -> subprocess.CompletedProcess[str]:
    command = [str(PROGRAMS / program), *(str(argument) for argument in arguments)]
    return subprocess.run(command, check=False, input=f"{password}\n", capture_output=True, text=True, timeout=60)


@pytest.fixture
def answers(ejabberd: Ejabberd, libvirtd: TestLibvirtd, tmp_path: Path) -> list[object]:
    """What an administrator says of this host; all of it lies in a folder of the test's."""
    return [
        *("--server", ejabberd.domain, "--jid", f"hypervisor@{ejabberd.domain}", "--admin", f"admin@{ejabberd.domain}"),
        *("--host", f"{ejabberd.host}:{ejabberd.port}", "--ca-file", ejabberd.ca_file, "--libvirt-uri", libvirtd.uri),
        *("--data-folder", tmp_path / "vm", "--state-folder", tmp_path / "lib", "--audit-log", tmp_path / "log" / "audit.log"),
        *("--configuration", tmp_path / "etc" / "archipel.conf", "--unit", tmp_path / "archipel-agent.service"),
        *("--user", USER, "--image-group", GROUP, "--password-file", "-"),
    ]


def test_an_installed_agent_finds_everything_usable(answers: list[object], register: Callable[..., Account], tmp_path: Path):
    account = register("hypervisor")
    made = run("archipel-agent-init", *answers, password=account.password)
    assert made.returncode == 0, made.stderr
    assert account.password not in made.stdout
    checked = run("archipel-agent", "--config", tmp_path / "etc" / "archipel.conf", "--check")
    assert (checked.returncode, checked.stdout.splitlines()[-1]) == (0, "everything is usable"), checked.stdout
    again = run("archipel-agent-init", *answers, password=account.password)
    assert (again.returncode, again.stdout.splitlines()[-1]) == (0, "nothing to do"), again.stdout


OTHERS = {"--now", "--system-site-packages"}  # options of other programs


def test_the_page_of_the_installation_names_the_options_that_there_are(root: Path):
    page = root / "docs" / "installation.md"
    explained = run("archipel-agent-init", "--help").stdout
    existing = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", explained)) - {"--help"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", page.read_text())) - OTHERS == existing
    [example] = [block.body for block in list_blocks(page) if "archipel-agent-init --server" in block.body]
    assert "--password-file" in example
