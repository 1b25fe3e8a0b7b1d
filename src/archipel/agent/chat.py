# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talking with an entity from any XMPP client: the same commands, in words.

A phrase matches whole words, the longest phrase first; what is left fills its placeholders. What a phrase lacks is asked for, and
whoever wants something destroyed is asked whether he means it (:mod:`archipel.agent.dialogues`). An answer that says that nothing
came of it has the condition beside its words, for programs.
"""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from archipel.agent.dialogues import MOST_TRIES, Dialogue
from archipel.agent.dispatch import Caller, Command, refuse_early, run_command
from archipel.agent.refusals import MESSAGE, note_refusal
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import BadRequest, CommandError, Condition, PermissionDenied
from archipel.xmpp import stanzas

if TYPE_CHECKING:
    from archipel.agent.entity import Entity

log = logging.getLogger(__name__)

GREETINGS: Final = frozenset({"hello", "hey", "hi", "good morning", "yo"})
RUDE_WORDS: Final = frozenset({"fuck", "asshole", "jerk", "stupid", "idiot"})
CANCEL: Final = frozenset({"cancel", "never mind", "forget it"})
YES: Final = frozenset({"yes", "y", "yes please", "sure", "i do", "oui"})
NO: Final = frozenset({"no", "n", "no thanks", "non"})
LONGEST_THREAD: Final = 1024  # characters; the answer gives it back, and the server ends streams that send too large a stanza
LONGEST_MESSAGE: Final = 4096  # characters; no command needs more, and a message is matched against every phrase
REFUSAL: Final = "I am sorry, I may not talk to you: you lack the right 'message' here."
BUSY: Final = "I am still busy with what you said before: please wait for my answers."


@dataclass(frozen=True)
class Phrase:
    """One way to say a command: fixed words, then placeholders, of which the bracketed may be missing."""

    words: tuple[str, ...]
    required: tuple[str, ...]
    optional: tuple[str, ...]

    @classmethod
    @functools.cache
    def parse(cls, template: str) -> Phrase:
        """Return the phrase that a template such as ``memory {value}`` or ``alloc [name]`` stands for."""
        parts = template.split()
        required = tuple(part[1:-1] for part in parts if part.startswith("{"))
        optional = tuple(part[1:-1] for part in parts if part.startswith("["))
        return cls(tuple(part for part in parts if part[0] not in "{["), required, optional)

    def rest(self, words: list[str]) -> list[str] | None:
        """Return what follows the fixed words, if ``words`` begin with them."""
        said = tuple(word.lower() for word in words[: len(self.words)])
        return words[len(self.words) :] if said == self.words else None

    def begins(self, words: list[str]) -> dict[str, str] | None:
        """Return the values of the first placeholders if ``words`` say this phrase but for the last values it needs."""
        rest = self.rest(words)
        return dict(zip(self.required, rest, strict=False)) if rest is not None and len(rest) < len(self.required) else None

    def match(self, words: list[str]) -> dict[str, str] | None:
        """Return the values of the placeholders if ``words`` say this phrase; the last one takes all words that are left."""
        rest, fields = self.rest(words), self.required + self.optional
        if rest is None or len(rest) < len(self.required) or (rest and not fields):
            return None
        last = len(fields) - 1
        values = [*rest[:last], " ".join(rest[last:])] if len(rest) > last >= 0 else rest
        return dict(zip(fields, values, strict=False))


class NotDone(Exception):
    """What was asked for is not done: in words, and as a condition."""

    def __init__(self, text: str, condition: Condition) -> None:
        super().__init__(text)
        self.text = text
        self.condition = condition


async def answer_message(entity: Entity, message: ET.Element, caller: Caller) -> None:
    """Answer one chat message; nobody gets more than one answer for one message."""
    body = message.findtext(f"{{{ns.CLIENT}}}body") or ""
    thread = message.findtext(f"{{{ns.CLIENT}}}thread") or ""
    failure: Condition | None = None
    try:
        text = await _reply(entity, body, caller)
    except NotDone as error:
        text, failure = error.text, error.condition
    entity.stream.transmit(stanzas.chat(caller.full, text, thread if len(thread) <= LONGEST_THREAD else None, failure))


async def reply(entity: Entity, body: str, caller: Caller) -> str:
    """Return what the entity says to ``body``."""
    try:
        return await _reply(entity, body, caller)
    except NotDone as error:
        return error.text


async def _reply(entity: Entity, body: str, caller: Caller) -> str:
    """Return what the entity says to ``body``; raises :class:`NotDone`."""
    if not (decision := entity.decide(caller.bare, "message")).allowed:
        note_refusal(entity, caller, MESSAGE, decision.short, f"{caller.bare} lacks the right 'message' on {entity.name}", body)
        raise NotDone(REFUSAL, Condition.FORBIDDEN)
    words = re.findall(r"\S+", body[:LONGEST_MESSAGE])
    plain = " ".join(words).lower().rstrip("?!. ")
    dialogue = entity.dialogues.take(caller.bare)
    if dialogue is not None and (answer := await _go_on(entity, dialogue, words, plain, caller)) is not None:
        return answer
    if plain in GREETINGS:
        return _greet(entity)
    if plain.split(" ")[0] in RUDE_WORDS:
        return "I do my best. Please be kind."
    if plain == "help" or plain.startswith("help "):
        return _help(entity, caller)
    return await _obey(entity, [word.rstrip("?!") or word for word in words], caller)


def find_command(entity: Entity, words: list[str]) -> Command | None:
    """Return the command that words ask for, whatever follows the phrase."""
    said = [word.strip("?!.") for word in words]
    known = ((phrase, command) for phrase, command in _phrases(entity) if phrase.words and phrase.rest(said) is not None)
    return max(known, key=lambda pair: len(pair[0].words), default=(None, None))[1]


def _greet(entity: Entity) -> str:
    return f"Hello! I am {entity.name}. Say help to see what I can do for you."


async def _obey(entity: Entity, words: list[str], caller: Caller) -> str:
    dialogue = _begin(entity, words)
    if dialogue is None and any(" ".join(words[:count]).lower().rstrip(",!") in GREETINGS for count in (1, 2)):
        return _greet(entity)
    if dialogue is None:
        raise NotDone("I do not understand. Say help to see what I can do for you.", Condition.FEATURE_NOT_IMPLEMENTED)
    return await _proceed(entity, dialogue, caller)


def _begin(entity: Entity, words: list[str]) -> Dialogue | None:
    """Return the command that ``words`` ask for, with the longest phrase that fits; one that lacks its last values fits, too."""
    phrases = sorted(_phrases(entity), key=lambda pair: -len(pair[0].words))
    for read in (Phrase.match, Phrase.begins):
        for phrase, command in phrases:
            values = read(phrase, words)
            if values is not None:
                return Dialogue(command, values, list(words))
    return None


async def _go_on(entity: Entity, dialogue: Dialogue, words: list[str], plain: str, caller: Caller) -> str | None:
    """Take ``words`` as the answer to what was asked; ``None`` if they are something else."""
    if plain in CANCEL:
        return "All right, I forget it."
    if plain == "help":
        return _ask(entity, dialogue, caller)
    if dialogue.asked is not None:
        return await _take_value(entity, dialogue, " ".join(words), caller)
    if plain in YES:
        dialogue.confirmed = True
        return await _proceed(entity, dialogue, caller)
    return "All right, I leave it." if plain in NO else None


async def _take_value(entity: Entity, dialogue: Dialogue, value: str, caller: Caller) -> str:
    try:
        dialogue.take(value)
    except BadRequest as error:
        dialogue.tries += 1
        if dialogue.tries < MOST_TRIES:
            return f"{error.text}. {_ask(entity, dialogue, caller)}"
        raise NotDone(f"{error.text}. I forget what you asked for.", error.condition) from None
    return await _proceed(entity, dialogue, caller)


def _ask(entity: Entity, dialogue: Dialogue, caller: Caller) -> str:
    entity.dialogues.keep(caller.bare, dialogue)
    return f"{dialogue.question()} (Or say cancel.)"


async def _proceed(entity: Entity, dialogue: Dialogue, caller: Caller) -> str:
    """Ask for what is missing, or do what was asked for."""
    command = dialogue.command
    spoken = command.spoken
    assert spoken is not None  # noqa: S101 - only commands with phrases are talked about
    phrase = " ".join(dialogue.said)
    dialogue.asked = dialogue.next_field()
    try:
        if dialogue.asked is not None or (spoken.asks_back(dialogue.values) and not dialogue.confirmed):
            refuse_early(entity, command.in_chat, caller, phrase)
            return _ask(entity, dialogue, caller)
        answer = await run_command(entity, command.in_chat, dialogue.values, caller, phrase)
    except PermissionDenied as error:
        raise NotDone(f"I am sorry, you may not do that: {error.text}.", error.condition) from None
    except CommandError as error:
        raise NotDone(f"I am sorry, that did not work: {error.text}.", error.condition) from None
    return spoken.say(answer)


def _phrases(entity: Entity) -> Iterator[tuple[Phrase, Command]]:
    """Yield all phrases of this kind of entity with their commands."""
    for command in entity.services.registry.commands(entity.kind):
        for template in command.spoken.phrases if command.spoken else ():
            yield Phrase.parse(template), command


def _help(entity: Entity, caller: Caller) -> str:
    """List the commands that this caller may use."""
    lines = [f"{entity.name} understands:"]
    for command in entity.services.registry.commands(entity.kind):
        right = command.in_chat.right
        if command.spoken and (right is None or entity.decide(caller.bare, right).allowed):
            lines.append(f"{', '.join(command.spoken.phrases)}: {command.help}")
    return "\n".join([*lines, "help: This list."])
