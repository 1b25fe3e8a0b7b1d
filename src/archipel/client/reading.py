# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that only read: they are sent as IQs of type get, all others as set."""

from __future__ import annotations

from typing import Any, Final

from archipel.protocol import every_entity, hypervisor, virtual_machine
from archipel.protocol.payload import Request

READING: Final[frozenset[type[Request[Any]]]] = frozenset(
    {
        every_entity.ListRights,
        every_entity.GetRights,
        every_entity.GetOwnRights,
        every_entity.GetRoster,
        hypervisor.RosterVM,
        hypervisor.GetAddress,
        hypervisor.GetHostCapabilities,
        hypervisor.GetNodeInfo,
        virtual_machine.GetInfo,
        virtual_machine.GetDescription,
        virtual_machine.GetNetworkInfo,
        virtual_machine.GetDomainCapabilities,
    }
)
