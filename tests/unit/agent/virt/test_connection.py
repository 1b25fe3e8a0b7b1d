# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import asyncio
import gc
import logging
import threading
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import libvirt
import pytest

from archipel.agent.virt import binding
from archipel.agent.virt.connection import ConnectionState, LibvirtConnection
from archipel.agent.virt.errors import LibvirtError, LibvirtTimeout, LibvirtUnavailable
from archipel.agent.virt.host import Host
from archipel.agent.virt.lifecycle import DomainEvent, DomainState, LifecycleEvent, StoppedDetail

TEST_DOMAIN = "test"  # the one that a fresh test driver has, running
HALT = 2  # seconds in which libvirt says nothing: whoever waited for it would stand still as long, far longer than a busy machine does


Until = Callable[[Callable[[], bool]], Awaitable[None]]
Lose = Callable[[LibvirtConnection], Awaitable[None]]


@pytest.fixture
def lose(libvirtd: Any, until: Until) -> Lose:
    """Kill the daemon, and wait until a connection has noticed."""

    async def kill_and_wait(connection: LibvirtConnection) -> None:
        libvirtd.kill()
        await until(lambda: connection.state is ConnectionState.LOST)

    return kill_and_wait


async def ask_until_lost(call: Callable[[], Awaitable[object]]) -> LibvirtUnavailable:
    while True:
        try:
            await call()
        except LibvirtUnavailable as error:
            return error


def told(events: list[DomainEvent]) -> list[tuple[str, LifecycleEvent]]:
    return [(event.name, event.event) for event in events]


async def test_it_connects_and_closes() -> None:
    connection = LibvirtConnection("test:///default")
    assert connection.state is ConnectionState.CLOSED
    async with connection:
        await connection.wait_connected(10)
        assert connection.state is ConnectionState.CONNECTED
        assert await connection.call("type", lambda session: session.connect.getType()) == "TEST"
    assert connection.state is ConnectionState.CLOSED
    with pytest.raises(LibvirtUnavailable):
        await connection.call("type", lambda session: session.connect.getType())


async def test_it_can_be_started_again() -> None:
    connection = LibvirtConnection("test:///default")
    for _ in range(2):
        async with connection:
            await connection.wait_connected(10)
            assert await Host(connection).driver() == "TEST"


async def test_what_libvirt_refuses_is_a_typed_error(connection: LibvirtConnection) -> None:
    with pytest.raises(LibvirtError) as failure:
        await connection.call("look up", lambda session: session.connect.lookupByName("nobody"))
    assert failure.value.code == libvirt.VIR_ERR_NO_DOMAIN


async def test_a_uri_that_nobody_answers_says_why() -> None:
    async with LibvirtConnection("test+unix:///default?socket=/nonexistent/sock") as connection:
        with pytest.raises(LibvirtUnavailable, match=r"no connection to libvirt \(test\+unix.*/nonexistent/sock"):
            await connection.wait_connected(0.5)
        assert "Failed to connect socket" in str(connection.last_error)


async def test_events_of_another_process_arrive_in_order(libvirtd: Any, remote: LibvirtConnection) -> None:
    with remote.events.queue() as queue:
        for command in ("suspend", "resume", "destroy", "start", "shutdown", "undefine"):
            await libvirtd.virsh(command, TEST_DOMAIN)
        events = [await queue.get() for _ in range(6)]
    expected = ("SUSPENDED", "RESUMED", "STOPPED", "STARTED", "STOPPED", "UNDEFINED")
    assert told(events) == [(TEST_DOMAIN, LifecycleEvent[name]) for name in expected]
    assert [event.detail for event in events if event.event is LifecycleEvent.STOPPED] == [StoppedDetail.DESTROYED, StoppedDetail.SHUTDOWN]
    assert len({event.uuid for event in events}) == 1


async def test_many_events_lose_nothing_and_keep_their_order(remote: LibvirtConnection) -> None:
    domain = await Host(remote).find(TEST_DOMAIN)
    with remote.events.queue() as queue:
        for _ in range(200):
            await domain.suspend()
            await domain.resume()
        events = [await queue.get() for _ in range(400)]
    assert [event.event for event in events] == [LifecycleEvent.SUSPENDED, LifecycleEvent.RESUMED] * 200


async def test_after_the_daemon_was_killed_it_reconnects_and_hears_events_again(
    libvirtd: Any, remote: LibvirtConnection, lose: Lose
) -> None:
    for _ in range(3):
        with remote.events.queue() as queue:
            await lose(remote)
            libvirtd.start()
            await remote.wait_connected(30)
            await libvirtd.virsh("suspend", TEST_DOMAIN)
            assert (await queue.get()).event is LifecycleEvent.SUSPENDED


async def test_a_domain_proxy_survives_the_daemon(libvirtd: Any, remote: LibvirtConnection, lose: Lose) -> None:
    domain = await Host(remote).find(TEST_DOMAIN)
    assert (await domain.info()).state is DomainState.RUNNING
    await lose(remote)
    libvirtd.start()
    await remote.wait_connected(30)
    await libvirtd.virsh("suspend", TEST_DOMAIN)
    assert (await domain.info()).state is DomainState.PAUSED


async def test_while_it_is_lost_every_call_fails_at_once(libvirtd: Any, remote: LibvirtConnection, lose: Lose) -> None:
    domain = await Host(remote).find(TEST_DOMAIN)
    await lose(remote)
    for call in (domain.info, domain.shutdown, Host(remote).domains, Host(remote).hostname):
        with pytest.raises(LibvirtUnavailable, match=r"the connection broke|Failed to connect") as failure:
            call().send(None)  # it does not even wait for the loop's next turn
        assert not failure.value.in_flight


async def test_who_waits_for_a_connection_after_a_call_failed_does_wait(libvirtd: Any, remote: LibvirtConnection) -> None:
    host = Host(remote)
    libvirtd.kill()
    await ask_until_lost(host.hostname)
    waiting = asyncio.create_task(remote.wait_connected())
    await asyncio.sleep(0)
    assert not waiting.done()
    libvirtd.start()
    await waiting
    assert await host.driver() == "TEST"


async def test_a_call_that_the_end_of_the_daemon_interrupts_says_that_its_outcome_is_unknown(
    libvirtd: Any, remote: LibvirtConnection
) -> None:
    domain = await Host(remote).find(TEST_DOMAIN)
    with libvirtd.halted():
        task = asyncio.create_task(domain.suspend())
        await asyncio.sleep(0.1)  # until the request is on its way
        libvirtd.kill()
        with pytest.raises(LibvirtUnavailable, match=r"during suspend of domain .*may have taken effect") as failure:
            await task
    assert failure.value.in_flight


async def test_a_daemon_that_hangs_costs_a_time_out_and_then_answers_again(libvirtd: Any, remote: LibvirtConnection) -> None:
    domain = await Host(remote).find(TEST_DOMAIN)
    with libvirtd.halted(), pytest.raises(LibvirtTimeout, match="state of domain"):
        await domain.read("state", lambda domain: domain.state(), within=0.1)
    assert await Host(remote).driver() == "TEST"
    assert remote.state is ConnectionState.CONNECTED


async def test_observers_hear_of_each_connect_and_each_loss(libvirtd: Any, remote: LibvirtConnection, lose: Lose) -> None:
    story: list[str] = []
    change = asyncio.Event()

    async def tell(what: str) -> None:
        story.append(what)
        change.set()

    async def wait_for(length: int) -> None:
        while len(story) < length:
            change.clear()
            await change.wait()

    end = remote.observe(on_connected=lambda: tell("connected"), on_lost=lambda: tell("lost"))
    for turn in (1, 2):
        libvirtd.kill()
        await wait_for(turn * 2 - 1)
        libvirtd.start()
        await wait_for(turn * 2)
    assert story == ["lost", "connected"] * 2
    end()
    await lose(remote)
    assert len(story) == 4


async def test_an_observer_may_read_as_soon_as_it_is_told(libvirtd: Any) -> None:
    connection = LibvirtConnection(libvirtd.uri)
    read: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()

    async def list_domains() -> None:
        read.set_result([domain.name for domain in await Host(connection).domains()])

    connection.observe(on_connected=list_domains)
    async with connection:
        assert await read == [TEST_DOMAIN]


async def test_a_loss_cancels_an_observer_that_still_reads(libvirtd: Any) -> None:
    connection = LibvirtConnection(libvirtd.uri)
    story: list[str] = []
    reading = asyncio.Event()
    lost = asyncio.Event()

    async def read_for_ever() -> None:
        reading.set()
        try:
            await asyncio.Event().wait()
        finally:
            story.append("reading ends")

    async def hear_of_loss() -> None:
        story.append("lost")
        lost.set()

    connection.observe(on_connected=read_for_ever, on_lost=hear_of_loss)
    async with connection:
        await reading.wait()
        libvirtd.kill()
        await lost.wait()
    assert story[:2] == ["reading ends", "lost"]


async def test_an_observer_that_fails_is_logged_and_the_connection_stays(libvirtd: Any, caplog: pytest.LogCaptureFixture) -> None:
    connection = LibvirtConnection(libvirtd.uri)
    heard = asyncio.Event()

    async def fail() -> None:
        raise ValueError("observer")

    async def hear() -> None:
        heard.set()

    connection.observe(on_connected=fail)
    connection.observe(on_connected=hear)
    async with connection:
        await heard.wait()
        assert await Host(connection).driver() == "TEST"
    assert "an observer of the connection failed" in caplog.text


async def test_it_says_once_that_it_is_down_and_once_that_it_is_up(
    libvirtd: Any, remote: LibvirtConnection, caplog: pytest.LogCaptureFixture, until: Until
) -> None:
    with caplog.at_level(logging.DEBUG, "archipel.agent.virt"):
        libvirtd.kill()
        await until(lambda: len(caplog.records) == 4)  # the loss and three tries that fail
        libvirtd.start()
        await remote.wait_connected(30)
    said = [record for record in caplog.records if record.levelno > logging.DEBUG]
    lines = [(record.levelname, record.getMessage().split("(")[0].strip()) for record in said]
    assert lines == [("WARNING", "no connection to libvirt"), ("INFO", "connected to libvirt")]


class Delegate:
    """A virConnect with some methods replaced."""

    def __init__(self, real: Any, **replaced: Callable[..., object]) -> None:
        self._real = real
        self._replaced = replaced

    def __getattr__(self, name: str) -> Any:
        return self._replaced.get(name) or getattr(self._real, name)


async def test_a_driver_that_reports_no_close_is_probed(libvirtd: Any, monkeypatch: pytest.MonkeyPatch, lose: Lose) -> None:
    def refuse(*_: object) -> int:
        raise libvirt.libvirtError("this function is not supported by the connection driver")

    def open_quietly(uri: str) -> Any:
        return Delegate(libvirt.open(uri), setKeepAlive=refuse, registerCloseCallback=refuse)

    monkeypatch.setattr(binding, "open_connect", open_quietly)
    async with LibvirtConnection(libvirtd.uri, probe_interval=0.05) as connection:
        await connection.wait_connected(10)
        await lose(connection)
        libvirtd.start()
        await connection.wait_connected(30)
        assert await Host(connection).driver() == "TEST"


async def test_a_connection_without_events_is_none(libvirtd: Any, until: Until, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []

    def refuse(*_: object) -> int:
        raise libvirt.libvirtError("no events here")

    def open_deaf(uri: str) -> Any:
        connect = libvirt.open(uri)
        opened.append(weakref.ref(connect))
        return Delegate(connect, domainEventRegisterAny=refuse)

    monkeypatch.setattr(binding, "open_connect", open_deaf)
    async with LibvirtConnection(libvirtd.uri) as connection:
        with pytest.raises(LibvirtUnavailable, match="no events here"):
            await connection.wait_connected(0.5)
    assert opened

    def all_are_gone() -> bool:
        gc.collect()  # tracebacks of the tries that failed
        return [connect() for connect in opened] == [None] * len(opened)

    await until(all_are_gone)  # the thread that closed the last one may still hold it for a moment


@pytest.mark.parametrize("stop", [False, True])
async def test_a_connection_that_is_over_leaves_nothing_behind(
    libvirtd: Any, monkeypatch: pytest.MonkeyPatch, until: Until, stop: bool
) -> None:
    opened: list[Any] = []

    def open_noticed(uri: str) -> Any:
        connect = libvirt.open(uri)
        opened.append(weakref.ref(connect))
        return connect

    monkeypatch.setattr(binding, "open_connect", open_noticed)
    connection = LibvirtConnection(libvirtd.uri)
    async with connection:
        await connection.wait_connected(10)
        await (await Host(connection).find(TEST_DOMAIN)).info()
        if stop:
            await connection.stop()
        else:
            libvirtd.kill()
        await until(lambda: opened[0]() is None)
    assert len(opened) == 1


@pytest.mark.parametrize("uri, kept", [("test+tcp://hv.example.com/default", [(5, 3)]), ("test+unix:///default?socket=/s", [])])
async def test_only_connections_to_other_hosts_are_kept_alive(
    monkeypatch: pytest.MonkeyPatch, uri: str, kept: list[tuple[int, int]]
) -> None:
    asked: list[tuple[int, int]] = []

    def open_here(_uri: str) -> Any:
        return Delegate(libvirt.open("test:///default"), setKeepAlive=lambda *arguments: asked.append(arguments))

    monkeypatch.setattr(binding, "open_connect", open_here)
    async with LibvirtConnection(uri) as connection:
        await connection.wait_connected(10)
    assert asked == kept


async def test_under_load_a_killed_daemon_breaks_every_call_and_nothing_else(libvirtd: Any, remote: LibvirtConnection) -> None:
    host = Host(remote)
    domain = await host.find(TEST_DOMAIN)

    for _ in range(5):
        calls = (domain.info, lambda: domain.set_autostart(True), host.domains, host.hostname, host.node_info)
        tasks = [asyncio.create_task(ask_until_lost(call)) for call in calls]
        await asyncio.sleep(0.05)
        libvirtd.kill()
        await asyncio.gather(*tasks)
        libvirtd.start()
        await remote.wait_connected(30)
        assert (await domain.info()).state is DomainState.RUNNING


async def test_it_can_be_stopped_while_a_daemon_does_not_answer_its_login(libvirtd: Any) -> None:
    connection = LibvirtConnection(libvirtd.uri)
    with libvirtd.halted():
        await connection.start()
        with pytest.raises(LibvirtUnavailable, match="connecting"):
            await connection.wait_connected(0.2)
        await connection.stop()
    assert connection.state is ConnectionState.CLOSED


async def test_a_daemon_that_restarts_forgets_no_connection_and_no_thread(libvirtd: Any, remote: LibvirtConnection, lose: Lose) -> None:
    before = threading.active_count()
    for _ in range(3):
        await lose(remote)
        libvirtd.start()
        await remote.wait_connected(30)
    assert threading.active_count() == before


async def test_threads_that_all_hang_delay_a_reconnect_and_do_not_end_it(libvirtd: Any, lose: Lose) -> None:
    gate = threading.Event()
    async with LibvirtConnection(libvirtd.uri, threads=1) as connection:
        await connection.wait_connected(10)
        with pytest.raises(LibvirtTimeout):
            await connection.call("hang", lambda _session: gate.wait(), within=0.05)
        await lose(connection)
        libvirtd.start()
        with pytest.raises(LibvirtUnavailable, match="its 1 threads are busy; calls that hang: hang"):
            await connection.wait_connected(1)
        gate.set()
        await connection.wait_connected(30)
        assert await Host(connection).driver() == "TEST"


async def test_nothing_blocks_the_loop_while_libvirt_is_slow(
    remote: LibvirtConnection, libvirtd: Any, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = HALT / 2
    domain = await Host(remote).find(TEST_DOMAIN)
    with caplog.at_level(logging.WARNING, "asyncio"):
        with libvirtd.halted():
            tasks = [asyncio.create_task(domain.info()) for _ in range(50)] + [asyncio.create_task(Host(remote).domains())]
            await asyncio.sleep(HALT)
        await asyncio.gather(*tasks)
    loop.set_debug(False)
    assert [record.getMessage() for record in caplog.records if "took" in record.getMessage()] == []
