# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of virtual machines (namespace ``archipel:hypervisor:control``)."""

from __future__ import annotations

from archipel.agent import cloning
from archipel.agent.dispatch import Caller, Chat, command
from archipel.agent.hypervisor import Hypervisor
from archipel.protocol import hypervisor as wire
from archipel.protocol.errors import ErrorCode
from archipel.protocol.rights import EntityKind


@command(
    wire.Clone,
    on=EntityKind.HYPERVISOR,
    right="clone",
    failure=ErrorCode.CLONE,
    chat=Chat(
        ("clone {jid} [name]",),
        lambda made: f"I am copying it; the copy is {made.jid}. I say when it is there.",
        questions={"jid": "Which machine (name, UUID or JID)?"},
    ),
)
async def clone(hypervisor: Hypervisor, request: wire.Clone, caller: Caller) -> wire.MachineAddress:
    """Copy a virtual machine that is off, with its drives."""
    source = hypervisor.find(request.jid)
    copy = await cloning.clone(hypervisor, source, request.name.strip(), caller, linked=request.linked)
    return wire.MachineAddress(jid=copy.bare)
