# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How Ansible gets to machines: by addresses that can be believed, else through their guest agents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleParserError
from ansible_collections.archipel.platform.plugins.module_utils.connection import SETTING_ARGUMENTS
from ansible_collections.archipel.platform.plugins.plugin_utils.host_variables import LOGIN_OPTIONS, login_variables

from tests.unit.plugins.inventory.conftest import MakePlugin, hosts_of, machine, survey, variables_of

LOGIN = {"xmpp_jid": "teacher@example.org", "xmpp_host": "192.0.2.9", "xmpp_password": "secret-word"}
THROUGH_THE_AGENT = {
    "ansible_connection": "archipel.platform.guest",
    "ansible_archipel_xmpp_jid": "teacher@example.org",
    "ansible_archipel_xmpp_host": "192.0.2.9",
}


def ways_to(plugin: Any, host: str) -> dict[str, Any]:
    """Return what a host's variables say of the way to it."""
    return {name: value for name, value in variables_of(plugin, host).items() if name.startswith("ansible_")}


@pytest.mark.parametrize(
    "addresses, options, way",
    [
        (["192.0.2.7", "192.0.2.8"], {}, {"ansible_host": "192.0.2.7"}),
        (["127.0.0.5", "fe80::1", "::", "224.0.0.1", "2001:db8::7"], {}, {"ansible_host": "2001:db8::7"}),
        (["::ffff:127.0.0.1", "::ffff:0.0.0.0", "2001:db8::1%$(id)", "192.0.2.77 -oProxyCommand=id", "nonsense"], {}, THROUGH_THE_AGENT),
        (["192.0.2.7"], {"use_addresses": False}, {}),
        (["192.0.2.7"], {"address_networks": ["198.51.100.0/24", "192.0.2.0/24"]}, {"ansible_host": "192.0.2.7"}),
        (["192.0.2.7"], {"address_networks": ["198.51.100.0/24", "2001:db8::/32"]}, THROUGH_THE_AGENT),
        (["192.0.2.7"], {"guest_connection": "always"}, THROUGH_THE_AGENT),
        ([], {}, THROUGH_THE_AGENT),
        (["127.0.0.1"], {}, THROUGH_THE_AGENT),
        ([], {"guest_connection": "never"}, {}),
        (None, {}, {}),
        (None, {"guest_connection": "always"}, THROUGH_THE_AGENT),
    ],
)
def test_a_running_machine_is_reached_by_address_or_agent(
    addresses: list[str] | None, options: dict[str, Any], way: dict[str, str], make_plugin: MakePlugin
) -> None:
    plugin = make_plugin(**LOGIN, **options)
    plugin._populate(survey(machine("web", addresses=addresses)))
    assert ways_to(plugin, "web") == way


@pytest.mark.parametrize("state, way", [("off", THROUGH_THE_AGENT), ("unknown", {}), ("unreachable", {})])
def test_a_machine_without_a_guest_has_no_address_and_one_that_is_not_known_perhaps(
    state: str, way: dict[str, str], make_plugin: MakePlugin
) -> None:
    plugin = make_plugin(**LOGIN)
    plugin._populate(survey(machine("web", state=state, addresses=None)))
    assert ways_to(plugin, "web") == way


def test_nobody_takes_the_address_of_another(make_plugin: MakePlugin, warnings: list[str]) -> None:
    """A guest's administrator could name any address; plays for the guest would go there."""
    plugin = make_plugin(**LOGIN)
    first, second = machine("web", addresses=["192.0.2.7"]), machine("mail", addresses=["192.0.2.7", "192.0.2.8"])
    thief = machine("thief", addresses=["192.0.2.1", "::ffff:192.0.2.7"])  # the hypervisor's, and another spelling
    plugin._populate(survey(first, second, thief))
    assert ways_to(plugin, "web") == ways_to(plugin, "thief") == THROUGH_THE_AGENT
    assert ways_to(plugin, "mail") == {"ansible_host": "192.0.2.8"}
    assert ways_to(plugin, "host") == {"ansible_host": "192.0.2.1"}
    assert warnings == [
        f"Archipel inventory: {of['jid']} tells the address {address}, and so does another: it is not used"
        for of, address in ((first, "192.0.2.7"), (second, "192.0.2.7"), (thief, "192.0.2.1"), (thief, "::ffff:192.0.2.7"))
    ]


def test_each_machine_is_reached_over_its_own_server(make_plugin: MakePlugin) -> None:
    plugin = make_plugin(servers=[{"xmpp_jid": "a@north.example"}, {"xmpp_jid": "b@south.example", "profile": "south"}])
    north = survey(machine("web", addresses=[]))["hypervisors"][0]
    south = {**survey(machine("mail", addresses=[]))["hypervisors"][0], "jid": "other@south.example", "addresses": []}
    plugin._populate({"hypervisors": [{**north, "server": 0}, {**south, "server": 1}], "failures": []})
    assert ways_to(plugin, "web")["ansible_archipel_xmpp_jid"] == "a@north.example"
    assert ways_to(plugin, "mail")["ansible_archipel_profile"] == "south"


def test_files_of_the_login_are_found_from_everywhere_and_no_password_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", "/home/teacher")
    monkeypatch.chdir(tmp_path)
    login = {"xmpp_password": "secret", "xmpp_password_file": "~/.north", "xmpp_ca_file": "ca.pem", "timeout": 5.0, "hypervisors": ["x"]}
    assert login_variables(login) == {
        "ansible_archipel_xmpp_password_file": "/home/teacher/.north",
        "ansible_archipel_xmpp_ca_file": str(tmp_path / "ca.pem"),
        "ansible_archipel_timeout": 5.0,
    }


def test_the_login_is_all_that_modules_take() -> None:
    assert LOGIN_OPTIONS == SETTING_ARGUMENTS


def test_a_network_that_is_none_is_named(make_plugin: MakePlugin) -> None:
    with pytest.raises(AnsibleParserError, match=r"address_networks: 192\.0\.2\.7/24 has host bits set"):
        make_plugin(address_networks=["192.0.2.7/24"])._populate(survey())


def test_classes_owners_and_systems_are_groups(make_plugin: MakePlugin) -> None:
    plugin = make_plugin(strict=True)
    seat = machine(
        "seat", tags=["class:linux 1", "class:", "class:net", "other"], organisation={"userid": "bob@example.org"}, system={"os": "debian"}
    )
    plugin._populate(survey(seat, machine("plain")))
    for group in ("class_linux_1", "class_net", "owner_bob_example_org", "os_debian"):
        assert hosts_of(plugin, group) == ["seat"]
    assert variables_of(plugin, "seat")["archipel_classes"] == ["linux 1", "net"]
    assert (variables_of(plugin, "seat")["archipel_os"], variables_of(plugin, "seat")["archipel_system"]) == ("debian", {"os": "debian"})
    assert variables_of(plugin, "plain")["archipel_classes"] == []
    assert "archipel_os" not in variables_of(plugin, "plain")
