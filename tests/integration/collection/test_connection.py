# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How modules log in: with files, profiles and defaults of the action group; what they say when they cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from archipel.client.password import store
from archipel.client.profile import Profile, ProfileFile, configuration_folder
from tests.integration.collection.platform import DOMAIN, HYPERVISOR, Platform, password_of
from tests.integration.collection.playbook import Ansible

READ = {"archipel.platform.hypervisor_info": {"gather": []}}


def read(**arguments: object) -> dict[str, object]:
    return {"archipel.platform.hypervisor_info": {"gather": [], **arguments}}


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.touch(mode=0o600)
    file.write_text(f"{password_of('admin')}\nnot this line\n")
    return file


def test_a_profile_without_environment_says_everything(
    ansible: Ansible, platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    server, jid = platform.ejabberd, f"admin@{DOMAIN}"
    profile = Profile(name="school", jid=jid, host=server.host, port=server.port, ca_file=server.ca_file, hypervisors=(HYPERVISOR,))
    ProfileFile().save(profile)
    store(profile, password_of("admin"), in_keyring=False)
    for name in platform.environment():
        del ansible.environment[name]
    named, absent = ansible.run([read(profile="school"), read(profile="none")], environment={"XDG_CONFIG_HOME": str(tmp_path)})
    assert named["hypervisor"]["jid"] == HYPERVISOR
    assert absent["failed"]
    assert f"there is no profile 'none' in {configuration_folder()}" in absent["msg"]


def test_module_defaults_of_the_action_group_say_the_connection_once(ansible: Ansible, platform: Platform) -> None:
    variables = platform.environment()
    for name in variables:
        del ansible.environment[name]
    names = {"xmpp_jid": "JID", "xmpp_password": "PASSWORD", "xmpp_host": "HOST", "xmpp_port": "PORT", "xmpp_ca_file": "CA_FILE"}
    defaults = {argument: variables[f"ARCHIPEL_{name}"] for argument, name in names.items()} | {"hypervisor": HYPERVISOR}
    tasks = [
        {"archipel.platform.vm": {"name": "web"}},
        {"archipel.platform.vm_info": {"names": ["web"]}},
        {"archipel.platform.permission": {"machine": "web", "subject": f"guest@{DOMAIN}", "rights": ["info"]}},
        {"archipel.platform.roster": {"machine": "web", "people": [f"guest@{DOMAIN}"]}},
        READ,
    ]
    answers = ansible.run([{"block": tasks, "module_defaults": {"group/archipel.platform.archipel": defaults}}])
    assert [bool(answer.get("failed")) for answer in answers] == [False] * 5
    assert answers[1]["machines"][0]["name"] == "web"


def test_no_password_is_shown(ansible: Ansible) -> None:
    secret = "not-the-right-one"
    (answer,) = ansible.run([read(xmpp_password=secret)], "-vvv")
    assert answer["failed"]
    assert answer["invocation"]["module_args"]["xmpp_password"] == "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"
    assert secret not in str(answer)


def test_failures_name_the_argument_and_the_fix(ansible: Ansible) -> None:
    tasks = [read(xmpp_port=1), read(xmpp_ca_file="/etc/hostname"), read(hypervisor="nobody@example.org", timeout=1)]
    failures = [answer["msg"] for answer in ansible.run(tasks)]
    assert "cannot connect" in failures[0]
    assert "ca_file" in failures[1]
    assert "nobody@example.org is not online" in failures[2]


def test_a_python_without_the_library_says_how_to_get_it(ansible: Ansible) -> None:
    (answer,) = ansible.run([{**READ, "vars": {"ansible_python_interpreter": "/usr/bin/python3"}}])
    assert answer["failed"]
    assert "archipel" in answer["msg"]
    assert "/usr/bin/python3 -m pip install ~/.ansible/collections/ansible_collections/archipel/platform" in answer["msg"]
