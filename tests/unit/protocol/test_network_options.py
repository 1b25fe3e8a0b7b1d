# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A network by single options: written as libvirt wants it, read back, changed without touching anything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.protocol.domain.options import DeclarationError
from archipel.protocol.domain.xml_path import content
from archipel.protocol.domain.xml_values import DomainXmlError
from archipel.protocol.network_options import MODES, NETWORK, change_network, describe_network, make_network, read_declaration

GOLDEN = Path(__file__).parent / "golden_networks" / "lab.xml"
UUID = "6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69"
LAB: dict[str, Any] = {
    "forward": {"mode": "nat", "dev": "eth0", "port_start": 2000, "port_end": 3000},
    "bridge": {"name": "virbr-lab", "stp": False, "delay": 2},
    "zone": "libvirt",
    "mac": "52:54:00:AB:CD:01",
    "mtu": 1400,
    "domain": {"name": "lab.example.org", "local_only": True},
    "dns": {
        "enable": None,
        "forward_plain_names": False,
        "forwarders": [{"addr": "10.77.0.53", "domain": "example.org"}],
        "hosts": [{"ip": "10.77.0.2", "hostnames": ["files"]}],
        "txt": [{"name": "course", "value": "autumn 2026"}],
        "srv": [{"service": "ldap", "protocol": "tcp", "target": "files", "port": 389}],
    },
    "ips": [
        {
            "address": "10.77.0.1",
            "netmask": "255.255.255.0",
            "dhcp_ranges": [{"start": "10.77.0.100", "end": "10.77.0.199"}],
            "dhcp_hosts": [{"mac": "52:54:00:77:00:0A", "name": "web", "ip": "10.77.0.10"}],
            "bootp_file": "pxelinux.0",
            "bootp_server": "10.77.0.3",
            "tftp_root": "/srv/tftp",
        },
        {"address": "fd00:77:0::1", "prefix": 64},
    ],
    "portgroups": [
        {
            "name": "class",
            "default": True,
            "vlan": {"trunk": True, "tags": [{"id": 42, "native_mode": "untagged"}]},
            "bandwidth": {"inbound": {"average": 1000}},
            "virtualport": {"type": "openvswitch", "interfaceid": "09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4f"},
        }
    ],
}


def lab() -> ET.Element:
    return ET.parse(GOLDEN).getroot()


def network(inner: str) -> ET.Element:
    return ET.fromstring(f"<network><name>lab</name>{inner}</network>")


def text(element: ET.Element) -> str:
    ET.indent(element)
    return ET.tostring(element, "unicode")


def test_everything_that_can_be_declared_is_written_as_libvirt_reads_it() -> None:
    assert text(make_network(read_declaration(LAB), "lab", UUID)) == text(lab())


def test_what_is_there_is_told_in_the_words_of_a_declaration() -> None:
    declared = read_declaration(LAB)
    assert describe_network(lab()) == {name: value for name, value in declared.items() if name != "mac"}  # libvirt's own choice mostly
    assert NETWORK.read_like(lab(), declared) == declared


def test_a_declaration_of_what_is_there_changes_nothing() -> None:
    assert content(change_network(read_declaration(LAB), lab())) == content(lab())
    assert content(change_network(read_declaration(describe_network(lab())), lab())) == content(lab())


def test_what_is_not_declared_stays() -> None:
    changed = change_network(read_declaration({"mtu": 9000, "ips": [{"address": "10.77.0.1", "dhcp_hosts": []}]}), lab())
    assert changed.find("mtu[@size='9000']") is not None
    assert [entry.get("address") for entry in changed.findall("ip")] == ["10.77.0.1"]
    assert changed.find("ip/dhcp/range") is not None
    assert changed.find("ip/dhcp/host") is None
    assert changed.find("portgroup/vlan/tag") is not None


def test_options_for_dnsmasq_survive_a_change() -> None:
    options = "<d:options xmlns:d='http://libvirt.org/schemas/network/dnsmasq/1.0'><d:option value='log-dhcp'/></d:options>"
    changed = change_network({"mtu": 1400}, network(options))
    assert changed.find("{http://libvirt.org/schemas/network/dnsmasq/1.0}options") is not None


@pytest.mark.parametrize(
    "before, declared, gone, there",
    [
        ("<forward mode='nat'><nat><port start='1' end='9'/></nat></forward>", {"forward": {"mode": "route"}}, "forward/nat", "forward"),
        ("<forward mode='nat'/>", {"forward": {"mode": "isolated"}}, "forward", "name"),
        (
            "<forward dev='eth0'><interface dev='eth0'/></forward>",
            {"forward": {"dev": "eth1"}},
            "forward/interface",
            "forward[@dev='eth1']",
        ),
        ("<bridge name='b' zone='z'/>", {"zone": ""}, "bridge[@zone]", "bridge[@name='b']"),
        ("<vlan><tag id='4'/></vlan>", {"vlan": {"tags": []}}, "vlan", "name"),
        (
            "<ip address='10.0.0.1' netmask='255.0.0.0'/>",
            {"ips": [{"address": "10.0.0.1", "prefix": 16}]},
            "ip[@netmask]",
            "ip[@prefix='16']",
        ),
        ("<ip address='10.0.0.1' netmask='255.0.0.0'/>", {"ips": [{"address": "10.0.0.1", "prefix": 8}]}, "ip[@prefix]", "ip[@netmask]"),
    ],
)
def test_what_is_taken_away_leaves_nothing_behind(before: str, declared: dict[str, Any], gone: str, there: str) -> None:
    changed = change_network(read_declaration(declared), network(before))
    assert changed.find(gone) is None
    assert changed.find(there) is not None


@pytest.mark.parametrize(
    "options, place",
    [
        ({"mac": "zz"}, "mac: 'zz'"),
        ({"forward": {"mode": "magic"}}, "forward.mode: 'magic'"),
        ({"forward": {"port": 1}}, "forward.port: is no option"),
        ({"forward": "nat"}, "forward: write a mapping"),
        ({"ips": [{"address": "10.0.0.1"}, {"address": "10.0.0.300"}]}, "ips[1].address: '10.0.0.300'"),
        ({"ips": [{"address": "10.0.0.1"}, {"address": "10.0.0.1", "prefix": 8}]}, "ips[1]: is there twice"),
        ({"ips": [{"address": "10.0.0.1", "netmask": "255.0.255.0"}]}, "ips[0].netmask: '255.0.255.0'"),
        ({"ips": {"address": "10.0.0.1"}}, "ips: write a list"),
        ({"ips": [{"address": "10.0.0.1", "dhcp_hosts": [{"mac": "x"}]}]}, "ips[0].dhcp_hosts[0].mac: 'x'"),
        ({"portgroups": [{"name": "a", "vlan": {"tags": [{"id": 4096}]}}]}, "portgroups[0].vlan.tags[0].id: write a whole number"),
        ({"domain": {"name": "a\nb"}}, "domain.name: "),
        ({"bridge": {"stp": "maybe"}}, "bridge.stp: write true or false"),
    ],
)
def test_what_is_wrong_is_named(options: dict[str, Any], place: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        read_declaration(options)
    assert place in str(caught.value)


def test_addresses_that_do_not_fit_are_refused_before_anybody_is_asked() -> None:
    outside = {"ips": [{"address": "10.0.0.1", "prefix": 24, "dhcp_ranges": [{"start": "10.0.1.1", "end": "10.0.1.9"}]}]}
    with pytest.raises(DomainXmlError, match="does not lie in"):
        make_network(read_declaration(outside), "lab", None)


names = st.text("abcdefghij-", min_size=1, max_size=10)
addresses = st.ip_addresses(v=4).map(str)
declarations = st.fixed_dictionaries(
    {},
    optional={
        "forward": st.fixed_dictionaries({"mode": st.sampled_from([mode for mode in MODES if mode != "isolated"])}),
        "mtu": st.integers(68, 65535),
        "domain": st.fixed_dictionaries({"name": names}, optional={"local_only": st.booleans()}),
        "dns": st.fixed_dictionaries(
            {},
            optional={
                "enable": st.booleans(),
                "txt": st.lists(st.fixed_dictionaries({"name": names, "value": names}), unique_by=lambda entry: entry["name"]),
                "hosts": st.lists(
                    st.fixed_dictionaries({"ip": addresses, "hostnames": st.lists(names, min_size=1, unique=True)}),
                    unique_by=lambda entry: entry["ip"],
                ),
            },
        ),
        "portgroups": st.lists(
            st.fixed_dictionaries(
                {"name": names},
                optional={
                    "vlan": st.fixed_dictionaries(
                        {"tags": st.lists(st.integers(0, 4095).map(lambda number: {"id": number}), min_size=1, unique_by=str)}
                    )
                },
            ),
            unique_by=lambda entry: entry["name"],
        ),
    },
)


@given(declarations, declarations)
def test_whatever_is_declared_is_there_afterwards_and_stays_when_it_is_declared_again(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = read_declaration(one), read_declaration(other)
    made = make_network(first, "lab", None)
    assert NETWORK.read_like(made, first) == first
    changed = change_network(second, made)
    assert NETWORK.read_like(changed, second) == second
    assert content(change_network(second, changed)) == content(changed)
    again = make_network(read_declaration(describe_network(changed)), "lab", None)
    assert describe_network(again) == describe_network(changed)
