# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import secrets
from collections.abc import AsyncIterator

import libvirt
import pytest

from archipel.agent.virt.connection import LibvirtConnection
from archipel.agent.virt.errors import LibvirtError
from archipel.agent.virt.host import Host
from archipel.agent.virt.network_events import NetworkChange, NetworkEvent, NetworkEvents
from archipel.agent.virt.networks import Lease, Networks, _read_lease
from tests.unit.agent.virt.conftest import Libvirtd


@pytest.fixture
def networks(host: Host) -> Networks:
    return host.networks


@pytest.fixture
async def name(connection: LibvirtConnection, networks: Networks) -> AsyncIterator[str]:
    """A network that is defined and does not run."""
    name = f"net-{secrets.token_hex(4)}"
    with connection.network_events.queue() as queue:
        await networks.define(f"<network><name>{name}</name></network>")
        while (await queue.get()).name != name:
            pass
    yield name
    state = next((found for found in await networks.read_all() if found.name == name), None)
    if state is not None and state.active:
        await networks.destroy(name)
    if state is not None:
        await networks.undefine(name)


async def test_a_network_is_found_by_its_name_and_by_its_uuid(networks: Networks, name: str) -> None:
    state = await networks.find(name)
    assert state == await networks.find(state.uuid.upper())
    assert (state.active, state.persistent, state.autostart) == (False, True, False)
    assert state.definition == state.xml
    assert state in await networks.read_all()


async def test_a_network_that_runs_has_its_name_told(networks: Networks, name: str) -> None:
    assert name not in await networks.active_names()
    await networks.create(name)
    assert name in await networks.active_names()
    await networks.set_autostart(name, True)
    assert (await networks.find(name)).autostart


async def test_what_is_not_there_is_libvirts_error(networks: Networks) -> None:
    for reference in ("no-such-network", "6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69"):
        with pytest.raises(LibvirtError) as caught:
            await networks.find(reference)
        assert caught.value.code == libvirt.VIR_ERR_NO_NETWORK


async def test_changes_are_told_in_order(connection: LibvirtConnection, networks: Networks, name: str) -> None:
    with connection.network_events.queue() as queue:
        await networks.create(name)
        await networks.destroy(name)
        await networks.undefine(name)
        heard = [await queue.get() for _ in range(3)]
    assert heard == [NetworkEvent(name, change) for change in (NetworkChange.STARTED, NetworkChange.STOPPED, NetworkChange.UNDEFINED)]


async def test_what_virsh_does_is_told(libvirtd: Libvirtd, remote: LibvirtConnection) -> None:
    with remote.network_events.queue() as queue:
        await libvirtd.virsh("net-destroy", "default")
        assert await queue.get() == NetworkEvent("default", NetworkChange.STOPPED)


async def test_a_driver_without_filters_has_none(networks: Networks) -> None:
    assert await networks.filter_names() == []
    with pytest.raises(LibvirtError) as caught:
        await networks.filter_xml("clean-traffic")
    assert caught.value.code == libvirt.VIR_ERR_NO_SUPPORT


def test_a_lease_says_what_libvirt_knows() -> None:
    told = {"iface": "virbr0", "expirytime": 17, "type": 0, "mac": "52:54:00:00:00:01", "iaid": None, "ipaddr": "10.0.0.2"}
    lease = _read_lease({**told, "prefix": 24, "hostname": None, "clientid": "ff:01"})
    assert lease == Lease("52:54:00:00:00:01", "10.0.0.2", 24, "", "ff:01", 17)


async def test_an_event_that_is_not_known_is_no_error() -> None:
    events = NetworkEvents()
    with events.queue() as queue:
        events.take(NetworkEvent.decode("a", 99))
        assert queue.get_nowait().change is NetworkChange.UNKNOWN
    events.take(NetworkEvent.decode("a", 0))
    assert queue.empty()
