# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules in Ansible's own process: a loop is one session, of which nothing stays; what a task may say besides is heeded."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from tests.integration.collection.platform import DOMAIN, HYPERVISOR, Platform, password_of
from tests.integration.collection.playbook import SECONDS, Ansible, Task

READ: Task = {"archipel.platform.hypervisor_info": {"gather": []}}


def makers(platform: Platform) -> set[str]:
    """Return the sessions (full JIDs) in which machines were made."""
    entries = [json.loads(line) for line in platform.agent.audit_file.read_text().splitlines()]
    return {entry["jid"] for entry in entries if entry["action"] == "alloc"}


def sessions(platform: Platform, name: str = "admin") -> list[str]:
    """Return the sessions of an account that the server has."""
    found = platform.ejabberd.call("connected_users")
    assert isinstance(found, list)
    return [str(jid).partition("/")[2] for jid in found if str(jid).startswith(f"{name}@{DOMAIN}/")]


def wait_until_gone(platform: Platform) -> None:
    """Wait until the server has no session of the administrator."""
    deadline = time.monotonic() + 10
    while sessions(platform):
        assert time.monotonic() < deadline, "the server keeps a session"
        time.sleep(0.05)


def loop_of(names: list[str], **more: object) -> Task:
    return {"archipel.platform.vm": {"name": "{{ item }}", "memory": 64}, "loop": names, **more}


def test_the_rounds_of_a_loop_are_one_session_and_it_ends_with_them(ansible: Ansible, platform: Platform) -> None:
    before = makers(platform)
    (answer,) = ansible.run([loop_of(["one", "two", "three"])])
    assert answer["changed"]
    assert len(makers(platform) - before) == 1
    wait_until_gone(platform)


def test_a_round_that_fails_does_not_spoil_the_next(ansible: Ansible, platform: Platform) -> None:
    platform.define_domain("legacy")
    (answer,) = ansible.run([loop_of(["one", "legacy", "two"])])
    assert [bool(result.get("failed")) for result in answer["results"]] == [False, True, False]
    assert platform.domains() == {"one", "legacy", "two"}
    wait_until_gone(platform)


def test_a_session_that_the_server_ends_between_two_rounds_is_replaced(ansible: Ansible, platform: Platform) -> None:
    def throw_out() -> None:
        deadline = time.monotonic() + SECONDS
        while "one" not in platform.domains():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.5)  # the round ends
        for resource in sessions(platform):
            platform.ejabberd.call("kick_session", user="admin", host=DOMAIN, resource=resource, reason="test")

    before = makers(platform)
    with ThreadPoolExecutor() as pool:
        thrown = pool.submit(throw_out)
        (answer,) = ansible.run([loop_of(["one", "two"], loop_control={"pause": 2})])
        thrown.result()
    assert [bool(result.get("failed")) for result in answer["results"]] == [False, False], answer
    assert len(makers(platform) - before) == 2
    wait_until_gone(platform)


@pytest.mark.usefixtures("platform")
def test_what_else_a_task_may_say_is_heeded(ansible: Ansible, tmp_path: Path) -> None:
    (tmp_path / "vault").write_text("vault-secret\n")
    encrypted = ansible.call("ansible-vault", "encrypt_string", "--vault-password-file", str(tmp_path / "vault"), password_of("admin"))
    assert encrypted.returncode == 0, encrypted.stderr
    secret = encrypted.stdout.partition("|")[2]
    (tmp_path / "secret.yml").write_text(f"kept: !vault |{secret}\n")
    del ansible.environment["ARCHIPEL_PASSWORD"]
    login = {"ARCHIPEL_PASSWORD": password_of("admin")}
    tasks: list[Task] = [
        {**READ, "environment": login},
        READ,
        {**READ, "environment": login, "become": True},
        {**READ, "environment": login, "async": 60, "poll": 1},
        {**READ, "environment": login, "delegate_to": "localhost"},
        {**READ, "environment": login, "throttle": 1, "register": "seen", "until": "seen.attempts >= 2", "retries": 3, "delay": 0},
        {"archipel.platform.hypervisor_info": {"gather": [], "xmpp_password": "{{ kept }}"}},
        {**READ, "environment": login, "no_log": True},
    ]
    options = ("--vault-password-file", str(tmp_path / "vault"), "-e", f"@{tmp_path / 'secret.yml'}")
    answers = ansible.run(tasks, *options)
    assert "xmpp_password: give it" in answers[1]["msg"]
    for number in (0, 2, 3, 4, 5, 6):
        assert answers[number].get("hypervisor", {}).get("jid") == HYPERVISOR, (number, answers[number])
    assert answers[5]["attempts"] == 2
    assert "censored" in answers[7]


@pytest.mark.parametrize("strategy", ["linear", "free"])
def test_many_hosts_at_once_are_as_many_sessions_and_none_stays(strategy: str, ansible: Ansible, platform: Platform) -> None:
    names = [f"seat{number}" for number in range(8)]
    inventory = ansible.folder / "hosts.yml"
    hosts = {name: {"ansible_python_interpreter": "/usr/bin/python3.99"} for name in names}
    inventory.write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    task: Task = {"archipel.platform.vm": {"name": "{{ inventory_hostname }}", "memory": 64}, "delegate_to": "localhost"}
    playbook = ansible.folder / "many.yml"
    playbook.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "strategy": strategy, "tasks": [task]}]))
    ended = ansible.call("ansible-playbook", "--forks", "8", "-i", str(inventory), str(playbook))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert platform.domains() == set(names)
    wait_until_gone(platform)


def test_who_interrupts_a_playbook_leaves_no_session(ansible: Ansible, platform: Platform) -> None:
    playbook = ansible.folder / "long.yml"
    tasks = [loop_of([f"seat{number}" for number in range(100)], loop_control={"pause": 1})]
    playbook.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    with subprocess.Popen(
        [program, str(playbook)], env=ansible.environment, cwd=ansible.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as running:
        try:
            deadline = time.monotonic() + SECONDS
            while not sessions(platform) and time.monotonic() < deadline and running.poll() is None:
                time.sleep(0.05)
            running.send_signal(signal.SIGINT)
            said, _ = running.communicate(timeout=SECONDS)
        finally:
            running.kill()
    assert b"interrupted" in said
    assert running.returncode != 0, said
    wait_until_gone(platform)
