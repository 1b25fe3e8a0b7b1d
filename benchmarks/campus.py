# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several hypervisors on one server, each with an agent and a libvirt of its own: what an inventory is asked for."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.answers import wait_for_all
from benchmarks.world import ADMIN, DOMAIN, HYPERVISOR, World, start_agent
from testbed.agent import make_agent
from testbed.certificates import make_authority
from testbed.ejabberd import make_ejabberd
from testbed.libvirtd import TestLibvirtd


@contextlib.contextmanager
def open_campus(folder: Path, hypervisors: int) -> Iterator[list[World]]:
    """Start one server and so many libvirts; the agents do not run yet. Everything is stopped at the end."""
    accounts = [f"{HYPERVISOR}{number}" for number in range(hypervisors)]
    passwords = {name: secrets.token_urlsafe(16) for name in (*accounts, ADMIN)}
    with contextlib.ExitStack() as stack:
        ejabberd = make_ejabberd(folder / "ejabberd", DOMAIN, make_authority(folder / "authority"), hypervisors=tuple(accounts))
        ejabberd.start()
        stack.callback(ejabberd.stop)
        for name, password in passwords.items():
            ejabberd.register(name, password)
        worlds = []
        for name in accounts:
            libvirtd = stack.enter_context(TestLibvirtd())
            options = {("LOGGING", "logging_level"): "warning"}
            agent = make_agent(folder / name, ejabberd, libvirtd.uri, passwords[name], account=name, options=options)
            stack.callback(agent.stop)
            worlds.append(World(folder, ejabberd, libvirtd, agent, passwords[ADMIN], account=name))
        yield worlds


async def populate(campus: list[World], machines: int) -> None:
    """Give each hypervisor so many machines, named differently everywhere, and wait until all of them answer."""
    for world in campus:
        await world.add_machines(machines, prefix=world.account)
        await start_agent(world)
        admin = await world.log_in()
        await wait_for_all(admin, world, time.monotonic())
        await admin.logout()
        await asyncio.sleep(0)
