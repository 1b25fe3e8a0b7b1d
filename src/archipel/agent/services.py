# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all entities of one agent share."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field

from archipel.agent.admission import Admission
from archipel.agent.audit import AuditLog
from archipel.agent.dispatch import Registry
from archipel.agent.metrics import Metrics
from archipel.agent.rights import Rights
from archipel.agent.settings import Settings
from archipel.agent.store import Store
from archipel.agent.virt.connection import ConnectionState, LibvirtConnection
from archipel.agent.virt.host import Host
from archipel.xmpp.connection import Server


@dataclass
class Services:
    """The agent's parts that are one per process.

    ``driver`` is libvirt's driver in capitals, as vCards show it.
    """

    settings: Settings
    store: Store
    rights: Rights
    audit: AuditLog
    libvirt: LibvirtConnection
    host: Host
    server: Server
    tls: ssl.SSLContext | None
    registry: Registry
    driver: str
    node_turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    metrics: Metrics = field(default_factory=Metrics)
    admission: Admission = field(init=False)

    def __post_init__(self) -> None:
        self.admission = Admission(self.settings.limits)

    @property
    def libvirt_connected(self) -> bool:
        """Whether libvirt can be asked now."""
        return self.libvirt.state is ConnectionState.CONNECTED
