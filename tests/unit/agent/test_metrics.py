# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures are counted where things happen, read by any OpenMetrics client, and name nobody."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client import Counter as Series
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from archipel.agent.capabilities.metrics import serve_metrics
from archipel.agent.config import ConfigError
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.metrics_listener import MetricsListener
from archipel.agent.metrics_reading import AgentCollector
from archipel.agent.options import Host
from archipel.agent.virt.errors import LibvirtTimeout
from archipel.agent.virt.pool import CallPool
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import CommandError
from tests.unit.agent.conftest import ask, go_online
from tests.unit.agent.fakes import OWNER, STRANGER, STUDENT, VM, FakeLibvirt, make_settings
from tests.wire.waiting import eventually

CONTROL = "archipel:vm:control"


async def fetch(port: int, request: bytes = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n") -> tuple[str, str]:
    """Status line and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    head, _, body = answer.decode().partition("\r\n\r\n")
    return head.partition("\r\n")[0], body


def parse(body: str) -> dict[str, float]:
    """Values by name and labels."""
    samples = [sample for family in text_string_to_metric_families(body) for sample in family.samples]
    return {f"{sample.name}{sorted(sample.labels.values())}": sample.value for sample in samples}


@contextlib.asynccontextmanager
async def listen(registry: CollectorRegistry) -> AsyncIterator[int]:
    server = await MetricsListener(registry).start(Host("127.0.0.1", 0))
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
def pool(libvirt: FakeLibvirt) -> CallPool:
    pool: CallPool = CallPool(2)
    libvirt.pool = pool
    return pool


async def read(hypervisor: Hypervisor) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(AgentCollector(hypervisor))
    registry.register(hypervisor.services.metrics._commands)
    registry.register(hypervisor.services.metrics._seconds)
    async with listen(registry) as port:
        return parse((await fetch(port))[1])


async def test_what_the_agent_does_is_told(hypervisor: Hypervisor, machine: VirtualMachine, pool: CallPool):
    await go_online(hypervisor)
    await go_online(machine)
    await ask(machine, CONTROL, "<archipel action='info'/>")
    await ask(machine, CONTROL, "<archipel action='info'/>")
    for caller, request in ((STUDENT, "info"), (OWNER, "memory"), (STRANGER, "x" * 50), (STRANGER, "y" * 50)):
        with pytest.raises(CommandError):
            await ask(machine, CONTROL, f"<archipel action='{request}'/>", caller)
    told = await read(hypervisor)
    assert told[f"archipel_commands_total['{CONTROL}', 'info', 'ok']"] == 2
    assert told[f"archipel_commands_total['{CONTROL}', 'info', 'refused']"] == 1
    assert told[f"archipel_commands_total['{CONTROL}', 'malformed', 'memory']"] == 1
    assert told["archipel_commands_total['refused', 'unknown', 'unknown']"] == 2
    assert told[f"archipel_command_seconds_count['{CONTROL}']"] == 4
    assert told["archipel_entities['hypervisor', 'online']"] == 1
    assert told["archipel_sessions[]"] == 2
    assert told["archipel_libvirt_threads[]"] == 2
    assert told["archipel_database_seconds_count[]"] > 0
    assert told["archipel_requests['under_way']"] == 0


async def test_nobody_and_no_machine_is_named(hypervisor: Hypervisor, machine: VirtualMachine, pool: CallPool):
    await go_online(machine)
    await ask(machine, CONTROL, "<archipel action='info'/>")
    names = "".join(await read(hypervisor))
    assert not any(name in names for name in (VM, VM.partition("@")[0], OWNER.bare, "web", "@"))


async def test_calls_of_libvirt_are_counted_by_how_they_end():
    pool = CallPool(1)
    pool.start()
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()

    def fail() -> None:
        raise ValueError("no")

    def hang() -> None:
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result()

    await pool.run("fine", int)
    with pytest.raises(ValueError, match="no"):
        await pool.run("wrong", fail)
    with pytest.raises(LibvirtTimeout):
        await pool.run("hangs", hang, within=0.05)
    assert (pool.busy, pool.queued, pool.size) == (1, 0, 1)
    gate.set()
    pool.stop()
    assert pool.counts == {"ok": 1, "failed": 1, "timeout": 1}


@pytest.mark.parametrize(
    "request_line, status",
    [
        (b"GET /metrics HTTP/1.1", "200 OK"),
        (b"GET /metrics?x=1 HTTP/1.0", "200 OK"),
        (b"HEAD /metrics HTTP/1.1", "200 OK"),
        (b"POST /metrics HTTP/1.1", "405 Method Not Allowed"),
        (b"GET / HTTP/1.1", "404 Not Found"),
        (b"GET /../etc/passwd HTTP/1.1", "404 Not Found"),
        (b"\xff\xfe", "400 Bad Request"),
    ],
)
async def test_there_is_nothing_but_metrics(request_line: bytes, status: str):
    async with listen(CollectorRegistry()) as port:
        assert (await fetch(port, request_line + b"\r\n\r\n"))[0] == f"HTTP/1.1 {status}"


async def test_who_sends_too_much_or_leaves_gets_nothing_and_others_are_served():
    registry = CollectorRegistry()
    Series("archipel_tries", "Tries.", registry=registry).inc()
    async with listen(registry) as port:
        for request in (b"x" * 20_000, b"\r\n"):
            _reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            writer.close()
        assert parse((await fetch(port))[1])["archipel_tries_total[]"] == 1


@pytest.mark.parametrize(
    "line, wrong",
    [
        ("metrics_listen = 192.0.2.7:9177", "insecure_metrics_listen"),
        ("metrics_listen = 0.0.0.0:9177", "insecure_metrics_listen"),
        ("metrics_listen = [::]:9177", "insecure_metrics_listen"),
        ("metrics_listen = localhost:9177", "not an IP address"),
        ("metrics_listen = 127.0.0.1", "has no port"),
        ("insecure_metrics_listen = everywhere:9177", "not an IP address"),
    ],
)
def test_other_hosts_read_nothing_by_accident(tmp_path: Path, line: str, wrong: str):
    with pytest.raises(ConfigError, match=wrong):
        make_settings(tmp_path, f"[METRICS]\n{line}")


async def test_it_listens_where_the_file_says_and_nowhere_else(
    hypervisor: Hypervisor, pool: CallPool, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        services: Any = hypervisor.services
        services.settings = make_settings(tmp_path)
        await serve_metrics(hypervisor)  # without an address it ends at once
        more = f"[METRICS]\nmetrics_listen = [::1]:0\ninsecure_metrics_listen = 127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigError, match="out of range"):
            make_settings(tmp_path, more)
        services.settings = make_settings(tmp_path, more.replace("metrics_listen = [::1]:0\n", "", 1))
        serving = asyncio.create_task(serve_metrics(hypervisor))
        await eventually(lambda: "metrics cannot be served on 127.0.0.1" in caplog.text)
        assert not serving.done(), "an address that is taken is told, and the agent goes on"
        serving.cancel()
