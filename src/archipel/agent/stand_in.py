# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entity of a machine that is not served here, for decisions about it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from archipel.agent.hypervisor import Hypervisor
from archipel.agent.store import MachineRecord
from archipel.agent.virtual_machine import VirtualMachine


@contextlib.asynccontextmanager
async def stand_in(hypervisor: Hypervisor, record: MachineRecord) -> AsyncIterator[VirtualMachine]:
    """Yield an entity that is never connected, with the rights on it that the store has."""
    machine = VirtualMachine(hypervisor.services, hypervisor, record)
    try:
        await hypervisor.services.rights.recall(machine.bare)
        yield machine
    finally:
        await machine.close()
