# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options and the XML that says the same: one table checks, reads, compares and writes.

::

    NETWORK = Record(
        bridge=Record("bridge", name=Single("@name"), stp=Single("@stp", ON_OFF, default=True)),
        ips=Listing("ip", Record(address=Single("@address", ADDRESS)), identity=[("address",)]),
    )

What no option names survives a change: elements are changed, not made anew. Values are what YAML knows: texts, numbers, truths,
mappings, lists. ``None`` stands for an option that is not declared; a declared empty text takes a text away, an empty list all
entries.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Final
from xml.etree import ElementTree as ET

from archipel.protocol.domain.options import LINE, Check, DeclarationError, Problem
from archipel.protocol.domain.xml_path import Path
from archipel.protocol.domain.xml_values import STRING, Converter, DomainXmlError

Identity = Sequence[Sequence[str]]
"""By which options an entry of a list is known: the first group whose first option is declared counts."""


class Option(ABC):
    """An option: what it takes, and where in the XML it stands."""

    @abstractmethod
    def check(self, value: Any, place: str) -> Any:
        """Return the value in its normal form; raises :class:`DeclarationError`, which names the place."""

    @abstractmethod
    def read(self, element: ET.Element) -> Any:
        """Return what an element says, ``None`` if it says nothing but what is so anyway."""

    @abstractmethod
    def read_like(self, element: ET.Element, declared: Any) -> Any:
        """Return what an element says about what is declared."""

    @abstractmethod
    def write(self, element: ET.Element, value: Any) -> None:
        """Have an element say this."""


class Single(Option):
    """A text, number or truth in an attribute (``bridge/@name``) or an element (``name``); ``.`` is the element's own text."""

    def __init__(self, path: str, converter: Converter[Any] = STRING, *, check: Check = LINE, default: Any = None) -> None:
        self.path = Path((), None) if path == "." else Path.of(path)
        self.converter, self.accept, self.default = converter, check, default

    def check(self, value: Any, place: str) -> Any:
        """Return the value as the check of this option gives it back."""
        try:
            return "" if value == "" and self.default is None else self.accept(value)
        except ValueError as error:
            raise DeclarationError([Problem(place, str(error))]) from None

    def read(self, element: ET.Element) -> Any:
        """Return the value, if it is not the default."""
        value = self._value(element)
        return None if value == self.default else value

    def read_like(self, element: ET.Element, declared: Any) -> Any:
        """Return the value, the default where there is none."""
        value = self._value(element)
        return "" if value is None and declared == "" else value

    def _value(self, element: ET.Element) -> Any:
        text = self.path.read(element)
        if text is None:
            return self.default
        try:
            return self.accept(self.converter.read(text, str(self.path)))
        except (DomainXmlError, ValueError):
            return text  # somebody else's words; they differ from whatever is declared

    def write(self, element: ET.Element, value: Any) -> None:
        """Set the value; an empty text takes it away."""
        if value == "":
            self.path.remove(element)
        elif value != self._value(element):
            self.path.write(element, self.converter.write(value))


class Record(Option):
    """Options that stand in one element, itself at a path of its own."""

    def __init__(self, path: str = "", /, **options: Option) -> None:
        self.path = Path(tuple(path.split("/")) if path else (), None)
        self.options: Final = options

    def check(self, value: Any, place: str) -> dict[str, Any]:
        """Return the declared options, each in its normal form; all problems are told at once."""
        if not isinstance(value, Mapping):
            raise DeclarationError([Problem(place, f"write a mapping of {', '.join(self.options)}, not {value!r}")])
        checked: dict[str, Any] = {}
        problems: list[Problem] = []
        for name, entry in value.items():
            if entry is None:
                continue
            where = f"{place}.{name}" if place else str(name)
            try:
                if name not in self.options:
                    raise DeclarationError([Problem(where, f"is no option; there are {', '.join(self.options)}")])
                checked[name] = self.options[name].check(entry, where)
            except DeclarationError as error:
                problems += error.problems
        if problems:
            raise DeclarationError(problems)
        return checked

    def read(self, element: ET.Element) -> dict[str, Any] | None:
        """Return everything that is said."""
        found = self.path.find(element)
        if found is None:
            return None
        values = {name: option.read(found) for name, option in self.options.items()}
        return {name: value for name, value in values.items() if value is not None} or None

    def read_like(self, element: ET.Element, declared: Any) -> dict[str, Any]:
        """Return what is said about the declared options."""
        found = self.path.find(element)
        here = ET.Element("nothing") if found is None else found
        return {name: self.options[name].read_like(here, value) for name, value in declared.items()}

    def write(self, element: ET.Element, value: Any) -> None:
        """Write the options that are declared, in the table's order."""
        if value:
            here = self.path.make(element)
            for name in (name for name in self.options if name in value):
                self.options[name].write(here, value[name])
            prune(element, self.path)


class Whole(Record):
    """Options that are declared all together: what is left out is not there, or as it is by default."""

    def check(self, value: Any, place: str) -> dict[str, Any]:
        """Return the declared options without those that say what is so anyway."""
        checked = super().check(value, place)
        return {name: entry for name, entry in checked.items() if entry not in (getattr(self.options[name], "default", None), "", {}, [])}

    def read_like(self, element: ET.Element, declared: Any) -> dict[str, Any]:
        """Return everything that is said."""
        known = {name: self.options[name].read_like(element, value) for name, value in (declared or {}).items()}
        more = {name: option.read(element) for name, option in self.options.items() if name not in known}
        return known | {name: value for name, value in more.items() if value is not None}

    def write(self, element: ET.Element, value: Any) -> None:
        """Write the element anew, unless it says the same."""
        if self.read_like(element, value) != value:
            element.clear()
            super().write(element, value)


class Listing(Option):
    """Repeated elements. What is declared stands for all of them; each finds its element by what it is known by, else in order."""

    def __init__(self, path: str, entry: Option, *, identity: Identity = ()) -> None:
        *way, self.tag = path.split("/")
        self.way, self.entry, self.identity = Path(tuple(way), None), entry, identity

    def check(self, value: Any, place: str) -> list[Any]:
        """Return the entries in their normal form; no two may be known by the same."""
        if isinstance(value, str | Mapping) or not isinstance(value, Sequence):
            raise DeclarationError([Problem(place, f"write a list, not {value!r}")])
        checked, problems = [], []
        for index, entry in enumerate(value):
            try:
                checked.append(self.entry.check(entry, f"{place}[{index}]"))
                if self._is_known_twice(checked):
                    problems.append(Problem(f"{place}[{index}]", "is there twice"))
            except DeclarationError as error:
                problems += error.problems
        if problems:
            raise DeclarationError(problems)
        return checked

    def _is_known_twice(self, checked: list[Any]) -> bool:
        *others, last = checked
        names = self._names_of(last)
        if not isinstance(last, Mapping):
            return last in others
        return any(names and self._names_of(other) == names and _same(other, last, names) for other in others)

    def read(self, element: ET.Element) -> list[Any] | None:
        """Return all entries."""
        return [self.entry.read(found) or {} for found in self._found(element)] or None

    def read_like(self, element: ET.Element, declared: Any) -> list[Any]:
        """Return what is said about the declared entries, and all of those beyond them."""
        pairs, rest = self._pair(element, declared)
        matched = [self.entry.read_like(match, entry) for entry, match in pairs if match is not None]
        return [*matched, *(self.entry.read(extra) or {} for extra in rest)]

    def write(self, element: ET.Element, value: Any) -> None:
        """Have exactly these entries, in this order, where the first of them stood."""
        pairs, _rest = self._pair(element, value)
        parent = self.way.make(element)
        old = self._found(element)
        place = list(parent).index(old[0]) if old else len(parent)
        for found in old:
            parent.remove(found)
        for number, (entry, match) in enumerate(pairs):
            target = ET.Element(self.tag) if match is None else match
            self.entry.write(target, entry)
            parent.insert(place + number, target)
        prune(element, self.way)

    def _found(self, element: ET.Element) -> list[ET.Element]:
        parent = self.way.find(element)
        return [] if parent is None else parent.findall(self.tag)

    def _pair(self, element: ET.Element, declared: Sequence[Any]) -> tuple[list[tuple[Any, ET.Element | None]], list[ET.Element]]:
        """Return each entry with its element, and the elements that are left."""
        free = self._found(element)
        matches: dict[int, ET.Element] = {}
        for place, entry in enumerate(declared):
            names = self._names_of(entry)
            match = next((found for found in free if names and self._is_known_by(found, entry, names)), None)
            if match is not None:
                matches[place] = match
                free.remove(match)
        for place, entry in enumerate(declared):
            if place not in matches and free and not self._names_of(entry):
                matches[place] = free.pop(0)
        return [(entry, matches.get(place)) for place, entry in enumerate(declared)], free

    def _is_known_by(self, found: ET.Element, entry: Any, names: Sequence[str]) -> bool:
        return _same(self.entry.read_like(found, dict.fromkeys(names)), entry, names)

    def _names_of(self, entry: Any) -> Sequence[str]:
        if not isinstance(entry, Mapping):
            return ()
        return next((names for names in self.identity if entry.get(names[0]) not in (None, "")), ())


def _same(one: Mapping[str, Any], other: Mapping[str, Any], names: Sequence[str]) -> bool:
    return all(one.get(name) == other.get(name) for name in names)


def prune(root: ET.Element, path: Path) -> None:
    """Take away what of a way holds nothing."""
    for depth in range(len(path.steps), 0, -1):
        parent, below = Path(path.steps[: depth - 1], None).find(root), Path(path.steps[:depth], None).find(root)
        if parent is None or below is None or len(below) or below.attrib or (below.text or "").strip():
            return
        parent.remove(below)
