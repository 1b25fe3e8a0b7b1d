# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.protocol.domain.xml_values import DomainXmlError
from archipel.protocol.network import GetNetworks, Network, NetworkGroup
from archipel.protocol.network_definition import MOST_BYTES, ForwardMode, NetworkDefinition, read_network
from archipel.protocol.payload import write_answer

WHOLE = """<network ipv6='yes'>
  <name>lab</name>
  <uuid>6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69</uuid>
  <metadata><x:y xmlns:x='urn:x'>two
lines</x:y></metadata>
  <forward mode='nat' dev='eth0'><nat><port start='1024' end='65535'/></nat></forward>
  <bridge name='virbr7' stp='on' delay='0'/>
  <mtu size='9000'/>
  <mac address='52:54:00:0a:0b:0c'/>
  <domain name='lab.example' localOnly='yes'/>
  <ip address='192.168.7.1' netmask='255.255.255.0'>
    <dhcp><range start='192.168.7.10' end='192.168.7.20'/><host mac='52:54:00:00:00:01' name='web' ip='192.168.7.2'/></dhcp>
  </ip>
  <ip family='ipv6' address='fd00:7::1' prefix='64'><dhcp><range start='fd00:7::10' end='fd00:7::20'/></dhcp></ip>
  <route address='192.168.9.0' prefix='24' gateway='192.168.7.9'/>
  <vlan trunk='yes'><tag id='42'/><tag id='47' nativeMode='untagged'/></vlan>
  <virtualport type='openvswitch'><parameters interfaceid='09b11c53-8b5c-4eeb-8f00-d84eaa0aaa4f'/></virtualport>
  <portgroup name='engineering' default='yes'><vlan><tag id='10'/></vlan></portgroup>
  <portgroup name='sales'/>
</network>"""


def read(text: str) -> NetworkDefinition:
    return read_network(ET.fromstring(text))


def network(inner: str) -> str:
    return f"<network><name>lab</name>{inner}</network>"


def test_a_whole_definition_is_read_and_kept() -> None:
    found = read(WHOLE)
    assert (found.name, found.mode, found.bridge, found.mtu) == ("lab", ForwardMode.NAT, "virbr7", 9000)
    assert [str(entry.address) for entry in found.addresses] == ["192.168.7.1", "fd00:7::1"]
    assert found.vlan is not None
    assert [tag.id for tag in found.vlan.tags] == [42, 47]
    assert [group.name for group in found.portgroups] == ["engineering", "sales"]
    assert "two\nlines" in found.to_text()


@pytest.mark.parametrize("mode", ["isolated", "none"])
def test_an_isolated_network_has_no_way_out(mode: str) -> None:
    assert read(network(f"<forward mode='{mode}'/>")).mode in {None, ForwardMode.NONE}


IP = "<ip address='10.1.0.1' netmask='255.255.255.0'>{}</ip>"


@pytest.mark.parametrize(
    "inner, place",
    [
        ("<forward mode='tunnel'/>", "network/forward/@mode"),
        ("<forward mode='nat'/><forward mode='nat'/>", "network/forward: stands more than once"),
        ("<bridge name='a/b'/>", "network/bridge/@name"),
        ("<bridge name='sixteencharacters'/>", "network/bridge/@name"),
        ("<bridge stp='maybe'/>", "network/bridge/@stp"),
        ("<mtu size='1'/>", "network/mtu/@size"),
        ("<mac address='52:54'/>", "network/mac/@address"),
        ("<uuid>12</uuid>", "network/uuid"),
        ("<ip address='10.1.0.300'/>", "ip/@address"),
        ("<ip netmask='255.0.0.0'/>", "network/ip[1]/@address: is missing"),
        ("<ip address='10.1.0.1' netmask='255.0.255.0'/>", "network/ip[1]/@netmask"),
        ("<ip address='10.1.0.1' prefix='33'/>", "network/ip[1]/@prefix"),
        ("<ip address='10.1.0.1' prefix='8' netmask='255.0.0.0'/>", "not both"),
        ("<ip address='10.1.0.1' family='ipv6'/>", "network/ip[1]/@family"),
        (IP.format("<dhcp><range start='10.2.0.1' end='10.2.0.9'/></dhcp>"), "range[1]: 10.2.0.1 to 10.2.0.9 does not lie"),
        (IP.format("<dhcp><range start='10.1.0.9' end='10.1.0.1'/></dhcp>"), "range[1]: ends before it begins"),
        (IP.format("<dhcp><range start='10.1.0.9'/></dhcp>"), "range[1]: start or end is missing"),
        (IP.format("<dhcp><host mac='x' ip='10.1.0.9'/></dhcp>"), "host/@mac"),
        (IP.format("<dhcp><host ip='10.2.0.9'/></dhcp>"), "host[1]/@ip"),
        ("<route address='10.1.0.0' prefix='24'/>", "network/route[1]/@gateway"),
        ("<vlan/>", "network/vlan: needs a tag"),
        ("<vlan><tag id='4096'/></vlan>", "tag/@id"),
        ("<vlan><tag/></vlan>", "network/vlan: needs a tag"),
        ("<portgroup/>", "network/portgroup/@name: is missing"),
        ("<portgroup name='a'/><portgroup name='a'/>", "'a' stands more than once"),
        ("<portgroup name='a' default='yes'/><portgroup name='b' default='yes'/>", "only one can be it"),
        ("<virtualport type='teleport'/>", "virtualport/@type"),
        ("<domain name='x&#10;dhcp-script=/tmp/x'/>", "network/domain/@name: holds a control character"),
        ("<dns><txt name='a' value='b&#13;c'/></dns>", "network/dns/txt/@value: holds a control character"),
        (f"<description>{'x' * MOST_BYTES}</description>", "bytes"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(inner: str, place: str) -> None:
    with pytest.raises(DomainXmlError) as caught:
        read(network(inner))
    assert place in str(caught.value)


@pytest.mark.parametrize("name", ["", " ", "a/b", "x" * 201, "a&#10;b"])
def test_a_name_that_libvirt_could_not_keep_is_refused(name: str) -> None:
    with pytest.raises(DomainXmlError, match="network/name"):
        read(f"<network><name>{name}</name></network>")


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(DomainXmlError) as caught:
        read("<network><forward mode='x'/><mtu size='y'/></network>")
    assert all(place in str(caught.value) for place in ("forward/@mode", "mtu/@size", "network/name"))


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=20)
TAGS = st.sampled_from(
    ["network", "name", "uuid", "ip", "dhcp", "range", "host", "vlan", "tag", "portgroup", "route", "forward", "bridge", "{urn:x}o"]
)
NAMES = st.sampled_from(["address", "prefix", "netmask", "mode", "dev", "name", "id", "start", "end", "ip", "mac", "type", "stp"])


def build(tag: str, text: str, attributes: dict[str, str], children: list[ET.Element]) -> ET.Element:
    element = ET.Element(tag, attributes)
    element.text = text
    element.extend(children)
    return element


ELEMENTS = st.recursive(
    st.builds(build, TAGS, TEXTS, st.dictionaries(NAMES, TEXTS, max_size=3), st.just([])),
    lambda inner: st.builds(build, TAGS, TEXTS, st.dictionaries(NAMES, TEXTS, max_size=3), st.lists(inner, max_size=4)),
    max_leaves=12,
)


@given(st.lists(ELEMENTS, max_size=5))
def test_whatever_stands_in_a_definition_is_taken_or_refused(children: list[ET.Element]) -> None:
    element = build("network", "", {}, children)
    named = bool((element.findtext("name") or "").strip())
    try:
        found = read_network(element)
    except DomainXmlError as refusal:
        told = str(refusal)
    else:
        told = found.name or ""
        assert named
    assert told


def test_an_answer_with_networks_is_read_as_it_was_written() -> None:
    groups = (
        NetworkGroup(active=True, networks=(Network(autostart=True, definition=ET.fromstring("<network><name>a</name></network>")),)),
        NetworkGroup(active=False, networks=()),
    )
    query = ET.Element("{archipel:hypervisor:network}query")
    query.extend(write_answer(groups))
    assert [element.tag for element in query] == ["activedNetworks", "unactivedNetworks"]
    assert ET.tostring(query[0][0]) == b'<network autostart="1"><name>a</name></network>'
    read_back = GetNetworks.read_answer(query)
    assert [(group.active, [network.autostart for network in group.networks]) for group in read_back] == [(True, [True]), (False, [])]
    assert read_back[0].networks[0].definition.attrib == {}
