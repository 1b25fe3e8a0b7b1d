# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client whose roster has ten thousand entities: what it costs to read it, and to keep everybody's state.

As a program (``python -m benchmarks.big_roster HOST PORT CA-FILE``): reads the password from standard input, prints figures as JSON.
The client has a process of its own, in which nothing else takes memory. Presences are fed in as the server would send them: there
are no ten thousand entities behind them.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

from archipel.client import ConnectionSettings, Session
from archipel.protocol import namespaces as ns
from benchmarks.process import resident_megabytes
from benchmarks.watchers import CALLS_AT_ONCE
from benchmarks.world import DOMAIN, World, open_world

ENTITIES: Final = 10_000
ACCOUNT: Final = "crowd"
HYPERVISOR_OF_ALL: Final = "hypervisor"


async def measure_big_roster(entities: int = ENTITIES) -> dict[str, Any]:
    """Return the figures of a client with so many contacts."""
    with tempfile.TemporaryDirectory(prefix="archipel-roster-") as folder, open_world(Path(folder)) as world:
        password = secrets.token_urlsafe(16)
        await asyncio.to_thread(_fill_roster, world, password, entities)
        server = world.ejabberd
        arguments = (server.host, str(server.port), str(server.ca_file))
        pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "benchmarks.big_roster", *arguments, **pipes)
        told, _ = await process.communicate(password.encode())
    if process.returncode:
        raise RuntimeError("the client with the big roster failed")
    figures: dict[str, Any] = json.loads(told)
    return figures


def _fill_roster(world: World, password: str, entities: int) -> None:
    world.ejabberd.register(ACCOUNT, password)
    with ThreadPoolExecutor(CALLS_AT_ONCE) as threads:
        list(threads.map(lambda _: world.ejabberd.add_contact(ACCOUNT, str(uuid.uuid4())), range(entities)))


async def look(host: str, port: int, ca_file: Path, password: str) -> dict[str, Any]:
    """Log in, read the roster, take everybody's presence."""
    started = time.monotonic()
    settings = ConnectionSettings(jid=f"{ACCOUNT}@{DOMAIN}", password=password, host=host, port=port, ca_file=ca_file)
    async with Session(settings) as session:
        figures: dict[str, Any] = {"roster_login_s": round(time.monotonic() - started, 3)}
        before, started = resident_megabytes(os.getpid()), time.monotonic()
        contacts = await session.contacts()
        figures |= {"roster_contacts": len(contacts), "roster_read_s": round(time.monotonic() - started, 2)}
        figures["roster_memory_mb"] = round(resident_megabytes(os.getpid()) - before, 1)
        presences = [_make_presence(contact.jid) for contact in contacts]
        before, started = resident_megabytes(os.getpid()), time.monotonic()
        for text in presences:
            session.presences.take(ET.fromstring(text))  # noqa: S314 - made above
        figures["roster_presences_s"] = round(time.monotonic() - started, 2)
        figures["roster_presences_memory_mb"] = round(resident_megabytes(os.getpid()) - before, 1)
        assert session.presences.full_jid(contacts[-1].jid) is not None
    return figures


def _make_presence(jid: str) -> str:
    return f"<presence xmlns='{ns.CLIENT}' from='{jid}/{HYPERVISOR_OF_ALL}'><status>Running</status></presence>"


if __name__ == "__main__":
    host, port, ca_file = sys.argv[1:]
    print(json.dumps(asyncio.run(look(host, int(port), Path(ca_file), sys.stdin.read()))))
