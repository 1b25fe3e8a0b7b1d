# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people declare of a libvirt network, option by option, and where each stands in its XML (libvirt, "Network XML format")."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, Final
from xml.etree import ElementTree as ET

from archipel.protocol.declared_xml import Listing, Option, Record, Single
from archipel.protocol.domain.options import WORD, DeclarationError, Problem, boolean, choice, matching, path, whole
from archipel.protocol.domain.xml_values import INTEGER, ON_OFF, YES_NO
from archipel.protocol.network_definition import NetworkDefinition, read_network

ISOLATED: Final = "isolated"
MODES: Final = (ISOLATED, "nat", "route", "open", "bridge", "private", "vepa", "passthrough")
_DEVICE: Final = matching(r"(?!\.{1,2}$)[^\s/:]{1,15}", "the name of a network interface, 15 characters at most")
_NAT_PORTS: Final = (1024, 65535)  # which libvirt writes where none are given


def ip_address(value: Any) -> str:
    """Take an IPv4 or IPv6 address; return it as libvirt writes it."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError(f"{value!r} is not an IP address, such as 10.77.0.1") from None


def mac_address(value: Any) -> str:
    """Take a MAC address; return it in small letters, as libvirt writes it."""
    return str(
        matching(
            r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}",
            "a MAC address; write one such as '52:54:00:12:34:56' in quotes, or YAML takes it for a number",
        )(value)
    ).lower()


def _number(at: str, least: int, most: int, default: int | None = None) -> Single:
    return Single(at, INTEGER, check=whole(least, most), default=default)


class _ForwardMode(Option):
    """How the network reaches others; without the element it is isolated, without a mode it is NAT."""

    def check(self, value: Any, place: str) -> str:
        """Take one of the modes."""
        if value not in MODES:
            raise DeclarationError([Problem(place, f"{value!r} is not one of {', '.join(MODES)}")])
        return str(value)

    def read(self, element: ET.Element) -> str | None:
        """Return the mode, unless the network is isolated."""
        mode = self.read_like(element, None)
        return None if mode == ISOLATED else mode

    def read_like(self, element: ET.Element, declared: Any) -> str:
        """Return the mode."""
        forward = element.find("forward")
        mode = "none" if forward is None else forward.get("mode", "nat")
        return ISOLATED if mode == "none" else mode

    def write(self, element: ET.Element, value: Any) -> None:
        """Set it; what only another mode has goes."""
        if value == self.read_like(element, None):
            return
        forward = element.find("forward")
        if forward is None:
            forward = ET.SubElement(element, "forward")
        if value == ISOLATED:
            element.remove(forward)
            return
        forward.set("mode", value)
        for below in forward.findall("nat"):
            forward.remove(below)


class _ForwardDevice(Single):
    """The host's interface that traffic goes through; libvirt writes it twice."""

    def write(self, element: ET.Element, value: Any) -> None:
        """Set it, and leave the second place to libvirt."""
        if value != self.read_like(element, value):
            forward = element.find("forward")
            for listed in () if forward is None else forward.findall("interface"):
                forward.remove(listed)  # type: ignore[union-attr]  # it was found
            super().write(element, value)


class _Prefix(Option):
    """The length of a subnet's prefix, which may also stand there as a netmask."""

    def check(self, value: Any, place: str) -> int:
        """Take a number of bits."""
        return int(_number("@prefix", 0, 128).check(value, place))

    def read(self, element: ET.Element) -> int | None:
        """Return the number of bits, ``None`` where libvirt chooses by the class of the address."""
        prefix, netmask = element.get("prefix"), element.get("netmask")
        if prefix is not None and prefix.isdecimal():
            return int(prefix)
        return _bits_of(netmask)

    def read_like(self, element: ET.Element, declared: Any) -> int | None:
        """Return the same."""
        return self.read(element)

    def write(self, element: ET.Element, value: Any) -> None:
        """Set it as a prefix."""
        if value != self.read(element):
            element.attrib.pop("netmask", None)
            element.set("prefix", str(value))


def _bits_of(netmask: str | None) -> int | None:
    try:
        return None if netmask is None else ipaddress.ip_network(f"0.0.0.0/{netmask}").prefixlen
    except ValueError:
        return None


_VLAN: Final = Record(
    "vlan",
    trunk=Single("@trunk", YES_NO, check=boolean, default=False),
    tags=Listing(
        "tag",
        Record(id=_number("@id", 0, 4095), native_mode=Single("@nativeMode", check=choice("tagged", "untagged"))),
        identity=[("id",)],
    ),
)
_RATES: Final = {name: _number(f"@{name}", 1, 2**31) for name in ("average", "peak", "burst")}
_BANDWIDTH: Final = Record("bandwidth", inbound=Record("inbound", **_RATES), outbound=Record("outbound", **_RATES))
_VIRTUALPORT: Final = Record(
    "virtualport",
    type=Single("@type", check=choice("openvswitch", "802.1Qbg", "802.1Qbh", "midonet")),
    interfaceid=Single("parameters/@interfaceid", check=WORD),
    profileid=Single("parameters/@profileid", check=WORD),
)
_DNS: Final = Record(
    "dns",
    enable=Single("@enable", YES_NO, check=boolean, default=True),
    forward_plain_names=Single("@forwardPlainNames", YES_NO, check=boolean, default=True),
    forwarders=Listing(
        "forwarder", Record(addr=Single("@addr", check=ip_address), domain=Single("@domain")), identity=[("addr", "domain"), ("domain",)]
    ),
    hosts=Listing("host", Record(ip=Single("@ip", check=ip_address), hostnames=Listing("hostname", Single("."))), identity=[("ip",)]),
    txt=Listing("txt", Record(name=Single("@name"), value=Single("@value")), identity=[("name",)]),
    srv=Listing(
        "srv",
        Record(
            service=Single("@service"),
            protocol=Single("@protocol"),
            domain=Single("@domain"),
            target=Single("@target"),
            port=_number("@port", 1, 65535),
            priority=_number("@priority", 0, 65535),
            weight=_number("@weight", 0, 65535),
        ),
        identity=[("service", "protocol", "domain", "target")],
    ),
)
_IP: Final = Record(
    address=Single("@address", check=ip_address),
    prefix=_Prefix(),
    family=Single("@family", check=choice("ipv4", "ipv6")),
    dhcp_ranges=Listing(
        "dhcp/range",
        Record(start=Single("@start", check=ip_address), end=Single("@end", check=ip_address)),
        identity=[("start", "end")],
    ),
    dhcp_hosts=Listing(
        "dhcp/host",
        Record(mac=Single("@mac", check=mac_address), id=Single("@id"), name=Single("@name"), ip=Single("@ip", check=ip_address)),
        identity=[("mac",), ("id",), ("name",), ("ip",)],
    ),
    bootp_file=Single("dhcp/bootp/@file"),
    bootp_server=Single("dhcp/bootp/@server"),
    tftp_root=Single("tftp/@root", check=path),
)
NETWORK: Final = Record(
    forward=Record(
        mode=_ForwardMode(),
        dev=_ForwardDevice("forward/@dev", check=_DEVICE),
        port_start=_number("forward/nat/port/@start", 1, 65535, _NAT_PORTS[0]),
        port_end=_number("forward/nat/port/@end", 1, 65535, _NAT_PORTS[1]),
    ),
    bridge=Record(
        "bridge",
        name=Single("@name", check=_DEVICE),
        stp=Single("@stp", ON_OFF, check=boolean, default=True),
        delay=_number("@delay", 0, 2**31, 0),
    ),
    zone=Single("bridge/@zone", check=WORD),
    mac=Single("mac/@address", check=mac_address),
    mtu=_number("mtu/@size", 68, 65535),
    domain=Record("domain", name=Single("@name"), local_only=Single("@localOnly", YES_NO, check=boolean, default=False)),
    dns=_DNS,
    ips=Listing("ip", _IP, identity=[("address",)]),
    portgroups=Listing(
        "portgroup",
        Record(
            name=Single("@name"),
            default=Single("@default", YES_NO, check=boolean, default=False),
            vlan=_VLAN,
            bandwidth=_BANDWIDTH,
            virtualport=_VIRTUALPORT,
        ),
        identity=[("name",)],
    ),
    vlan=_VLAN,
    bandwidth=_BANDWIDTH,
    virtualport=_VIRTUALPORT,
)
"""All options by name."""
_CHOSEN_BY_LIBVIRT: Final = ("mac",)


def read_declaration(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is declared of a network, in its normal form; ``netmask`` of an address becomes its ``prefix``.

    Raises :class:`DeclarationError`, which names every option that is wrong.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if isinstance(given.get("ips"), list):
        given["ips"] = [_complete_address(entry, f"ips[{index}]") for index, entry in enumerate(given["ips"])]
    return NETWORK.check(given, "")


def _complete_address(entry: Any, place: str) -> Any:
    """Write a netmask as a prefix, and say the family of an IPv6 address, which libvirt wants to be said."""
    if not isinstance(entry, Mapping):
        return entry
    given = {name: value for name, value in entry.items() if value is not None}
    netmask = given.pop("netmask", None)
    if netmask is not None:
        bits = _bits_of(str(netmask))
        if bits is None:
            raise DeclarationError([Problem(f"{place}.netmask", f"{netmask!r} is not a netmask, such as 255.255.255.0")])
        given["prefix"] = bits
    return {"family": "ipv6", **given} if ":" in str(given.get("address")) else given


def make_network(declared: Mapping[str, Any], name: str, uuid: str | None) -> ET.Element:
    """Return the definition of a new network; raises :class:`DomainXmlError` for what is wrong with it."""
    element = ET.Element("network")
    ET.SubElement(element, "name").text = name
    if uuid is not None:
        ET.SubElement(element, "uuid").text = uuid
    NETWORK.write(element, declared)
    return read_network(element).element


def change_network(declared: Mapping[str, Any], present: ET.Element) -> ET.Element:
    """Return a definition that says what is declared, and all else as before."""
    changed = NetworkDefinition(present).copy().element
    NETWORK.write(changed, declared)
    return read_network(changed).element


def describe_network(element: ET.Element) -> dict[str, Any]:
    """Return what a definition says beyond what libvirt does by itself, in the words of a declaration."""
    values = dict(NETWORK.read(element) or {})
    for name in _CHOSEN_BY_LIBVIRT:
        values.pop(name, None)
    return {name: value for name, value in values.items() if value != {}}
