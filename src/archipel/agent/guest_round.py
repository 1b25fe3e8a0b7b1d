# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many guests asked for one answer, which waits for none of them long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakSet

from archipel.agent.virt.binding import VirDomain
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import Unavailable

PATIENCE: Final = 3.0  # seconds that an answer waits for all its guests together

_silent: WeakSet[VirtualMachine] = WeakSet()
"""Machines whose guests did not answer the last time: they come last, so that those who do answer are not kept waiting by them."""

Read = Callable[[VirDomain], Any]
Ask = Callable[[VirtualMachine, str, Read], Awaitable[Any]]
"""Asks a guest; what the question is called stands in errors."""


@dataclass(eq=False)
class Question:
    """What a guest is asked; ``begun``: a thread waits for its answer, or did."""

    vm: VirtualMachine
    call: str
    read: Read
    ask: Ask
    begun: bool = False

    async def put(self) -> Any:
        """Ask."""
        return await self.ask(self.vm, self.call, self._read)

    def _read(self, domain: VirDomain) -> Any:
        self.begun = True
        return self.read(domain)


@dataclass(frozen=True)
class Silence:
    """A guest that told nothing, and why; :meth:`tell` raises that."""

    error: BaseException

    def tell(self) -> Any:
        """Raise it."""
        raise self.error


@dataclass(frozen=True)
class Word:
    """What a guest told."""

    word: Any

    def tell(self) -> Any:
        """Return it."""
        return self.word


Told = Word | Silence


async def ask_guests(questions: Sequence[Question]) -> dict[Question, Told]:
    """Put all questions at once, and return what was told within :data:`PATIENCE`.

    A guest that is silent keeps its thread until libvirt gives up; it is not waited for.
    """
    order = sorted(questions, key=lambda question: question.vm in _silent)
    tasks = {question: asyncio.create_task(question.put()) for question in order}
    try:
        if tasks:
            await asyncio.wait(tasks.values(), timeout=PATIENCE)
        return {question: _take(question, task) for question, task in tasks.items()}
    finally:
        for task in tasks.values():
            task.cancel()


def _take(question: Question, task: asyncio.Task[Any]) -> Told:
    name = question.vm.name
    if not task.done():
        if question.begun:
            _silent.add(question.vm)
            return Silence(Unavailable(f"the guest of {name} did not answer within {PATIENCE:g} s"))
        return Silence(Unavailable(f"the guest of {name} was not asked: others kept the agent waiting for {PATIENCE:g} s"))
    if (error := task.exception()) is not None:
        if isinstance(error, Unavailable):
            _silent.add(question.vm)
        return Silence(error)
    _silent.discard(question.vm)
    return Word(task.result())
