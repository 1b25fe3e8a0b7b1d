# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One thing that the founding platform had, what became of it here, and what shows that."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

HYPERVISOR, MACHINE, CENTRAL = "hypervisor", "virtualmachine", "central-agent"
EVERY = (HYPERVISOR, MACHINE)


class Kind(enum.StrEnum):
    """What a row is about."""

    ACTION = "action"
    PUSH = "push"
    PHRASE = "chat phrase"
    TOKEN = "right"
    OPTION = "option"
    PRESENCE = "presence text"
    TOOL = "tool"


@dataclass(frozen=True)
class Row:
    """A founding action, push, phrase, right, option, presence or tool.

    ``place`` is the namespace, the push's topic, the section or the package; ``on`` the kinds of entities. ``meaning`` tells in our
    words what it was. Of the texts at most one is given: ``better`` (what is better here), ``different`` (what is not the same, and
    why), ``dropped`` (why it is not there, on purpose). ``tests`` are node ids; what can be tried for all alike needs none.
    ``central``: it belongs to the central agent, a service of its own. ``says``: what is said in a chat, or must stand in the sources
    for a presence. ``asks``: the action that a phrase asks for. ``needs``: the command, program or folder that does a tool's work.
    """

    kind: Kind
    place: str
    name: str
    on: tuple[str, ...] = ()
    meaning: str = ""
    better: str = ""
    different: str = ""
    dropped: str = ""
    tests: tuple[str, ...] = ()
    central: bool = False
    says: str = ""
    asks: tuple[str, str] = ("", "")
    needs: str = ""

    @property
    def id(self) -> str:
        """A word by which the row is told from all others."""
        place = self.place.removeprefix("archipel:")
        return "-".join(word for word in (str(self.kind).replace(" ", "-"), "+".join(self.on), place, self.name) if word)


def action(place: str, name: str, on: tuple[str, ...], meaning: str, **more: Any) -> Row:
    return Row(Kind.ACTION, place, name, on, meaning, **more)


def pushes(topic: str, *names: str, meaning: str = "", **more: Any) -> tuple[Row, ...]:
    return tuple(Row(Kind.PUSH, topic, name, (), meaning, **more) for name in names)


def phrases(kind: str, asks: tuple[str, str], *names: str, meaning: str = "", **more: Any) -> tuple[Row, ...]:
    """Phrases for one action; ``attach appliance UUID`` is a phrase and a value."""
    rows = []
    for name in names:
        words = " ".join(word for word in name.split() if word.islower())
        rows.append(Row(Kind.PHRASE, "", words, (kind,), meaning, asks=asks, says=name, **more))
    return tuple(rows)


def tokens(on: tuple[str, ...], *names: str, **more: Any) -> tuple[Row, ...]:
    return tuple(Row(Kind.TOKEN, "", name, on, **more) for name in names)


def option(section: str, name: str, value: str, **more: Any) -> Row:
    """An option with the value that the founders' installer wrote, or their default."""
    return Row(Kind.OPTION, section, name, (), says=value, **more)


def presence(kind: str, name: str, meaning: str, says: str = "", **more: Any) -> Row:
    return Row(Kind.PRESENCE, "", name, (kind,), meaning, says=says or name, **more)


def tool(package: str, name: str, meaning: str, **more: Any) -> Row:
    return Row(Kind.TOOL, package, name, (), meaning, **more)
