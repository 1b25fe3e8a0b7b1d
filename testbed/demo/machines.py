# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the demo makes in libvirt, told apart from what is somebody else's and must not be touched."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

import libvirt

from testbed.demo.folder import DemoError

# playbooks/demo.yml declares them.
MACHINES: Final = ("demo-web", "demo-db", "demo-lab")
IMAGE: Final = "goldens/guest.qcow2"  # in root's folder
NETWORK: Final = "archipel-demo"
# Whatever else is called so has another UUID.
NETWORK_UUID: Final = "5f6c1a52-0f0c-4e39-9d3b-6c0f2f1f7a10"
# Guests that reach each other and this host, and nobody else; without a delay the bridge forwards at once.
NETWORK_DEFINITION: Final = """<network>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <bridge name='{name}' stp='off' delay='0'/>
  <dns enable='no'/>
  <ip address='{host}' prefix='{net.prefixlen}'>
    <dhcp><range start='{first}' end='{last}'/></dhcp>
  </ip>
</network>"""
UNDEFINE: Final = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)


def refuse_strangers(connection: Any, folder: Path) -> None:
    """Raise DemoError when libvirt has something of the demo's names that is not the demo's."""
    taken = [domain.name() for domain in connection.listAllDomains() if domain.name() in MACHINES and not is_ours(domain, folder)]
    if taken:
        advice = f"virsh -c {connection.getURI()} domrename {taken[0]} OTHER-NAME, or undefine it"
        raise DemoError(f"libvirt has {', '.join(taken)} already, not made by the demo, which leaves it alone: {advice}")
    for network in connection.listAllNetworks():
        if network.name() == NETWORK and network.UUIDString() != NETWORK_UUID:
            raise DemoError(f"libvirt has a network {NETWORK} already, not made by the demo, which leaves it alone: undefine it")


def is_ours(domain: Any, folder: Path) -> bool:
    """Whether the demo's platform made the domain: its agent remembers it, or an image in the demo's folder is its disk."""
    if domain.UUIDString() in made_by_agent(folder):
        return True
    sources = ET.fromstring(domain.XMLDesc()).iterfind("devices/disk/source")  # noqa: S314 - libvirt wrote it
    return any(Path(source.get("file", "")).is_relative_to(folder) for source in sources)


def made_by_agent(folder: Path) -> frozenset[str]:
    """Return the UUIDs of the machines that the demo's agent made; those that it only adopted are somebody else's."""
    database = folder / "agent" / "lib" / "archipel.sqlite3"
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return frozenset(uuid for (uuid,) in connection.execute("SELECT uuid FROM virtual_machines WHERE NOT adopted"))
    return frozenset()


def remove_domains(connection: Any, folder: Path) -> list[str]:
    """Switch off and undefine every domain of ours; returns their names."""
    ours = [domain for domain in connection.listAllDomains() if is_ours(domain, folder)]
    for domain in ours:
        if domain.isActive():
            domain.destroy()
        if domain.isPersistent():
            domain.undefineFlags(UNDEFINE)
    return [domain.name() for domain in ours]


def find_network(connection: Any) -> Any:
    """Return our network, or None."""
    return next((network for network in connection.listAllNetworks() if network.UUIDString() == NETWORK_UUID), None)


def make_network(connection: Any, taken: list[ipaddress.IPv4Network]) -> str:
    """Make and start the guests' network, if that is still to do; returns its addresses."""
    network = find_network(connection)
    if network is None:
        network = connection.networkDefineXML(_render_network(taken))
    if not network.isActive():
        network.create()
    found = ET.fromstring(network.XMLDesc()).find("ip")  # noqa: S314 - libvirt wrote it
    assert found is not None
    return str(ipaddress.ip_network(f"{found.get('address')}/{found.get('prefix') or found.get('netmask')}", strict=False))


def remove_network(connection: Any) -> bool:
    """Remove our network; returns whether there was one."""
    network = find_network(connection)
    if network is None:
        return False
    if network.isActive():
        network.destroy()
    network.undefine()
    return True


def read_routes() -> list[ipaddress.IPv4Network]:
    """Return the IPv4 networks that this host reaches by a route of their own."""
    output = subprocess.run(["ip", "-j", "-4", "route", "show", "table", "all"], capture_output=True, check=True).stdout
    return list(parse_routes(json.loads(output or "[]")))


def parse_routes(routes: list[dict[str, Any]]) -> Iterator[ipaddress.IPv4Network]:
    """Yield the destinations in what ``ip -j route`` prints, but for the default route."""
    for route in routes:
        with contextlib.suppress(ValueError):  # "default"
            yield ipaddress.IPv4Network(route.get("dst", ""), strict=False)


def _render_network(taken: list[ipaddress.IPv4Network]) -> str:
    # The private addresses that people use least for their own networks (RFC 1918).
    candidates = (ipaddress.IPv4Network((f"192.168.{number}.0", 24)) for number in range(239, 99, -1))
    free = next((net for net in candidates if not any(net.overlaps(route) for route in taken)), None)
    if free is None:
        raise DemoError("no network from 192.168.100.0/24 to 192.168.239.0/24 is free for the guests")
    return NETWORK_DEFINITION.format(name=NETWORK, uuid=NETWORK_UUID, net=free, host=free[1], first=free[10], last=free[200])
