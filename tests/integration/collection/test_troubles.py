# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guide for days when something does not work quotes what modules say: each message of it is brought about here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.documentation import list_blocks
from tests.integration.collection.platform import DOMAIN, Platform, password_of
from tests.integration.collection.playbook import Ansible, Task

STUDENT = f"student@{DOMAIN}"


def read(**arguments: Any) -> Task:
    return {"archipel.platform.hypervisor_info": {"gather": [], **arguments}}


def make_troubles(platform: Platform, folder: Path) -> dict[str, Task]:
    """Return, by the name of the guide's block, a task that fails so; the environment of them all names nobody and nothing."""
    variables = platform.environment()
    names = {"xmpp_jid": "JID", "xmpp_password": "PASSWORD", "xmpp_host": "HOST", "xmpp_port": "PORT", "xmpp_ca_file": "CA_FILE"}
    login: dict[str, Any] = {argument: variables[f"ARCHIPEL_{name}"] for argument, name in names.items()}
    whole = {**login, "hypervisor": variables["ARCHIPEL_HYPERVISOR"]}
    student = {**whole, "xmpp_jid": STUDENT, "xmpp_password": password_of("student")}
    (folder / "open").write_text("x\n")
    (folder / "open").chmod(0o644)
    return {
        "no-account": read(),
        "wrong-password": read(**{**whole, "xmpp_password": "another"}),
        "readable-password": read(xmpp_jid=STUDENT, xmpp_password_file=str(folder / "open")),
        "no-server": read(**{**whole, "xmpp_port": 1}),
        "no-library": {**read(**whole), "vars": {"ansible_python_interpreter": "/usr/bin/python3"}},
        "no-hypervisor": read(**login),
        "not-online": read(**{**whole, "hypervisor": f"nobody@{DOMAIN}"}),
        "no-right": {"archipel.platform.vm": {**student, "name": "web", "state": "stopped"}},
        "not-managed": {"archipel.platform.vm": {**whole, "name": "legacy", "memory": 64}},
        "no-machine": {"archipel.platform.roster": {**whole, "machine": "nowhere", "people": [STUDENT]}},
    }


@pytest.fixture
def quoted(root: Path) -> Mapping[str, str]:
    """What the guide quotes, by the names of its blocks."""
    page = root / "docs" / "docsite" / "rst" / "guide_troubleshooting.rst"
    return {block.name: block.body.strip() for block in list_blocks(page) if block.language == "text"}


def test_the_words_of_the_guide_are_what_modules_say(
    ansible: Ansible, platform: Platform, tmp_path: Path, quoted: Mapping[str, str]
) -> None:
    platform.define_domain("legacy")
    prepare: list[Task] = [
        {"archipel.platform.vm": {"name": "web", "state": "running"}},
        {"archipel.platform.permission": {"subject": STUDENT, "rights": ["presence", "rostervm"]}},
        {"archipel.platform.permission": {"machine": "web", "subject": STUDENT, "rights": ["presence", "info"]}},
    ]
    assert [answer["changed"] for answer in ansible.run(prepare)] == [True] * 3
    for name in platform.environment():
        del ansible.environment[name]
    troubles = make_troubles(platform, tmp_path)
    assert set(quoted) == set(troubles)
    for name, answer in zip(troubles, ansible.run(list(troubles.values())), strict=True):
        assert answer["failed"], name
        pattern = ".*".join(re.escape(piece.strip()) for piece in quoted[name].split("..."))
        assert re.search(pattern, str(answer["msg"])), f"{name}: {answer['msg']}"
