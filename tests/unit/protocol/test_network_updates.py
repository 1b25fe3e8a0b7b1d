# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What changes in a network that runs, call by call."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import libvirt
import pytest

from archipel.protocol.network_updates import Command, Section, carry_over, plan_updates

RUNNING = """<network connections='2'><name>lab</name><forward mode='nat'/>
  <dns><host ip='10.0.0.2'><hostname>files</hostname></host></dns>
  <ip address='fd00::1' prefix='64' family='ipv6'/>
  <ip address='10.0.0.1' prefix='24'><dhcp>
    <range start='10.0.0.100' end='10.0.0.199'/><host mac='52:54:00:00:00:01' name='web' ip='10.0.0.10'/>
  </dhcp></ip>
  <portgroup name='class' connections='1'><vlan><tag id='42'/></vlan></portgroup>
</network>"""


def plan(old: str, new: str) -> list[tuple[str, str, int]]:
    wanted = RUNNING.replace(" connections='2'", "").replace(" connections='1'", "").replace(old, new)
    updates = plan_updates(ET.fromstring(RUNNING), ET.fromstring(wanted))
    return [(update.command.name, update.section.name, update.address) for update in updates]


@pytest.mark.parametrize(
    "old, new, calls",
    [
        ("", "", []),
        ("199'/>", "199'/><range start='10.0.0.50' end='10.0.0.60'/>", [("ADD", "DHCP_RANGE", 1)]),
        ("name='web'", "name='www'", [("DELETE", "DHCP_HOST", 1), ("ADD", "DHCP_HOST", 1)]),
        ("<range start='10.0.0.100' end='10.0.0.199'/>", "", [("DELETE", "DHCP_RANGE", 1)]),
        ("files<", "print<", [("DELETE", "DNS_HOST", -1), ("ADD", "DNS_HOST", -1)]),
        ("<dns>", "<dns><txt name='a' value='b'/><srv service='ldap' protocol='tcp'/>", [("ADD", "DNS_TXT", -1), ("ADD", "DNS_SRV", -1)]),
        ("id='42'", "id='43'", [("MODIFY", "PORTGROUP", -1)]),
        ("name='class'", "name='staff'", [("DELETE", "PORTGROUP", -1), ("ADD", "PORTGROUP", -1)]),
        ("mode='nat'", "mode='route'", []),
    ],
)
def test_each_entry_that_differs_is_one_call(old: str, new: str, calls: list[tuple[str, str, int]]) -> None:
    assert plan(old, new) == calls


def test_what_cannot_change_is_left_for_the_next_start() -> None:
    wanted = ET.fromstring(RUNNING.replace("mode='nat'", "mode='route'").replace("name='web'", "name='www'"))
    after = carry_over(ET.fromstring(RUNNING), wanted)
    assert after.find("forward[@mode='nat']") is not None
    assert after.find("ip/dhcp/host[@name='www']") is not None
    assert plan_updates(after, wanted) == []


def test_a_list_that_is_gone_leaves_no_empty_element() -> None:
    wanted = ET.fromstring("<network><ip address='10.0.0.1'/></network>")
    after = carry_over(ET.fromstring(RUNNING), wanted)
    assert after.find("dns") is None
    assert after.find("ip[@address='10.0.0.1']/dhcp") is None


def test_the_numbers_are_libvirts() -> None:
    for section in Section:
        name = {Section.DHCP_HOST: "IP_DHCP_HOST", Section.DHCP_RANGE: "IP_DHCP_RANGE"}.get(section, section.name)
        assert section == getattr(libvirt, f"VIR_NETWORK_SECTION_{name}")
    for command, name in {Command.MODIFY: "MODIFY", Command.DELETE: "DELETE", Command.ADD: "ADD_LAST"}.items():
        assert command == getattr(libvirt, f"VIR_NETWORK_UPDATE_COMMAND_{name}")
