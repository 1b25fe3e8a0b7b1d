# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes in too fast or too much is refused, answered and written down; what is let in waits for its turn."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from archipel.agent import chat
from archipel.agent.dispatch import Caller, read_envelope
from archipel.agent.limits import Gate, TokenBuckets, TooManyWaiting
from archipel.agent.refusals import MESSAGE, note_refusal
from archipel.agent.settings import Limits
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import CommandError, Condition, ErrorCode
from archipel.protocol.xml import namespace_of
from archipel.xmpp import stanzas

if TYPE_CHECKING:
    from archipel.agent.entity import Entity

RULE = "limits"  # what the audit log names as the rule that refused


class Admission:
    """The limits of one agent: how fast each sender may ask each entity, and the gate that all go through."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._admins = TokenBuckets(limits.admin_rate, limits.admin_burst, clock)
        self._known = TokenBuckets(limits.rate, limits.burst, clock)
        self._strangers = TokenBuckets(limits.stranger_rate, limits.stranger_burst, clock)
        self.gate = Gate(limits.under_way, limits.waiting)
        self.refused = 0

    def delay(self, entity: Entity, caller: Caller) -> float:
        """Count what somebody asks of an entity; return 0, or in how many seconds he may ask again.

        The own server asks for signs of life without being anybody's account, and before the roster was read nobody knows who is known.
        """
        own_servers = (entity.bare, entity.bare.partition("@")[2], entity.services.settings.xmpp.pubsub_service)
        if not entity.online.is_set() or caller.bare in own_servers:
            return 0
        if "@" in caller.bare and entity.services.rights.is_admin(caller.bare):
            buckets = self._admins
        else:
            buckets = self._known if entity.knows(caller.bare) else self._strangers
        wait = buckets.take((entity.bare, caller.bare))
        self.refused += wait > 0
        return wait


def refuse_hasty_message(entity: Entity, caller: Caller) -> bool:
    """Count a message; return whether its sender writes too fast for an answer."""
    wait = entity.services.admission.delay(entity, caller)
    if wait:  # what was said stays unsaid here and below: at a console it may be a password
        note_refusal(entity, caller, MESSAGE, RULE, f"not read: it came faster than {entity.name} answers anybody")
    return wait > 0


def refuse_haste(entity: Entity, caller: Caller, iq: ET.Element, namespace: str) -> ET.Element | None:
    """Count a request; return the error for one that comes too fast, which says when to come back, or ``None``."""
    wait = entity.services.admission.delay(entity, caller)
    if not wait:
        return None
    text = f"you ask faster than {entity.name} answers anybody: try again in {math.ceil(wait)} s"
    note_refusal(entity, caller, _asked(iq, namespace), RULE, text)
    return _wait(iq, namespace, text, Condition.RESOURCE_CONSTRAINT)


async def in_turn(
    entity: Entity, caller: Caller, iq: ET.Element, answer: Callable[[Entity, ET.Element, Caller], Awaitable[ET.Element]]
) -> ET.Element:
    """Answer a request when it is its sender's turn."""
    try:
        async with _turn(entity, caller):
            return await answer(entity, iq, caller)
    except TooManyWaiting:
        text = f"{entity.services.admission.gate.waiting} requests wait here, of which some are yours: wait for their answers"
        note_refusal(entity, caller, _asked(iq), RULE, text)
        return _wait(iq, "", text, Condition.RESOURCE_CONSTRAINT)


async def reply_in_turn(entity: Entity, caller: Caller, message: ET.Element) -> None:
    """Answer a message when it is its sender's turn."""
    try:
        async with _turn(entity, caller):
            await chat.answer_message(entity, message, caller)
    except TooManyWaiting:
        refuse_chat(entity, caller, told=True)


@contextlib.asynccontextmanager
async def _turn(entity: Entity, caller: Caller) -> AsyncIterator[None]:
    """Wait for a place among all that the agent works on; a stranger, whose refusal takes no time, need not have one."""
    if not entity.knows(caller.bare):
        yield
        return
    gate = entity.services.admission.gate
    await gate.enter(caller.bare)
    try:
        yield
    finally:
        gate.leave(caller.bare)


def refuse_chat(entity: Entity, caller: Caller, *, told: bool) -> None:
    """Refuse a message of somebody of whom too many wait already, who is ``told`` so or was told before."""
    note_refusal(entity, caller, MESSAGE, RULE, chat.BUSY)
    if told:
        entity.stream.transmit(stanzas.chat(caller.full, chat.BUSY, failure=Condition.RESOURCE_CONSTRAINT))


def refuse_flood(entity: Entity, caller: Caller, iq: ET.Element, namespace: str, waiting: int) -> ET.Element:
    """Return the error for a request of somebody of whom too many wait already; its type asks him to try again later."""
    text = f"{waiting} requests of yours wait here already: wait for their answers"
    note_refusal(entity, caller, _asked(iq, namespace), RULE, text)
    return _wait(iq, namespace, text, Condition.RESOURCE_CONSTRAINT)


def refuse_unfinished(iq: ET.Element) -> ET.Element:
    """Return the error for a request that was not answered when its entity left."""
    text = "this entity goes offline: whether what you asked for was done is not known; look when it is back"
    return _wait(iq, "", text, Condition.SERVICE_UNAVAILABLE)


def _asked(iq: ET.Element, namespace: str = "") -> tuple[str, str]:
    """Return namespace and action of the command that an IQ, or the form in it, asks for."""
    envelope = read_envelope(iq)
    if envelope is not None:
        return envelope.namespace, envelope.action
    form, _, action = (iq[0].get("node", "") if len(iq) else "").rpartition("#")
    return (form, action) if namespace_of(iq[0].tag if len(iq) else "") == ns.COMMANDS else (namespace, "")


def _wait(iq: ET.Element, namespace: str, text: str, condition: Condition) -> ET.Element:
    answer = stanzas.error_of(iq, CommandError(text, ErrorCode.UNAVAILABLE, condition), namespace, "")
    answer[-1].set("type", "wait")  # RFC 6120, 8.3.3.18 and 19
    return answer
