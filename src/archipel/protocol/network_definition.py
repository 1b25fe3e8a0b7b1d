# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""libvirt's network XML, typed, and what is wrong with one (libvirt, "Network XML format").

libvirt reads it, too, and has the last word; what is checked here is what it takes without a word or refuses without naming
the place, and characters that would end a line of the configuration which it writes for dnsmasq.
"""

from __future__ import annotations

import enum
import ipaddress
import re
import uuid
from collections.abc import Iterator
from typing import Final
from xml.etree import ElementTree as ET

from archipel.protocol.domain.xml_model import Attribute, Child, Children, Element, Property, Text
from archipel.protocol.domain.xml_values import INTEGER, ON_OFF, YES_NO, Converter, DomainXmlError, enumeration
from archipel.protocol.xml import local_name

DNSMASQ: Final = "http://libvirt.org/schemas/network/dnsmasq/1.0"
ET.register_namespace("dnsmasq", DNSMASQ)

MOST_BYTES: Final = 50_000  # of a definition; all of them must come back in one answer
_FREE_TEXT: Final = frozenset({"metadata", "description"})  # where several lines may stand: libvirt only keeps them
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_VLANS: Final = 4096

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network


class ForwardMode(enum.StrEnum):
    """How a network is connected with the world outside; without one it is isolated."""

    NONE = "none"
    NAT = "nat"
    ROUTE = "route"
    OPEN = "open"
    BRIDGE = "bridge"
    PRIVATE = "private"
    VEPA = "vepa"
    PASSTHROUGH = "passthrough"
    HOSTDEV = "hostdev"


class PortType(enum.StrEnum):
    """What a port is plugged into."""

    VEPA = "802.1Qbg"
    VN_LINK = "802.1Qbh"
    OPENVSWITCH = "openvswitch"
    MIDONET = "midonet"


class NativeMode(enum.StrEnum):
    """How a VLAN goes untagged."""

    TAGGED = "tagged"
    UNTAGGED = "untagged"


def _match(pattern: str, wanted: str) -> Converter[str]:
    compiled = re.compile(pattern)

    def parse(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(text)
        return text

    return Converter(wanted, parse)


def _up_to(least: int, most: int) -> Converter[int]:
    def parse(text: str) -> int:
        if not re.fullmatch("[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ValueError(text)
        return int(text)

    return Converter(f"a whole number from {least} to {most}", parse)


IP: Final[Converter[Address]] = Converter("an IP address", ipaddress.ip_address)
UUID: Final = Converter("a UUID", uuid.UUID)
MAC: Final = _match("[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}", "a MAC address")
DEVICE: Final = _match(r"(?!\.{1,2}$)[^\s/:]{1,15}", "the name of a network interface (15 characters at most)")


# -- parts --------------------------------------------------------------------------------------------------------------


class DhcpRange(Element, tag="range"):
    """Addresses that may be given away."""

    start = Attribute("start", IP)
    end = Attribute("end", IP)


class DhcpHost(Element, tag="host"):
    """An address that is kept for one machine."""

    mac = Attribute("mac", MAC)
    ip = Attribute("ip", IP)


class NetworkAddress(Element, tag="ip"):
    """An address of the host in the network, and what it gives away there."""

    address = Attribute("address", IP)
    netmask = Attribute("netmask", IP)
    prefix = Attribute("prefix", _up_to(0, 128))
    family = Attribute("family", _match("ipv[46]", "'ipv4' or 'ipv6'"))
    ranges = Children("dhcp/range", DhcpRange)
    hosts = Children("dhcp/host", DhcpHost)


class Route(Element, tag="route"):
    """A network that is reached through this one."""

    address = Attribute("address", IP)
    netmask = Attribute("netmask", IP)
    prefix = Attribute("prefix", _up_to(0, 128))
    family = Attribute("family", _match("ipv[46]", "'ipv4' or 'ipv6'"))
    gateway = Attribute("gateway", IP)
    metric = Attribute("metric", INTEGER)


class VlanTag(Element, tag="tag"):
    """A VLAN."""

    id = Attribute("id", _up_to(0, _VLANS - 1))
    native_mode = Attribute("nativeMode", enumeration(NativeMode))


class Vlan(Element, tag="vlan"):
    """VLANs of a network or of a group of its ports."""

    trunk = Attribute("trunk", YES_NO)
    tags = Children("tag", VlanTag)


class VirtualPort(Element, tag="virtualport"):
    """What cards are plugged into."""

    type = Attribute("type", enumeration(PortType))
    interface_id = Attribute("parameters/@interfaceid", UUID)


class PortGroup(Element, tag="portgroup"):
    """Cards that are treated alike."""

    name = Attribute("name")
    default = Attribute("default", YES_NO)
    vlan = Child("vlan", Vlan)
    virtualport = Child("virtualport", VirtualPort)


class NetworkDefinition(Element, tag="network"):
    """A network of libvirt."""

    name = Text("name")
    uuid = Text("uuid", UUID)
    mode = Attribute("forward/@mode", enumeration(ForwardMode))
    device = Attribute("forward/@dev", DEVICE)
    bridge = Attribute("bridge/@name", DEVICE)
    stp = Attribute("bridge/@stp", ON_OFF)
    delay = Attribute("bridge/@delay", INTEGER)
    mtu = Attribute("mtu/@size", _up_to(68, 65535))
    mac = Attribute("mac/@address", MAC)
    addresses = Children("ip", NetworkAddress)
    routes = Children("route", Route)
    vlan = Child("vlan", Vlan)
    virtualport = Child("virtualport", VirtualPort)
    portgroups = Children("portgroup", PortGroup)

    @property
    def identity(self) -> str | None:
        """The UUID as libvirt writes it; ``None`` where there is none, or none that is one."""
        try:
            return None if self.uuid is None else str(self.uuid)
        except DomainXmlError:
            return None


def read_network(element: ET.Element) -> NetworkDefinition:
    """Return the definition in a stanza, checked; an isolated network is one without ``<forward/>``.

    Raises:
        DomainXmlError: everything that is wrong with it, each with its place.
    """
    network = NetworkDefinition(element)
    forward = element.find("forward")
    if forward is not None and forward.get("mode") == "isolated":
        element.remove(forward)
    size = len(network.to_text().encode())
    wrong = [f"the definition has {size} bytes; at most {MOST_BYTES} are taken"] if size > MOST_BYTES else list(_find_faults(network))
    if wrong:
        raise DomainXmlError("; ".join(wrong))
    return network


# -- what is wrong ------------------------------------------------------------------------------------------------------


def _find_faults(network: NetworkDefinition) -> Iterator[str]:
    yield from _find_control_characters(network.element, "network")
    values = list(_find_unreadable(network))
    yield from values
    yield from _find_bad_name(network)
    if not values:  # what follows needs all of them
        yield from _find_wrong_addresses(network)
        yield from _find_wrong_groups(network)


def _find_control_characters(element: ET.Element, place: str) -> Iterator[str]:
    """Yield values with line ends and the like: libvirt writes some of them, as they are, into a file of one option a line."""
    for name, value in element.attrib.items():
        if _CONTROL.search(value):
            yield f"{place}/@{local_name(name)}: holds a control character"
    if element.text and element.text.strip() and not len(element) and _CONTROL.search(element.text):
        yield f"{place}: holds a control character"
    for child in element:
        if child.tag not in _FREE_TEXT:
            yield from _find_control_characters(child, f"{place}/{local_name(child.tag)}")


def _find_unreadable(view: Element) -> Iterator[str]:
    """Yield what is wrong with the values of an element and of those in it that have a type here."""
    for name, declared in vars(type(view)).items():
        if isinstance(declared, Property):
            try:
                getattr(view, name)
            except DomainXmlError as error:
                yield str(error)
        elif isinstance(declared, Children):
            for below in getattr(view, name):
                yield from _find_unreadable(below)
        elif isinstance(declared, Child) and (below := getattr(view, name)) is not None:
            yield from _find_unreadable(below)


def _find_bad_name(network: NetworkDefinition) -> Iterator[str]:
    name = network.name
    if not name:
        yield "network/name: is missing"
    elif "/" in name or len(name.encode()) > 200:
        yield f"network/name: {name[:40]!r} has a slash or is longer than 200 bytes"
    for tag in ("name", "uuid", "forward", "bridge", "vlan", "virtualport"):
        if len(network.element.findall(tag)) > 1:
            yield f"network/{tag}: stands more than once"


def _find_wrong_addresses(network: NetworkDefinition) -> Iterator[str]:
    for number, entry in enumerate(network.addresses, start=1):
        place = f"network/ip[{number}]"
        subnet, fault = subnet_of(entry)
        if fault:
            yield f"{place}/{fault}"
        elif subnet is not None:
            yield from _find_outsiders(entry, subnet, place)
    for number, route in enumerate(network.routes, start=1):
        fault = subnet_of(route)[1] or ("@gateway: is missing" if route.gateway is None else "")
        if fault:
            yield f"network/route[{number}]/{fault}"


def subnet_of(entry: NetworkAddress | Route) -> tuple[Subnet | None, str]:
    """Return the subnet of an address and what is wrong with its parts."""
    if entry.address is None:
        return None, "@address: is missing"
    if entry.family is not None and entry.family != f"ipv{entry.address.version}":
        return None, f"@family: {entry.address} is not of {entry.family}"
    if entry.netmask is not None and entry.prefix is not None:
        return None, "@netmask: give it or prefix, not both"
    mask = entry.netmask if entry.netmask is not None else entry.prefix
    if mask is None:
        return None, ""
    try:
        return ipaddress.ip_network(f"{entry.address}/{mask}", strict=False), ""
    except ValueError:
        return None, f"@{'prefix' if entry.netmask is None else 'netmask'}: {mask} does not fit {entry.address}"


def _find_outsiders(entry: NetworkAddress, subnet: Subnet, place: str) -> Iterator[str]:
    for number, given in enumerate(entry.ranges, start=1):
        where = f"{place}/dhcp/range[{number}]"
        if given.start is None or given.end is None:
            yield f"{where}: start or end is missing"
        elif given.start not in subnet or given.end not in subnet:
            yield f"{where}: {given.start} to {given.end} does not lie in {subnet}"
        elif int(given.start) > int(given.end):
            yield f"{where}: ends before it begins"
    for number, host in enumerate(entry.hosts, start=1):
        if host.ip is not None and host.ip not in subnet:
            yield f"{place}/dhcp/host[{number}]/@ip: {host.ip} does not lie in {subnet}"


def _find_wrong_groups(network: NetworkDefinition) -> Iterator[str]:
    names = [group.name for group in network.portgroups]
    if not all(names):
        yield "network/portgroup/@name: is missing"
    for name in sorted({name for name in names if name and names.count(name) > 1}):
        yield f"network/portgroup/@name: {name!r} stands more than once"
    if sum(group.default is True for group in network.portgroups) > 1:
        yield "network/portgroup/@default: only one can be it"
    vlans = [("network/vlan", network.vlan), *((f"portgroup {group.name!r}: vlan", group.vlan) for group in network.portgroups)]
    for place, vlan in vlans:
        if vlan is not None and (not len(vlan.tags) or any(tag.id is None for tag in vlan.tags)):
            yield f"{place}: needs a tag with an id"
