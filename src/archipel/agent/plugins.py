# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Capabilities: modules found through entry points, built-in and third-party alike.

A capability is a module with commands (:func:`archipel.agent.dispatch.command`); ``TOKENS`` names the rights that it adds,
``SETTINGS`` the dataclass of its own options.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, Final

from archipel.agent.chat import Phrase
from archipel.agent.dispatch import Chat, Command, Registry
from archipel.agent.settings import Settings
from archipel.protocol.payload import fields_of
from archipel.protocol.rights import EntityKind, TokenCatalogue, core_catalogue

log = logging.getLogger(__name__)

GROUP: Final = "archipel.capabilities"


def load(settings: Settings) -> tuple[TokenCatalogue, Registry]:
    """Return the rights and commands of all capabilities that the settings let in.

    Raises :class:`ImportError` if one of them cannot be loaded or contradicts another: an agent that lacks what it should do
    does not start.
    """
    catalogue, registry = core_catalogue(), Registry()
    for entry in _installed():
        if not settings.loads(entry.name):
            log.info("the capability %s is switched off", entry.name)
            continue
        module = _import(entry)
        try:
            for token in getattr(module, "TOKENS", ()):
                catalogue.register(token)
            registry.add(module)
        except (TypeError, ValueError) as error:
            raise ImportError(f"the capability {entry.name} ({entry.value}) cannot be taken in: {error}") from error
    for kind in EntityKind:
        for found in registry.commands(kind):
            _check(catalogue, kind, found)
    return catalogue, registry


def _check(catalogue: TokenCatalogue, kind: EntityKind, found: Command) -> None:
    """Raise :class:`ImportError` for a command that nobody could use: its right does not exist, or its phrase names no field.

    When all are loaded: a right may be another capability's.
    """
    who = f"the capability {found.handler.__module__}: the action {found.request.action} of a {kind}"
    for right in {found.right, found.in_chat.right} - {None}:
        if catalogue.find(kind, str(right)) is None:
            near = " or ".join(map(repr, catalogue.near(kind, str(right))))
            hint = f" (is {near} meant?)" if near else ""
            raise ImportError(f"{who} asks for the right {right!r}, which does not exist there: add it to TOKENS{hint}")
    fields = {field.xml_name for field in fields_of(found.request)}
    for name in _named(found.chat) if found.chat else ():
        if name not in fields:
            raise ImportError(f"{who} is asked for with {name!r}, which is no field of {found.request.__name__}")


def _named(chat: Chat) -> Iterator[str]:
    """Yield the fields that a conversation needs."""
    for phrase in map(Phrase.parse, chat.phrases):
        yield from (*phrase.required, *phrase.optional)
    yield from filter(None, [chat.confirm_when])


def declared_settings() -> Mapping[str, type[Any]]:
    """Return the option declarations of the installed capabilities, by the capabilities' names.

    One that cannot be imported declares nothing: it may be switched off, and if it is not, :func:`load` says so.
    """
    declared = {}
    for entry in _installed():
        with contextlib.suppress(ImportError):
            declared[entry.name] = getattr(_import(entry), "SETTINGS", None)
    return {name: settings for name, settings in declared.items() if settings is not None}


def _installed() -> Iterator[EntryPoint]:
    return iter(sorted(entry_points(group=GROUP), key=lambda entry: entry.name))


def _import(entry: EntryPoint) -> ModuleType:
    try:
        module = entry.load()
    except Exception as error:  # whatever somebody else's module raises while it is imported
        raise ImportError(f"the capability {entry.name} ({entry.value}) cannot be loaded: {error!r}") from error
    if not isinstance(module, ModuleType):
        raise ImportError(f"the capability {entry.name} ({entry.value}) is not a module")
    return module
