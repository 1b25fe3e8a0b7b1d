# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole platform on loopback: ejabberd with TLS, libvirt's test driver as a daemon, an agent process, people."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import sqlite3
import uuid as uuids
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

import libvirt

from archipel.xmpp.tls import client_context
from testbed.agent import Agent, make_agent
from testbed.certificates import Authority
from testbed.ejabberd import Ejabberd, make_ejabberd
from testbed.libvirtd import TestLibvirtd
from tests.wire.matching import assert_payload, child, find_words, show
from tests.wire.person import Person
from tests.wire.proxy import Proxy

HYPERVISOR, ADMIN = "hypervisor", "admin"
CONTROL, DEFINITION, HOST = "archipel:vm:control", "archipel:vm:definition", "archipel:hypervisor:control"
PERMISSIONS, SUBSCRIPTION, TAGS, ROSTER = "archipel:permissions", "archipel:subscription", "archipel:tags", "archipel:roster"
TAGS_NODE = "/archipel/tags"

DEFINITION_XML = (
    "<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory unit='KiB'>65536</memory>"
    "<vcpu>2</vcpu><os><type>hvm</type></os>{more}</domain>"
)


@dataclass(frozen=True)
class Machine:
    """A managed machine as its clients know it."""

    uuid: str
    name: str
    domain: str

    @property
    def bare(self) -> str:
        return f"{self.uuid}@{self.domain}"

    @property
    def full(self) -> str:
        """Its resource is the node of the hypervisor's account: by that clients group machines."""
        return f"{self.bare}/{HYPERVISOR}"

    @property
    def node(self) -> str:
        return f"/archipel/{self.bare}/events"

    def definition(self, name: str | None = None, more: str = "") -> str:
        """A definition for it."""
        return DEFINITION_XML.format(name=name or self.name, uuid=self.uuid, more=more)


@dataclass
class Platform:
    """The servers, and how people come to them. ``hypervisor`` is its account, ``host`` the full JID."""

    ejabberd: Ejabberd
    libvirtd: TestLibvirtd
    agent: Agent
    proxy: Proxy | None = None
    people: list[Person] = field(default_factory=list)
    passwords: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tls = client_context(self.ejabberd.ca_file)

    @property
    def domain(self) -> str:
        return self.ejabberd.domain

    @property
    def pubsub(self) -> str:
        return f"pubsub.{self.domain}"

    @property
    def hypervisor(self) -> str:
        return f"{HYPERVISOR}@{self.domain}"

    @property
    def host(self) -> str:
        """The hypervisor's full JID; its resource is the host's name."""
        return f"{self.hypervisor}/{socket.gethostname()}"

    @property
    def audit(self) -> str:
        """All that was written down of who did what."""
        return self.agent.audit_file.read_text()

    @property
    def log(self) -> str:
        """All that the agent logged since it was last started."""
        return self.agent.read_log(lines=1_000_000)

    # -- people ---------------------------------------------------------------------------------------------------------

    async def enter(self, name: str | None = None, *, resource: str = "desk", address: tuple[str, int] | None = None) -> Person:
        """Log somebody in, with an account of his own, made if there is none of that name."""
        user = name or f"user-{secrets.token_hex(4)}"
        if user not in self.passwords:
            self.passwords[user] = secrets.token_urlsafe(12)
            self.ejabberd.register(user, self.passwords[user])
        where = address or (self.ejabberd.host, self.ejabberd.port)
        person = Person(f"{user}@{self.domain}", self.passwords[user], self.tls, where, resource)
        await person.log_in()
        self.people.append(person)
        return person

    async def meet_hypervisor(self, person: Person) -> None:
        """Take the hypervisor into somebody's roster and wait for its presence, as a client does when a contact is added."""
        item = f"<query xmlns='jabber:iq:roster'><item jid='{self.hypervisor}'/></query>"
        await person.ask_server(None, item)
        person.send(f"<presence type='subscribe' to='{self.hypervisor}'/>")
        await person.until(lambda: person.shown(self.hypervisor), "the hypervisor's presence")
        assert person.presences(self.hypervisor)[-1].get("from") == self.host

    async def log_all_out(self) -> None:
        """End all sessions; each waits a moment for its connection to close, all at once."""
        await asyncio.gather(*(person.log_out() for person in self.people))

    # -- rights ---------------------------------------------------------------------------------------------------------

    async def grant(self, admin: Person, entity: str, person: Person, *rights: str, value: str = "1") -> None:
        """Have ``admin`` give somebody rights on an entity (full JID)."""
        wanted = "".join(
            f"<permission permission_type='user' permission_target='{person.bare}' permission_name='{right}' permission_value='{value}'/>"
            for right in rights
        )
        assert_payload(await admin.command(entity, PERMISSIONS, f"<archipel action='set'>{wanted}</archipel>"), PERMISSIONS, "")

    # -- machines -------------------------------------------------------------------------------------------------------

    async def make_machine(self, maker: Person, *, defined: bool = True, more: str = "", name: str = "") -> Machine:
        """Have somebody make a machine, with a definition unless told otherwise."""
        machine = Machine(str(uuids.uuid4()), name or f"vm-{secrets.token_hex(4)}", self.domain)
        inner = machine.definition(more=more) if defined else ""
        request = f"<archipel action='alloc' name={quoteattr(machine.name)} uuid='{machine.uuid}'>{inner}</archipel>"
        answer = await maker.command(self.host, HOST, request)
        assert_payload(answer, HOST, f"<virtualmachine jid='{machine.bare}'/>")
        return machine

    async def roster_of_machines(self, person: Person) -> dict[str, ET.Element]:
        """What ``rostervm`` tells, by the text of the items."""
        answer = await person.command(self.host, HOST, "<archipel action='rostervm'/>", "get")
        assert answer.get("type") == "result", show(answer)
        return {item.text or "": item for item in child(answer, "query")}

    @contextlib.contextmanager
    def libvirt(self) -> Any:
        """A connection to libvirt of the test's own, behind the agent's back."""
        connection = libvirt.open(self.libvirtd.uri)
        try:
            yield connection
        finally:
            connection.close()

    def definition_in_libvirt(self, uuid: str) -> str | None:
        """The domain's inactive definition with its secrets, as libvirt has it."""
        with self.libvirt() as connection:
            flags = libvirt.VIR_DOMAIN_XML_SECURE | libvirt.VIR_DOMAIN_XML_INACTIVE
            return next((found.XMLDesc(flags) for found in connection.listAllDomains() if found.UUIDString() == uuid), None)

    def roster_on_server(self, account: str) -> dict[str, str]:
        """Who is in an account's roster, with the subscription, as the server keeps it."""
        found = self.ejabberd.call("get_roster", user=account.partition("@")[0], server=self.domain)
        assert isinstance(found, list)
        return {item["jid"]: item["subscription"] for item in found}

    # -- what the agent and the server keep -----------------------------------------------------------------------------

    def rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        """Read the agent's database."""
        with contextlib.closing(sqlite3.connect(f"file:{self.agent.database}?mode=ro", uri=True)) as database:
            return database.execute(query, values).fetchall()

    def machine_passwords(self) -> dict[str, str]:
        """The passwords of the machines' accounts."""
        return dict(self.rows("SELECT uuid, password FROM virtual_machines"))

    def leaked_passwords(self) -> list[str]:
        """The machines whose account's password stands in anything that left the agent: stanzas, logs, domains' XML."""
        passwords = {password: uuid for uuid, password in self.machine_passwords().items()}
        return [passwords[password] for password in find_words(self._told(), passwords)]

    def _told(self) -> Iterator[str]:
        yield from (self.log, self.audit)
        yield from (show(stanza) for person in self.people for stanza in person.received)
        yield from (path.read_text(errors="replace") for path in self.ejabberd.folder.rglob("*.log"))
        with self.libvirt() as connection:
            yield from (domain.XMLDesc(libvirt.VIR_DOMAIN_XML_SECURE) for domain in connection.listAllDomains())

    def accounts(self) -> set[str]:
        """Names of all accounts on the server."""
        found = self.ejabberd.call("registered_users", host=self.domain)
        assert isinstance(found, list)
        return set(found)


@contextlib.asynccontextmanager
async def open_platform(
    folder: Path,
    authority: Authority,
    domain: str,
    options: Mapping[tuple[str, str], str] | None = None,
    *,
    websocket: bool = False,
    proxied: bool = False,
    patient: bool = False,
    configure: Callable[[Ejabberd], None] = lambda _ejabberd: None,
) -> AsyncIterator[Platform]:
    """Start ejabberd, libvirt's test driver and an agent, each of its own; end them afterwards. ``configure`` changes the server before.

    ``proxied`` puts a network that can fail between agent and ejabberd; people are not concerned. ``patient``: people stay logged in
    although nobody turns their loop for a while.
    """
    ejabberd = make_ejabberd(
        folder / "ejabberd",
        domain,
        authority,
        hypervisors=(HYPERVISOR,),
        admins=(ADMIN,),
        websocket=websocket,
        patient=patient,
    )
    configure(ejabberd)
    async with contextlib.AsyncExitStack() as stack:
        libvirtd = stack.enter_context(TestLibvirtd())
        ejabberd.start()
        stack.callback(ejabberd.kill)
        password = secrets.token_urlsafe(16)
        ejabberd.register(HYPERVISOR, password)
        proxy = await stack.enter_async_context(Proxy((ejabberd.host, ejabberd.port))) if proxied else None
        way = {("GLOBAL", "xmpp_hosts"): f"{proxy.address[0]}:{proxy.address[1]}"} if proxy else {}
        settings = {**way, **(options or {})}
        agent = make_agent(folder / "agent", ejabberd, libvirtd.uri, password, account=HYPERVISOR, admins=(ADMIN,), options=settings)
        stack.push_async_callback(asyncio.to_thread, agent.stop)
        await asyncio.to_thread(agent.start)
        platform = Platform(ejabberd, libvirtd, agent, proxy)
        platform.passwords[HYPERVISOR] = password
        yield platform
        await platform.log_all_out()
