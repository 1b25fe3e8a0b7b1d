# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The world that is measured: a real ejabberd over TLS, libvirt's test driver shared between processes, one agent, many machines."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import libvirt

from archipel.agent.secret import Secret
from archipel.agent.store import MachineRecord, Phase, Store
from archipel.client import ConnectionSettings, Session
from archipel.xmpp.stream import Stream
from archipel.xmpp.tls import client_context
from testbed.agent import Agent, make_agent
from testbed.certificates import make_authority
from testbed.ejabberd import Ejabberd, make_ejabberd
from testbed.libvirtd import TestLibvirtd

DOMAIN = "bench.localhost"
HYPERVISOR, ADMIN = "hypervisor", "admin"
DEFINITION = """<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os><type>hvm</type></os></domain>"""


@dataclass
class World:
    """Servers that run, an agent that does not yet, and ``machines`` (UUIDs) that it will manage."""

    folder: Path
    ejabberd: Ejabberd
    libvirtd: TestLibvirtd
    agent: Agent
    password: str
    machines: list[str] = field(default_factory=list)
    people: dict[str, str] = field(default_factory=dict)
    account: str = HYPERVISOR
    names: list[str] = field(default_factory=list)

    @property
    def bare_hypervisor(self) -> str:
        """The hypervisor's JID without a resource."""
        return f"{self.account}@{DOMAIN}"

    @property
    def hypervisor(self) -> str:
        """The hypervisor's full JID."""
        return f"{self.bare_hypervisor}/{socket.gethostname()}"

    def machine(self, number: int) -> str:
        """Return a machine's full JID."""
        return f"{self.machines[number]}@{DOMAIN}/{self.account}"

    async def log_in(self, resource: str = "bench") -> Stream:
        """Return a session of the administrator."""
        stream = Stream(f"{ADMIN}@{DOMAIN}/{resource}", self.password, client_context(self.ejabberd.ca_file))
        await stream.login(self.ejabberd.host, self.ejabberd.port)
        return stream

    async def readers(self, count: int) -> dict[str, str]:
        """Return names and passwords of so many people who may read the events of the first machine; the agent must run."""
        async with self.session() as session:
            machine = session.machine(f"{self.machines[0]}@{DOMAIN}")
            for number in range(len(self.people), count):
                name, password = f"reader-{number:02}", secrets.token_urlsafe(16)
                self.ejabberd.register(name, password)
                await machine.grant(f"{name}@{DOMAIN}", "info")
                self.people[name] = password
        return dict(list(self.people.items())[:count])

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """Open a client's session of the administrator."""
        server = self.ejabberd
        settings = ConnectionSettings(
            jid=f"{ADMIN}@{DOMAIN}", password=self.password, host=server.host, port=server.port, ca_file=server.ca_file
        )
        async with Session(settings) as session:
            yield session

    async def add_machines(self, count: int, prefix: str = "bench") -> None:
        """Define and start so many more machines, named by number, and write them into the agent's database: it must not run."""
        store = await Store.open(self.agent.database)
        connection: Any = libvirt.open(self.libvirtd.uri)
        for number in range(len(self.machines), len(self.machines) + count):
            name, machine = f"{prefix}-{number:03}", str(uuid.uuid4())
            connection.defineXML(DEFINITION.format(name=name, uuid=machine)).create()
            await store.add_machine(MachineRecord(uuid=machine, name=name, password=Secret(secrets.token_hex(16)), phase=Phase.ACTIVE))
            self.machines.append(machine)
            self.names.append(name)
        connection.close()
        await store.close()


def write_bytecode() -> None:
    """Compile what the agent imports, as pip does where a service is installed: otherwise each start compiles it all."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    program = "from archipel.agent import daemon, plugins; plugins.declared_settings()"
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)


@contextlib.contextmanager
def open_world(folder: Path) -> Iterator[World]:
    """Start the servers; everything is stopped at the end."""
    write_bytecode()
    with TestLibvirtd() as libvirtd:
        ejabberd = make_ejabberd(folder / "ejabberd", DOMAIN, make_authority(folder / "authority"), hypervisors=(HYPERVISOR,))
        ejabberd.start()
        try:
            passwords = {name: secrets.token_urlsafe(16) for name in (HYPERVISOR, ADMIN)}
            for name, password in passwords.items():
                ejabberd.register(name, password)
            options = {("LOGGING", "logging_level"): "warning"}
            agent = make_agent(folder / "agent", ejabberd, libvirtd.uri, passwords[HYPERVISOR], account=HYPERVISOR, options=options)
            world = World(folder, ejabberd, libvirtd, agent, passwords[ADMIN])
            try:
                yield world
            finally:
                agent.stop()
        finally:
            ejabberd.stop()


async def start_agent(world: World) -> None:
    """Start the agent without blocking the loop."""
    await asyncio.to_thread(world.agent.start)
