# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a network may be that is defined by somebody who lacks the right to pass the domain policy: an allow-list.

Left out on purpose, because it reaches the host or its network: options for dnsmasq, files that it serves (tftp), pools of
the host's devices (hostdev, macvtap), bridges that the settings do not name, firewall zones, routes, and addresses that are
not private.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from archipel.agent.virt.allow_list import (
    NUMBER,
    ON_OFF,
    WORD,
    YES_NO,
    Rule,
    Violation,
    anything,
    judge_element,
    many,
    one_of,
    shorter_than,
)
from archipel.agent.virt.domain_policy import DomainPolicy, Scope
from archipel.protocol.domain.domain import Domain
from archipel.protocol.network_definition import ForwardMode, NetworkDefinition, subnet_of

if TYPE_CHECKING:
    from archipel.agent.settings import Policy

_ASK: Final = "let somebody define it who may pass the domain policy"
_NOWHERE: Final = Path("/nonexistent")


_PLAIN: Final = shorter_than(256)
_LEASE: Final = {"lease": Rule({"expiry": NUMBER, "unit": one_of("seconds", "minutes", "hours")})}
_RATES: Final = dict.fromkeys(("average", "peak", "burst", "floor"), NUMBER)
_BANDWIDTH: Final = Rule(children={"inbound": Rule(_RATES), "outbound": Rule(_RATES)})
_VLAN: Final = Rule({"trunk": YES_NO}, {"tag": many(Rule({"id": NUMBER, "nativeMode": one_of("tagged", "untagged")}))})
_PORT: Final = Rule({"type": one_of("openvswitch")}, {"parameters": Rule({"interfaceid": WORD, "profileid": WORD})})
_RANGE: Final = Rule({"start": anything, "end": anything})

_FORWARD: Final = Rule(
    {"mode": one_of("nat", "route", "open", "bridge", "none"), "dev": WORD},
    {
        "nat": Rule({"ipv6": YES_NO}, {"address": _RANGE, "port": Rule({"start": NUMBER, "end": NUMBER})}),
        "interface": many(Rule({"dev": WORD, "connections": NUMBER})),
    },
)
_DHCP: Final = Rule(
    children={
        "range": many(Rule(_RANGE.attributes, _LEASE)),
        "host": many(Rule({"mac": WORD, "ip": anything, "name": _PLAIN, "id": _PLAIN}, _LEASE)),
        "bootp": Rule({"file": _PLAIN, "server": _PLAIN}),
    }
)
_SRV: Final = {"service": WORD, "protocol": WORD, "target": WORD, "domain": WORD, "port": NUMBER, "priority": NUMBER, "weight": NUMBER}
_DNS: Final = Rule(
    {"enable": YES_NO, "forwardPlainNames": YES_NO},
    {
        "forwarder": many(Rule({"addr": anything, "domain": _PLAIN})),
        "txt": many(Rule({"name": _PLAIN, "value": _PLAIN})),
        "srv": many(Rule(_SRV)),
        "host": many(Rule({"ip": anything}, {"hostname": many(Rule(text=_PLAIN))})),
    },
)
_NETWORK: Final = Rule(
    {"ipv6": YES_NO, "trustGuestRxFilters": one_of("no"), "connections": NUMBER},
    {
        "name": Rule(text=_PLAIN),
        "uuid": Rule(text=_PLAIN),
        "title": Rule(text=_PLAIN),
        "description": Rule(text=anything),
        "metadata": Rule(opaque=True),
        "forward": _FORWARD,
        "bridge": Rule({"name": WORD, "stp": ON_OFF, "delay": NUMBER, "macTableManager": one_of("kernel", "libvirt")}),
        "mtu": Rule({"size": NUMBER}),
        "mac": Rule({"address": WORD}),
        "domain": Rule({"name": _PLAIN, "localOnly": YES_NO, "register": one_of("no")}),
        "dns": _DNS,
        "ip": many(Rule({"address": anything, "netmask": anything, "prefix": NUMBER, "family": WORD, "localPtr": YES_NO}, {"dhcp": _DHCP})),
        "bandwidth": _BANDWIDTH,
        "vlan": _VLAN,
        "virtualport": _PORT,
        "port": Rule({"isolated": YES_NO}),
        "portgroup": many(
            Rule(
                {"name": _PLAIN, "default": YES_NO, "trustGuestRxFilters": one_of("no")},
                {"bandwidth": _BANDWIDTH, "vlan": _VLAN, "virtualport": _PORT},
            )
        ),
    },
)


def check_network(network: NetworkDefinition, settings: Policy) -> list[Violation]:
    """Return everything in a definition that is well-formed (:func:`read_network`) but not allowed, all at once."""
    policy = DomainPolicy(vm_folder=_NOWHERE, bridges=settings.bridges)
    found = judge_element(network.element, _NETWORK, "network", Scope(policy, Domain()))
    return [*found, *_judge_bridge(network, policy), *_judge_addresses(network)]


def _judge_bridge(network: NetworkDefinition, policy: DomainPolicy) -> Iterator[Violation]:
    """Yield what connects machines with the host's own networks past the settings."""
    if network.mode is not ForwardMode.BRIDGE:
        return
    forward = network.element.find("forward")
    if network.device is not None or (forward is not None and len(forward)):
        yield Violation("network/forward", "plugs machines into an interface of the host", _ASK)
    if network.bridge is None:
        yield Violation("network/bridge/@name", "is missing", "name one of the bridges in allowed_bridges")
    elif not policy.allows_bridge(network.bridge):
        yield Violation("network/bridge/@name", f"{network.bridge!r} is not allowed", "use one of the bridges in allowed_bridges")


def _judge_addresses(network: NetworkDefinition) -> Iterator[Violation]:
    """Yield addresses with which the host would send elsewhere what is meant for somebody outside."""
    for number, entry in enumerate(network.addresses, start=1):
        subnet, _fault = subnet_of(entry)
        address = entry.address
        private = (
            address is not None and address.is_private and not (address.is_loopback or address.is_link_local or address.is_unspecified)
        )
        if not private or (subnet is not None and not subnet.is_private):
            yield Violation(f"network/ip[{number}]/@address", f"{subnet or address} is not a private network", f"use one, or {_ASK}")
