# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import libvirt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.agent.virt.connection import LibvirtConnection
from archipel.agent.virt.domain import Domain
from archipel.agent.virt.errors import DomainNotFound, LibvirtError
from archipel.agent.virt.host import DomainSummary, Host, LibvirtVersion, NodeInfo


async def test_node_info_is_virNodeInfo_in_its_order(host: Host) -> None:
    assert await host.node_info() == NodeInfo(model="i686", memory=3072, cpus=16, mhz=1400, numa_nodes=2, sockets=2, cores=2, threads=2)


async def test_driver_uri_and_hostname_are_read(host: Host) -> None:
    assert (await host.driver(), await host.uri()) == ("TEST", "test:///default")
    assert await host.hostname() == libvirt.open("test:///default").getHostname()


async def test_the_version_of_libvirt_is_read(host: Host) -> None:
    assert await host.libvirt_version() == LibvirtVersion.decode(libvirt.getVersion())
    assert await host.hypervisor_version() == (0, 0, 2)


@given(st.integers(0, 99), st.integers(0, 999), st.integers(0, 999))
def test_a_version_number_is_taken_apart(major: int, minor: int, release: int) -> None:
    version = LibvirtVersion.decode(major * 1_000_000 + minor * 1_000 + release)
    assert version == (major, minor, release)
    assert str(version) == f"{major}.{minor}.{release}"


async def test_capabilities_are_asked_once_per_connection(libvirtd: Any, remote: LibvirtConnection) -> None:
    host = Host(remote)
    capabilities = await host.capabilities()
    assert ET.fromstring(capabilities).tag == "capabilities"
    with libvirtd.halted():
        assert await host.capabilities() == capabilities


async def test_the_list_tells_active_from_inactive_and_persistent_from_transient(
    connection: LibvirtConnection, host: Host, domain: Domain, domain_xml: Callable[..., str]
) -> None:
    transient = await connection.call("create", lambda session: session.connect.createXML(domain_xml(name="passing"), 0))
    name = await domain.name()
    assert DomainSummary(domain.uuid, name, active=False, persistent=True) in await host.domains()
    assert DomainSummary(transient.UUIDString(), "passing", active=True, persistent=False) in await host.domains()
    await domain.create()
    assert DomainSummary(domain.uuid, name, active=True, persistent=True) in await host.domains()
    await host.domain(transient.UUIDString()).destroy()
    assert "passing" not in {summary.name for summary in await host.domains()}


async def test_a_domain_is_found_by_its_name(host: Host, domain: Domain) -> None:
    assert await host.find(await domain.name()) is domain
    with pytest.raises(DomainNotFound):
        await host.find("nobody")


async def test_a_definition_that_libvirt_refuses_is_an_error_and_leaves_nothing(host: Host) -> None:
    before = await host.domains()
    with pytest.raises(LibvirtError):
        await host.define("<domain type='test'><name>x</name></domain>")
    assert await host.domains() == before


async def test_libvirt_is_called_in_its_own_threads_only(connection: LibvirtConnection) -> None:
    name = await connection.call("thread", lambda _session: threading.current_thread().name)
    assert name.startswith("libvirt-")
