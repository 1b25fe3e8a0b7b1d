# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The serial console of a machine as a conversation in any XMPP client (namespace ``archipel:vm:console``)."""

from __future__ import annotations

from archipel.agent.capabilities import vnc
from archipel.agent.console.chat_session import HINT
from archipel.agent.console.proxy import RIGHT
from archipel.agent.console.sessions import Sessions
from archipel.agent.dispatch import Caller, Chat, command
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.one_each import one_per_hypervisor
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import console as wire
from archipel.protocol.rights import EntityKind

TOKENS = vnc.TOKENS  # the same right as for the other ways to a console


@one_per_hypervisor
def sessions_of(_hypervisor: Hypervisor) -> Sessions:
    """Return the consoles of a hypervisor's machines that are open in conversations."""
    return Sessions()


@command(
    wire.OpenChat,
    on=EntityKind.VIRTUAL_MACHINE,
    right=RIGHT,
    failure=wire.FAILURE,
    chat=Chat(("open console", "console open"), lambda _: f"You are at my serial console: what you write is typed there. {HINT}"),
)
async def open_chat(vm: VirtualMachine, _request: wire.OpenChat, caller: Caller) -> None:
    """Let you type at my serial console, here in the chat."""
    await sessions_of(vm.hypervisor).open(vm, caller)


@command(
    wire.CloseChat,
    on=EntityKind.VIRTUAL_MACHINE,
    right=RIGHT,
    failure=wire.FAILURE,
    chat=Chat(("close console",), lambda _: "It is closed."),
)
async def close_chat(vm: VirtualMachine, _request: wire.CloseChat, caller: Caller) -> None:
    """Close my serial console, if it is open in the chat."""
    sessions_of(vm.hypervisor).close(vm, caller)
