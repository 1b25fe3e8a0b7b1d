# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible.errors import AnsibleError, AnsibleParserError

from tests.unit.plugins.inventory.conftest import MakePlugin, hosts_of, machine, survey, variables_of

FULL = machine(
    "web",
    tags=["a", "b"],
    memory=512,
    max_memory=1024,
    vcpus=2,
    autostart=True,
    addresses=["192.0.2.7"],
    organisation={"orgname": "University", "userid": "bob@example.org"},
)


def test_hypervisors_and_machines_have_groups_of_their_own(make_plugin: MakePlugin) -> None:
    plugin = make_plugin()
    plugin._populate(survey(machine("web"), machine("mail")))
    assert hosts_of(plugin, "archipel_hypervisors") == ["host"]
    assert hosts_of(plugin, "archipel_machines") == ["web", "mail"]
    assert hosts_of(plugin, "archipel_unreachable") == []


def test_states_tags_and_hypervisors_are_groups(make_plugin: MakePlugin) -> None:
    plugin = make_plugin()
    plugin._populate(survey(machine("web", tags=["course 101"]), machine("mail", state="shutting down")))
    assert hosts_of(plugin, "state_running") == ["web"]
    assert hosts_of(plugin, "state_shutting_down") == ["mail"]
    assert hosts_of(plugin, "state_online") == ["host"]
    assert hosts_of(plugin, "tag_course_101") == ["web"]
    assert hosts_of(plugin, "hypervisor_hyp") == ["host", "web", "mail"]


def test_a_machine_has_variables(make_plugin: MakePlugin) -> None:
    plugin = make_plugin()
    plugin._populate(survey(FULL))
    variables = variables_of(plugin, "web")
    assert {name: variables[f"archipel_{name}"] for name in ("kind", "name", "owner", "memory", "max_memory", "vcpus", "autostart")} == {
        "kind": "machine",
        "name": "web",
        "owner": "bob@example.org",
        "memory": 512,
        "max_memory": 1024,
        "vcpus": 2,
        "autostart": True,
    }
    assert (variables["archipel_hypervisor"], variables["archipel_jid"]) == ("hyp@example.org", FULL["jid"])
    assert (variables["archipel_addresses"], variables["archipel_tags"]) == (["192.0.2.7"], ["a", "b"])


def test_what_is_not_known_is_no_variable(make_plugin: MakePlugin) -> None:
    plugin = make_plugin()
    plugin._populate(survey(machine("web", state="unknown", addresses=None)))
    assert {"archipel_memory", "archipel_addresses", "archipel_owner"} & variables_of(plugin, "web").keys() == set()


def test_a_hypervisor_has_variables(make_plugin: MakePlugin) -> None:
    plugin = make_plugin()
    plugin._populate(survey())
    variables = variables_of(plugin, "host")
    assert (variables["archipel_kind"], variables["archipel_full_jid"]) == ("hypervisor", "hyp@example.org/host")
    assert variables["archipel_node"] == {"memory": 1024}


def test_who_does_not_answer_is_in_a_group(make_plugin: MakePlugin) -> None:
    plugin = make_plugin()
    away = {"jid": "far@example.org", "name": "far", "state": "unreachable", "machines": []}
    plugin._populate({"hypervisors": [*survey(machine("web", state="unreachable"))["hypervisors"], away], "failures": []})
    assert hosts_of(plugin, "archipel_unreachable") == ["far", "web"]


# -- names --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host_format, name",
    [("{uuid}", FULL["uuid"]), ("{jid}", FULL["jid"]), ("{name}.{hypervisor}", "web.hyp@example.org"), ("vm-{name}", "vm-web")],
)
def test_hosts_are_named_as_wanted(host_format: str, name: str, make_plugin: MakePlugin) -> None:
    plugin = make_plugin(host_format=host_format)
    plugin._populate(survey(FULL))
    assert hosts_of(plugin, "archipel_machines") == [name]


def test_a_name_that_is_taken_gives_way_to_the_jid(make_plugin: MakePlugin, warnings: list[str]) -> None:
    plugin = make_plugin()
    second = machine("web", jid="other@example.org")
    plugin._populate(survey(FULL, second))
    assert hosts_of(plugin, "archipel_machines") == ["web", "other@example.org"]
    assert warnings == ["Archipel inventory: there is a host 'web' already; other@example.org is named by its JID"]


@pytest.mark.parametrize("host_format", ["{nome}", "{", "{0}"])
def test_a_wrong_format_is_an_error(host_format: str, make_plugin: MakePlugin) -> None:
    with pytest.raises(AnsibleParserError, match="host_format: there are name, uuid, jid, hypervisor"):
        make_plugin(host_format=host_format)._populate(survey(FULL))


# -- filters ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "filters, left",
    [
        ([], ["web", "mail"]),
        (["archipel_memory > 256"], ["web"]),
        (["archipel_state == 'running'", "'a' in archipel_tags"], ["web"]),
        (["archipel_name is match('m')"], ["mail"]),
        (["false"], []),
    ],
)
def test_machines_for_which_a_filter_does_not_hold_are_left_out(filters: list[str], left: list[str], make_plugin: MakePlugin) -> None:
    plugin = make_plugin(filters=filters)
    plugin._populate(survey(FULL, machine("mail", memory=128)))
    assert hosts_of(plugin, "archipel_machines") == left
    assert hosts_of(plugin, "archipel_hypervisors") == ["host"]


def test_who_does_not_answer_is_not_judged(make_plugin: MakePlugin) -> None:
    plugin = make_plugin(filters=["archipel_state == 'running'"])
    plugin._populate(survey(machine("web", state="unreachable")))
    assert hosts_of(plugin, "archipel_unreachable") == ["web"]


def test_a_filter_that_cannot_be_judged_does_not_hold_or_is_an_error(make_plugin: MakePlugin) -> None:
    lenient = make_plugin(filters=["archipel_owner == 'bob'"])
    lenient._populate(survey(machine("web")))
    assert hosts_of(lenient, "archipel_machines") == []
    strict = make_plugin(filters=["archipel_owner == 'bob'"], strict=True, keyed_groups=[])
    with pytest.raises(AnsibleParserError, match="cannot be judged for web"):
        strict._populate(survey(machine("web")))


# -- constructed --------------------------------------------------------------------------------------------------------


def test_variables_and_groups_are_composed(make_plugin: MakePlugin) -> None:
    plugin = make_plugin(compose={"ansible_host": "archipel_addresses | first"}, groups={"big": "archipel_memory > 256"}, default_groups=[])
    plugin._populate(survey(FULL, machine("mail", memory=128)))
    assert variables_of(plugin, "web")["ansible_host"] == "192.0.2.7"
    assert "ansible_host" not in variables_of(plugin, "mail")
    assert hosts_of(plugin, "big") == ["web"]
    assert "state_running" not in plugin.inventory.groups


def test_a_strict_inventory_refuses_what_it_cannot_compose(make_plugin: MakePlugin) -> None:
    plugin = make_plugin(compose={"x": "archipel_nothing"}, strict=True)
    with pytest.raises(AnsibleError, match="Could not set x for host host:"):
        plugin._populate(survey(FULL))
