# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client made with another XMPP library (strophe.js, over a web socket) uses its machine."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from testbed.certificates import Authority
from tests.wire.matching import assert_payload
from tests.wire.platform import ADMIN, SUBSCRIPTION, open_platform

SOURCES = Path(__file__).parent / "strophe"
DEADLINE = 120  # seconds for npm, and for the client


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client with its libraries."""
    folder = tmp_path_factory.mktemp("strophe")
    for name in ("package.json", "package-lock.json", "client.mjs"):
        shutil.copy(SOURCES / name, folder)
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=folder, check=True, timeout=DEADLINE, capture_output=True)
    return folder / "client.mjs"


async def test_another_library_finds_and_commands_its_machine(client: Path, authority: Authority, tmp_path: Path) -> None:
    async with open_platform(tmp_path, authority, "strophe.localhost", websocket=True) as platform:
        admin = await platform.enter(ADMIN)
        student = await platform.enter("student")
        machine = await platform.make_machine(admin, name="seat-1")
        await platform.grant(admin, machine.full, student, "info", "create", "shutdown")
        added = await admin.command(machine.full, SUBSCRIPTION, f"<archipel action='add' jid='{student.bare}'/>")
        assert_payload(added, SUBSCRIPTION, "")
        await student.expect_shown(machine.bare, "xa", "Off")
        await student.log_out()
        story = await asyncio.to_thread(run, client, platform.ejabberd.websocket_url, student.bare, platform.pubsub, platform)
    assert [chapter["what"] for chapter in story if chapter["what"] != "push"] == [
        "connected",
        "roster",
        "presence",
        "vcard",
        "info",
        "done",
        "done",
        "refused",
    ]
    told = {chapter["what"]: chapter for chapter in story}
    assert told["roster"]["contacts"] == [machine.bare]
    assert told["presence"] == {"what": "presence", "from": machine.full, "status": "Off"}
    assert (told["vcard"]["role"], told["vcard"]["name"]) == ("virtualmachine", "seat-1")
    assert told["info"] == {"what": "info", "state": "5", "hypervisor": platform.host}
    assert told["refused"]["permission"] is True
    assert [chapter["change"] for chapter in story if chapter["what"] == "push"] == ["created", "shutdown"]


def run(client: Path, url: str, jid: str, service: str, platform: Any) -> list[dict[str, Any]]:
    """Run the client and return what it told."""
    result = subprocess.run(
        ["node", str(client), url, jid, service],
        input=platform.passwords["student"],
        env={**os.environ, "NODE_EXTRA_CA_CERTS": str(platform.ejabberd.ca_file)},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
