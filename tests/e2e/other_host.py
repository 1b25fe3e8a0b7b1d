# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another host with systemd, and out here a server with its administrator, for an agent that runs there."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from archipel.client import ConnectionSettings, Hypervisor, Session, VirtualMachine
from archipel.client.platform import prepare_platform
from archipel.protocol.errors import CommandError
from archipel.protocol.guest import PingGuest
from testbed.certificates import Authority
from testbed.ejabberd import Ejabberd, make_ejabberd
from testbed.systemd_host import SystemdHost
from tests.integration.collection.platform import DOMAIN, HYPERVISOR, password_of
from tests.wire.waiting import eventually


@contextlib.contextmanager
def open_host() -> Iterator[SystemdHost]:
    """Start a host with systemd, libvirt and QEMU, and stop it."""
    with tempfile.TemporaryDirectory(prefix="archipel-host-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        host = SystemdHost(Path(folder) / "host")
        host.start()
        try:
            yield host
        finally:
            host.stop()


@contextlib.contextmanager
def open_server(authority: Authority) -> Iterator[Ejabberd]:
    """Start a server with the accounts of a hypervisor and its administrator, and stop it."""
    with tempfile.TemporaryDirectory(prefix="archipel-platform-", dir="/tmp") as folder:
        server = make_ejabberd(Path(folder), DOMAIN, authority)
        server.start()
        try:
            for name in ("hypervisor", "admin"):
                server.register(name, password_of(name))
            yield server
        finally:
            server.stop()


@contextlib.asynccontextmanager
async def log_in(server: Ejabberd, patience: float = 60) -> AsyncIterator[Hypervisor]:
    """Log the administrator in, prepare the platform, and yield the hypervisor when it is online."""
    where = {"host": server.host, "port": server.port, "ca_file": server.ca_file}
    async with Session(ConnectionSettings(jid=f"admin@{DOMAIN}", password=password_of("admin"), timeout=patience, **where)) as session:
        await prepare_platform(session, [HYPERVISOR])
        await session.locate(HYPERVISOR, patience)
        yield session.hypervisor(HYPERVISOR)


async def start(machine: VirtualMachine, deadline: float) -> None:
    """Start a machine, and wait until its guest agent answers."""
    await machine.start()

    async def answers() -> bool:
        try:
            await machine.ask(PingGuest(), 30)
        except CommandError:
            await asyncio.sleep(1)  # whoever asks again and again takes the guest's time, where host and guest are emulated
            return False
        return True

    await eventually(answers, "the guest agent", deadline)
