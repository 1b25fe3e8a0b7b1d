# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks and network filters of a real libvirt, with its own bridges and DHCP servers, in namespaces of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import libvirt
import pytest
import pytest_asyncio

from archipel.agent import networks as saving
from archipel.agent.dispatch import Caller
from archipel.agent.rights import Decision, Rule
from archipel.agent.virt import binding
from archipel.agent.virt.connection import LibvirtConnection
from archipel.agent.virt.errors import LibvirtError
from archipel.agent.virt.host import Host
from archipel.agent.virt.network_events import NetworkChange
from archipel.agent.virt.networks import Lease, Networks, NetworkState
from archipel.protocol.errors import BadRequest, LibvirtFailed
from archipel.protocol.network import DefineNetwork
from testbed.demo.virtualization import PrivateLibvirt

pytestmark = pytest.mark.asyncio(loop_scope="module")

STUDENT = Caller("student@lab.example/desk", "student@lab.example")
NAME, UUID = "lab", "6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69"
DEFINITION = (
    f"<network><name>{NAME}</name><uuid>{UUID}</uuid><bridge name='virbr-lab'/>"
    "<ip address='10.77.0.1' netmask='255.255.255.0'><dhcp><range start='{start}' end='10.77.0.99'/></dhcp></ip>{more}</network>"
)
FILTER = "<filter name='no-mail' chain='ipv4'><rule action='drop' direction='out' priority='500'><tcp dstportstart='25'/></rule></filter>"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def connection(daemon: PrivateLibvirt) -> AsyncIterator[LibvirtConnection]:
    binding.run_event_loop()
    async with LibvirtConnection(daemon.uri) as connection:
        await connection.wait_connected(10)
        yield connection


@pytest.fixture
def hypervisor(connection: LibvirtConnection, tmp_path: Path) -> Any:
    """As much of a hypervisor as networks ask for, with a person who may not pass the policy."""
    settings = SimpleNamespace(places=SimpleNamespace(lib=tmp_path), policy=SimpleNamespace(bridges=()))
    services = SimpleNamespace(settings=settings, host=Host(connection))
    return SimpleNamespace(services=services, decide=lambda _bare, _right: Decision(False, Rule.NOT_GRANTED))


@pytest_asyncio.fixture(loop_scope="module")
async def networks(hypervisor: Any) -> AsyncIterator[Networks]:
    """The networks; the one of these tests runs, and starts with its host."""
    networks: Networks = hypervisor.services.host.networks
    await define(hypervisor, autostart=True)
    await networks.create(NAME)
    yield networks
    await networks.destroy(NAME)
    if any(state.name == NAME for state in await networks.read_all()):
        await networks.undefine(NAME)


async def define(hypervisor: Any, more: str = "", start: str = "10.77.0.10", autostart: bool | None = None) -> None:
    network = ET.fromstring(DEFINITION.format(start=start, more=more))
    await saving.define(hypervisor, DefineNetwork(autostart=autostart, network=network), STUDENT)


def facts(state: NetworkState) -> tuple[bool, bool, bool, bool]:
    """Running, defined, starting with the host, and giving addresses away from the tenth on."""
    return state.active, state.persistent, state.autostart, "10.77.0.10" in state.definition


AS_IT_WAS = (True, True, True, True)


async def test_a_network_that_runs_survives_a_bad_save(hypervisor: Any, networks: Networks) -> None:
    await saving.undefine(hypervisor, NAME, STUDENT)
    assert facts(await networks.find(NAME))[:2] == (True, False)
    with pytest.raises(BadRequest) as caught:
        await define(hypervisor, start="10.78.0.1")
    assert caught.value.text.endswith("the network lab is defined as it was before")
    assert facts(await networks.find(NAME)) == AS_IT_WAS


async def test_a_network_that_runs_survives_what_libvirt_refuses(hypervisor: Any, networks: Networks) -> None:
    await saving.undefine(hypervisor, NAME, STUDENT)
    with pytest.raises(LibvirtFailed) as caught:
        await define(hypervisor, "<forward mode='open'><nat/></forward>")
    assert caught.value.text.endswith("the network lab is defined as it was before")
    assert facts(await networks.find(NAME)) == AS_IT_WAS


async def test_a_good_save_counts_from_the_next_start(hypervisor: Any, networks: Networks) -> None:
    await saving.undefine(hypervisor, NAME, STUDENT)
    await define(hypervisor, start="10.77.0.50")
    state = await networks.find(NAME)
    assert facts(state) == (True, True, True, False)
    assert "10.77.0.10" in state.xml


async def test_what_happens_is_told(connection: LibvirtConnection, hypervisor: Any, networks: Networks) -> None:
    wanted = [NetworkChange.STOPPED, NetworkChange.STARTED, NetworkChange.UNDEFINED, NetworkChange.DEFINED]
    heard: list[NetworkChange] = []
    with connection.network_events.queue() as queue:
        await networks.destroy(NAME)
        await networks.create(NAME)
        await saving.undefine(hypervisor, NAME, STUDENT)
        await define(hypervisor, autostart=True)
        async with asyncio.timeout(20):
            while heard[-4:] != wanted:  # what made the network ready may still be on its way
                heard.append((await queue.get()).change)
    assert heard[-4:] == wanted


async def test_a_network_without_guests_has_no_leases(networks: Networks) -> None:
    assert await networks.leases(NAME) == []
    assert NAME in await networks.active_names()


async def test_a_lease_is_told_as_dnsmasqs_helper_wrote_it_down(daemon: PrivateLibvirt, networks: Networks) -> None:
    status = daemon.folder / "var/lib/libvirt/dnsmasq/virbr-lab.status"
    entry = {"ip-address": "10.77.0.12", "mac-address": "52:54:00:00:00:01", "hostname": "web", "expiry-time": 4102444800}
    status.write_text(json.dumps([entry]))
    assert await networks.leases(NAME) == [Lease("52:54:00:00:00:01", "10.77.0.12", 24, "web", "", 4102444800)]
    status.unlink()


async def test_filters_are_defined_read_and_removed(networks: Networks) -> None:
    await networks.define_filter(FILTER)
    assert "no-mail" in await networks.filter_names()
    assert ET.fromstring(await networks.filter_xml("no-mail")).find("rule/tcp").get("dstportstart") == "25"
    await networks.undefine_filter("no-mail")
    with pytest.raises(LibvirtError) as caught:
        await networks.filter_xml("no-mail")
    assert caught.value.code == libvirt.VIR_ERR_NO_NWFILTER
