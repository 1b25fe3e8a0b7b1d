# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine that moves to another hypervisor (docs/migration.md), followed on its way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from archipel.client.addresses import bare_address, parse_address
from archipel.client.concern import Concern
from archipel.client.errors import ClientError, MalformedAddress, NotOnline, WaitTimedOut
from archipel.client.events import Events, PresenceChanged, Pushed, Said
from archipel.client.long_work import LOOK_AGAIN, WorkFailed
from archipel.protocol import migration as commands
from archipel.protocol.errors import CommandError
from archipel.protocol.presence import Status
from archipel.protocol.virtual_machine import GetInfo
from archipel.xmpp.errors import NoAnswer

if TYPE_CHECKING:
    from archipel.client.hypervisor import Hypervisor
    from archipel.client.virtual_machine import VirtualMachine

ON_ITS_WAY: Final = "Migrating"
STAYED: Final = frozenset({"Can't migrate.", "Migration aborted"})
FAILURE: Final = "migrateerror"
STAYS: Final = " stays: "
"""In what the hypervisor tells of a machine that did not move, before why."""


class Migration(Concern):
    """Moving one machine."""

    entity: VirtualMachine

    async def begin(self, to: Hypervisor, *, wait: float | None = None, tell: Callable[[str], None] = lambda _: None) -> str:
        """Begin to move the machine and return its full JID at the other hypervisor (right ``migrate``).

        With ``wait`` return when it is there, at most after so many seconds; ``tell`` hears meanwhile how far it is. Raises
        :class:`~archipel.client.long_work.WorkFailed` if it stays, :class:`WaitTimedOut`: then it goes on.
        """
        full = await to.full_jid()
        there = f"{self.entity.bare}/{parse_address(full).node}"
        request = commands.Migrate(hypervisor=full)
        if wait is None:
            await self.ask(request)
            return there
        try:
            async with asyncio.timeout(wait), self.entity.session.events([self.entity.bare, *await self._present_host()]) as events:
                await self.ask(request)
                await _Journey(self.entity, there, tell).follow(events)
        except TimeoutError:
            raise WaitTimedOut(f"{self.entity.bare}: not at {to.bare} within {wait:g} s; it goes on") from None
        return there

    async def cancel(self) -> None:
        """Have a machine stay that is on its way (right ``migrate``)."""
        await self.ask(commands.CancelMigration())

    async def _present_host(self) -> tuple[str, ...]:
        """Return the hypervisor that will tell why if the machine stays, if this account may know."""
        try:
            info = await self.ask(GetInfo())
            return (bare_address(info.hypervisor),) if info is not None else ()
        except (CommandError, MalformedAddress):
            return ()


class _Journey:
    """One machine on its way to where its full JID is ``there``."""

    def __init__(self, machine: VirtualMachine, there: str, tell: Callable[[str], None]) -> None:
        self._machine = machine
        self._there = there
        self._tell = tell
        self._moving = False
        self._said = ""

    async def follow(self, events: Events) -> None:
        """Return when the machine has arrived; raises :class:`WorkFailed` if it stays."""
        while not await self._has_arrived():
            match await events.wait(LOOK_AGAIN):
                case Pushed(entity=self._machine.bare, push=push) if push.change == FAILURE:
                    raise self._failure()
                case PresenceChanged(entity=self._machine.bare, status=Status() as status):
                    self._note(status)
                case Said(text=text) if self._machine.name in text and STAYS in text:
                    self._said = text.partition(STAYS)[2]

    def _note(self, status: Status) -> None:
        """Take in what the machine shows; that it stayed may be told of an attempt before this one."""
        self._moving = self._moving or status.text.startswith(ON_ITS_WAY)
        if self._moving and status.text in STAYED:
            raise self._failure()
        self._tell(status.text)

    def _failure(self) -> ClientError:
        why = self._said or "the hypervisor's headlines and its log say why"
        return WorkFailed(f"{self._machine.bare} stays where it is: {why}")

    async def _has_arrived(self) -> bool:
        """Whether anybody answers where the machine will be: nobody but its new hypervisor does."""
        try:
            await self._machine.session.ask(self._there, GetInfo())
        except (NotOnline, NoAnswer):
            return False
        except CommandError:
            return True  # it may not be asked
        return True
