# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two hosts of one platform, each with a libvirt and an agent of its own, and people who talk to both."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import libvirt

from archipel.xmpp.tls import client_context
from testbed.agent import Agent, make_agent
from testbed.certificates import Authority
from testbed.ejabberd import Ejabberd, make_ejabberd
from tests.wire.person import Person
from tests.wire.platform import ADMIN, Machine, Platform

ACCOUNTS = ("hypervisor", "second")
SHARED = "vm"


class PlacedAgent(Agent):
    """An agent in a place of its own: ``prefix`` are the words before its command that bring it there."""

    def __init__(self, folder: Path, prefix: Sequence[str]) -> None:
        super().__init__(folder)
        self.prefix = prefix

    def command(self, *options: str) -> list[str]:
        return [*self.prefix, *super().command(*options)]


@dataclass
class House(Platform):
    """One host of the two: its account is its name, its host's name too."""

    name: str = ACCOUNTS[0]

    @property
    def hypervisor(self) -> str:
        return f"{self.name}@{self.domain}"

    @property
    def domains(self) -> dict[str, bool]:
        """The domains that libvirt has here, and whether they run."""
        with self.libvirt() as connection:
            found = {}
            for domain in connection.listAllDomains():
                with contextlib.suppress(libvirt.libvirtError):  # it goes just now
                    found[domain.UUIDString()] = bool(domain.isActive())
            return found

    def phase(self, uuid: str) -> str | None:
        """How the machine stands in the agent's database."""
        return next((phase for (phase,) in self.rows("SELECT phase FROM virtual_machines WHERE uuid = ?", uuid)), None)

    def address_of(self, machine: Machine) -> str:
        """The machine's full JID while it is here."""
        return f"{machine.bare}/{self.name}"

    def grants(self, machine: Machine) -> list[tuple[Any, ...]]:
        return self.rows("SELECT subject, token, expires_at FROM grants WHERE entity = ? ORDER BY subject, token", machine.bare)


@dataclass(frozen=True)
class Pair:
    """Both hosts, and their administrator."""

    first: House
    second: House
    admin: Person

    @property
    def both(self) -> tuple[House, House]:
        return self.first, self.second

    def places(self, machine: Machine) -> tuple[str | None, str | None]:
        """How the machine stands in both databases."""
        return self.first.phase(machine.uuid), self.second.phase(machine.uuid)

    def sessions(self, machine: Machine) -> list[str]:
        """The resources with which the machine's account is online."""
        found = self.first.ejabberd.call("connected_users")
        assert isinstance(found, list)
        return sorted(jid.partition("/")[2] for jid in found if jid.startswith(f"{machine.bare}/"))


@contextlib.asynccontextmanager
async def open_pair(
    folder: Path,
    authority: Authority,
    domain: str,
    libvirts: tuple[Any, Any],
    *,
    options: Mapping[tuple[str, str], str] | None = None,
    each: tuple[Mapping[tuple[str, str], str], Mapping[tuple[str, str], str]] = ({}, {}),
    prefixes: tuple[Sequence[str], Sequence[str]] = ((), ()),
) -> AsyncIterator[Pair]:
    """Start ejabberd and two agents that trust each other; ``libvirts`` run already (``uri``)."""
    ejabberd = make_ejabberd(folder / "ejabberd", domain, authority, hypervisors=ACCOUNTS, admins=(ADMIN,))
    async with contextlib.AsyncExitStack() as stack:
        ejabberd.start()
        stack.callback(ejabberd.kill)
        houses = []
        for number, name in enumerate(ACCOUNTS):
            settings = {
                ("DEFAULT", "archipel_folder_data"): str(folder / SHARED),
                ("MIGRATION", "migration_peers"): f"{ACCOUNTS[1 - number]}@{domain}",
                **(options or {}),
                **each[number],
            }
            houses.append(await _start(stack, folder / name, ejabberd, libvirts[number], name, settings, prefixes[number]))
        admin = await houses[0].enter(ADMIN)
        houses[1].passwords.update(houses[0].passwords)
        for house in houses:
            await house.meet_hypervisor(admin)
        yield Pair(houses[0], houses[1], admin)
        await houses[0].log_all_out()


async def _start(
    stack: contextlib.AsyncExitStack,
    folder: Path,
    ejabberd: Ejabberd,
    libvirtd: Any,
    name: str,
    settings: Mapping[tuple[str, str], str],
    prefix: Sequence[str],
) -> House:
    password = secrets.token_urlsafe(16)
    ejabberd.register(name, password)
    make_agent(folder, ejabberd, libvirtd.uri, password, account=name, admins=(ADMIN,), options=settings)
    agent = PlacedAgent(folder, prefix)
    stack.push_async_callback(asyncio.to_thread, agent.stop)
    await asyncio.to_thread(agent.start)
    house = House(ejabberd, libvirtd, agent, name=name)
    house.tls = client_context(ejabberd.ca_file)
    return house
