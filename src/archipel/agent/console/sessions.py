# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The serial consoles that are open as conversations: how many, whose, and what is written down of them."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from archipel.agent.console.chat_session import ChatSession
from archipel.agent.console.consoles import NoConsole, open_console
from archipel.agent.console.proxy import RIGHT
from archipel.agent.dispatch import Caller
from archipel.protocol import namespaces as ns
from archipel.protocol.console import ConsoleKind
from archipel.protocol.errors import CommandError, Condition
from archipel.xmpp import stanzas

if TYPE_CHECKING:
    from archipel.agent.virtual_machine import VirtualMachine

MOST: Final = 50  # sessions of one agent
MOST_OF_PERSON: Final = 5


@dataclass
class Sessions:
    """The sessions of one agent, by machine and client."""

    _open: dict[tuple[str, str], ChatSession | None] = field(default_factory=dict)

    async def open(self, vm: VirtualMachine, caller: Caller) -> None:
        """Begin a session with who asks for it. Raises :class:`CommandError`."""
        key = vm.uuid, caller.full
        self._check_room(key, caller)
        self._open[key] = None  # the place is taken while the console is being opened
        try:
            console = await open_console(vm, ConsoleKind.TEXT)
        except NoConsole as error:
            raise CommandError(str(error), condition=Condition.ITEM_NOT_FOUND) from error
        finally:
            self._open.pop(key, None)
        session = ChatSession(console, lambda text: _say(vm, caller, text), lambda: object_to(vm, caller))
        self._open[key] = session
        vm.dialogues.attend(caller.full, session)
        vm.spawn(self._run(vm, caller, session))

    def _check_room(self, key: tuple[str, str], caller: Caller) -> None:
        people = Counter(full.partition("/")[0] for _uuid, full in self._open)
        if key in self._open:
            raise CommandError("this console is open to you already: say ~. to close it", condition=Condition.CONFLICT)
        if len(self._open) >= MOST or people[caller.bare] >= MOST_OF_PERSON:
            text = f"there are as many consoles in conversations as there may be ({MOST}, and {MOST_OF_PERSON} of one person)"
            raise CommandError(text, condition=Condition.RESOURCE_CONSTRAINT)

    def close(self, vm: VirtualMachine, caller: Caller) -> None:
        """End somebody's session. Raises ``item-not-found`` if there is none."""
        session = self._open.get((vm.uuid, caller.full))
        if session is None:
            raise CommandError("no console of this machine is open in this conversation", condition=Condition.ITEM_NOT_FOUND)
        session.end("you closed it")

    async def _run(self, vm: VirtualMachine, caller: Caller, session: ChatSession) -> None:
        started, reason = time.monotonic(), "the agent stops"
        try:
            reason = await session.run()
        finally:
            vm.dialogues.release(caller.full, session)
            self._open.pop((vm.uuid, caller.full), None)
            _say(vm, caller, f"[The console is closed: {reason}.]")
            _write_down(vm, caller, reason, time.monotonic() - started)


def object_to(vm: VirtualMachine, caller: Caller) -> str:
    """Return why somebody may not go on; empty if he may."""
    if vm.freeing:
        return "this machine is not here any more"
    lacking = next((right for right in (RIGHT, "message") if not vm.decide(caller.bare, right).allowed), "")
    return f"you lack the right '{lacking}' on {vm.name}" if lacking else ""


def _say(vm: VirtualMachine, caller: Caller, text: str) -> None:
    """Write to the client at the console, and to no other: nothing of it is kept by the server (XEP-0334)."""
    message = stanzas.chat(caller.full, text)
    for hint in ("no-store", "no-copy"):
        ET.SubElement(message, f"{{{ns.HINTS}}}{hint}")
    vm.stream.transmit(message)


def _write_down(vm: VirtualMachine, caller: Caller, reason: str, seconds: float) -> None:
    """Write down that a session is over; what was written and printed in it is nobody's business."""
    vm.services.audit.record(
        caller=caller.full,
        entity=vm.bare,
        namespace=ns.VM_CONSOLE,
        action="closed",
        arguments={"reason": reason},
        rule=vm.decide(caller.bare, RIGHT).short,
        outcome="ok",
        seconds=seconds,
    )
