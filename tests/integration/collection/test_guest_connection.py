# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection to a guest through a real server and a real agent; the guest behind it is testbed/fake_guest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from tests.integration.collection.platform import DOMAIN, Platform
from tests.integration.collection.playbook import Ansible

MACHINE = {"archipel.platform.vm": {"name": "web", "state": "running"}, "name": "A machine that runs"}


@pytest.fixture
def machine(ansible: Ansible) -> None:
    """A machine that runs, with a guest."""
    [made] = ansible.run([MACHINE])
    assert not made.get("failed"), made


def play(ansible: Ansible, *tasks: dict[str, object], account: dict[str, str] | None = None) -> tuple[int, str]:
    """Run tasks inside the guest; return how that ended, and what was printed."""
    variables = {"ansible_connection": "archipel.platform.guest"}
    named = [{"name": f"Task {number}", **task} for number, task in enumerate(tasks)]
    file = ansible.folder / "inside.yml"
    file.write_text(yaml.safe_dump([{"hosts": "web", "gather_facts": False, "vars": variables, "tasks": named}]))
    environment = {"ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default", "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3"}
    ended = ansible.call("ansible-playbook", "-i", "web,", str(file), environment=environment | (account or {}))
    return ended.returncode, ended.stdout + ended.stderr


def test_commands_and_files_go_through(machine: None, ansible: Ansible, tmp_path: Path) -> None:
    content = os.urandom(300_000)
    (tmp_path / "sent").write_bytes(content)
    code, printed = play(
        ansible,
        {"ansible.builtin.copy": {"src": str(tmp_path / "sent"), "dest": "/srv/there", "mode": "0640"}},
        {"ansible.builtin.raw": "ls -l /srv/there; seq 30000", "register": "found"},
        {"ansible.builtin.assert": {"that": ["found.stdout is match('-rw-r-----')", "found.stdout_lines[-1] == '30000'"]}},
        {"ansible.builtin.fetch": {"src": "/srv/there", "dest": str(tmp_path / "back"), "flat": True}},
    )
    assert code == 0, printed
    assert (tmp_path / "back").read_bytes() == content


def test_who_lacks_a_right_is_told_which(machine: None, ansible: Ansible, platform: Platform) -> None:
    granted = {"machine": "web", "subject": f"student@{DOMAIN}", "rights": ["presence", "guest_info"]}
    seen = {"subject": f"student@{DOMAIN}", "rights": ["presence", "rostervm"]}
    ansible.run([{"name": name, "archipel.platform.permission": what} for name, what in (("On it", granted), ("On its host", seen))])
    code, printed = play(ansible, {"ansible.builtin.raw": "id"}, account=platform.environment("student"))
    assert code != 0
    assert "guest_exec" in printed


@pytest.mark.parametrize("options", [{}, {"guest_connection": "always", "gather_addresses": False}])
def test_a_machine_of_the_inventory_without_an_address_is_reached(
    options: dict[str, object], machine: None, ansible: Ansible, tmp_path: Path
) -> None:
    inventory = ansible.folder / "campus.xmpp.yml"
    inventory.write_text(yaml.safe_dump({"plugin": "archipel.platform.xmpp", **options}))
    python = {"ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3"}
    said = ansible.call(
        "ansible", "-i", str(inventory), "web", "-m", "ansible.builtin.raw", "-a", "echo reached; id -u", environment=python
    )
    assert (said.returncode, "reached" in said.stdout) == (0, True), said.stdout + said.stderr
    answered = ansible.call("ansible", "-i", str(inventory), "state_running", "-m", "ansible.builtin.ping", environment=python)
    assert (answered.returncode, '"ping": "pong"' in answered.stdout) == (0, True), answered.stdout + answered.stderr


def test_a_machine_that_is_never_to_be_reached_so_has_no_such_connection(machine: None, ansible: Ansible) -> None:
    inventory = ansible.folder / "campus.xmpp.yml"
    inventory.write_text(yaml.safe_dump({"plugin": "archipel.platform.xmpp", "guest_connection": "never"}))
    shown = ansible.call("ansible-inventory", "-i", str(inventory), "--host", "web")
    assert shown.returncode == 0, shown.stderr
    assert "archipel.platform.guest" not in shown.stdout
