# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network interfaces of a domain: counters and addresses."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple
from xml.etree import ElementTree as ET

from archipel.agent.virt.binding import VirDomain, VirFailure

AGENT_CHANNEL: Final = "org.qemu.guest_agent.0"


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


Leases = Mapping[str, Mapping[str, tuple[Address, ...]]]
"""What the DHCP servers of networks (names) gave to which card (MAC); a network that cannot be asked is not in it."""


class HostsWord(NamedTuple):
    """What the host knows of a running domain's addresses; ``guest_knows``: nothing, but there is a guest agent that may know."""

    cards: tuple[InterfaceAddresses, ...] = ()
    guest_knows: bool = False


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
            found = read_source(domain, source)
        except VirFailure:
            continue
        if found:
            return found
    return []


def read_source(domain: VirDomain, source: AddressSource) -> list[InterfaceAddresses]:
    """Read the addresses that a source knows; raises :data:`VirFailure`."""
    found = [
        InterfaceAddresses(name, entry["hwaddr"], tuple(Address(one["addr"], one["prefix"]) for one in entry["addrs"] or ()), source)
        for name, entry in domain.interfaceAddresses(source, 0).items()
    ]
    return found if any(interface.addresses for interface in found) else []


def ask_host(domain: VirDomain, definition: str, leases: Leases) -> HostsWord:
    """Find addresses as :func:`read_addresses` does, of a domain that runs by this definition, without waiting for its guest.

    ``leases`` were read for all domains at once.
    """
    root = ET.fromstring(definition)  # noqa: S314 - libvirt wrote it
    cards = root.findall("devices/interface")
    leased = tuple(_read_leases(cards, leases))
    if not leased and any((network := _attribute(card, "source", "network")) and network not in leases for card in cards):
        leased = tuple(read_addresses(domain, (AddressSource.LEASE,)))
    if leased or _has_agent(root):
        return HostsWord(leased, guest_knows=not leased)
    return HostsWord(tuple(read_addresses(domain, (AddressSource.ARP,))) if cards else ())


def _read_leases(cards: Iterable[ET.Element], leases: Leases) -> Iterable[InterfaceAddresses]:
    for card in cards:
        mac = (_attribute(card, "mac", "address") or "").lower()
        if found := leases.get(_attribute(card, "source", "network") or "", {}).get(mac):
            yield InterfaceAddresses(_attribute(card, "target", "dev") or "", mac, found, AddressSource.LEASE)


def _has_agent(root: ET.Element) -> bool:
    """Whether something in the guest listens at the channel of guest agents; libvirt says so of domains that run."""
    channels = (target for target in root.iterfind("devices/channel/target") if target.get("name") == AGENT_CHANNEL)
    return any(target.get("state") != "disconnected" for target in channels)
