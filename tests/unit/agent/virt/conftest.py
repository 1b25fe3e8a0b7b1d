# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from archipel.agent.virt.connection import LibvirtConnection
from archipel.agent.virt.domain import Domain
from archipel.agent.virt.errors import VirtError
from archipel.agent.virt.host import Host

DOMAIN = """<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>64</memory>
<vcpu current='1'>2</vcpu><os><type>hvm</type></os><devices>
<disk type='file' device='disk'><source file='/p/{name}.img'/><target dev='vda' bus='virtio'/></disk>
<interface type='network'><mac address='52:54:00:00:00:01'/><source network='default'/><target dev='tap-{name}'/></interface>
</devices></domain>"""

Until = Callable[[Callable[[], bool]], Awaitable[None]]


class Libvirtd:
    """A libvirt daemon of an ordinary user; its test driver is one world for all processes that connect to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "libvirt-sock"
        self.uri = f"test+unix:///default?socket={self.socket}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {name: str(self.folder) for name in ("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")}
        root = os.geteuid() == 0
        self._process = subprocess.Popen(
            ["libvirtd", "-f", str(self.folder / "libvirtd.conf"), "-p", str(self.folder / "pid")],
            env=environment | {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            user="nobody" if root else None,
            extra_groups=[] if root else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "log").open("wb"),
        )
        deadline = time.monotonic() + 30
        while subprocess.run(["virsh", "-q", "-c", self.uri, "uri"], capture_output=True, check=False).returncode:
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "libvirtd does not answer"
            time.sleep(0.02)

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @contextlib.contextmanager
    def halted(self) -> Iterator[None]:
        """Let it hang, as long as the body runs or it lives."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

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
    # Not pytest's folder: its path may be too long for a socket, and closed to the user that the daemon runs as.
    folder = Path(tempfile.mkdtemp(prefix="libvirtd-"))
    if os.geteuid() == 0:
        os.chown(folder, pwd.getpwnam("nobody").pw_uid, -1)
    (folder / "libvirtd.conf").write_text(f'unix_sock_dir = "{folder}"\nauth_unix_rw = "none"\nauth_unix_ro = "none"\n')
    daemon = Libvirtd(folder)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.kill()
        shutil.rmtree(folder)


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
