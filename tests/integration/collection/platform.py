# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A platform for playbooks: ejabberd for example.org, libvirt's test driver, an agent, and people with accounts."""

from __future__ import annotations

import asyncio
import contextlib
import uuid as uuids
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import libvirt

from archipel.client import ConnectionSettings, Hypervisor, NotOnline, Session
from archipel.client.platform import prepare_platform
from archipel.client.platform_rules import PlatformRules
from archipel.client.server_api import ServerApi
from archipel.client.shared_groups import SharedGroups
from archipel.protocol.rules import OldRule, Rule
from testbed import fake_guest
from testbed.agent import Agent, make_agent
from testbed.certificates import Authority
from testbed.ejabberd import Ejabberd, make_ejabberd
from testbed.libvirtd import TestLibvirtd

DOMAIN = "example.org"
HYPERVISOR = f"hypervisor@{DOMAIN}"
SECOND = f"second@{DOMAIN}"
FURTHER = "lyon"  # the account's name of a hypervisor that tests may start
PEOPLE = ("admin", "teacher", "student", "guest")
ADDRESS = "192.0.2.1"  # of the hypervisor, as it tells; reserved for documentation (RFC 5737)
OF_THE_DRIVER = ("default", "default-pool")  # a network and a pool that libvirt's test driver has from the start
PATIENCE = 20  # greetings until the agent is online; one a second
TWO_HOSTS = ("hypervisor", "vm_migrate")
"""Modules whose examples and scenarios take a second hypervisor for granted."""
FEED = "https://feeds.example.org"
"""Where examples and scenarios of appliances find a feed; a server on loopback stands in for it."""
LEGACY = """<domain type='test'>
  <name>{name}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu><os><type>hvm</type></os>
</domain>"""


@dataclass(frozen=True)
class Platform:
    """The servers; ``uri`` is libvirt's. Everybody's password is his name with ``-secret`` behind it."""

    ejabberd: Ejabberd
    uri: str
    agent: Agent
    later: contextlib.ExitStack
    second: list[str] = field(default_factory=list)

    def start_second(self) -> str:
        """Start a second hypervisor, which sees the first one's folders and is trusted by it; return the URI of its libvirt.

        Once it runs it goes on doing so.
        """
        if self.second:
            return self.second[0]
        uri = self.later.enter_context(TestLibvirtd()).uri
        options = {
            ("GLOBAL", "machine_ip"): ADDRESS,
            ("DEFAULT", "archipel_folder_data"): str(self.agent.folder / "vm"),
            ("MIGRATION", "migration_peers"): HYPERVISOR,
        }
        folder = self.agent.folder.parent / "second"
        agent = make_agent(folder, self.ejabberd, uri, password_of("second"), account="second", options=options)
        agent.start()
        self.later.callback(agent.stop)
        self.second.append(uri)
        asyncio.run(_prepare(self, SECOND))
        return uri

    def environment(self, name: str = "admin") -> dict[str, str]:
        """Return the variables that log somebody in."""
        return {
            "ARCHIPEL_JID": f"{name}@{DOMAIN}",
            "ARCHIPEL_PASSWORD": password_of(name),
            "ARCHIPEL_HOST": self.ejabberd.host,
            "ARCHIPEL_PORT": str(self.ejabberd.port),
            "ARCHIPEL_CA_FILE": str(self.ejabberd.ca_file),
            "ARCHIPEL_HYPERVISOR": HYPERVISOR,
            "ARCHIPEL_API_URL": self.ejabberd.administration_url,
        }

    @contextlib.asynccontextmanager
    async def hypervisor(self, name: str = "admin", jid: str = HYPERVISOR) -> AsyncIterator[Hypervisor]:
        """Log somebody in and yield the hypervisor."""
        settings = ConnectionSettings(
            jid=f"{name}@{DOMAIN}",
            password=password_of(name),
            host=self.ejabberd.host,
            port=self.ejabberd.port,
            ca_file=self.ejabberd.ca_file,
        )
        async with Session(settings) as session:
            yield session.hypervisor(jid)

    def define_domain(self, name: str, definition: str | None = None) -> str:
        """Make a domain behind the agent's back; return its UUID."""
        with self._libvirt() as connection:
            return str(connection.defineXML(definition or LEGACY.format(name=name)).UUIDString())

    def domains(self) -> set[str]:
        """Return the names of all domains that libvirt has."""
        with self._libvirt() as connection:
            return {domain.name() for domain in connection.listAllDomains()}

    @contextlib.contextmanager
    def _libvirt(self) -> Iterator[libvirt.virConnect]:
        connection = libvirt.open(self.uri)
        try:
            yield connection
        finally:
            connection.close()

    def clear(self) -> None:
        """Free all machines and remove all domains, networks and pools that were made."""
        asyncio.run(self._free_machines())
        with self._libvirt() as connection:
            for domain in connection.listAllDomains():
                if domain.isActive():
                    domain.destroy()
                domain.undefine()
            for made in (*connection.listAllNetworks(), *connection.listAllStoragePools()):
                if made.name() not in OF_THE_DRIVER:
                    if made.isActive():
                        made.destroy()
                    made.undefine()

    async def _free_machines(self) -> None:
        for jid in (HYPERVISOR, *([SECOND] if self.second else [])):
            await self.empty(jid)
        async with self.hypervisor() as hypervisor:
            platform = PlatformRules(hypervisor.session)
            await platform.withdraw_rules(*(read_old(rule) for rule in await platform.rules()))
            await self._forget_groups(hypervisor)

    async def empty(self, jid: str) -> None:
        """Free all machines of a hypervisor, and forget rights, contacts and owners there."""
        async with self.hypervisor(jid=jid) as hypervisor:
            managed = [entry.uuid for entry in await hypervisor.machines() if entry.managed]
            await asyncio.gather(*(hypervisor.free(uuid) for uuid in managed))
            await revoke_all(hypervisor)
            for owned in await hypervisor.owned():
                await hypervisor.own(owned.label, remove=[(owned.kind, owned.key)])

    async def _forget_groups(self, hypervisor: Hypervisor) -> None:
        groups = SharedGroups(ServerApi(hypervisor.session.settings, self.ejabberd.administration_url))
        for name in await groups.list():
            await groups.delete(name)
        for group in await hypervisor.groups():
            if not group.shared:
                await hypervisor.set_group(group.name, ())


def read_old(rule: Rule) -> OldRule:
    """Return what names a rule that is to be taken back."""
    return OldRule(**{name: getattr(rule, name) for name in ("subject", "group", "right", "role", "scope", "effect")})


async def revoke_all(hypervisor: Hypervisor) -> None:
    """Take all rights on the hypervisor, and its contacts, from everybody, and its tags, feeds and appliances from itself."""
    await hypervisor.set_tags([])
    for feed in await hypervisor.appliances.feeds():
        await hypervisor.appliances.unsubscribe(uuids.UUID(feed.uuid))
    for appliance in await hypervisor.appliances.list():
        await hypervisor.appliances.delete(uuids.UUID(appliance.uuid))
    for contact in await hypervisor.roster():
        await hypervisor.remove_subscription(contact.jid)
    for name in PEOPLE:
        await hypervisor.revoke(f"{name}@{DOMAIN}", *await hypervisor.rights_of(f"{name}@{DOMAIN}"))
    own = [rule for rule in await hypervisor.rules() if rule.entity == hypervisor.bare != rule.given_by]  # its peers' trust stays
    if own:
        await hypervisor.withdraw_rules(*map(read_old, own))


def password_of(name: str) -> str:
    return f"{name}-secret"


@contextlib.contextmanager
def open_platform(
    folder: Path, authority: Authority, uri: str | None = None, more: dict[tuple[str, str], str] | None = None
) -> Iterator[Platform]:
    """Start a platform with its shared nodes, and stop it in the end; with libvirt's test driver unless there is a URI.

    ``more`` are options of the agent, by section and name.
    """
    with contextlib.ExitStack() as stack:
        real = uri is not None
        uri = uri or stack.enter_context(TestLibvirtd()).uri
        ejabberd = make_ejabberd(folder / "ejabberd", DOMAIN, authority, hypervisors=("hypervisor", "second", FURTHER))
        ejabberd.start()
        stack.callback(ejabberd.stop)
        for name in ("hypervisor", "second", *PEOPLE):
            ejabberd.register(name, password_of(name))
        options = {("GLOBAL", "machine_ip"): ADDRESS, ("MIGRATION", "migration_peers"): SECOND} | (more or {})
        agent = make_agent(folder / "agent", ejabberd, uri, password_of("hypervisor"), options=options)
        if not real:
            agent.environment = fake_guest.environment(fake_guest.make_fake_guest(folder / "guest"))
        agent.start()
        stack.callback(agent.stop)
        platform = Platform(ejabberd, uri, agent, stack)
        asyncio.run(_prepare(platform, HYPERVISOR))
        yield platform


async def _prepare(platform: Platform, jid: str) -> None:
    """Prepare the platform, and wait until a hypervisor is online."""
    async with platform.hypervisor() as hypervisor:
        await prepare_platform(hypervisor.session, [HYPERVISOR, SECOND, f"{FURTHER}@{DOMAIN}"])
        for _ in range(PATIENCE):
            with contextlib.suppress(NotOnline):
                await hypervisor.session.locate(jid, 1)
                return
        raise AssertionError(f"the agent is not online:\n{platform.agent.read_log()}")
