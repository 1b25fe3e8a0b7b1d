# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running agent's figures, as a monitoring system fetches them."""

from __future__ import annotations

import asyncio
import shlex
import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from testbed.certificates import Authority
from tests.documentation import read_steps
from tests.wire.platform import ADMIN, CONTROL, open_platform

pytestmark = pytest.mark.asyncio(loop_scope="session")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def fetch_as_the_page(root: Path, port: int) -> list[str]:
    """Fetch what the page fetches, from this port; return the lines that the page shows and that did not come."""
    [step] = read_steps(root / "docs" / "metrics.md")
    came = subprocess.check_output(shlex.split(step.command.replace("9177", str(port))), text=True, timeout=10).splitlines()
    return [line for line in step.shown if line not in came]


def fetch(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        body = answer.read().decode()
    samples = [sample for family in text_string_to_metric_families(body) for sample in family.samples]
    return {" ".join((sample.name, *(sample.labels[name] for name in sorted(sample.labels)))): sample.value for sample in samples}


async def test_figures_follow_what_happens(authority: Authority, tmp_path: Path, root: Path):
    port = free_port()
    options = {("METRICS", "metrics_listen"): f"127.0.0.1:{port}"}
    async with open_platform(tmp_path, authority, "metrics.localhost", options) as platform:
        admin, student = await platform.enter(ADMIN), await platform.enter()
        machine = await platform.make_machine(admin)
        for person, times in ((admin, 3), (student, 2)):
            for _ in range(times):
                await person.command(machine.full, CONTROL, "<archipel action='info'/>", "get")
        told = await asyncio.to_thread(fetch, port)
        assert await asyncio.to_thread(fetch_as_the_page, root, port) == []
    assert told[f"archipel_commands_total info {CONTROL} ok"] == 3
    assert told[f"archipel_commands_total info {CONTROL} refused"] == 2
    assert told["archipel_entities hypervisor online"] == told["archipel_entities virtualmachine online"] == 1
    assert told["archipel_connections_total login"] == told["archipel_sessions"] == 2
    assert told["archipel_libvirt_connected"] == told["archipel_server_up"] == 1
    assert told["archipel_libvirt_calls_total ok"] >= 6
    assert told["archipel_events_total published"] > 0
    assert told["archipel_database_seconds_count"] > 0
    assert not [name for name in told if machine.uuid in name or platform.domain in name or student.bare in name]
