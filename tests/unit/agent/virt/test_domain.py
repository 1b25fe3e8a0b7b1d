# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import libvirt
import pytest

from archipel.agent.virt import binding
from archipel.agent.virt.connection import LibvirtConnection
from archipel.agent.virt.domain import Affect, Domain
from archipel.agent.virt.errors import DomainNotFound, LibvirtBusy, LibvirtError, LibvirtTimeout, TooManyVcpus
from archipel.agent.virt.host import Host
from archipel.agent.virt.interfaces import Address, AddressSource
from archipel.agent.virt.lifecycle import DomainState, LifecycleEvent


def find_text(xml: str, tag: str) -> str | None:
    return ET.fromstring(xml).findtext(tag)


async def test_info_tells_everything_in_one_visit(domain: Domain) -> None:
    info = await domain.info()
    assert (info.state, info.max_memory, info.memory, info.vcpus) == (DomainState.SHUTOFF, 65536, 65536, 1)
    assert (info.autostart, info.persistent) == (False, True)
    await domain.set_autostart(True)
    await domain.create()
    info = await domain.info()
    assert (info.state, info.autostart, info.persistent) == (DomainState.RUNNING, True, True)
    assert info.cpu_time > 0


async def test_the_state_follows_the_controls(domain: Domain) -> None:
    states = []
    for control in (domain.create, domain.suspend, domain.resume, domain.reboot, domain.shutdown, domain.create, domain.destroy):
        await control()
        states.append((await domain.state(), await domain.is_active()))
    running, paused, off = (DomainState.RUNNING, True), (DomainState.PAUSED, True), (DomainState.SHUTOFF, False)
    assert states == [running, paused, running, running, off, running, off]


async def test_create_returns_the_identifier_of_this_start(domain: Domain) -> None:
    first = await domain.create()
    await domain.destroy()
    assert await domain.create() > first > 0


async def test_a_change_that_libvirt_refuses_is_an_error(domain: Domain) -> None:
    await domain.create()
    with pytest.raises(LibvirtError, match="already running") as failure:
        await domain.create()
    assert (failure.value.code, failure.value.domain) == (libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_FROM_TEST)


async def test_a_domain_that_does_not_exist_is_said_so_until_it_exists(host: Host, domain_xml: Callable[..., str]) -> None:
    identity = str(uuid.uuid4())
    domain = host.domain(identity)
    for call in (domain.info, domain.create, domain.undefine, domain.name):
        with pytest.raises(DomainNotFound):
            await call()
    await domain.define(domain_xml(uuid=identity, name=identity))
    assert (await domain.info()).state is DomainState.SHUTOFF
    await domain.undefine()
    with pytest.raises(DomainNotFound):
        await domain.info()


async def test_the_definition_is_read_with_secrets_only_when_asked(domain: Domain, domain_xml: Callable[..., str]) -> None:
    xml = domain_xml(uuid=domain.uuid, name=await domain.name())
    await domain.define(xml.replace("</devices>", "<graphics type='vnc' passwd='letmein'/></devices>"))
    assert "letmein" not in await domain.xml()
    assert "letmein" in await domain.xml(secure=True)


async def test_the_next_definition_is_read_apart_from_the_present_one(domain: Domain, domain_xml: Callable[..., str]) -> None:
    name = await domain.name()
    await domain.create()
    assert not await domain.is_updated()
    await domain.define(domain_xml(uuid=domain.uuid, name=name).replace(">64<", ">32<"))

    assert find_text(await domain.xml(), "memory") == "65536"
    assert find_text(await domain.xml(inactive=True), "memory") == "32768"


@pytest.mark.parametrize(
    "wrong", ["<domain/>", "<domain><uuid>x</uuid></domain>", "<domain><uuid>6d0b5a3e-31a2-4c5c-8d6f-0f7f6f3b0c11</uuid></domain>"]
)
async def test_a_definition_for_another_uuid_never_reaches_libvirt(host: Host, domain: Domain, wrong: str) -> None:
    before = await host.domains()
    with pytest.raises(ValueError, match=f"it must be {domain.uuid}"):
        await domain.define(wrong)
    assert await host.domains() == before


async def test_a_definition_that_is_no_xml_is_refused(domain: Domain) -> None:
    with pytest.raises(ValueError, match="not well-formed"):
        await domain.define("<domain>")


async def test_a_definition_may_be_validated(domain: Domain, domain_xml: Callable[..., str]) -> None:
    xml = domain_xml(uuid=domain.uuid, name=await domain.name()).replace("<os>", "<os><nonsense/>")
    await domain.define(xml)
    with pytest.raises(LibvirtError) as failure:
        await domain.define(xml, validate=True)
    assert failure.value.code == libvirt.VIR_ERR_XML_INVALID_SCHEMA


async def test_undefining_removes_snapshots_and_saved_state_with_it(domain: Domain) -> None:
    await domain.change("snapshot", lambda vir: vir.snapshotCreateXML("<domainsnapshot><name>s</name></domainsnapshot>", 0))
    await domain.create()
    await domain.change("save", lambda vir: vir.managedSave(0))
    await domain.undefine()
    with pytest.raises(DomainNotFound):
        await domain.info()


async def test_undefining_a_running_domain_leaves_it_running_and_transient(domain: Domain) -> None:
    await domain.create()
    assert await domain.is_persistent()
    await domain.undefine(keep_nvram=True)
    info = await domain.info()
    assert (info.state, info.persistent) == (DomainState.RUNNING, False)
    await domain.destroy()
    with pytest.raises(DomainNotFound):
        await domain.is_persistent()


async def test_persistence_is_read_anew_after_a_change_behind_its_back(connection: LibvirtConnection, domain: Domain) -> None:
    await domain.create()
    assert (await domain.info()).persistent
    with connection.events.queue() as queue:
        other = libvirt.open("test:///default")  # the same world: it lives in this process
        await asyncio.to_thread(other.lookupByUUIDString(domain.uuid).undefine)
        while (await queue.get()).event is not LifecycleEvent.UNDEFINED:
            pass
    assert not (await domain.info()).persistent


async def test_a_new_name_is_read_at_once(domain: Domain) -> None:
    name = f"renamed-{domain.uuid[:8]}"
    await domain.rename(name)
    assert await domain.name() == name


async def test_a_name_changed_behind_its_back_is_read(domain: Domain) -> None:
    await domain.info()
    other = libvirt.open("test:///default")
    await asyncio.to_thread(other.lookupByUUIDString(domain.uuid).rename, f"other-{domain.uuid[:8]}", 0)
    assert await domain.name() == f"other-{domain.uuid[:8]}"


async def test_autostart_is_set_and_withdrawn(domain: Domain) -> None:
    await domain.set_autostart(True)
    assert (await domain.info()).autostart
    await domain.set_autostart(False)
    assert not (await domain.info()).autostart


@pytest.mark.parametrize("running", [False, True])
async def test_memory_reaches_the_running_domain_and_its_definition(domain: Domain, running: bool) -> None:
    if running:
        await domain.create()
    await domain.set_memory(32768)
    assert (await domain.info()).memory == 32768
    assert find_text(await domain.xml(inactive=True), "currentMemory") == "32768"


async def test_memory_of_the_definition_alone_leaves_the_running_domain(domain: Domain) -> None:
    await domain.create()
    await domain.set_memory(16384, Affect.CONFIG)
    assert (await domain.info()).memory == 65536
    assert find_text(await domain.xml(inactive=True), "currentMemory") == "16384"


async def test_more_memory_than_the_maximum_is_refused(domain: Domain) -> None:
    await domain.create()
    with pytest.raises(LibvirtError, match="max memory"):
        await domain.set_memory(65537)
    assert (await domain.info()).memory == 65536


@pytest.mark.parametrize("running", [False, True])
async def test_vcpus_are_set_up_to_the_maximum(domain: Domain, running: bool) -> None:
    if running:
        await domain.create()
    assert await domain.max_vcpus() == 2
    await domain.set_vcpus(2)
    assert (await domain.info()).vcpus == 2
    with pytest.raises(TooManyVcpus, match="3 virtual CPUs were asked for, the definition allows 2") as failure:
        await domain.set_vcpus(3)
    assert (failure.value.count, failure.value.maximum) == (3, 2)
    assert (await domain.info()).vcpus == 2


async def test_interface_counters_are_read_by_device(domain: Domain) -> None:
    with pytest.raises(LibvirtError) as failure:
        await domain.interface_stats()
    assert failure.value.code == libvirt.VIR_ERR_OPERATION_INVALID
    await domain.create()
    (stats,) = await domain.interface_stats()
    assert (stats.device, stats.mac) == (f"tap-{await domain.name()}", "52:54:00:00:00:01")
    assert stats.rx_bytes > 0
    assert stats.tx_bytes > 0


async def test_addresses_are_read_from_the_first_source_that_knows_any(domain: Domain) -> None:
    assert await domain.interface_addresses() == []
    await domain.create()
    (interface,) = await domain.interface_addresses()
    assert (interface.mac, interface.source) == ("52:54:00:00:00:01", AddressSource.LEASE)
    assert [type(address) for address in interface.addresses] == [Address]
    assert ipaddress.ip_interface("{}/{}".format(*interface.addresses[0])).version == 4
    (interface,) = await domain.interface_addresses([AddressSource.ARP])
    assert interface.source is AddressSource.ARP


async def test_devices_go_to_the_halves_that_the_domain_has(slow: FakeDomain, connection: LibvirtConnection) -> None:
    domain = Host(connection).domain(slow.uuid)
    slow.active = True
    await domain.attach_device("<disk/>")
    await domain.update_device("<disk/>", Affect.LIVE)
    slow.active = False
    await domain.detach_device("<disk/>")
    assert slow.devices == [("attach", "<disk/>", 3), ("update", "<disk/>", 1), ("detach", "<disk/>", 2)]


async def test_a_uuid_in_any_spelling_is_the_same_domain(host: Host, domain: Domain) -> None:
    assert host.domain(domain.uuid.upper()) is domain
    assert host.domain(domain.uuid.replace("-", "")) is domain
    with pytest.raises(ValueError, match="badly formed"):
        host.domain("web")


async def test_the_stop_that_was_asked_for_is_told_at_once_and_another_is_held(connection: LibvirtConnection, domain: Domain) -> None:
    with connection.events.queue() as queue:
        await domain.create()
        assert (await queue.get()).event is LifecycleEvent.STARTED
        await domain.shutdown()
        await domain.create()
        await domain.change("shutdown", lambda vir: vir.shutdown())  # as if the guest did it
        await domain.create()
        heard = [(await queue.get()).event for _ in range(3)]
    assert heard == [LifecycleEvent.STOPPED, LifecycleEvent.STARTED, LifecycleEvent.STARTED]


class FakeDomain:
    """A domain whose reads hang until the gate opens, as they do in libvirt when QEMU's monitor does not answer."""

    def __init__(self, gate: threading.Event) -> None:
        self.gate = gate
        self.begun = threading.Event()
        self.uuid = str(uuid.uuid4())
        self.active = False
        self.devices: list[tuple[str, str, int]] = []

    def state(self) -> list[int]:
        self.begun.set()
        self.gate.wait()
        return [1, 1]

    def suspend(self) -> int:
        return 0

    def isActive(self) -> int:
        return int(self.active)

    def isPersistent(self) -> int:
        return 1

    def attachDeviceFlags(self, xml: str, flags: int) -> None:
        self.devices.append(("attach", xml, flags))

    def detachDeviceFlags(self, xml: str, flags: int) -> None:
        self.devices.append(("detach", xml, flags))

    def updateDeviceFlags(self, xml: str, flags: int) -> None:
        self.devices.append(("update", xml, flags))


@contextlib.contextmanager
def scripted_libvirt(monkeypatch: pytest.MonkeyPatch, fake: FakeDomain) -> Iterator[None]:
    """Connections opened inside know the fake domain, and everything that the real driver knows."""

    class Connect:
        def __init__(self, uri: str) -> None:
            self.real = libvirt.open(uri)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

        def lookupByUUIDString(self, uuid: str) -> Any:
            return fake if uuid == fake.uuid else self.real.lookupByUUIDString(uuid)

    monkeypatch.setattr(binding, "open_connect", Connect)
    try:
        yield
    finally:
        fake.gate.set()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDomain]:
    fake = FakeDomain(threading.Event())
    with scripted_libvirt(monkeypatch, fake):
        yield fake


async def test_a_slow_call_on_one_domain_delays_neither_another_domain_nor_its_own_changes(
    slow: FakeDomain, connection: LibvirtConnection, domain: Domain
) -> None:
    stuck = Host(connection).domain(slow.uuid)
    tasks = [asyncio.create_task(stuck.state()) for _ in range(100)]
    await asyncio.to_thread(slow.begun.wait)
    assert (await domain.info()).state is DomainState.SHUTOFF
    await stuck.suspend()
    assert not any(task.done() for task in tasks)
    slow.gate.set()
    assert set(await asyncio.gather(*tasks)) == {DomainState.RUNNING}


async def test_a_domain_that_hangs_costs_one_thread_however_often_it_is_asked(
    slow: FakeDomain, connection: LibvirtConnection, domain: Domain
) -> None:
    stuck = Host(connection).domain(slow.uuid)
    with pytest.raises(LibvirtTimeout, match=f"state of domain {slow.uuid}"):
        await stuck.read("state", lambda vir: vir.state(), within=0.05)
    for _ in range(50):
        with pytest.raises(LibvirtBusy):
            await stuck.state()
    assert (await domain.info()).state is DomainState.SHUTOFF


async def test_changes_of_one_domain_go_one_after_the_other_and_those_of_two_do_not_wait(host: Host, domain: Domain) -> None:
    inside, together = [], []
    other_ran = threading.Event()
    other = host.domain((await host.find("test")).uuid)

    def work(_vir: object) -> None:
        inside.append(1)
        together.append(len(inside))
        assert other_ran.wait(30)
        inside.pop()

    tasks = [asyncio.create_task(domain.change("work", work)) for _ in range(10)]
    await other.change("work", lambda _vir: other_ran.set())
    await asyncio.gather(*tasks)
    assert together == [1] * 10


async def test_a_host_with_300_domains_is_listed_and_read(tmp_path: Path, domain_xml: Callable[..., str]) -> None:
    node = tmp_path / "node.xml"
    node.write_text(f"<node>{''.join(domain_xml(name=f'vm{number:03}') for number in range(300))}</node>")
    async with LibvirtConnection(f"test://{node}") as connection:
        await connection.wait_connected(10)
        host = Host(connection)
        begin = time.perf_counter()
        listed = await host.domains()
        after_list = time.perf_counter()
        domains = [host.domain(summary.uuid) for summary in listed]
        infos = await asyncio.gather(*(domain.info() for domain in domains))
        print(f"300 domains: list {after_list - begin:.4f} s, info of all {time.perf_counter() - after_list:.4f} s")
    assert sorted(summary.name for summary in listed) == [f"vm{number:03}" for number in range(300)]
    assert {info.state for info in infos} == {DomainState.RUNNING}
