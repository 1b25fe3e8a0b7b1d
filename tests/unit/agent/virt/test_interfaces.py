# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host knows of addresses, by leases that were read once for all domains."""

from __future__ import annotations

from typing import Any

import libvirt
import pytest

from archipel.agent.virt.binding import VirFailure
from archipel.agent.virt.interfaces import Address, AddressSource, HostsWord, ask_host
from archipel.agent.virt.networks import _read_all_leases

MAC = "52:54:00:0a:0b:0c"
CARD = f"<interface type='network'><mac address='{MAC.upper()}'/><source network='lab'/><target dev='vnet0'/></interface>"
CHANNEL = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' {0}/></channel>"
LEASES = {"lab": {MAC: (Address("192.0.2.7", 24),)}}
EMPTY = {"lab": dict[str, tuple[Address, ...]]()}
TOLD = {"vnet0": {"hwaddr": MAC, "addrs": [{"addr": "192.0.2.9", "prefix": 24}]}}


class FakeDomain:
    """A domain that only some sources tell addresses of."""

    def __init__(self, *sources: AddressSource) -> None:
        self.sources = sources
        self.asked: list[AddressSource] = []

    def interfaceAddresses(self, source: int, _flags: int) -> Any:
        self.asked.append(AddressSource(source))
        if source not in self.sources:
            raise libvirt.libvirtError("nobody knows")
        return TOLD


def look(domain: FakeDomain, leases: dict[str, dict[str, tuple[Address, ...]]], *devices: str) -> HostsWord:
    definition = f"<domain type='kvm'><devices>{''.join(devices)}</devices></domain>"
    return ask_host(domain, definition, leases)  # type: ignore[arg-type] # stands for a virDomain


def test_a_lease_is_found_by_network_and_card_without_asking_anybody() -> None:
    domain = FakeDomain(*AddressSource)
    found = look(domain, LEASES, CARD, CHANNEL.format("state='connected'"))
    [card] = found.cards
    assert (card.name, card.mac, card.addresses, card.source) == ("vnet0", MAC, (Address("192.0.2.7", 24),), AddressSource.LEASE)
    assert (found.guest_knows, domain.asked) == (False, [])


@pytest.mark.parametrize("state, knows", [("state='connected'", True), ("", True), ("state='disconnected'", False)])
def test_without_a_lease_a_guest_agent_that_listens_may_know(state: str, knows: bool) -> None:
    domain = FakeDomain()
    assert look(domain, EMPTY, CARD, CHANNEL.format(state)) == HostsWord((), knows)
    assert domain.asked == ([] if knows else [AddressSource.ARP])


def test_without_lease_and_agent_the_neighbours_are_looked_at() -> None:
    domain = FakeDomain(AddressSource.ARP)
    [card] = look(domain, EMPTY, CARD).cards
    assert card.source is AddressSource.ARP


def test_where_a_network_could_not_be_asked_its_domain_is() -> None:
    domain = FakeDomain(AddressSource.LEASE)
    [card] = look(domain, {}, CARD, CHANNEL.format("state='connected'")).cards
    assert (card.source, domain.asked) == (AddressSource.LEASE, [AddressSource.LEASE])


def test_a_machine_without_cards_has_no_neighbours() -> None:
    domain = FakeDomain()
    assert look(domain, {}) == HostsWord()
    assert domain.asked == []


def lease(address: str, mac: str | None = MAC) -> dict[str, Any]:
    return {"mac": mac, "ipaddr": address, "prefix": 24, "hostname": None, "clientid": None, "expirytime": 0}


class FakeNetwork:
    """A network with its leases, or without such a thing."""

    def __init__(self, name: str, leases: list[dict[str, Any]] | None) -> None:
        self._name, self._leases = name, leases

    def name(self) -> str:
        return self._name

    def DHCPLeases(self, _mac: None, _flags: int) -> list[dict[str, Any]]:
        if self._leases is None:
            raise VirFailure("not supported")
        return self._leases


class FakeLibvirt:
    """A libvirt with networks."""

    def __init__(self, *networks: FakeNetwork) -> None:
        self.networks = networks

    def listAllNetworks(self, flags: int) -> list[FakeNetwork]:
        assert flags == libvirt.VIR_CONNECT_LIST_NETWORKS_ACTIVE
        return list(self.networks)


def test_leases_of_all_networks_are_sorted_by_cards() -> None:
    networks: Any = FakeLibvirt(
        FakeNetwork("lab", [lease("192.0.2.7", MAC.upper()), lease("2001:db8::7"), lease("192.0.2.8", None)]),
        FakeNetwork("routed", None),
        FakeNetwork("quiet", []),
    )
    found = _read_all_leases(networks)
    assert set(found) == {"lab", "quiet"}
    assert found["lab"][MAC] == (Address("192.0.2.7", 24), Address("2001:db8::7", 24))
