# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory of a running platform, as ansible-inventory shows it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.collection.platform import ADDRESS, DOMAIN, HYPERVISOR, Platform, password_of
from tests.integration.collection.playbook import Ansible, Task
from tests.plugin_documentation import read_inventory_examples

STUDENT = f"student@{DOMAIN}"


class Inventory:
    """What ansible-inventory said."""

    def __init__(self, ansible: Ansible, options: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> None:
        file = ansible.folder / "campus.xmpp.yml"
        file.write_text(yaml.safe_dump({"plugin": "archipel.platform.xmpp", **options}))
        self.ended = ansible.call("ansible-inventory", "--inventory", str(file), "--list", environment=environment)
        assert self.ended.returncode == 0, self.ended.stderr
        self.groups = json.loads(self.ended.stdout, object_hook=lambda found: found.get("__ansible_unsafe", found))
        self.variables = self.groups["_meta"]["hostvars"]

    def hosts(self, group: str) -> set[str]:
        return set(self.groups.get(group, {}).get("hosts", ()))


@pytest.fixture
def machines(ansible: Ansible) -> list[dict[str, Any]]:
    """One machine that runs, one that is off."""
    task: Task = {
        "archipel.platform.vm": {
            "memory": 64,
            "networks": [{"network": "default"}],
            "machines": [
                {"name": "web", "state": "running", "tags": ["class:linux-1", "course-101", "linux"], "owner": STUDENT},
                {"name": "mail", "tags": ["course-101"]},
            ],
        }
    }
    (answer,) = ansible.run([task])
    made: list[dict[str, Any]] = answer["machines"]
    return made


def test_hypervisors_and_machines_are_hosts_with_variables_and_groups(ansible: Ansible, machines: list[dict[str, Any]]) -> None:
    inventory = Inventory(ansible, {"groups": {"small": "archipel_memory < 100"}})
    (hypervisor,) = inventory.hosts("archipel_hypervisors")
    assert inventory.hosts("archipel_machines") == {"web", "mail"}
    assert inventory.hosts("state_running") == {"web"}
    assert inventory.hosts("state_off") == {"mail"}
    assert inventory.hosts("tag_course_101") == {"web", "mail"}
    assert inventory.hosts("hypervisor_hypervisor") == {"web", "mail", hypervisor}
    assert inventory.hosts("owner_student_example_org") == inventory.hosts("class_linux_1") == {"web"}
    assert inventory.variables[hypervisor]["ansible_host"] == ADDRESS
    assert inventory.variables["mail"]["ansible_connection"] == "archipel.platform.guest"
    assert inventory.hosts("small") == {"web", "mail"}
    assert inventory.hosts("archipel_unreachable") == set()
    web = dict(inventory.variables["web"])
    assert web.pop("ansible_host") == web["archipel_addresses"][0]
    assert web.pop("archipel_addresses")[0].startswith("192.168.")  # the test driver counts on and on
    assert web == {
        "archipel_kind": "machine",
        "archipel_name": "web",
        "archipel_uuid": machines[0]["uuid"],
        "archipel_jid": machines[0]["jid"],
        "archipel_hypervisor": HYPERVISOR,
        "archipel_state": "running",
        "archipel_tags": ["class:linux-1", "course-101", "linux"],
        "archipel_classes": ["linux-1"],
        "archipel_owner": STUDENT,
        "archipel_organisation": {"orgname": "", "orgunit": "", "locality": "", "userid": STUDENT, "categories": ""},
        "archipel_memory": 64,
        "archipel_max_memory": 64,
        "archipel_vcpus": 1,
        "archipel_autostart": False,
    }
    assert inventory.variables[hypervisor]["archipel_node"]["memory"] == 3072
    assert "Traceback" not in inventory.ended.stderr
    assert "WARNING" not in inventory.ended.stderr


@pytest.mark.usefixtures("machines")
def test_what_does_not_answer_is_a_warning_and_a_group(ansible: Ansible, platform: Platform) -> None:
    servers = [
        {"hypervisors": [HYPERVISOR, f"absent@{DOMAIN}"], "timeout": 2},
        {"xmpp_jid": "admin@elsewhere.example", "xmpp_password": "x", "xmpp_port": 1, "hypervisors": ["far@elsewhere.example"]},
        {"xmpp_jid": f"admin@{DOMAIN}", "xmpp_password": "wrong", "hypervisors": []},
    ]
    inventory = Inventory(ansible, {"servers": servers})
    assert inventory.hosts("archipel_machines") == {"web", "mail"}
    assert inventory.hosts("archipel_unreachable") == {"absent", "far"}
    assert inventory.variables["far"]["archipel_state"] == "unreachable"
    warnings = " ".join(inventory.ended.stderr.split())
    assert f"absent@{DOMAIN} is not online" in warnings
    assert "admin@elsewhere.example: cannot connect to the XMPP server" in warnings
    assert f"admin@{DOMAIN}: the XMPP server does not accept this account and password" in warnings


@pytest.mark.usefixtures("machines")
def test_filters_and_names(ansible: Ansible) -> None:
    options = {
        "filters": ["archipel_state == 'running'", "'linux' in archipel_tags"],
        "host_format": "{name}.{hypervisor}",
        "gather_addresses": False,
        "default_groups": ["hypervisor"],
        "keyed_groups": [{"key": "archipel_owner", "prefix": "of", "default_value": "nobody"}],
    }
    inventory = Inventory(ansible, options)
    assert inventory.hosts("archipel_machines") == {f"web.{HYPERVISOR}"}
    assert inventory.hosts("of_student_example_org") == {f"web.{HYPERVISOR}"}
    assert "archipel_addresses" not in inventory.variables[f"web.{HYPERVISOR}"]
    assert "state_running" not in inventory.groups
    assert f"web.{HYPERVISOR}" in inventory.hosts("hypervisor_hypervisor")


@pytest.mark.usefixtures("machines")
def test_the_way_to_a_guest_without_a_usable_address_is_its_agent(ansible: Ansible, platform: Platform) -> None:
    options = {"address_networks": ["198.51.100.0/24"], "gather_system": True, "xmpp_jid": f"admin@{DOMAIN}"}
    inventory = Inventory(ansible, options)
    web = inventory.variables["web"]
    assert "ansible_host" not in web
    assert web["archipel_os"] == "debian"
    told = {name: value for name, value in web.items() if name.startswith("ansible_")}
    assert told == {
        "ansible_connection": "archipel.platform.guest",
        "ansible_archipel_xmpp_jid": f"admin@{DOMAIN}",
        "ansible_archipel_xmpp_host": platform.ejabberd.host,
        "ansible_archipel_xmpp_port": platform.ejabberd.port,
        "ansible_archipel_xmpp_ca_file": str(platform.ejabberd.ca_file),
    }
    assert password_of("admin") not in inventory.ended.stdout


@pytest.mark.usefixtures("machines")
def test_a_complete_answer_is_cached(ansible: Ansible, tmp_path: Path) -> None:
    cache = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(tmp_path / "cache")}
    assert Inventory(ansible, cache).hosts("archipel_machines") == {"web", "mail"}
    closed = {"ARCHIPEL_PORT": "1"}
    assert Inventory(ansible, cache, closed).hosts("archipel_machines") == {"web", "mail"}
    anew = ansible.call("ansible-inventory", "-i", str(tmp_path / "campus.xmpp.yml"), "--list", "--flush-cache", environment=closed)
    assert "cannot connect" in anew.stderr
    assert Inventory(ansible, cache).hosts("archipel_machines") == {"web", "mail"}  # the failure was not kept


@pytest.mark.usefixtures("machines")
def test_without_a_list_the_hypervisors_are_those_among_the_contacts(ansible: Ansible, platform: Platform) -> None:
    del ansible.environment["ARCHIPEL_HYPERVISOR"]
    assert Inventory(ansible, {}).hosts("archipel_hypervisors") == set()
    platform.ejabberd.add_contact("admin", "hypervisor")
    assert Inventory(ansible, {}).hosts("archipel_machines") == {"web", "mail"}
    platform.ejabberd.call("delete_rosteritem", localuser="admin", localhost=DOMAIN, user="hypervisor", host=DOMAIN)


def test_what_an_account_may_not_see_is_not_there(ansible: Ansible, platform: Platform, machines: list[dict[str, Any]]) -> None:
    tasks = [
        {"archipel.platform.permission": {"subject": STUDENT, "rights": ["presence", "rostervm"]}},
        {"archipel.platform.permission": {"machine": "web", "subject": STUDENT, "rights": ["info"]}},
    ]
    assert all(answer["changed"] for answer in ansible.run(tasks))
    inventory = Inventory(ansible, {}, platform.environment("student"))
    assert inventory.variables["web"]["archipel_state"] == "running"
    assert "archipel_addresses" not in inventory.variables["web"]
    assert inventory.variables["mail"]["archipel_state"] == "unknown"
    assert "archipel_memory" not in inventory.variables["mail"]
    assert inventory.hosts("archipel_unreachable") == set()
    assert machines[1]["name"] == "mail"


def test_a_machine_named_like_a_group_or_a_host_changes_neither(ansible: Ansible, tmp_path: Path) -> None:
    """Who makes machines chooses their names, but not where plays for other hosts go."""
    names = ["all", "ungrouped", "archipel_hypervisors", "tag_bait", "databases", "db1", "localhost"]
    machines = [{"name": name, "tags": ["bait"]} for name in names]
    (answer,) = ansible.run([{"archipel.platform.vm": {"memory": 64, "machines": machines}}])
    folder = tmp_path / "inventory"
    folder.mkdir()
    (folder / "1-hosts.yml").write_text(yaml.safe_dump({"databases": {"hosts": {"db1": {}, "vault1": {}}}}))
    options = {"plugin": "archipel.platform.xmpp", "compose": {"ansible_host": "'192.0.2.66'"}}
    (folder / "2-campus.xmpp.yml").write_text(yaml.safe_dump(options))
    ended = ansible.call("ansible-inventory", "--inventory", str(folder), "--list")
    assert ended.returncode == 0, ended.stderr
    groups = json.loads(ended.stdout, object_hook=lambda found: found.get("__ansible_unsafe", found))
    variables = groups["_meta"]["hostvars"]
    jids = {machine["jid"] for machine in answer["machines"]}
    assert set(groups["archipel_machines"]["hosts"]) == set(groups["tag_bait"]["hosts"]) == jids
    assert {variables[jid]["archipel_name"] for jid in jids} == set(names)
    assert set(groups["databases"]["hosts"]) == {"db1", "vault1"}
    assert not variables.keys() & {"db1", "vault1", "localhost"}  # they have no variables at all
    assert ended.stderr.count("is named by its JID") == len(names)
    assert "same name" not in ended.stderr


def test_the_examples_are_read(ansible: Ansible, root: Path, platform: Platform, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".north").write_text("secret\n")
    (home / ".north").chmod(0o600)
    for options in read_inventory_examples(root):
        options["cache_connection"] = str(tmp_path / "cache")
        closed = (
            {"servers": [{**entry, "xmpp_host": "127.0.0.1", "xmpp_port": 1} for entry in options.pop("servers")]}
            if "servers" in options
            else {}
        )
        common = {"xmpp_ca_file": str(platform.ejabberd.ca_file)}
        inventory = Inventory(ansible, {**options, **closed, **common}, {"HOME": str(home), "SOUTH_PASSWORD": password_of("admin")})
        assert inventory.hosts("archipel_unreachable") or inventory.hosts("archipel_hypervisors")
