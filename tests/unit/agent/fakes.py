# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A libvirt and an audit log in memory, and the settings of an agent that uses them."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from archipel.agent import plugins
from archipel.agent.config import parse_settings
from archipel.agent.dispatch import Caller
from archipel.agent.settings import Settings
from archipel.agent.virt.connection import ConnectionState
from archipel.agent.virt.domain import DomainInfo
from archipel.agent.virt.errors import DomainNotFound, LibvirtError, LibvirtUnavailable, VirtError
from archipel.agent.virt.host import DomainSummary, NodeInfo
from archipel.agent.virt.interfaces import HostsWord, Leases
from archipel.agent.virt.lifecycle import DomainEvent, DomainState
from archipel.agent.virt.network_events import NetworkEvents
from archipel.agent.virt.sights import Outcome, Sight

ADMIN, OWNER, STUDENT, STRANGER = (
    Caller(f"{name}@lab.example/desk", f"{name}@lab.example") for name in ("admin", "owner", "student", "stranger")
)
HYP = "hyp@lab.example"
UUID = "6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69"
OTHER_UUID = "7a1d3b4f-2c8e-4d66-8b1f-4e3c2d5a6b70"
VM = f"{UUID}@lab.example"
OPERATION_FAILED = 9  # virErrorNumber
NO_DOMAIN = 42

SETTINGS = """
[DEFAULT]
xmpp_server = lab.example
archipel_folder_lib = {folder}/lib
archipel_folder_data = {folder}/vm
[GLOBAL]
machine_ip = 192.0.2.7
use_avatar = False
libvirt_uri = test:///default
[HYPERVISOR]
hypervisor_xmpp_jid = hyp@lab.example
hypervisor_xmpp_password = secret
hypervisor_name = Host
[VCARD]
orgname = Lab
[LOGGING]
audit_log_path = {folder}/audit.log
{more}
"""


declared_settings = functools.cache(plugins.declared_settings)


def make_settings(folder: Path, more: str = "") -> Settings:
    """Return settings whose files all lie in ``folder``."""
    return parse_settings(SETTINGS.format(folder=folder, more=more), hostname="host1", capabilities=declared_settings())


def domain_xml(name: str = "web", uuid: str | None = UUID, devices: str = "", more: str = "") -> str:
    """Return a definition that the test driver would take."""
    identity = "" if uuid is None else f"<uuid>{uuid}</uuid>"
    named = f"<name>{name}</name>" if name else ""
    return (
        f"<domain type='test'>{named}{identity}{more}<memory unit='KiB'>65536</memory><vcpu>1</vcpu>"
        f"<os><type>hvm</type></os><devices>{devices}</devices></domain>"
    )


def failure(text: str = "operation failed") -> LibvirtError:
    return LibvirtError(OPERATION_FAILED, 0, text)


class Calendar:
    """The time that rights are judged by; :meth:`pass_time` lets them end."""

    def __init__(self) -> None:
        self._now = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self._now

    def pass_time(self, span: timedelta) -> None:
        self._now += span


class FakeAudit:
    """Keeps what was recorded."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def record(self, **entry: Any) -> None:
        self.entries.append(entry)


class FakeLibvirt:
    """The connection: up, or down; :meth:`tell` and :meth:`change` are what libvirt does."""

    def __init__(self) -> None:
        self.state = ConnectionState.CONNECTED
        self.events = self
        self.network_events = NetworkEvents()
        self._listeners: list[Callable[[DomainEvent], None]] = []
        self._observers: dict[ConnectionState, Callable[[], Awaitable[None]]] = {}

    async def wait_connected(self, _within: float) -> None:
        if self.state is not ConnectionState.CONNECTED:
            raise LibvirtUnavailable("no connection")

    def listen(self, listener: Callable[[DomainEvent], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def observe(self, *, on_connected: Callable[[], Awaitable[None]], on_lost: Callable[[], Awaitable[None]]) -> Callable[[], None]:
        self._observers |= {ConnectionState.CONNECTED: on_connected, ConnectionState.LOST: on_lost}
        return self._observers.clear

    def tell(self, event: DomainEvent) -> None:
        for listener in self._listeners:
            listener(event)

    async def change(self, state: ConnectionState) -> None:
        self.state = state
        await self._observers[state]()

    @property
    def watched(self) -> bool:
        """Whether anybody still listens or observes."""
        return bool(self._listeners or self._observers)


@dataclass
class FakeDomain:
    """A domain of a fake host; ``stored`` is its definition with secrets, None where there is none."""

    uuid: str
    stored: str | None = None
    state_now: DomainState = DomainState.SHUTOFF
    autostart: bool = False
    persistent: bool = True
    refuse: dict[str, Exception] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    addresses: HostsWord = field(default_factory=HostsWord)

    def _visit(self, call: str, *, needs_domain: bool = True) -> str:
        self.calls.append(call)
        if call in self.refuse:
            raise self.refuse[call]
        if self.stored is None and needs_domain:
            raise DomainNotFound(NO_DOMAIN, 0, f"no domain with uuid {self.uuid}")
        return self.stored or ""

    @property
    def root(self) -> ET.Element:
        assert self.stored is not None
        return ET.fromstring(self.stored)

    @property
    def runs(self) -> bool:
        """Whether it runs or is paused; who lists domains asks none of them."""
        return self.state_now not in {DomainState.SHUTOFF, DomainState.CRASHED}

    @property
    def called(self) -> str:
        """The domain's name."""
        return self.root.findtext("name") or ""

    async def info(self) -> DomainInfo:
        self._visit("info")
        return DomainInfo(self.state_now, 65536, 65536, 1, 0, self.autostart, self.persistent)

    async def state(self) -> DomainState:
        self._visit("state")
        return self.state_now

    async def is_active(self) -> bool:
        self._visit("is active")
        return self.runs

    async def is_persistent(self) -> bool:
        self._visit("is persistent")
        return self.persistent

    async def name(self) -> str:
        self._visit("name")
        return self.called

    async def xml(self, *, secure: bool = False, inactive: bool = False) -> str:
        self._visit("xml")
        root = self.root
        for graphics in root.iter("graphics"):
            if not secure:
                graphics.attrib.pop("passwd", None)
        return ET.tostring(root, "unicode")

    async def create(self) -> int:
        self._visit("create")
        self.state_now = DomainState.RUNNING
        return 7

    async def destroy(self) -> None:
        self._visit("destroy")
        self.state_now = DomainState.SHUTOFF

    async def shutdown(self) -> None:
        self._visit("shutdown")

    async def suspend(self) -> None:
        self._visit("suspend")
        self.state_now = DomainState.PAUSED

    async def resume(self) -> None:
        self._visit("resume")
        self.state_now = DomainState.RUNNING

    async def reboot(self) -> None:
        self._visit("reboot")

    async def define(self, xml: str) -> None:
        self._visit("define", needs_domain=False)
        self.stored = xml

    async def undefine(self, *, keep_nvram: bool = False) -> None:
        self._visit("undefine, NVRAM kept" if keep_nvram else "undefine")
        self.stored = None

    async def rename(self, name: str) -> None:
        root = self.root if self._visit("rename") else ET.Element("domain")
        named = root.find("name")
        assert named is not None
        named.text = name
        self.stored = ET.tostring(root, "unicode")

    async def set_autostart(self, autostart: bool) -> None:
        self._visit("set autostart")
        self.autostart = autostart

    async def set_memory(self, _kib: int) -> None:
        self._visit("set memory")

    async def set_vcpus(self, _count: int) -> None:
        self._visit("set vcpus")

    async def attach_device(self, _xml: str, affect: object = None) -> None:
        self._visit("attach device")

    async def detach_device(self, _xml: str, affect: object = None) -> None:
        self._visit("detach device")

    async def update_device(self, _xml: str, affect: object = None) -> None:
        self._visit("update device")


class FakeNetworks:
    """The networks, which gave away nothing."""

    def __init__(self) -> None:
        self.asked = 0
        self.refuse: Exception | None = None

    async def all_leases(self) -> Leases:
        self.asked += 1
        if self.refuse is not None:
            raise self.refuse
        return {}


class FakeHost:
    """libvirt's host; ``refuse`` maps calls to errors, as for its domains."""

    def __init__(self) -> None:
        self.known: dict[str, FakeDomain] = {}
        self.refuse: dict[str, Exception] = {}
        self.visits: list[list[str]] = []
        self.not_reached: set[str] = set()
        self.networks = FakeNetworks()

    def domain(self, uuid: str) -> FakeDomain:
        return self.known.setdefault(uuid, FakeDomain(uuid))

    def add(self, uuid: str, name: str, *, state: DomainState = DomainState.SHUTOFF, more: str = "", devices: str = "") -> FakeDomain:
        """Define a domain behind the agent's back."""
        domain = self.domain(uuid)
        domain.stored, domain.state_now = domain_xml(name, uuid, devices, more), state
        return domain

    async def domains(self) -> list[DomainSummary]:
        if "list" in self.refuse:
            raise self.refuse["list"]
        return [
            DomainSummary(domain.uuid, domain.called, domain.runs, domain.persistent)
            for domain in list(self.known.values())
            if domain.stored is not None
        ]

    async def look_at(self, wanted: Sequence[Any]) -> dict[str, Outcome]:
        self.visits.append([item.domain.uuid for item in wanted])
        outcomes = {item.domain.uuid: await self._look(item) for item in wanted}
        return {uuid: outcome for uuid, outcome in outcomes.items() if uuid not in self.not_reached}

    async def _look(self, item: Any) -> Outcome:
        try:
            info = await item.domain.info()
            text = await item.domain.xml() if item.definitions else None
        except VirtError as error:
            return error
        addresses = None if item.leases is None else item.domain.addresses if item.domain.runs else HostsWord()
        return Sight(info, text, text if item.domain.runs else None, False if item.snapshots else None, addresses)

    async def capabilities(self) -> str:
        return "<capabilities><host/></capabilities>"

    async def node_info(self) -> NodeInfo:
        return NodeInfo("x86_64", 7950, 4, 2400, 1, 1, 2, 2)


counter = itertools.count(1)


def command_iq(namespace: str, archipel: str, caller: Caller = OWNER, to: str = f"{VM}/hyp", kind: str = "set") -> str:
    """Return the IQ that asks for a command."""
    return f"<iq type='{kind}' id='{next(counter)}' from='{caller.full}' to='{to}'><query xmlns='{namespace}'>{archipel}</query></iq>"
