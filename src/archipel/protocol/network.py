# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands about the host's networks (namespace ``archipel:hypervisor:network``), of hypervisors and of virtual machines."""

from __future__ import annotations

import copy
import enum
from typing import Final, Self
from xml.etree import ElementTree as ET

from archipel.protocol import namespaces as ns
from archipel.protocol.changes import Change, about
from archipel.protocol.payload import Payload, Request, attribute, child, foreign_xml, not_empty, payload
from archipel.protocol.xml import child_named, local_name

TOPIC: Final = "network"


@about(TOPIC)
class NetworkPush(Change):
    """What libvirt says of a network of the host, whoever did it."""

    DEFINED = "defined", "a network was defined"
    UNDEFINED = "undefined", "a network's definition was removed"
    CREATED = "created", "a network was started"
    DESTROYED = "destroyed", "a network was stopped"


"""The topic of pushes about networks: ``defined``, ``undefined``, ``created``, ``destroyed``."""

_ACTIVE: Final = {"activedNetworks": True, "unactivedNetworks": False}


class NetworkCode(enum.IntEnum):
    """Error codes of these commands; from LEASES on they are new here."""

    DEFINE = -7001
    UNDEFINE = -7002
    CREATE = -7003
    DESTROY = -7004
    GET = -7005
    BRIDGES = -7006
    GET_NAMES = -7007
    GET_NICS = -7008
    GET_FILTERS = -7009
    LEASES = -7010
    FILTER_GET = -7011
    FILTER_DEFINE = -7012
    FILTER_UNDEFINE = -7013
    DESCRIBE = -7014
    UPDATE = -7015


# -- answers ------------------------------------------------------------------------------------------------------------


@payload
class Network(Payload, tag="network"):
    """A network: libvirt's definition, whose top element says also whether it starts with its host."""

    autostart: bool
    definition: ET.Element

    @classmethod
    def read(cls, element: ET.Element) -> Self:
        """Return the network that ``element`` holds."""
        definition = foreign_xml(element)
        return cls(autostart=definition.attrib.pop("autostart", "0") == "1", definition=definition)

    def write(self) -> ET.Element:
        """Return libvirt's element with one more attribute."""
        element = copy.deepcopy(self.definition)
        element.set("autostart", "01"[self.autostart])
        return element


@payload
class NetworkGroup(Payload):
    """The networks that run, or those that do not; the names of the elements are the founders'."""

    active: bool
    networks: tuple[Network, ...]

    @classmethod
    def read(cls, element: ET.Element) -> Self:
        """Return the group that ``element`` holds."""
        return cls(active=_ACTIVE[local_name(element.tag)], networks=tuple(map(Network.read, element)))

    def write(self) -> ET.Element:
        """Return the element with the networks in it."""
        element = ET.Element(next(tag for tag, active in _ACTIVE.items() if active is self.active))
        element.extend([network.write() for network in self.networks])
        return element


@payload
class NetworkName(Payload, tag="network"):
    """The name of a network that runs."""

    name: str = attribute()


@payload
class Bridge(Payload, tag="bridge"):
    """A bridge of the host; ``type`` is ``linux-bridge`` or ``openvswitch``."""

    name: str = attribute()
    type: str = attribute()


@payload
class Nic(Payload, tag="nic"):
    """A network interface of the host."""

    name: str = attribute()


@payload
class Filter(Payload, tag="filter"):
    """The name of a network filter."""

    name: str = attribute()


@payload
class Lease(Payload, tag="lease"):
    """An address that a network's DHCP server gave away; ``expiry`` in seconds since 1970 (UTC), 0 for one without end."""

    mac: str = attribute(default="")
    ip: str = attribute()
    prefix: int = attribute(default=0)
    hostname: str = attribute(default="")
    client: str = attribute(default="")
    expiry: int = attribute(default=0)


@payload
class NetworkDescription(Payload, tag="description"):
    """A network: ``stored`` is what its next start will use, ``running`` what is in force while it runs."""

    name: str
    uuid: str
    active: bool
    persistent: bool
    autostart: bool
    stored: ET.Element | None = None
    running: ET.Element | None = None

    @classmethod
    def read(cls, element: ET.Element) -> Self:
        """Return the description that ``element`` holds."""
        facts = _NetworkFacts.read(element)
        return cls(
            name=facts.name,
            uuid=facts.uuid,
            active=facts.active,
            persistent=facts.persistent,
            autostart=facts.autostart,
            stored=_definition_in(element, "stored"),
            running=_definition_in(element, "running"),
        )

    def write(self) -> ET.Element:
        """Return the element with up to two definitions in it."""
        facts = _NetworkFacts(name=self.name, uuid=self.uuid, active=self.active, persistent=self.persistent, autostart=self.autostart)
        element = facts.write()
        for tag, definition in (("stored", self.stored), ("running", self.running)):
            if definition is not None:
                ET.SubElement(element, tag).append(copy.deepcopy(definition))
        return element


@payload
class _NetworkFacts(Payload, tag="description"):
    name: str = attribute()
    uuid: str = attribute()
    active: bool = attribute()
    persistent: bool = attribute()
    autostart: bool = attribute()


def _definition_in(element: ET.Element, tag: str) -> ET.Element | None:
    holder = child_named(element, tag)
    return None if holder is None or not len(holder) else foreign_xml(holder[0])


@payload
class RefusedUpdate(Payload, tag="refused"):
    """What libvirt did not change in a network that runs, and its words for why."""

    what: str = attribute()
    why: str = attribute()


# -- networks -----------------------------------------------------------------------------------------------------------


@payload
class DefineNetwork(Request[None], namespace=ns.HYPERVISOR_NETWORK, action="define"):
    """Define a network, new or not. Without ``autostart`` an existing one keeps what it had."""

    autostart: bool | None = attribute(default=None)
    network: ET.Element | None = child(default=None)


@payload
class UndefineNetwork(Request[None], namespace=ns.HYPERVISOR_NETWORK, action="undefine"):
    """Remove a network's definition; ``uuid`` is its name or its UUID, as in all these requests."""

    uuid: str = attribute(not_empty)


@payload
class CreateNetwork(Request[None], namespace=ns.HYPERVISOR_NETWORK, action="create"):
    """Start a network."""

    uuid: str = attribute(not_empty)


@payload
class DestroyNetwork(Request[None], namespace=ns.HYPERVISOR_NETWORK, action="destroy"):
    """Stop a network."""

    uuid: str = attribute(not_empty)


@payload
class GetNetworks(Request[tuple[NetworkGroup, ...]], namespace=ns.HYPERVISOR_NETWORK, action="get", reads=True):
    """All networks with their definitions: first those that run, then the others."""

    @classmethod
    def read_answer(cls, query: ET.Element) -> tuple[NetworkGroup, ...]:
        """Return both groups."""
        return tuple(NetworkGroup.read(element) for element in query if local_name(element.tag) in _ACTIVE)


@payload
class GetNetworkNames(Request[tuple[NetworkName, ...]], namespace=ns.HYPERVISOR_NETWORK, action="getnames", reads=True):
    """The names of the networks that run."""


@payload
class GetBridges(Request[tuple[Bridge, ...]], namespace=ns.HYPERVISOR_NETWORK, action="bridges", reads=True):
    """The host's bridges."""


@payload
class GetNics(Request[tuple[Nic, ...]], namespace=ns.HYPERVISOR_NETWORK, action="getnics", reads=True):
    """The host's network interfaces."""


@payload
class GetLeases(Request[tuple[Lease, ...]], namespace=ns.HYPERVISOR_NETWORK, action="leases", reads=True):
    """New here: the addresses that the network's DHCP server gave away."""

    uuid: str = attribute(not_empty)


@payload
class DescribeNetwork(Request[NetworkDescription], namespace=ns.HYPERVISOR_NETWORK, action="describe", reads=True):
    """New here: one network, with what its next start will use beside what is in force."""

    uuid: str = attribute(not_empty)


@payload
class UpdateNetwork(Request[tuple[RefusedUpdate, ...]], namespace=ns.HYPERVISOR_NETWORK, action="update"):
    """New here: define a network as ``define`` does, and change one that runs at once as far as libvirt can."""

    autostart: bool | None = attribute(default=None)
    network: ET.Element | None = child(default=None)


# -- network filters ----------------------------------------------------------------------------------------------------


@payload
class GetFilters(Request[tuple[Filter, ...]], namespace=ns.HYPERVISOR_NETWORK, action="getnwfilters", reads=True):
    """The names of libvirt's network filters."""


@payload
class GetFilter(Request[ET.Element], namespace=ns.HYPERVISOR_NETWORK, action="nwfilterget", reads=True):
    """New here: the definition of a network filter."""

    name: str = attribute(not_empty)


@payload
class DefineFilter(Request[None], namespace=ns.HYPERVISOR_NETWORK, action="nwfilterdefine"):
    """New here: define a network filter, new or not."""

    filter: ET.Element = child()


@payload
class UndefineFilter(Request[None], namespace=ns.HYPERVISOR_NETWORK, action="nwfilterundefine"):
    """New here: remove a network filter that nothing uses."""

    name: str = attribute(not_empty)
