# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happened, in the words of a notification: a push of an entity, or a command that was answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

from archipel.agent.hooks import Answered
from archipel.agent.metrics import Result
from archipel.protocol.xml import local_name

if TYPE_CHECKING:
    from archipel.agent.entity import Entity

MOST_DETAILS: Final = 10  # elements of a push that are told, and attributes of each
LONGEST: Final = 300  # characters of a text
COMMAND: Final = "command"  # the topic of commands
DONE, FAILED, REFUSED, STRANGER = "done", "failed", "refused", "stranger"

_WORDS: Final = {
    "virtualmachine:control/created": "was started",
    "virtualmachine:control/shutdown": "is off",
    "virtualmachine:control/crashed": "has crashed",
    "virtualmachine:control/suspended": "is paused",
    "virtualmachine:control/resumed": "goes on",
    "virtualmachine:definition/defined": "has another definition",
    "virtualmachine:definition/undefined": "has no definition any more",
    "hypervisor/alloc": "has a new machine",
    "hypervisor/free": "destroyed a machine",
    "hypervisor/clone": "copied a machine",
    "hypervisor/manage": "took a machine in",
    "hypervisor/unmanage": "let a machine go",
    "health/alarm": "has an alarm",
    "scheduler/jobfailed": "could not do a scheduled job",
    "scheduler/jobmissed": "missed a scheduled job",
}


@dataclass(frozen=True)
class Occurrence:
    """Something that happened to an entity: ``event`` is ``topic/change``; ``who`` asked for it, if that is known."""

    event: str
    entity: str
    name: str
    kind: str
    text: str
    who: str = ""
    tags: frozenset[str] = frozenset()
    details: tuple[dict[str, Any], ...] = ()
    moment: datetime = field(default_factory=lambda: datetime.now(UTC))

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "time": self.moment.isoformat(timespec="milliseconds"),
            "event": self.event,
            "entity": self.entity,
            "name": self.name,
            "kind": self.kind,
            "who": self.who,
            "text": self.text,
            "details": list(self.details),
        }

    def line(self) -> str:
        """Return it as one line for people."""
        return f"{self.moment.astimezone():%Y-%m-%d %H:%M:%S} {self.text}"


def plain(text: str) -> str:
    """Return a text as one line of printable characters, no longer than is told."""
    shown = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}..."


def of_push(entity: Entity, topic: str, change: str, details: tuple[ET.Element, ...]) -> Occurrence:
    """Return what a push tells."""
    told = tuple(_read(detail) for detail in details[:MOST_DETAILS])
    event = f"{topic}/{change}"
    text = f"{entity.name} {_WORDS.get(event, f'({entity.kind}): {topic}, {change}')}"
    more = "; ".join(filter(None, map(_describe, told)))
    return _make(entity, event, f"{text}: {more}" if more else text, details=told)


def of_answer(answered: Answered) -> Occurrence:
    """Return what became of a command."""
    entity, who = answered.entity, answered.caller.bare
    asked = f"{who} asked {entity.name} ({entity.kind}) for {answered.action!r} of {answered.namespace}"
    text = asked if answered.result is Result.OK else f"{asked}: {answered.outcome}"
    return _make(entity, f"{COMMAND}/{_change(answered)}", text, who)


def _change(answered: Answered) -> str:
    if answered.stranger:
        return STRANGER
    return {Result.OK: DONE, Result.REFUSED: REFUSED}.get(answered.result, FAILED)


def _make(entity: Entity, event: str, text: str, who: str = "", details: tuple[dict[str, Any], ...] = ()) -> Occurrence:
    tags = entity.services.rights.book.tags(entity.bare)
    return Occurrence(event, entity.bare, plain(entity.name), str(entity.kind), plain(text), who, tags, details)


def _read(element: ET.Element) -> dict[str, Any]:
    attributes = {plain(local_name(name)): plain(value) for name, value in list(element.attrib.items())[:MOST_DETAILS]}
    return {"element": local_name(element.tag), "attributes": attributes, "text": plain(element.text or "")}


def _describe(told: dict[str, Any]) -> str:
    figures = ", ".join(f"{name} {value}" for name, value in told["attributes"].items())
    return " - ".join(filter(None, (figures, told["text"])))
