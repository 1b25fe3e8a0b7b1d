# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place where a request becomes an action: found, checked, done, answered, audited.

The order of the checks: stanza type (the stream hands over get and set only), well-formed, sender known, right, state of the
entity; then the handler, and the audit after it. Every request gets exactly one answer.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar
from xml.etree import ElementTree as ET

from archipel.agent import own_words
from archipel.agent.audit_entry import AuditEntry
from archipel.agent.decision import Rule
from archipel.agent.hooks import Hooks
from archipel.agent.jids import MalformedJid, bare_jid
from archipel.agent.metrics import Result
from archipel.agent.store import StoreError
from archipel.agent.virt.errors import LibvirtBusy, LibvirtError, LibvirtTimeout, LibvirtUnavailable, VirtError
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import (
    BadRequest,
    CommandError,
    Condition,
    ErrorCode,
    LibvirtFailed,
    NotImplementedByEntity,
    PermissionDenied,
    Unavailable,
    shorten,
)
from archipel.protocol.forms import request_element
from archipel.protocol.payload import Answer, Request, write_answer
from archipel.protocol.rights import ALL, EntityKind
from archipel.protocol.xml import child_named, namespace_of
from archipel.xmpp import stanzas
from archipel.xmpp.errors import WireError

if TYPE_CHECKING:
    from archipel.agent.entity import Entity

log = logging.getLogger(__name__)
HandlerT = TypeVar("HandlerT", bound=Callable[..., Awaitable[Answer]])


UNFINISHED = "unfinished: the entity went offline meanwhile"
MOST_ATTRIBUTES, LONGEST_NAME = 30, 100  # of a command that an error gives back; no command has as many, nor as long
EVERY_KIND = (EntityKind.HYPERVISOR, EntityKind.VIRTUAL_MACHINE)


@dataclass(frozen=True)
class Caller:
    """Who asks: full and bare JID, as the server stamped them."""

    full: str
    bare: str

    @classmethod
    def of(cls, stanza: ET.Element, addressee: str) -> Caller:
        """Return who sent a stanza; one without a sender is from the addressee's own server. No JID is nobody."""
        full = stanza.get("from") or addressee
        try:
            return cls(full, bare_jid(full))
        except MalformedJid:
            return cls(full, "")


@dataclass(frozen=True)
class Chat:
    """How a command is asked for in a conversation.

    A phrase is words and placeholders named like the request's fields: ``memory {value}``; ``[name]`` may be left out.
    ``say`` puts the answer into words. The handler's docstring is the help text. ``right`` replaces the command's, where
    the founders had another one for the conversation. ``questions`` ask for fields that were left out; a command with ``confirm``
    is only done when who asked for it was told that and said yes, or sent its form back; in a chat where ``confirm_when`` names a
    field, only if that is given.
    """

    phrases: tuple[str, ...]
    say: Callable[[Any], str]
    right: str | None = None
    questions: Mapping[str, str] = field(default_factory=dict)
    confirm: str = ""
    confirm_when: str = ""

    def asks_back(self, values: Mapping[str, str]) -> bool:
        """Whether a command with these values is only done after a yes."""
        return bool(self.confirm) and (not self.confirm_when or self.confirm_when in values)


Prefill = Callable[[Any, Caller], Awaitable[Mapping[str, str]]]
"""Returns the values that a form begins with, by the names of its fields."""


@dataclass(frozen=True)
class Command:
    """A command as it was declared; ``right`` None: whoever is known may."""

    request: type[Request[Any]]
    on: tuple[EntityKind, ...]
    right: str | None
    failure: int
    chat: Chat | None
    handler: Callable[[Any, Any, Caller], Awaitable[Answer]]
    prefill: Prefill | None = None

    @property
    def in_chat(self) -> Command:
        """The command as a conversation asks for it."""
        return self if self.chat is None or self.chat.right is None else replace(self, right=self.chat.right)

    @functools.cached_property
    def spoken(self) -> Chat | None:
        """How the command is asked for in a conversation; one without phrases goes by its name."""
        phrase = own_words.phrase_of(self.request) if self.chat is None else None
        if phrase is None:
            return self.chat
        return Chat((phrase,), own_words.tell_answer, confirm=self.confirm)

    @property
    def confirm(self) -> str:
        """What is told before it is done, in a chat and by a form; one without phrases asks if it changes things."""
        if self.chat is not None:
            return self.chat.confirm
        return "" if self.request.reads else f"{self.help.rstrip('.')}?"

    @property
    def help(self) -> str:
        """What the command does, in one line."""
        return (self.handler.__doc__ or "").strip().partition("\n")[0]


def command(
    request: type[Request[Any]],
    *,
    on: EntityKind | tuple[EntityKind, ...],
    right: str | None,
    failure: int,
    chat: Chat | None = None,
    prefill: Prefill | None = None,
) -> Callable[[HandlerT], HandlerT]:
    """Declare that the decorated coroutine ``handler(entity, request, caller)`` answers ``request``.

    ``failure`` is the code of errors that carry none of their own. ``prefill(entity, caller)`` says what the form of the command
    begins with; it must only tell what the caller has the right to see.
    """

    def declare(handler: HandlerT) -> HandlerT:
        kinds = (on,) if isinstance(on, EntityKind) else on
        handler.archipel_command = Command(request, kinds, right, failure, chat, handler, prefill)  # type: ignore[attr-defined] # read by Registry.add
        return handler

    return declare


@dataclass
class Registry:
    """All commands that the entities of this agent know, and what their capabilities do beside them."""

    hooks: Hooks = field(default_factory=Hooks)
    _commands: dict[tuple[EntityKind, str, str], Command] = field(default_factory=dict)

    def add(self, module: ModuleType) -> None:
        """Take in every command and hook that a capability declares; a second owner of an action is refused."""
        self.hooks.add(module)
        for value in vars(module).values():
            found = getattr(value, "archipel_command", None)
            if isinstance(found, Command):
                self._add(found)

    def _add(self, found: Command) -> None:
        for kind in found.on:
            key = (kind, found.request.namespace, found.request.action)
            if self._commands.get(key, found) is not found:
                raise ValueError(f"{kind}: {found.request.namespace} {found.request.action} is answered twice")
            self._commands[key] = found

    def find(self, kind: EntityKind, namespace: str, action: str) -> Command | None:
        """Return the command that answers ``action``, if there is one."""
        return self._commands.get((kind, namespace, action))

    def serves(self, kind: EntityKind, namespace: str) -> bool:
        """Whether entities of this kind know the namespace at all."""
        return any(key[:2] == (kind, namespace) for key in self._commands)

    def describe_unknown(self, kind: EntityKind, namespace: str, action: str) -> str:
        """Return what to tell somebody of an action that there is not: which there are in its namespace, or which namespaces."""
        known = [(space, name) for (on, space, name) in self._commands if on is kind]
        actions = sorted(name for space, name in known if space == namespace)
        if actions:
            return f"{kind} knows no action {action!r} in {namespace}, but {', '.join(actions)}"
        return f"{kind} knows no namespace {shorten(namespace)!r}, but {', '.join(sorted({space for space, _ in known}))}"

    def commands(self, kind: EntityKind) -> Iterable[Command]:
        """Return the commands of entities of this kind, in the order of their declaration."""
        return (found for (on, _ns, _action), found in self._commands.items() if on is kind)


@dataclass(frozen=True)
class Envelope:
    """A request as it stands in its IQ: namespace, action and the ``<archipel/>`` element."""

    namespace: str
    action: str
    archipel: ET.Element | None


def read_envelope(iq: ET.Element) -> Envelope | None:
    """Return the command that an IQ holds; ``None`` if it holds no ``<query/>``."""
    query = child_named(iq, "query")
    if query is None:
        return None
    archipel = child_named(query, "archipel")
    return Envelope(namespace_of(query.tag), "" if archipel is None else archipel.get("action", ""), archipel)


async def answer_iq(entity: Entity, iq: ET.Element, caller: Caller) -> ET.Element:
    """Return the answer to an IQ that asks for a command of this entity."""
    envelope = read_envelope(iq) or Envelope("", "", None)
    try:
        answer = await _execute(entity, envelope, caller)
    except CommandError as error:
        return stanzas.error_of(iq, error, envelope.namespace, envelope.action, *_echo(iq))
    return stanzas.result_of(iq, stanzas.query(envelope.namespace, *write_answer(answer)))


def _echo(iq: ET.Element) -> list[ET.Element]:
    """Return the request's query as an error gives it back: shortened, and without what stands in it.

    That may be domain XML, which may hold a console's password.
    """
    query = child_named(iq, "query")
    if query is None:
        return []
    copy, archipel = stanzas.query(namespace_of(query.tag)), child_named(query, "archipel")
    if archipel is not None:
        attributes = itertools.islice(archipel.attrib.items(), MOST_ATTRIBUTES)
        ET.SubElement(copy, "archipel", {name: shorten(value) for name, value in attributes if len(name) <= LONGEST_NAME})
    return [copy]


async def _execute(entity: Entity, envelope: Envelope, caller: Caller) -> Answer:
    if envelope.archipel is None or not envelope.action:
        text = "a request is <query xmlns='...'><archipel action='...'/></query>"
        raise BadRequest(text, ErrorCode.NOT_WELL_FORMED)
    found = entity.services.registry.find(entity.kind, envelope.namespace, envelope.action)
    if found is None:
        raise refuse_unknown(entity, envelope, caller)
    return await run_command(entity, found, envelope.archipel, caller)


def refuse_unknown(entity: Entity, envelope: Envelope, caller: Caller) -> CommandError:
    """Write down that an action was asked for that is not here; return the error.

    Who may do everything is told that there is no such action, and everybody else that he may not. Of a namespace that is gone
    everybody who is known may know: no right would open it.
    """
    decision, action = entity.decide(caller.bare, ALL), shorten(envelope.action)
    error: CommandError = PermissionDenied(f"{caller.bare} may not {action!r} here")
    if decision.allowed or (envelope.namespace in ns.RETIRED and entity.knows(caller.bare)):
        error = NotImplementedByEntity(entity.services.registry.describe_unknown(entity.kind, envelope.namespace, action))
    entry = AuditEntry(entity, caller, envelope.namespace, envelope.action, arguments=envelope.archipel)
    entry.rule = decision.short
    entry.note_error(error)
    entry.write()
    return error


async def run_command(entity: Entity, found: Command, source: ET.Element | Mapping[str, str], caller: Caller, phrase: str = "") -> Answer:
    """Check, do and audit one command: from an IQ (``source`` is its ``<archipel/>``), a form or the ``phrase`` of a conversation (values).

    Raises the :class:`CommandError` to answer with.
    """
    entry = AuditEntry(entity, caller, found.request.namespace, found.request.action, phrase)
    try:
        _permit(found, entry)
        element = source if isinstance(source, ET.Element) else request_element(found.request, source)
        entry.arguments = request = found.request.read(element)
        entity.check_state(found)
        with entity.count(found), entity.acts.of(caller.bare, found.request.action):
            return await perform(entity, found, request, caller)
    except CommandError as error:
        entry.note_error(error)
        if error.code is None:
            error.code = found.failure
        raise
    except asyncio.CancelledError:
        entry.outcome, entry.result = UNFINISHED, Result.UNFINISHED
        raise
    finally:
        entry.write(quiet=found.request.reads)


def refuse_early(entity: Entity, found: Command, caller: Caller, phrase: str = "") -> None:
    """Raise the refusal that a command would meet, before anything is asked of who may not have it anyway."""
    entry = AuditEntry(entity, caller, found.request.namespace, found.request.action, phrase)
    try:
        _permit(found, entry)
    except PermissionDenied as error:
        entry.note_error(error)
        entry.write()
        raise


def _permit(found: Command, entry: AuditEntry) -> None:
    """Note the rule that decides, and raise the refusal, which names the missing right to whom is known."""
    entity, caller = entry.entity, entry.caller
    if not entity.knows(caller.bare):
        entry.rule = Rule.STRANGER
        raise PermissionDenied(f"{caller.bare} is not known to {entity.bare}: ask an administrator for a right or for its roster")
    if found.right is None:
        entry.rule = "known"
        return
    decision = entity.decide(caller.bare, found.right)
    entry.rule = decision.short
    if not decision.allowed:
        denied = ": it is denied explicitly" if decision.rule is Rule.DENIED else ""
        raise PermissionDenied(f"{caller.bare} lacks the right {found.right!r} on {entity.name}{denied}", found.right)


async def perform(entity: Entity, found: Command, request: Request[Any], caller: Caller) -> Answer:
    """Run the handler of a command that was permitted, and put whatever goes wrong in it into the protocol's words."""
    try:
        return await found.handler(entity, request, caller)
    except CommandError:
        raise
    except (VirtError, WireError, StoreError) as error:
        raise _translate(error) from error
    except Exception as error:  # a fault of ours must still be answered, and must not end the stream
        log.exception("%s: %s failed", entity.bare, found.request.action)
        raise CommandError(f"internal error: {type(error).__name__}", condition=Condition.INTERNAL_SERVER_ERROR) from error


def _translate(error: Exception) -> CommandError:
    """Return the error of the protocol that says what went wrong below."""
    if isinstance(error, LibvirtError):
        return LibvirtFailed(error.message, error.code)
    if isinstance(error, LibvirtUnavailable | LibvirtBusy):
        return Unavailable(str(error))
    if isinstance(error, LibvirtTimeout):
        return CommandError(str(error), condition=Condition.REMOTE_SERVER_TIMEOUT)
    if isinstance(error, WireError):
        return Unavailable(f"the XMPP server failed: {error}")
    return CommandError(str(error), condition=Condition.INTERNAL_SERVER_ERROR)
