# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What capabilities do of their own accord, beside the commands that they answer.

A decorated function of a capability's module is called at its occasion, built-in and third-party ones alike.
"""

from __future__ import annotations

import enum
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, TypeVar
from xml.etree import ElementTree as ET

from archipel.agent.store import StoreError

if TYPE_CHECKING:
    from archipel.agent.dispatch import Caller
    from archipel.agent.entity import Entity
    from archipel.agent.hypervisor import Hypervisor
    from archipel.agent.metrics import Result
    from archipel.agent.virt.lifecycle import DomainEvent
    from archipel.agent.virtual_machine import VirtualMachine

log = logging.getLogger(__name__)

_MARK: Final = "archipel_occasion"

Work = Coroutine[Any, Any, None]
Background = TypeVar("Background", bound=Callable[["Hypervisor"], Work])
Follower = TypeVar("Follower", bound=Callable[["VirtualMachine", "DomainEvent"], Work])
Farewell = TypeVar("Farewell", bound=Callable[["VirtualMachine"], Work])


@dataclass(frozen=True, slots=True)
class Answered:
    """A command that was answered, but for questions that were: what was asked of whom by whom, and how it ended.

    ``request`` is the request as it was read, and whatever came in its place when it was not read; ``outcome`` is ``ok`` or says
    what was wrong; ``stranger``: nobody knows who asked.
    """

    entity: Entity
    caller: Caller
    namespace: str
    action: str
    request: object
    result: Result
    outcome: str
    stranger: bool


Listener = TypeVar("Listener", bound=Callable[[Answered], None])
Hearer = TypeVar("Hearer", bound=Callable[["Entity", str, str, tuple[ET.Element, ...]], None])
Crier = TypeVar("Crier", bound=Callable[["Entity", str], bool])


class Occasion(enum.Enum):
    """When a function of a capability is called."""

    BACKGROUND = enum.auto()
    EVENT = enum.auto()
    LEAVING = enum.auto()
    PARKING = enum.auto()
    ANSWER = enum.auto()
    PUSH = enum.auto()
    SHOUT = enum.auto()
    ARRIVING = enum.auto()


def in_background(function: Background) -> Background:
    """Run ``function(hypervisor)`` from the start of the agent until it stops, or until it returns."""
    setattr(function, _MARK, Occasion.BACKGROUND)
    return function


def after_event(function: Follower) -> Follower:
    """Call ``function(machine, event)`` after each event of a managed machine's domain, when its state was shown and pushed.

    Those of one machine may overtake each other: what an event hints at is to be read.
    """
    setattr(function, _MARK, Occasion.EVENT)
    return function


def when_leaving(function: Farewell) -> Farewell:
    """Call ``function(machine)`` when a machine leaves the platform, before its record goes.

    A :class:`StoreError` makes it be tried again later, so it may be called several times for one machine.
    """
    setattr(function, _MARK, Occasion.LEAVING)
    return function


def when_parked(function: Farewell) -> Farewell:
    """Call ``function(machine)`` when a machine leaves to be parked: it may come back, so what is known of it is kept."""
    setattr(function, _MARK, Occasion.PARKING)
    return function


def after_command(function: Listener) -> Listener:
    """Call ``function(answered)`` for each command of any entity, however it ended, but not for questions that were answered.

    It stands between a request and its answer: it notes what it needs, and returns.
    """
    setattr(function, _MARK, Occasion.ANSWER)
    return function


def after_push(function: Hearer) -> Hearer:
    """Call ``function(entity, topic, change, details)`` for each push of any entity; it notes what it needs, and returns."""
    setattr(function, _MARK, Occasion.PUSH)
    return function


def instead_of_shout(function: Crier) -> Crier:
    """Call ``function(entity, text)`` when an entity has news for all its roster; when it returns true, it has told it itself."""
    setattr(function, _MARK, Occasion.SHOUT)
    return function


def when_arrived(function: Farewell) -> Farewell:
    """Call ``function(machine)`` when a machine came from another hypervisor, with what was kept there in the store already."""
    setattr(function, _MARK, Occasion.ARRIVING)
    return function


class Hooks:
    """The functions that capabilities have for each occasion."""

    def __init__(self) -> None:
        self._found: defaultdict[Occasion, list[Callable[..., Any]]] = defaultdict(list)

    def add(self, module: ModuleType) -> None:
        """Take in the decorated functions of a module."""
        for value in vars(module).values():
            occasion = getattr(value, _MARK, None)
            if isinstance(occasion, Occasion) and value not in self._found[occasion]:
                self._found[occasion].append(value)

    def background(self, hypervisor: Hypervisor) -> list[Work]:
        """Return what runs while the agent runs."""
        return [_guard(function, hypervisor) for function in self._found[Occasion.BACKGROUND]]

    def followers(self, machine: VirtualMachine, event: DomainEvent) -> list[Work]:
        """Return what is to be done after an event."""
        return [_guard(function, machine, event) for function in self._found[Occasion.EVENT]]

    async def leave(self, machine: VirtualMachine) -> None:
        """Do what is to be done before a machine's record goes; raises :class:`StoreError`."""
        for function in self._found[Occasion.LEAVING]:
            await _guard(function, machine)

    async def arrive(self, machine: VirtualMachine) -> None:
        """Do what is to be done when a machine came from another hypervisor; raises :class:`StoreError`."""
        for function in self._found[Occasion.ARRIVING]:
            await _guard(function, machine)

    async def park(self, machine: VirtualMachine) -> None:
        """Do what is to be done when a machine is parked; raises :class:`StoreError`."""
        for function in self._found[Occasion.PARKING]:
            await _guard(function, machine)

    def tell_answer(self, answered: Answered) -> None:
        """Let capabilities note that a command was answered."""
        self._note(Occasion.ANSWER, answered)

    def tell_push(self, entity: Entity, topic: str, change: str, details: tuple[ET.Element, ...]) -> None:
        """Let capabilities note what is pushed."""
        self._note(Occasion.PUSH, entity, topic, change, details)

    def shout(self, entity: Entity, text: str) -> bool:
        """Let a capability tell everybody some news; return whether one does."""
        return self._note(Occasion.SHOUT, entity, text)

    def _note(self, occasion: Occasion, *arguments: object) -> bool:
        done = False
        for function in self._found[occasion]:
            try:
                done = bool(function(*arguments)) or done
            except Exception:  # what a capability notes must not touch what is being done
                log.exception("%s.%s failed", function.__module__, function.__qualname__)
        return done


async def _guard(function: Callable[..., Work], *arguments: object) -> None:
    try:
        await function(*arguments)
    except StoreError:
        raise
    except Exception:  # what a capability does beside its commands must not end anything else
        log.exception("%s.%s failed", function.__module__, function.__qualname__)
