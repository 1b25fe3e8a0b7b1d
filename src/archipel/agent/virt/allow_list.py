# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may stand in a piece of XML: everything that no rule names is refused.

A rule says which attributes, children and text an element may have, and of what kind each value is. Values are judged
exactly as written: libvirt does not strip blanks from most of them either.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from archipel.agent.virt.domain_policy import Scope

Kind = Callable[[str, "Scope"], str | None]
"""Judges a value: returns what to do about it, or ``None`` where it is allowed."""

_ASK: Final = "take it out, or let somebody define the machine who may pass the domain policy"
_SHOWN: Final = 80  # characters of a value that an answer repeats


@dataclass(frozen=True)
class Violation:
    """Something that a definition must not have: where, what, and what to do about it."""

    place: str
    problem: str
    fix: str

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}; {self.fix}"


@dataclass(frozen=True)
class Rule:
    """What an element may have; without ``many`` it stands only once, with ``opaque`` nobody looks inside.

    ``required`` are attributes whose absence would mean something that is not allowed.
    """

    attributes: Mapping[str, Kind] = field(default_factory=dict)
    children: Mapping[str, Rule] = field(default_factory=dict)
    text: Kind | None = None
    required: tuple[str, ...] = ()
    many: bool = False
    opaque: bool = False


def many(rule: Rule) -> Rule:
    """Return the rule for an element that may be repeated."""
    return replace(rule, many=True)


# -- kinds of values -----------------------------------------------------------------------------------------------------


def one_of(*values: str) -> Kind:
    """Allow these values."""
    return lambda value, _: None if value in values else f"use {' or '.join(values)}"


def matching(pattern: str, wanted: str) -> Kind:
    """Allow what the whole pattern matches."""
    compiled = re.compile(pattern)
    return lambda value, _: None if compiled.fullmatch(value) else f"use {wanted}"


def shorter_than(most: int) -> Kind:
    """Return the kind of free texts of fewer than ``most`` characters."""
    return lambda value, _scope: None if len(value) < most else f"use fewer than {most} characters"


def up_to(most: int) -> Kind:
    """Allow whole numbers, decimal or hexadecimal, from 0 (or -1, libvirt's own choice) to ``most``."""

    def judge(value: str, _: Scope) -> str | None:
        digits = re.fullmatch(r"-1|[0-9]{1,20}|0x[0-9a-fA-F]{1,16}", value)
        return None if digits and int(value, 16 if value.startswith("0x") else 10) <= most else f"use a whole number up to {most}"

    return judge


def anything(_value: str, _scope: Scope) -> str | None:
    """Allow every value."""
    return None


NUMBER: Final = up_to(2**63)
WORD: Final = matching(r"[A-Za-z0-9][A-Za-z0-9_.+:-]{0,127}", "a name of letters, digits and _ . + : -")
YES_NO: Final = one_of("yes", "no")
ON_OFF: Final = one_of("on", "off")


# -- judging -------------------------------------------------------------------------------------------------------------


def judge_element(element: ET.Element, rule: Rule, place: str, scope: Scope) -> Iterator[Violation]:
    """Yield everything in the element that the rule does not allow."""
    if rule.opaque:
        return
    for name, value in element.attrib.items():
        yield from _judge_value(f"{place}/@{name}", value, rule.attributes.get(name), scope)
    for name in rule.required:
        if name not in element.attrib:
            yield Violation(f"{place}/@{name}", "is missing", "give it")
    text = element.text or ""
    if rule.text is not None:
        yield from _judge_value(place, text, rule.text, scope)
    elif text.strip():
        yield Violation(place, "holds text", "take the text out")
    yield from _judge_children(element, rule, place, scope)


def children_of(element: ET.Element, rule: Rule, place: str) -> Iterator[tuple[ET.Element, Rule | None, str]]:
    """Yield each child with its rule and its place, which is numbered where there are, or may be, several of the kind."""
    counts, seen = Counter(child.tag for child in element), Counter[str]()
    for child in element:
        seen[child.tag] += 1
        below = rule.children.get(child.tag)
        repeated = counts[child.tag] > 1 or (below is not None and below.many)
        yield child, below, f"{place}/{child.tag}{f'[{seen[child.tag]}]' if repeated else ''}"


def _judge_children(element: ET.Element, rule: Rule, place: str, scope: Scope) -> Iterator[Violation]:
    for tag, count in Counter(child.tag for child in element).items():
        if count > 1 and tag in rule.children and not rule.children[tag].many:
            yield Violation(f"{place}/{tag}", f"stands {count} times", "keep one")
    for child, below, where in children_of(element, rule, place):
        if below is not None:
            yield from judge_element(child, below, where, scope)
        elif child.tag.startswith("{"):
            yield Violation(where, "belongs to another XML namespace, which only metadata may hold", _ASK)
        else:
            yield Violation(where, "is not allowed", _ASK)


def _judge_value(place: str, value: str, kind: Kind | None, scope: Scope) -> Iterator[Violation]:
    if kind is None:
        yield Violation(place, "is not allowed", _ASK)
    elif fix := kind(value, scope):
        shown = value if len(value) <= _SHOWN else value[:_SHOWN] + "..."
        yield Violation(place, f"{shown!r} is not allowed", fix)
