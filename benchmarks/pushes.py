# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a change in libvirt to the push at a subscriber; the subscriber is a process of its own.

As a program: ``python -m benchmarks.pushes JID PASSWORD-FILE HOST PORT CA-FILE NODE`` prints the monotonic time of each push.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import libvirt

from archipel.protocol.events import Push, events_node
from archipel.xmpp import stanzas
from archipel.xmpp.pubsub import PubSub, read_notification
from archipel.xmpp.stream import Stream
from archipel.xmpp.tls import client_context
from benchmarks.answers import Delay
from benchmarks.world import ADMIN, DOMAIN, World

SERVICE = f"pubsub.{DOMAIN}"
PAUSE = 0.01  # seconds between two changes, so that each is measured alone


async def listen(jid: str, password: str, host: str, port: int, ca_file: Path, node: str) -> None:
    """Print change and arrival of every push, for ever."""
    stream = Stream(jid, password, client_context(ca_file))

    def take(message: ET.Element) -> None:
        arrived = time.monotonic()
        notification = read_notification(message, SERVICE)
        for item in notification.items if notification else ():
            push = None if item.payload is None else Push.read(item.payload)
            if push is not None:
                print(push.change, arrived, flush=True)

    stream.on_message = take
    await stream.login(host, port)
    stream.transmit(stanzas.presence())
    await PubSub(stream, SERVICE).subscribe(node)
    print("ready", time.monotonic(), flush=True)
    await stream.lost


@contextlib.asynccontextmanager
async def subscriber(world: World, resource: str) -> AsyncIterator[asyncio.StreamReader]:
    """Run a listener in a process of its own, and yield what it prints."""
    secret = world.folder / "admin-password"
    secret.write_text(world.password)
    jid, node = f"{ADMIN}@{DOMAIN}/{resource}", events_node(f"{world.machines[0]}@{DOMAIN}")
    arguments = (jid, str(secret), world.ejabberd.host, str(world.ejabberd.port), str(world.ejabberd.ca_file), node)
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "benchmarks.pushes", *arguments, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        await process.stdout.readline()
        yield process.stdout
    finally:
        process.terminate()
        await process.wait()


async def measure_pushes(world: World, count: int) -> Delay:
    """Suspend and resume a machine in libvirt; return how long the pushes took."""
    async with subscriber(world, "listener") as lines:
        connection: Any = libvirt.open(world.libvirtd.uri)
        domain = connection.lookupByUUIDString(world.machines[0])
        times = [await _change(lines, (domain.resume if turn % 2 else domain.suspend)) for turn in range(count)]
        connection.close()
    return Delay.of(times)


async def measure_stop(world: World, count: int) -> Delay:
    """Shut a machine down in libvirt: an end that a reboot may follow, so that its push is held back."""
    async with subscriber(world, "listener") as lines:
        connection: Any = libvirt.open(world.libvirtd.uri)
        domain = connection.lookupByUUIDString(world.machines[0])
        times = []
        for _ in range(count):
            times.append(await _change(lines, domain.shutdown))
            await _change(lines, domain.create)
        connection.close()
    return Delay.of(times)


async def _change(lines: asyncio.StreamReader, change: Any) -> float:
    """Make a change and return the seconds until its push was there; time.monotonic is one clock for all processes."""
    await asyncio.sleep(PAUSE)
    start = time.monotonic()
    await asyncio.to_thread(change)
    line = await lines.readline()
    return float(line.split()[1]) - start


if __name__ == "__main__":
    jid, secret, host, port, ca_file, node = sys.argv[1:]
    asyncio.run(listen(jid, Path(secret).read_text(), host, int(port), Path(ca_file), node))
