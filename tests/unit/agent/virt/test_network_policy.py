# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from archipel.agent.virt.network_policy import check_network
from archipel.protocol.network_definition import read_network
from tests.unit.agent.fakes import make_settings
from tests.unit.protocol.test_network_definition import IP, network

POLICY = make_settings(Path("/nowhere"), "[POLICY]\nallowed_bridges = br-lab").policy


def judge(inner: str) -> str:
    return "; ".join(map(str, check_network(read_network(ET.fromstring(network(inner))), POLICY)))


@pytest.mark.parametrize(
    "inner",
    [
        "",
        "<forward mode='nat'><nat><port start='1024' end='65535'/></nat></forward>" + IP.format(""),
        "<forward mode='open'/>"
        + IP.format("<dhcp><range start='10.1.0.2' end='10.1.0.9'><lease expiry='1' unit='hours'/></range></dhcp>"),
        "<forward mode='bridge'/><bridge name='br-lab'/><virtualport type='openvswitch'/><portgroup name='a'><vlan><tag id='3'/></vlan></portgroup>",
        "<ip family='ipv6' address='fd00::1' prefix='64'/>",
        "<dns><host ip='10.1.0.7'><hostname>a</hostname><hostname>b</hostname></host></dns><domain name='lab'/>",
    ],
)
def test_what_stays_within_is_allowed(inner: str) -> None:
    assert judge(inner) == ""


@pytest.mark.parametrize(
    "inner, place",
    [
        ("<x:options xmlns:x='http://libvirt.org/schemas/network/dnsmasq/1.0'/>", "dnsmasq/1.0}options"),
        (IP.format("<tftp root='/etc'/>"), "network/ip[1]/tftp"),
        ("<forward mode='hostdev' managed='yes'><pf dev='eth0'/></forward>", "network/forward/@mode"),
        ("<forward mode='hostdev'><driver name='vfio'/></forward>", "network/forward/driver"),
        ("<forward mode='nat'><address type='pci' bus='1'/></forward>", "network/forward/address"),
        ("<forward mode='passthrough'><interface dev='eth0'/></forward>", "network/forward/@mode"),
        ("<forward mode='bridge'/><bridge name='br0'/>", "network/bridge/@name"),
        ("<forward mode='bridge'/>", "network/bridge/@name: is missing"),
        ("<forward mode='bridge' dev='eth0'/><bridge name='br-lab'/>", "network/forward: plugs"),
        ("<forward mode='bridge'><interface dev='eth0'/></forward><bridge name='br-lab'/>", "network/forward: plugs"),
        ("<bridge name='virbr9' zone='trusted'/>", "network/bridge/@zone"),
        ("<route address='10.1.0.0' prefix='24' gateway='10.1.0.2'/>", "network/route"),
        ("<ip address='8.8.8.8' prefix='24'/>", "network/ip[1]/@address"),
        ("<ip address='10.0.0.1' prefix='0'/>", "network/ip[1]/@address"),
        ("<ip address='10.0.0.1' prefix='2'/>", "network/ip[1]/@address"),
        ("<ip address='127.0.0.5' prefix='24'/>", "network/ip[1]/@address"),
        ("<ip address='169.254.169.254' prefix='24'/>", "network/ip[1]/@address"),
        ("<ip address='0.0.0.0' prefix='24'/>", "network/ip[1]/@address"),
        ("<ip address='2001:db9::1' prefix='64'/>", "network/ip[1]/@address"),
        ("<virtualport type='802.1Qbg'/>", "network/virtualport/@type"),
    ],
)
def test_what_reaches_the_host_is_not(inner: str, place: str) -> None:
    assert place in judge(inner)
