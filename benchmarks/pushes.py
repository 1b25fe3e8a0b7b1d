# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a change in libvirt to the push at its subscribers, who are in a process of their own.

As a program: ``python -m benchmarks.pushes HOST PORT CA-FILE NODE`` reads accounts (a JSON object of JIDs and passwords) from
standard input and prints the monotonic time of each push at each of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

import libvirt

from archipel.protocol.events import Push, events_node
from archipel.xmpp import stanzas
from archipel.xmpp.pubsub import PubSub, read_notification
from archipel.xmpp.stream import Stream
from archipel.xmpp.tls import client_context
from benchmarks.answers import Delay
from benchmarks.world import DOMAIN, World

SERVICE: Final = f"pubsub.{DOMAIN}"
PAUSE: Final = 0.01  # seconds between two changes, so that each is measured alone
READY: Final = "ready"


async def listen(accounts: Mapping[str, str], host: str, port: int, ca_file: Path, node: str) -> None:
    """Log everybody in, and print change and arrival of every push, for ever."""
    streams = [Stream(jid, password, client_context(ca_file)) for jid, password in accounts.items()]
    for stream in streams:
        stream.on_message = _print_push
        await stream.login(host, port)
        stream.transmit(stanzas.presence())
        await PubSub(stream, SERVICE).subscribe(node)
    print(READY, time.monotonic(), flush=True)
    await asyncio.wait([stream.lost for stream in streams], return_when=asyncio.FIRST_COMPLETED)


def _print_push(message: ET.Element) -> None:
    arrived = time.monotonic()
    notification = read_notification(message, SERVICE)
    for item in notification.items if notification else ():
        push = None if item.payload is None else Push.read(item.payload)
        if push is not None:
            print(push.change, arrived, flush=True)


@contextlib.asynccontextmanager
async def subscribers(world: World, count: int) -> AsyncIterator[asyncio.StreamReader]:
    """Run so many listeners in a process of their own, and yield what it prints."""
    accounts = {f"{name}@{DOMAIN}/listener": password for name, password in (await world.readers(count)).items()}
    arguments = (world.ejabberd.host, str(world.ejabberd.port), str(world.ejabberd.ca_file), events_node(f"{world.machines[0]}@{DOMAIN}"))
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "benchmarks.pushes", *arguments, **pipes)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(accounts).encode())
        process.stdin.write_eof()
        line = (await process.stdout.readline()).decode()
        assert line.startswith(READY), f"the subscribers could not log in: {line!r}"
        yield process.stdout
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def measure_pushes(world: World, count: int, listeners: int = 1) -> Delay:
    """Suspend and resume a machine in libvirt; return how long the pushes took to each of the listeners."""
    async with subscribers(world, listeners) as lines:
        connection: Any = libvirt.open(world.libvirtd.uri)
        domain = connection.lookupByUUIDString(world.machines[0])
        times: list[float] = []
        for turn in range(count):
            times += await _change(lines, domain.resume if turn % 2 else domain.suspend, listeners)
        connection.close()
    return Delay.of(times)


async def measure_stop(world: World, count: int) -> Delay:
    """Shut a machine down in libvirt: an end that a reboot may follow, so that its push is held back."""
    async with subscribers(world, 1) as lines:
        connection: Any = libvirt.open(world.libvirtd.uri)
        domain = connection.lookupByUUIDString(world.machines[0])
        times: list[float] = []
        for _ in range(count):
            times += await _change(lines, domain.shutdown)
            await _change(lines, domain.create)
        connection.close()
    return Delay.of(times)


async def _change(lines: asyncio.StreamReader, change: Any, listeners: int = 1) -> list[float]:
    """Make a change and return the seconds until each listener had its push; time.monotonic is one clock for all processes."""
    await asyncio.sleep(PAUSE)
    start = time.monotonic()
    await asyncio.to_thread(change)
    return [float((await lines.readline()).split()[1]) - start for _ in range(listeners)]


if __name__ == "__main__":
    host, port, ca_file, node = sys.argv[1:]
    asyncio.run(listen(json.load(sys.stdin), host, int(port), Path(ca_file), node))
