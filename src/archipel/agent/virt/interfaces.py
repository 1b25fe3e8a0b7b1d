# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network interfaces of a domain: counters and addresses."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple
from xml.etree import ElementTree as ET

from archipel.agent.virt.binding import VirDomain, VirFailure


class AddressSource(enum.IntEnum):
    """Who knows a domain's addresses (virDomainInterfaceAddressesSource)."""

    LEASE = 0
    AGENT = 1
    ARP = 2


class Address(NamedTuple):
    """An IPv4 or IPv6 address and the length of its prefix (0 where the source does not know it)."""

    address: str
    prefix: int


@dataclass(frozen=True, slots=True)
class InterfaceAddresses:
    """The addresses of one interface.

    ``name`` is the host's device for LEASE and ARP, the guest's for AGENT; ``mac`` tells which interface it is.
    """

    name: str
    mac: str | None
    addresses: tuple[Address, ...]
    source: AddressSource


@dataclass(frozen=True, slots=True)
class InterfaceStats:
    """Counters of one interface as the host's ``device`` sees them: what the guest receives is ``rx``."""

    device: str
    alias: str | None
    mac: str | None
    rx_bytes: int
    rx_packets: int
    rx_errs: int
    rx_drop: int
    tx_bytes: int
    tx_packets: int
    tx_errs: int
    tx_drop: int


def read_stats(domain: VirDomain) -> list[InterfaceStats]:
    """Read the counters of each interface that has a device on the host; the domain must run."""
    root = ET.fromstring(domain.XMLDesc(0))  # noqa: S314 - libvirt wrote it
    found = []
    for interface in root.iterfind("devices/interface"):
        device = _attribute(interface, "target", "dev")
        if device is not None:
            alias, mac = _attribute(interface, "alias", "name"), _attribute(interface, "mac", "address")
            found.append(InterfaceStats(device, alias, mac, *domain.interfaceStats(device)[:8]))
    return found


def _attribute(parent: ET.Element, tag: str, name: str) -> str | None:
    child = parent.find(tag)
    return None if child is None else child.get(name)


def read_addresses(domain: VirDomain, sources: Iterable[AddressSource]) -> list[InterfaceAddresses]:
    """Read the addresses from the first source that knows any; a source that cannot be asked knows none."""
    for source in sources:
        try:
            answer = domain.interfaceAddresses(source, 0)
        except VirFailure:
            continue
        found = [
            InterfaceAddresses(name, entry["hwaddr"], tuple(Address(one["addr"], one["prefix"]) for one in entry["addrs"] or ()), source)
            for name, entry in answer.items()
        ]
        if any(interface.addresses for interface in found):
            return found
    return []
