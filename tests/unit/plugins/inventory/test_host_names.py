# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who makes a machine chooses its name; that name must not be a way to change any other host or group."""

from __future__ import annotations

import string
from typing import Any

import pytest
from ansible.inventory.data import InventoryData
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.plugins.inventory.conftest import MakePlugin, hosts_of, machine, survey, variables_of

COMPOSE = {"ansible_host": "archipel_addresses | first"}
BAIT = {"jid": "bait@example.org", "addresses": ["198.51.100.66"], "tags": ["green"], "owner": "red"}


# What connections lead to the own machine by: short and whole numbers, addresses in addresses, nobody's, and a user before the host.
HERE = ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "::ffff:127.0.0.1", "0", "::", "root@localhost"]
HERE += ["0.0.0.0"]  # noqa: S104 - nobody listens


def bait(name: str) -> dict[str, Any]:
    """Return the machine of somebody who would like to be another."""
    return machine(name, **BAIT)


def assert_named_by_jid(plugin: Any, warnings: list[str], reason: str) -> None:
    """The machine is there under its JID, with its variables, and the user was told why."""
    assert hosts_of(plugin, "archipel_machines") == [BAIT["jid"]]
    assert variables_of(plugin, BAIT["jid"])["archipel_jid"] == BAIT["jid"]
    assert warnings == [f"Archipel inventory: {reason}; {BAIT['jid']} is named by its JID"]
    assert all(not group.vars for group in plugin.inventory.groups.values())


@pytest.mark.parametrize("name", ["all", "ungrouped", "archipel_hypervisors", "archipel_machines", "archipel_unreachable", "databases"])
def test_a_machine_named_like_a_group_sets_nothing_for_the_group(name: str, make_plugin: MakePlugin, warnings: list[str]) -> None:
    plugin = make_plugin(compose=COMPOSE)
    plugin.inventory.add_group("databases")
    plugin.inventory.add_host("db1", "databases")
    plugin._populate(survey(bait(name)))
    assert_named_by_jid(plugin, warnings, f"there is a group {name!r}")
    plugin.inventory.reconcile_inventory()
    assert "ansible_host" not in plugin.inventory.groups["all"].get_vars() | variables_of(plugin, "db1")


@pytest.mark.parametrize("name", ["state_running", "hypervisor_hyp", "tag_green", "tag_later", "big", "parent"])
def test_a_group_that_is_yet_to_be_made_is_no_name_either(name: str, make_plugin: MakePlugin) -> None:
    keyed = [
        {"key": "archipel_state", "prefix": "state", "parent_group": "parent"},
        {"key": "archipel_tags", "prefix": "tag"},
        {"key": "archipel_hypervisor.partition('@')[0]", "prefix": "hypervisor"},
    ]
    plugin = make_plugin(compose=COMPOSE, groups={"big": "archipel_memory > 256"}, keyed_groups=keyed)
    plugin._populate(survey(bait(name) | {"memory": 512}, machine("last", tags=["later"])))
    assert hosts_of(plugin, "archipel_machines") == [BAIT["jid"], "last"]
    assert name in plugin.inventory.groups
    assert hosts_of(plugin, "big") == [BAIT["jid"]]
    assert not plugin.inventory.groups[name].vars
    assert not plugin.inventory.hosts.keys() & plugin.inventory.groups.keys()


def test_a_group_named_after_hosts_is_no_name_either(make_plugin: MakePlugin) -> None:
    plugin = make_plugin(keyed_groups=[{"key": "inventory_hostname", "prefix": "of"}])
    plugin._populate(survey(bait("of_web"), machine("web")))
    assert hosts_of(plugin, "archipel_machines") == [BAIT["jid"], "web"]
    assert hosts_of(plugin, "of_web") == ["web"]


@pytest.mark.parametrize(
    "name", ["localhost", "127.0.0.1", "::1", "LocalHost", "localhost.localdomain", "me.localhost", "127.8.8.8", *HERE]
)
def test_no_machine_is_the_one_that_runs_ansible(name: str, make_plugin: MakePlugin, warnings: list[str]) -> None:
    plugin = make_plugin(compose=COMPOSE)
    plugin._populate(survey(bait(name)))
    assert_named_by_jid(plugin, warnings, f"{name!r} is the machine that runs Ansible")
    assert plugin.inventory.localhost is None


def test_a_host_of_another_source_stays_what_it_is(make_plugin: MakePlugin, warnings: list[str]) -> None:
    plugin = make_plugin(compose=COMPOSE)
    plugin.inventory.add_host("db1", "all")
    before = dict(variables_of(plugin, "db1"))
    plugin._populate(survey(bait("db1")))
    assert_named_by_jid(plugin, warnings, "there is a host 'db1' already")
    assert variables_of(plugin, "db1") == before


@pytest.mark.parametrize("name", ["-oProxyCommand=touch${IFS}here", "-", "--", "-F."])
def test_a_name_is_no_option_of_ssh(name: str, make_plugin: MakePlugin, warnings: list[str]) -> None:
    plugin = make_plugin()
    plugin._populate(survey(bait(name)))
    assert_named_by_jid(plugin, warnings, f"{name!r} would be an option of ssh")


@pytest.mark.parametrize("name", ["../group_vars/all", "/etc/passwd", "a/b"])
def test_a_name_is_no_path_to_the_variables_of_others(name: str, make_plugin: MakePlugin, warnings: list[str]) -> None:
    plugin = make_plugin()
    plugin._populate(survey(bait(name)))
    assert_named_by_jid(plugin, warnings, f"{name!r} would be a path beside host_vars")


def test_an_empty_name_is_none(make_plugin: MakePlugin, warnings: list[str]) -> None:
    plugin = make_plugin()
    plugin._populate(survey(bait("")))
    assert_named_by_jid(plugin, warnings, "the name is empty")


def test_nobody_is_named_by_the_jid_of_another(make_plugin: MakePlugin) -> None:
    plugin = make_plugin()
    plugin._populate(survey(bait("web@example.org"), machine("web", jid="first@example.org"), machine("web", jid="web@example.org")))
    assert hosts_of(plugin, "archipel_machines") == [BAIT["jid"], "web", "web@example.org"]
    assert variables_of(plugin, "web@example.org")["archipel_name"] == "web"


def test_a_machine_does_not_take_the_name_of_a_hypervisor(make_plugin: MakePlugin) -> None:
    plugin = make_plugin()
    late = {"jid": "far@example.org", "name": "far", "state": "unreachable", "machines": []}
    plugin._populate({"hypervisors": [*survey(bait("far"))["hypervisors"], late], "failures": []})
    assert hosts_of(plugin, "archipel_hypervisors") == ["host", "far"]
    assert hosts_of(plugin, "archipel_machines") == [BAIT["jid"]]


@pytest.mark.parametrize("name", ["all", "archipel_machines", "localhost", "db1"])
def test_a_hypervisors_name_gives_way_too(name: str, make_plugin: MakePlugin) -> None:
    plugin = make_plugin()
    plugin.inventory.add_host("db1", "all")
    found = survey()
    found["hypervisors"][0]["name"] = name
    plugin._populate(found)
    assert hosts_of(plugin, "archipel_hypervisors") == ["hyp@example.org"]


def test_who_has_no_name_left_is_left_out(make_plugin: MakePlugin, warnings: list[str]) -> None:
    plugin = make_plugin(host_format="{jid}")
    plugin._populate(survey(bait("web"), bait("mail")))
    assert variables_of(plugin, BAIT["jid"])["archipel_name"] == "web"
    assert warnings == [f"Archipel inventory: there is a host '{BAIT['jid']}' already; {BAIT['jid']} is left out"]


def test_what_the_format_makes_is_what_counts(make_plugin: MakePlugin, warnings: list[str]) -> None:
    plugin = make_plugin(host_format="vm-{name}")
    plugin.inventory.add_host("vm-db1", "all")
    plugin._populate(survey(machine("all"), bait("db1")))
    assert hosts_of(plugin, "archipel_machines") == ["vm-all", BAIT["jid"]]
    assert len(warnings) == 1


NAMES = st.sampled_from(["all", "db1", "of_db1", "of_all", "big", "localhost", "web", "m0@example.org", "m1@example.org", "host"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.lists(NAMES | st.text(string.ascii_letters + "_@./[]!*: ", max_size=4), max_size=5))
def test_no_set_of_names_changes_a_host_or_group_of_another(make_plugin: MakePlugin, names: list[str]) -> None:
    keyed = [{"key": "inventory_hostname", "prefix": "of"}, {"key": "archipel_name", "prefix": "", "separator": ""}]
    plugin = make_plugin(groups={"big": "true"}, keyed_groups=keyed)
    plugin.inventory = inventory = InventoryData()
    inventory.add_host("db1", "all")
    before = dict(variables_of(plugin, "db1"))
    plugin._populate(survey(*(machine(name, jid=f"m{number}@example.org") for number, name in enumerate(names))))
    inventory.reconcile_inventory()
    assert variables_of(plugin, "db1") == before
    assert all(not group.vars for group in inventory.groups.values())
    assert not inventory.hosts.keys() & inventory.groups.keys() - {"db1"}
    found = {variables_of(plugin, host)["archipel_jid"] for host in hosts_of(plugin, "archipel_machines")}
    assert found == {f"m{number}@example.org" for number in range(len(names))}
