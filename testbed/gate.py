# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A port of this host's loopback that is reached in another network namespace, too: a server stays out here, who asks it is in there."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from testbed.ports import LOOPBACK

_NEW_NETWORK: Final = 0x40000000  # CLONE_NEWNET of sched.h; os.setns comes with Python 3.12
_CHUNK: Final = 1 << 16


@contextlib.contextmanager
def open_gate(pid: int, port: int) -> Iterator[None]:
    """Let those who share the network of a process reach ``port`` of this host's loopback at the same number of theirs. Takes root."""
    with ThreadPoolExecutor(1) as thread:  # a thread has a network of its own, and a socket keeps the one that it was made in
        listener = thread.submit(_listen, pid, port).result()
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(lambda reader, writer: _relay(reader, writer, port), sock=listener))
    thread_of_loop = threading.Thread(target=loop.run_forever, name=f"gate-{port}", daemon=True)
    thread_of_loop.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread_of_loop.join()
        _end(loop)


def _end(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


def _listen(pid: int, port: int) -> socket.socket:
    descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, _NEW_NETWORK):
            raise OSError(ctypes.get_errno(), f"the network of process {pid} cannot be entered")
    finally:
        os.close(descriptor)
    return socket.create_server((LOOPBACK, port))


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    there, back = await asyncio.open_connection(LOOPBACK, port)
    await asyncio.gather(_pump(reader, back), _pump(there, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError), contextlib.closing(writer):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
