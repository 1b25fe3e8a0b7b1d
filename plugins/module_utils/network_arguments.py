# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options that declare a network; what each means is in the documentation of module ``network``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.entries import definition_or

Arguments = Mapping[str, Mapping[str, Any]]


def _mapping(options: Arguments) -> dict[str, Any]:
    return {"type": "dict", "options": dict(options)}


def _list(options: Arguments, **constraints: Any) -> dict[str, Any]:
    return {"type": "list", "elements": "dict", "options": dict(options), **constraints}


TEXT: Mapping[str, Any] = {"type": "str"}
NEEDED_TEXT: Mapping[str, Any] = {"type": "str", "required": True}
NUMBER: Mapping[str, Any] = {"type": "int"}
TRUTH: Mapping[str, Any] = {"type": "bool"}
MODES = ["isolated", "nat", "route", "open", "bridge", "private", "vepa", "passthrough"]

VLAN = _mapping(
    {
        "trunk": TRUTH,
        "tags": _list({"id": {"type": "int", "required": True}, "native_mode": {"type": "str", "choices": ["tagged", "untagged"]}}),
    }
)
RATES = dict.fromkeys(("average", "peak", "burst"), NUMBER)
BANDWIDTH = _mapping({"inbound": _mapping(RATES), "outbound": _mapping(RATES)})
VIRTUALPORT = _mapping(
    {
        "type": {"type": "str", "choices": ["openvswitch", "802.1Qbg", "802.1Qbh", "midonet"]},
        "interfaceid": TEXT,
        "profileid": TEXT,
    }
)
DNS = _mapping(
    {
        "enable": TRUTH,
        "forward_plain_names": TRUTH,
        "forwarders": _list({"addr": TEXT, "domain": TEXT}, required_one_of=[("addr", "domain")]),
        "hosts": _list({"ip": NEEDED_TEXT, "hostnames": {"type": "list", "elements": "str", "required": True}}),
        "txt": _list({"name": NEEDED_TEXT, "value": NEEDED_TEXT}),
        "srv": _list(
            {
                "service": NEEDED_TEXT,
                "protocol": NEEDED_TEXT,
                **dict.fromkeys(("domain", "target"), TEXT),
                **dict.fromkeys(("port", "priority", "weight"), NUMBER),
            }
        ),
    }
)
IP = {
    "address": NEEDED_TEXT,
    "prefix": NUMBER,
    "netmask": TEXT,
    "family": {"type": "str", "choices": ["ipv4", "ipv6"]},
    "dhcp_ranges": _list({"start": NEEDED_TEXT, "end": NEEDED_TEXT}),
    "dhcp_hosts": _list({"mac": TEXT, "id": TEXT, "name": TEXT, "ip": TEXT}, required_one_of=[("mac", "id", "name")]),
    "bootp_file": TEXT,
    "bootp_server": TEXT,
    "tftp_root": TEXT,
}
# What the definition is made of; the names are those of archipel.protocol.network_options.
NETWORK_OPTIONS: Arguments = {
    "forward": _mapping({"mode": {"type": "str", "choices": MODES}, "dev": TEXT, "port_start": NUMBER, "port_end": NUMBER}),
    "bridge": _mapping({"name": TEXT, "stp": TRUTH, "delay": NUMBER}),
    "zone": TEXT,
    "mac": TEXT,
    "mtu": NUMBER,
    "domain": _mapping({"name": TEXT, "local_only": TRUTH}),
    "dns": DNS,
    "ips": _list(IP, mutually_exclusive=[("prefix", "netmask")]),
    "portgroups": _list({"name": NEEDED_TEXT, "default": TRUTH, "vlan": VLAN, "bandwidth": BANDWIDTH, "virtualport": VIRTUALPORT}),
    "vlan": VLAN,
    "bandwidth": BANDWIDTH,
    "virtualport": VIRTUALPORT,
}
NETWORK: Arguments = {
    "name": TEXT,
    "uuid": TEXT,
    "state": {"type": "str", "choices": ["present", "active", "inactive", "absent"]},
    "autostart": TRUTH,
    "definition": TEXT,
    **NETWORK_OPTIONS,
    "restart": TRUTH,
    "force": TRUTH,
}
DEFINITION_OR_OPTIONS = definition_or(NETWORK_OPTIONS)
