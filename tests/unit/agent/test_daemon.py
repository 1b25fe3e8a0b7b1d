# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The agent as a process: how it begins, what it does when libvirt goes and comes, how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from archipel.agent import daemon
from archipel.agent.daemon import (
    EXIT_CAPABILITY,
    EXIT_CONFIGURATION,
    EXIT_STATE,
    main,
    notify_systemd,
    raise_file_limit,
    run_entities,
    wait_for_either,
)
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.secret import Secret
from archipel.agent.services import Services
from archipel.agent.settings import Settings
from archipel.agent.store import MachineRecord, Phase, StoreError
from archipel.agent.virt.connection import ConnectionState
from archipel.agent.virt.errors import LibvirtTimeout, LibvirtUnavailable
from archipel.agent.virt.lifecycle import DomainEvent, DomainState, LifecycleEvent, UnknownDetail
from archipel.protocol import presence
from archipel.protocol.events import events_node
from tests.unit.agent.conftest import finish_work
from tests.unit.agent.fake_xmpp import FakeXmpp
from tests.unit.agent.fakes import HYP, OTHER_UUID, STUDENT, UUID, VM, Calendar, FakeHost, FakeLibvirt, make_settings

GOOD = "[DEFAULT]\nxmpp_server = lab.example\n[HYPERVISOR]\nhypervisor_xmpp_password = hunter2\n"


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "archipel.conf"
    path.touch(mode=0o600)
    path.write_text(f"{GOOD}[GLOBAL]\nmodules_configuration_path = {tmp_path}/none\n")
    return path


# -- the command line ---------------------------------------------------------------------------------------------------


def test_a_configuration_that_cannot_be_used_is_told_whole_and_ends_the_agent(
    configuration: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configuration.write_text("[GLOBAL]\nlibvirt_pool_size = many\nuse_avatar = perhaps\n[HYPERVISOR]\nhypervisor_xmpp_password = hunter2\n")
    assert main(["--config", str(configuration)]) == EXIT_CONFIGURATION
    told = capsys.readouterr().err
    assert all(name in told for name in ("libvirt_pool_size", "use_avatar", "xmpp_server"))
    assert "hunter2" not in told


NO_LIMIT = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    "before, after",
    [
        ((1024, 524288), (65536, 524288)),
        ((1024, 4096), (4096, 4096)),
        ((1024, NO_LIMIT), (65536, NO_LIMIT)),
        ((100_000, 200_000), (100_000, 200_000)),
        ((NO_LIMIT, NO_LIMIT), (NO_LIMIT, NO_LIMIT)),
    ],
)
def test_the_agent_opens_as_many_files_as_the_host_allows(
    monkeypatch: pytest.MonkeyPatch, before: tuple[int, int], after: tuple[int, int]
) -> None:
    """A thousand machines are a thousand connections, and 1024 files is where a process usually begins."""
    limits = {"now": before}
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: limits["now"])
    monkeypatch.setattr(resource, "setrlimit", lambda _kind, wanted: limits.update(now=wanted))
    raise_file_limit()
    assert limits["now"] == after


def test_a_check_is_run_with_what_the_files_say(configuration: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[Settings] = []

    async def check(settings: Settings) -> int:
        checked.append(settings)
        return 1

    monkeypatch.setattr("archipel.agent.check.run", check)
    assert main(["-c", str(configuration), "--check"]) == 1
    assert [settings.xmpp.domain for settings in checked] == ["lab.example"]


@pytest.mark.parametrize(
    "error,status",
    [
        (StoreError("damaged"), EXIT_STATE),
        (PermissionError("the audit log"), EXIT_STATE),
        (ImportError("the capability x is not a module"), EXIT_CAPABILITY),
    ],
)
def test_what_keeps_the_agent_from_starting_is_one_line_and_a_status(
    configuration: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception, status: int
) -> None:
    async def serve(_settings: Settings) -> None:
        raise error

    monkeypatch.setattr(daemon, "serve", serve)
    monkeypatch.setattr(daemon, "configure_logging", lambda _settings: None)
    assert main(["-c", str(configuration)]) == status
    assert str(error) in caplog.text
    assert "Traceback" not in caplog.text


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out.startswith("archipel-agent ")


# -- the service manager ------------------------------------------------------------------------------------------------


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield manager


def test_the_service_manager_is_told(manager: socket.socket) -> None:
    notify_systemd("READY=1\nSTATUS=3 machines")
    assert manager.recv(100) == b"READY=1\nSTATUS=3 machines"


def test_an_abstract_address_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("")  # the system chooses one
        name = manager.getsockname().decode()
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name[1:]}")
        manager.setblocking(False)
        notify_systemd("STOPPING=1")
        assert manager.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize("address", [None, "", "/nowhere/at/all"])
def test_without_a_service_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch, address: str | None) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if address is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify_systemd("READY=1")
    assert not Path("/nowhere").exists()


async def test_who_starts_waits_for_the_server_no_longer_than_until_the_end_or_the_deadline() -> None:
    online, stop = asyncio.Event(), asyncio.Event()
    await wait_for_either(online, stop, 0.01)
    for happening in (online, stop):
        waiting = asyncio.create_task(wait_for_either(online, stop, 60))
        await asyncio.sleep(0)
        assert not waiting.done()
        happening.set()
        await asyncio.wait_for(waiting, 5)
        happening.clear()
    assert len(asyncio.all_tasks()) == 1, "nobody waits any more"


# -- entities -----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def stocked(services: Services, xmpp: FakeXmpp, host: FakeHost) -> Services:
    """Services with a whole machine, and one that was never finished."""
    for uuid, name, phase in ((UUID, "web", Phase.ACTIVE), (OTHER_UUID, "half", Phase.ALLOCATING)):
        await services.store.add_machine(MachineRecord(uuid=uuid, name=name, password=Secret("machine"), phase=phase))
        xmpp.accounts[uuid] = "machine"
    host.add(UUID, "web", state=DomainState.RUNNING)
    return services


async def all_online(hypervisor: Hypervisor) -> None:
    for entity in (hypervisor, *hypervisor.machines.values()):
        await entity.online.wait()


async def test_all_machines_of_the_store_come_online_and_leave_again(xmpp: FakeXmpp, stocked: Services, libvirt: FakeLibvirt) -> None:
    async with asyncio.timeout(30), run_entities(stocked) as hypervisor:
        await all_online(hypervisor)
        assert [machine.name for machine in hypervisor.machines.values()] == ["web"]
        assert libvirt.watched
    assert not libvirt.watched
    assert all(stream.lost.done() for stream in xmpp.streams.values())


async def test_what_libvirt_tells_reaches_the_machines(xmpp: FakeXmpp, stocked: Services, libvirt: FakeLibvirt) -> None:
    async with asyncio.timeout(30), run_entities(stocked) as hypervisor:
        await all_online(hypervisor)
        libvirt.tell(DomainEvent(UUID, "web", LifecycleEvent.STARTED, UnknownDetail.UNKNOWN))
        await finish_work(hypervisor.machines[UUID])
        assert xmpp.pushes(VM) == [("virtualmachine:control", "created")]


async def test_without_libvirt_everybody_says_so_and_with_it_reads_anew(stocked: Services, libvirt: FakeLibvirt, host: FakeHost) -> None:
    async with asyncio.timeout(30), run_entities(stocked) as hypervisor:
        await all_online(hypervisor)
        machine = hypervisor.machines[UUID]
        host.domain(UUID).refuse["info"] = LibvirtUnavailable("gone")
        await libvirt.change(ConnectionState.LOST)
        assert (hypervisor.status, machine.status) == (presence.LIBVIRT_LOST, presence.LIBVIRT_LOST)
        host.domain(UUID).refuse.clear()
        host.domain(UUID).state_now = DomainState.PAUSED
        await libvirt.change(ConnectionState.CONNECTED)
        assert hypervisor.status != presence.LIBVIRT_LOST
        assert machine.status == presence.PAUSED


async def test_the_agent_starts_without_libvirt_too(stocked: Services, libvirt: FakeLibvirt, host: FakeHost) -> None:
    libvirt.state = ConnectionState.LOST
    host.domain(UUID).refuse["info"] = LibvirtUnavailable("gone")
    async with asyncio.timeout(30), run_entities(stocked) as hypervisor:
        await all_online(hypervisor)
        assert hypervisor.status == presence.LIBVIRT_LOST


# -- rights that end ----------------------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "HOUSEKEEPING_INTERVAL", 0.001)


async def lend_a_right(services: Services, calendar: Calendar) -> None:
    """Give the student a right that is over in an hour."""
    await services.rights.grant(VM, STUDENT.bare, "info", granted_by=HYP, expires_at=calendar() + timedelta(hours=1))


async def is_told(xmpp: FakeXmpp) -> None:
    def waits() -> bool:
        return ("permissions", STUDENT.bare) not in xmpp.pushes(VM) or STUDENT.bare in xmpp.nodes[events_node(VM)].affiliations

    while waits():  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(0.001)


async def test_who_held_a_right_that_is_over_is_told_and_reads_no_more_events(
    quick: None, xmpp: FakeXmpp, stocked: Services, calendar: Calendar
) -> None:
    async with asyncio.timeout(30), run_entities(stocked) as hypervisor:
        await all_online(hypervisor)
        await lend_a_right(stocked, calendar)
        await hypervisor.machines[UUID].refresh_readers()
        assert STUDENT.bare in xmpp.nodes[events_node(VM)].affiliations
        calendar.pass_time(timedelta(hours=1))
        await is_told(xmpp)
        assert stocked.rights.tokens_of(VM, STUDENT.bare) == ()


async def test_a_database_in_trouble_does_not_end_the_tidying(
    quick: None, xmpp: FakeXmpp, stocked: Services, calendar: Calendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, refused = stocked.store.change_grants, 0

    async def fail_thrice(*arguments: object, **named: object) -> None:
        nonlocal refused
        if refused < 3:
            refused += 1
            raise StoreError("locked")
        await change(*arguments, **named)

    async with asyncio.timeout(30), run_entities(stocked) as hypervisor:
        await all_online(hypervisor)
        await lend_a_right(stocked, calendar)
        monkeypatch.setattr(stocked.store, "change_grants", fail_thrice)
        calendar.pass_time(timedelta(hours=1))
        await is_told(xmpp)
    assert refused == 3


# -- what failed halfway ------------------------------------------------------------------------------------------------


async def gone(services: Services, uuid: str) -> None:
    while await services.store.machine(uuid):  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(0.001)


async def name_in_store(services: Services) -> str:
    record = await services.store.machine(UUID)
    assert record is not None
    return record.name


async def test_what_was_left_half_done_is_tried_again_soon(
    xmpp: FakeXmpp, stocked: Services, host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing announces that libvirt answers again, or that a disk has room."""
    monkeypatch.setattr(daemon, "RETRY_INTERVAL", 0.001)
    half = host.add(OTHER_UUID, "half")
    half.refuse["is active"] = half.refuse["undefine"] = LibvirtTimeout("undefine", 60)
    async with asyncio.timeout(30), run_entities(stocked) as hypervisor:
        await hypervisor.untidy.wait()
        half.refuse.clear()
        await gone(stocked, OTHER_UUID)
    assert half.stored is None
    assert OTHER_UUID not in xmpp.accounts


async def test_it_is_looked_for_now_and_then_too(quick: None, xmpp: FakeXmpp, stocked: Services, host: FakeHost) -> None:
    async with asyncio.timeout(30), run_entities(stocked) as hypervisor:
        await all_online(hypervisor)
        await gone(stocked, OTHER_UUID)
        host.add(UUID, "renamed")
        while await name_in_store(stocked) != "renamed":  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.001)
        assert hypervisor.machines[UUID].name == "renamed"


async def test_names_are_followed_when_libvirt_is_back(stocked: Services, libvirt: FakeLibvirt, host: FakeHost) -> None:
    async with asyncio.timeout(30), run_entities(stocked) as hypervisor:
        await all_online(hypervisor)
        await libvirt.change(ConnectionState.LOST)
        host.add(UUID, "renamed")
        await libvirt.change(ConnectionState.CONNECTED)
        assert hypervisor.machines[UUID].name == "renamed"


# -- the whole of it ----------------------------------------------------------------------------------------------------


async def test_services_are_opened_and_closed_as_one(agent_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = make_settings(agent_folder, "[GLOBAL]\ninsecure_plaintext = True")
    async with contextlib.AsyncExitStack() as stack:
        opened = await stack.enter_async_context(daemon.open_services(settings))
        assert (opened.driver, opened.tls) == ("TEST", None)
        assert opened.rights.admins == {"admin@lab.example"}
        await opened.libvirt.wait_connected(5)
        assert opened.libvirt_connected
    assert not opened.libvirt_connected
    with pytest.raises(StoreError, match="is closed"):
        await opened.store.machines()
