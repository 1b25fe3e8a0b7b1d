# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import libvirt
import pytest

from archipel.agent.virt import binding
from archipel.agent.virt.connection import LibvirtConnection
from archipel.agent.virt.domain import Domain
from archipel.agent.virt.errors import VirtError
from archipel.agent.virt.host import Host
from testbed.libvirtd import TestLibvirtd

DOMAIN = """<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>64</memory>
<vcpu current='1'>2</vcpu><os><type>hvm</type></os><devices>
<disk type='file' device='disk'><source file='/p/{name}.img'/><target dev='vda' bus='virtio'/></disk>
<interface type='network'><mac address='52:54:00:00:00:01'/><source network='default'/><target dev='tap-{name}'/></interface>
</devices></domain>"""

Until = Callable[[Callable[[], bool]], Awaitable[None]]


class Libvirtd(TestLibvirtd):
    """A daemon whose world has one domain, named "test" and running, with the same UUID after each start."""

    def start(self) -> None:
        super().start()
        connect = libvirt.open(self.uri)
        connect.defineXML(DOMAIN.format(name="test", uuid="6d0b5a3e-31a2-4c5c-8d6f-0f7f6f3b0c11")).create()
        connect.close()

    def kill(self) -> None:
        if self.pid is not None:  # first of all: a daemon that is halted would not answer the keeper's goodbye
            os.kill(self.pid, signal.SIGKILL)
        super().kill()

    @contextlib.contextmanager
    def halted(self) -> Iterator[None]:
        """Let it hang, as long as the body runs or it lives."""
        assert self.pid is not None
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            if self.pid is not None:
                os.kill(self.pid, signal.SIGCONT)

    async def virsh(self, *arguments: str) -> None:
        """Do something behind the connection's back, in another process."""
        process = await asyncio.create_subprocess_exec("virsh", "-q", "-c", self.uri, *arguments, stdout=subprocess.DEVNULL)
        assert await process.wait() == 0


@pytest.fixture
def until() -> Until:
    """Wait for a condition that nothing announces."""

    async def wait(condition: Callable[[], bool]) -> None:
        while not condition():  # noqa: ASYNC110 - what is waited for happens in threads and daemons, which set no event
            await asyncio.sleep(0.005)

    return wait


@pytest.fixture
def libvirtd() -> Iterator[Libvirtd]:
    binding.run_event_loop()  # before the daemon's keeper connects: it must see its end, too
    with Libvirtd() as daemon:
        yield daemon


@pytest.fixture
async def connection() -> AsyncIterator[LibvirtConnection]:
    """A connection to the test driver in this process."""
    async with LibvirtConnection("test:///default") as connection:
        await connection.wait_connected(10)
        yield connection


@pytest.fixture
async def host(connection: LibvirtConnection) -> Host:
    return Host(connection)


@pytest.fixture
async def domain(connection: LibvirtConnection, host: Host) -> AsyncIterator[Domain]:
    """A domain that is defined and off; the test driver's world lives as long as the process, so it is removed again."""
    identity = str(uuid.uuid4())
    with connection.events.queue() as queue:
        domain = await host.define(DOMAIN.format(name=f"web-{identity[:8]}", uuid=identity))
        while (await queue.get()).uuid != identity:
            pass  # events come when they come: this one must not come in the middle of a test
    yield domain
    with contextlib.suppress(VirtError):
        await domain.destroy()
    with contextlib.suppress(VirtError):
        await domain.undefine()


@pytest.fixture
async def remote(libvirtd: Libvirtd) -> AsyncIterator[LibvirtConnection]:
    """A connection to a daemon's test driver."""
    async with LibvirtConnection(libvirtd.uri, hold=0.05) as connection:
        await connection.wait_connected(10)
        yield connection


@pytest.fixture
def domain_xml() -> Callable[..., str]:
    def make(**changes: str) -> str:
        return DOMAIN.format(**({"name": "web", "uuid": str(uuid.uuid4())} | changes))

    return make
