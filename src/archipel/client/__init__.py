# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The typed asyncio client of the platform.

::

    async with Session(ConnectionSettings(jid="alice@example.org", password=password)) as session:
        hypervisor = session.hypervisor("hyp1@example.org")
        machine = await hypervisor.machine("web")
        await machine.start()
        await machine.wait_for_state(MachineState.RUNNING)

Errors: :mod:`archipel.protocol.errors` is what entities answer, :mod:`archipel.xmpp.errors` what happens to the connection,
:mod:`archipel.client.errors` what is wrong on this side.
"""

from archipel.client.entity import Entity
from archipel.client.errors import (
    AmbiguousMachine,
    ClientError,
    MachineNotFound,
    MalformedAddress,
    MalformedAnswer,
    NotOnline,
    WaitTimedOut,
)
from archipel.client.events import Event, Events, PresenceChanged, Pushed, Reason, Resynced, Said, SubscriptionRefused
from archipel.client.hypervisor import Hypervisor, MachineEntry
from archipel.client.inbox import Reply
from archipel.client.machine_state import MachineState
from archipel.client.roster import RosterContact
from archipel.client.session import Session
from archipel.client.settings import ConnectionSettings
from archipel.client.virtual_machine import VirtualMachine

__all__ = [
    "AmbiguousMachine",
    "ClientError",
    "ConnectionSettings",
    "Entity",
    "Event",
    "Events",
    "Hypervisor",
    "MachineEntry",
    "MachineNotFound",
    "MachineState",
    "MalformedAddress",
    "MalformedAnswer",
    "NotOnline",
    "PresenceChanged",
    "Pushed",
    "Reason",
    "Reply",
    "Resynced",
    "RosterContact",
    "Said",
    "Session",
    "SubscriptionRefused",
    "VirtualMachine",
    "WaitTimedOut",
]
