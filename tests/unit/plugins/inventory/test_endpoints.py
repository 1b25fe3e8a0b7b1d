# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

import pytest
from ansible.errors import AnsibleParserError
from ansible.template import trust_as_template

from tests.unit.plugins.inventory.conftest import MakePlugin

A = "a@north.example"
B = "b@south.example"


def test_without_servers_there_is_one(make_plugin: MakePlugin) -> None:
    (endpoint,) = make_plugin(xmpp_jid=A, hypervisors=["hyp@north.example"], endpoint_timeout=5)._endpoints()
    assert (endpoint["xmpp_jid"], endpoint["hypervisors"], endpoint["xmpp_port"]) == (A, ["hyp@north.example"], None)
    assert (endpoint["endpoint_timeout"], endpoint["gather_addresses"]) == (5, True)


def test_the_environment_says_what_the_file_does_not(make_plugin: MakePlugin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHIPEL_JID", A)
    monkeypatch.setenv("ARCHIPEL_HOST", "192.0.2.9")
    monkeypatch.setenv("ARCHIPEL_HYPERVISOR", "hyp@north.example")
    (endpoint,) = make_plugin(xmpp_host="192.0.2.1")._endpoints()
    assert (endpoint["xmpp_jid"], endpoint["xmpp_host"], endpoint["hypervisors"]) == (A, "192.0.2.1", ["hyp@north.example"])


def test_an_empty_variable_of_the_environment_is_none(make_plugin: MakePlugin, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("JID", "HOST", "PORT", "CA_FILE", "PUBSUB_SERVICE", "HYPERVISOR", "PROFILE")
    for name in names:
        monkeypatch.setenv(f"ARCHIPEL_{name}", "")
    (endpoint,) = make_plugin()._endpoints()
    assert {endpoint[name] for name in ("xmpp_jid", "xmpp_host", "xmpp_port", "xmpp_ca_file", "hypervisors", "profile")} == {None}
    assert all(os.environ[f"ARCHIPEL_{name}"] == "" for name in names)


def test_options_beside_the_list_are_defaults(make_plugin: MakePlugin) -> None:
    north, south = make_plugin(xmpp_jid=A, timeout=3, servers=[{}, {"xmpp_jid": B, "timeout": 9}])._endpoints()
    assert (north["xmpp_jid"], north["timeout"]) == (A, 3)
    assert (south["xmpp_jid"], south["timeout"]) == (B, 9)


@pytest.mark.parametrize("own", ["xmpp_password", "xmpp_password_file", "profile"])
def test_a_servers_own_secret_is_not_overruled_by_a_common_one(own: str, make_plugin: MakePlugin) -> None:
    (endpoint,) = make_plugin(xmpp_password="common", servers=[{own: "own"}])._endpoints()
    assert {name: endpoint[name] for name in ("xmpp_password", "xmpp_password_file", "profile") if endpoint[name]} == {own: "own"}


def test_a_secret_may_be_a_template(make_plugin: MakePlugin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUTH", "secret-word")
    plugin = make_plugin(servers=[{}])
    plugin.set_option("servers", [{"xmpp_password": trust_as_template("{{ lookup('ansible.builtin.env', 'SOUTH') }}")}])
    assert plugin._endpoints()[0]["xmpp_password"] == "secret-word"


def test_an_unknown_option_is_named(make_plugin: MakePlugin) -> None:
    with pytest.raises(AnsibleParserError, match=r"servers\[1\]: pasword is no option; there are xmpp_jid"):
        make_plugin(servers=[{}, {"pasword": "x"}])._endpoints()
