# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of virtual machines (namespace ``archipel:hypervisor:control``)."""

from __future__ import annotations

from archipel.agent import allocation, cloning
from archipel.agent.dispatch import Caller, Chat, command
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import hypervisor as wire
from archipel.protocol.errors import ErrorCode, PermissionDenied
from archipel.protocol.rights import EntityKind

READING = ("xmldesc", "drives_get")  # on the source: a copy is its maker's, with all that stands on its drives


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
    name = request.name.strip()
    if name:
        allocation.proper_name(hypervisor, name)
    _refuse_unread(source, caller)
    copy = await cloning.clone(hypervisor, source, name, caller, linked=request.linked)
    return wire.MachineAddress(jid=copy.bare)


def _refuse_unread(source: VirtualMachine, caller: Caller) -> None:
    """Raise :class:`PermissionDenied` for who may not read the machine: the copy would show him all of it."""
    for right in READING:
        if not source.decide(caller.bare, right).allowed:
            text = f"{caller.bare} lacks the right {right!r} on {source.name}: who copies a machine may read its definition and its drives"
            raise PermissionDenied(text, right)
