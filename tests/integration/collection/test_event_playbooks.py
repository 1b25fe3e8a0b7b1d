# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rulebooks run, run by hand."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archipel.client import MachineState
from tests.integration.collection.platform import HYPERVISOR, Platform
from tests.integration.collection.playbook import Ansible


def play(ansible: Ansible, name: str, **variables: Any) -> str:
    ended = ansible.call("ansible-playbook", f"archipel.platform.{name}", "-e", json.dumps(variables))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


async def read_states(platform: Platform) -> dict[str, MachineState]:
    async with platform.hypervisor() as hypervisor:
        machines = {entry.name: await hypervisor.machine(entry.uuid) for entry in await hypervisor.machines()}
        return {name: await machine.state() for name, machine in machines.items()}


@pytest.mark.parametrize("autostart", [False, True])
def test_what_has_the_tag_or_starts_with_its_host_is_started(autostart: bool, ansible: Ansible, platform: Platform) -> None:
    machines = [{"name": "tagged", "tags": ["vital"]}, {"name": "booting", "autostart": True}, {"name": "plain", "tags": ["keep-running"]}]
    (made,) = ansible.run([{"archipel.platform.vm": {"memory": 64, "machines": machines}}])
    assert made["changed"]
    play(ansible, "keep_running", archipel_hypervisors=[HYPERVISOR], archipel_keep_tag="vital", archipel_keep_autostart=autostart)
    states = asyncio.run(read_states(platform))
    running = {name for name, state in states.items() if state is MachineState.RUNNING}
    assert running == ({"tagged", "booting"} if autostart else {"tagged"})


class Hook(http.server.BaseHTTPRequestHandler):
    """Takes what is posted."""

    posted: list[dict[str, Any]]

    def do_POST(self) -> None:
        self.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def hook() -> Iterator[type[Hook]]:
    class Fresh(Hook):
        posted: list[dict[str, Any]] = []  # noqa: RUF012 - of this test alone
        address = ""

    server = http.server.HTTPServer(("127.0.0.1", 0), Fresh)
    Fresh.address = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Fresh
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_alarm_goes_to_a_file_a_program_and_people(hook: Any, ansible: Ansible, tmp_path: Path) -> None:
    sendmail = tmp_path / "sendmail"
    sendmail.write_text(f'#!/bin/sh\n[ "$*" = -t ] && cat >{tmp_path}/mail\n')
    sendmail.chmod(0o755)
    event = {
        "type": "absent",
        "seconds": 30.0,
        "host": {"jid": HYPERVISOR, "name": "hypervisor", "kind": "hypervisor"},
        "meta": {"uuid": "u", "received_at": "2026-01-02T03:04:05Z"},
    }
    play(
        ansible,
        "host_alarm",
        ansible_eda={"event": event},
        archipel_alarm_log=str(tmp_path / "alarms.log"),
        archipel_alarm_webhook=hook.address,
        archipel_alarm_mail="operators@example.org",
        archipel_sendmail=str(sendmail),
    )
    alarm = {"hypervisor": HYPERVISOR, "state": "down", "at": "2026-01-02T03:04:05Z", "uuid": "u"}
    text = f"The hypervisor {HYPERVISOR} has been offline for 30 seconds"
    assert json.loads((tmp_path / "alarms.log").read_text()) == alarm
    assert hook.posted == [{**alarm, "text": text}]
    assert (tmp_path / "mail").read_text().split("\n") == [
        "To: operators@example.org",
        f"Subject: {HYPERVISOR} is down",
        "",
        f"{text}.",
        "",
    ]
