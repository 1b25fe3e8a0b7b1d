# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks that real guests are plugged into: Open vSwitch with groups of ports, each way of forwarding, addresses by DHCP."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator
from xml.etree import ElementTree as ET

import pytest
import pytest_asyncio

from archipel.client import Hypervisor, Session
from archipel.protocol import network as wire
from archipel.protocol.errors import CommandError
from testbed.demo.virtualization import PrivateLibvirt, connect
from tests.e2e.real_guest import DEFINITION, Place
from tests.integration.collection.platform import HYPERVISOR
from tests.wire.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

BOOT_SECONDS = 120
# In the kernel's stead the daemon itself forwards (netdev): that takes no module.
OPEN_VSWITCH = """set -e
mkdir -p /run/openvswitch
cd /run/openvswitch
ovsdb-tool create conf.db /usr/share/openvswitch/vswitch.ovsschema
ovsdb-server --detach --pidfile --remote=punix:/run/openvswitch/db.sock --log-file=/run/openvswitch/db.log /run/openvswitch/conf.db
ovs-vsctl --no-wait init
ovs-vswitchd --detach --pidfile --log-file=/run/openvswitch/switch.log >/dev/null 2>&1
ovs-vsctl add-br switch0 -- set bridge switch0 datapath_type=netdev
"""
SWITCHED = """<network><name>switched</name><forward mode='bridge'/><bridge name='switch0'/><virtualport type='openvswitch'/>
<portgroup name='staff' default='yes'/>
<portgroup name='class'><vlan><tag id='42'/></vlan></portgroup>
<portgroup name='uplink'><vlan trunk='yes'><tag id='42' nativeMode='untagged'/><tag id='43'/></vlan></portgroup></network>"""
GIVING = """<network><name>{name}</name>{forward}<bridge name='br-{name}'/><ip address='10.{number}.0.1' netmask='255.255.255.0'>
<dhcp><range start='10.{number}.0.10' end='10.{number}.0.99'/></dhcp></ip></network>"""
NIC = "<interface type='network'><mac address='52:54:00:00:00:{number:02x}'/><source {source}/><model type='virtio'/></interface>"
BRIDGES = "import asyncio; from archipel.agent.host_interfaces import list_open_vswitch_bridges as seen; print(asyncio.run(seen()))"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hypervisor(admin: Session) -> AsyncIterator[Hypervisor]:
    """The hypervisor, which is left without networks."""
    hypervisor = admin.hypervisor(HYPERVISOR)
    yield hypervisor
    for group in await hypervisor.ask(wire.GetNetworks()):
        for found in group.networks:
            name = found.definition.findtext("name", "")
            if group.active:
                await hypervisor.ask(wire.DestroyNetwork(uuid=name))
            await hypervisor.ask(wire.UndefineNetwork(uuid=name))


async def open_network(hypervisor: Hypervisor, definition: str) -> None:
    """Define a network and start it."""
    network = ET.fromstring(definition)
    await hypervisor.ask(wire.DefineNetwork(network=network))
    await hypervisor.ask(wire.CreateNetwork(uuid=network.findtext("name", "")))


def ports_of(daemon: PrivateLibvirt, machine: str) -> list[str]:
    """The names of the guest's interfaces on the host, in the order of its network cards."""
    with connect(daemon.uri) as connection:
        found = ET.fromstring(connection.lookupByUUIDString(machine).XMLDesc(0)).findall("devices/interface/target")
    return [target.get("dev", "") for target in found]


async def plug_in(place: Place, hypervisor: Hypervisor, name: str, *sources: str) -> str:
    """Start a guest with network cards, and return its UUID."""
    cards = "".join(NIC.format(number=number, source=source) for number, source in enumerate(sources))
    files = {"kernel": place.folder / "vmlinuz", "initrd": place.folder / "initrd.img", "folder": place.folder}
    definition = DEFINITION.format(name=name, **files).replace("</devices>", f"{cards}</devices>")
    machine = await hypervisor.alloc(name, uuid=str(uuid.uuid4()), domain=ET.fromstring(definition))
    await machine.start()
    return machine.uuid


async def test_a_guest_s_port_of_open_vswitch_has_the_tags_of_its_group(
    daemon: PrivateLibvirt, place: Place, hypervisor: Hypervisor
) -> None:
    await asyncio.to_thread(daemon.run, "sh", "-c", OPEN_VSWITCH)
    await open_network(hypervisor, SWITCHED)
    groups = [f"network='switched' portgroup='{group}'" for group in ("staff", "class", "uplink")]
    machine = await plug_in(place, hypervisor, "switched", *groups)
    ports = await asyncio.to_thread(ports_of, daemon, machine)
    assert set((await asyncio.to_thread(daemon.run, "ovs-vsctl", "list-ports", "switch0")).split()) == set(ports)
    columns = ("tag", "trunks", "vlan_mode")
    told = [(await asyncio.to_thread(daemon.run, "ovs-vsctl", "get", "port", port, *columns)).split("\n")[:3] for port in ports]
    assert told == [["[]", "[]", "[]"], ["42", "[]", "[]"], ["42", "[42, 43]", "native-untagged"]]
    await hypervisor.free(machine)
    assert await asyncio.to_thread(daemon.run, "ovs-vsctl", "list-ports", "switch0") == ""


async def test_bridges_of_open_vswitch_are_told(daemon: PrivateLibvirt) -> None:
    assert (await asyncio.to_thread(daemon.run, sys.executable, "-c", BRIDGES)).strip() == "['switch0']"


@pytest.mark.parametrize(
    "mode, mark",
    [
        ("nat", "MASQUERADE"),
        ("route", "-A LIBVIRT_FWI -d 10.78.0.0/24 -o br-route -j ACCEPT"),
        ("open", "-i br-open"),
        ("", "-A LIBVIRT_FWO -i br-isolated -j REJECT"),
    ],
)
async def test_a_network_of_each_way_of_forwarding_is_started(daemon: PrivateLibvirt, hypervisor: Hypervisor, mode: str, mark: str) -> None:
    """Rules for its bridge stand in the firewall, but for an open network."""
    name, number = mode or "isolated", {"nat": 77, "route": 78, "open": 79, "": 80}[mode]
    forward = f"<forward mode='{mode}'/>" if mode else ""
    await open_network(hypervisor, GIVING.format(name=name, number=number, forward=forward))
    assert name in {found.name for found in await hypervisor.ask(wire.GetNetworkNames())}
    rules = await asyncio.to_thread(daemon.run, "sh", "-c", "iptables-save")
    assert (mark in rules) is (mode != "open"), rules
    assert f"10.{number}.0.1/24" in await asyncio.to_thread(daemon.run, "ip", "-brief", "address", "show", f"br-{name}")


async def test_a_network_of_a_bridge_is_started(daemon: PrivateLibvirt, hypervisor: Hypervisor) -> None:
    await asyncio.to_thread(daemon.run, "ip", "link", "add", "br-own", "type", "bridge")
    await open_network(hypervisor, "<network><name>own</name><forward mode='bridge'/><bridge name='br-own'/></network>")
    assert "own" in {found.name for found in await hypervisor.ask(wire.GetNetworkNames())}


@pytest.mark.parametrize("mode", ["passthrough", "private", "vepa"])
async def test_a_network_of_a_device_is_started(daemon: PrivateLibvirt, hypervisor: Hypervisor, mode: str) -> None:
    """No guest is plugged in: that takes devices that appear in /dev as udev makes them."""
    await asyncio.to_thread(daemon.run, "ip", "link", "add", f"d-{mode}", "type", "veth")
    forward = f"<forward mode='{mode}'><interface dev='d-{mode}'/></forward>"
    await open_network(hypervisor, f"<network><name>{mode}</name>{forward}</network>")
    assert mode in {found.name for found in await hypervisor.ask(wire.GetNetworkNames())}


async def test_a_network_of_pci_devices_is_defined(hypervisor: Hypervisor) -> None:
    """It is started where there are such devices; here libvirt finds none."""
    forward = "<forward mode='hostdev' managed='yes'><pf dev='d-vepa'/></forward>"
    with pytest.raises(CommandError, match="d-vepa"):
        await open_network(hypervisor, f"<network><name>devices</name>{forward}</network>")
    defined = [
        found.definition.findtext("name")
        for group in await hypervisor.ask(wire.GetNetworks())
        if not group.active
        for found in group.networks
    ]
    assert "devices" in defined


async def test_the_address_that_a_guest_was_given_is_told(place: Place, hypervisor: Hypervisor) -> None:
    machine = await plug_in(place, hypervisor, "given", "network='nat'")

    async def leases() -> tuple[wire.Lease, ...]:
        return await hypervisor.ask(wire.GetLeases(uuid="nat"))

    [lease] = await eventually(leases, "the guest's lease", BOOT_SECONDS)
    assert (lease.mac, lease.prefix) == ("52:54:00:00:00:00", 24)
    assert lease.ip.startswith("10.77.0.")
    assert lease.expiry > 0
    await hypervisor.free(machine)
