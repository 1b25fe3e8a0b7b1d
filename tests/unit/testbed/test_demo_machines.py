# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo removes what it made in libvirt, and never what somebody else has there (libvirt's test driver)."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import libvirt
import pytest

from archipel.agent.secret import Secret
from archipel.agent.store import MachineRecord, Phase, Store
from testbed.demo import machines
from testbed.demo.folder import DemoError

WORLD = """<node><cpu><mhz>1000</mhz></cpu></node>"""
DOMAIN = """<domain type='test'>
  <name>{name}</name>
  <memory unit='MiB'>64</memory>
  <os><type>hvm</type></os>
  <devices><disk type='file' device='disk'><source file='{image}'/><target dev='vda' bus='virtio'/></disk></devices>
</domain>"""
NETWORK = "<network><name>{name}</name><bridge name='{name}'/><ip address='10.9.8.1' netmask='255.255.255.0'/></network>"


@pytest.fixture
def connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A world of its own, empty; its driver knows only some of the flags."""
    monkeypatch.setattr(machines, "UNDEFINE", libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE)
    world = tmp_path / "world.xml"
    world.write_text(WORLD)
    connection = libvirt.open(f"test://{world}")
    yield connection
    connection.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Root's folder of the demo."""
    folder = tmp_path / "demo" / "host"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def define(connection: Any) -> Callable[[str, Path], Any]:
    def define_domain(name: str, image: Path) -> Any:
        return connection.defineXML(DOMAIN.format(name=name, image=image))

    return define_domain


def names(connection: Any) -> list[str]:
    return sorted(domain.name() for domain in connection.listAllDomains())


def test_domains_with_an_image_of_the_demo_are_removed_and_no_others(connection, folder: Path, define):
    define("demo-web", folder / "goldens" / "guest.qcow2").create()
    define("demo-db", folder / "goldens" / "guest.qcow2")
    define("payroll", Path("/srv/payroll.qcow2")).create()
    define("demo-lab", Path(f"{folder}-elsewhere/guest.qcow2"))
    assert sorted(machines.remove_domains(connection, folder)) == ["demo-db", "demo-web"]
    assert names(connection) == ["demo-lab", "payroll"]


async def test_domains_that_the_agent_made_are_the_demos_and_those_it_adopted_are_not(connection, folder: Path, define):
    made, adopted = (define(name, Path("/srv/image.qcow2")).UUIDString() for name in ("made", "adopted"))
    database = folder / "agent" / "lib" / "archipel.sqlite3"
    database.parent.mkdir(parents=True)
    store = await Store.open(database)
    for uuid, name, is_adopted in ((made, "made", False), (adopted, "adopted", True)):
        await store.add_machine(MachineRecord(uuid=uuid, name=name, password=Secret("x"), phase=Phase.ACTIVE, adopted=is_adopted))
    await store.close()
    assert machines.remove_domains(connection, folder) == ["made"]
    assert names(connection) == ["adopted"]


def test_a_domain_of_somebody_else_with_a_name_of_the_demo_ends_it_and_stays(connection, folder: Path, define):
    define("demo-web", Path("/srv/website.qcow2"))
    with pytest.raises(DemoError, match=r"demo-web already, not made by the demo.* domrename demo-web"):
        machines.refuse_strangers(connection, folder)
    assert names(connection) == ["demo-web"]


def test_a_network_of_somebody_else_with_the_name_of_the_demos_ends_it_and_stays(connection, folder: Path):
    connection.networkDefineXML(NETWORK.format(name=machines.NETWORK))
    with pytest.raises(DemoError, match=f"network {machines.NETWORK} already, not made by the demo"):
        machines.refuse_strangers(connection, folder)
    assert machines.remove_network(connection) is False
    assert [network.name() for network in connection.listAllNetworks()] == [machines.NETWORK]


def test_the_network_avoids_what_the_host_reaches_already(connection, folder: Path):
    taken = [ipaddress.IPv4Network("192.168.238.0/23"), ipaddress.IPv4Network("192.168.237.128/25")]
    assert machines.make_network(connection, taken) == "192.168.236.0/24"
    machines.refuse_strangers(connection, folder)


def test_the_network_is_kept_if_it_is_there_and_started_if_it_is_not_active(connection):
    addresses = machines.make_network(connection, [])
    machines.find_network(connection).destroy()
    assert machines.make_network(connection, [ipaddress.IPv4Network(addresses)]) == addresses
    assert machines.find_network(connection).isActive()
    assert machines.remove_network(connection) is True
    assert machines.find_network(connection) is None


def test_a_host_without_a_free_network_is_told(connection):
    with pytest.raises(DemoError, match=r"no network from 192\.168\.100\.0/24"):
        machines.make_network(connection, [ipaddress.IPv4Network("192.168.0.0/16")])


def test_routes_are_read_as_ip_shows_them():
    shown = json.loads('[{"dst":"default","gateway":"10.0.0.1"},{"dst":"10.0.0.0/24"},{"type":"local","dst":"127.0.0.1"}]')
    assert list(map(str, machines.parse_routes(shown))) == ["10.0.0.0/24", "127.0.0.1/32"]
    assert ipaddress.IPv4Network("127.0.0.1/32") in machines.read_routes()
