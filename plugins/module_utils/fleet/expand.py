# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From a document to the single objects that it declares: defaults, profiles, loops, hypervisors, and what stands inline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.fleet.defaults import HYPERVISOR, SPREAD, Defaults
from ansible_collections.archipel.platform.plugins.module_utils.fleet.document import Document, place_of
from ansible_collections.archipel.platform.plugins.module_utils.fleet.hypervisors import Hypervisors, Placed, read_hypervisors
from ansible_collections.archipel.platform.plugins.module_utils.fleet.item import SERVER, Item, Key, Kind
from ansible_collections.archipel.platform.plugins.module_utils.fleet.loops import fill_in, rounds
from ansible_collections.archipel.platform.plugins.module_utils.fleet.problems import Place, Problems, is_printable, nearest
from ansible_collections.archipel.platform.plugins.module_utils.fleet.validation import validate

MACHINE = "machine"
MACHINES = "machines"
ABSENT = "absent"


@dataclass
class Declaration:
    """All that is declared, by key, in the order in which it stands there."""

    label: str | None
    hypervisors: Hypervisors
    items: dict[Key, Item] = field(default_factory=dict)


@dataclass(frozen=True)
class _Object:
    """One of the objects that an entry stands for, on its hypervisor."""

    values: dict[str, Any]
    hypervisor: str
    title: str
    place: Place


def expand(
    document: Document,
    kinds: Sequence[Kind],
    aliases: Mapping[str, str],
    otherwise: str | None = None,
    problems: Problems | None = None,
) -> Declaration:
    """Return what a document declares; see :func:`read_hypervisors` for ``aliases`` and ``otherwise``.

    Raises :class:`DeclarationProblems`, which tells all that is wrong; with ``problems`` it is noted there.
    """
    found = Problems() if problems is None else problems
    hypervisors, below = read_hypervisors(document, kinds, aliases, otherwise, found)
    expansion = _Expansion(document, kinds, hypervisors, below, found)
    expansion.run()
    if problems is None:
        found.stop()
    return expansion.declaration


class _Expansion:
    """The work of :func:`expand`."""

    def __init__(
        self,
        document: Document,
        kinds: Sequence[Kind],
        hypervisors: Hypervisors,
        below: Mapping[str, list[Placed]],
        problems: Problems,
    ) -> None:
        machines = next(kind for kind in kinds if kind.name == MACHINE)
        self._document, self._below, self._problems = document, below, problems
        # Machines first: others name them.
        self._kinds = [machines, *(kind for kind in kinds if kind is not machines)]
        self._attached = {kind.inline: kind for kind in kinds if kind.of_machines and kind.inline not in {"", *machines.options}}
        self._defaults = Defaults(document, kinds, machines, problems)
        self.declaration = Declaration(document.label, hypervisors)

    def run(self) -> None:
        """Take in all sections."""
        for kind in self._kinds:
            placed = [*map(Placed, self._document.parts(kind.section)), *self._below.get(kind.section, ())]
            for entry in placed:
                self._take_in(kind, entry)

    def _take_in(self, kind: Kind, placed: Placed) -> None:
        part = placed.part
        if not isinstance(part.values, Mapping):
            self._problems.add(part.place, f"{kind.section}: an entry is a mapping of options, not {type(part.values).__name__}")
            return
        named = {} if part.name is None else {"name": part.name}
        values = self._defaults.merge(kind, part, {**named, **part.values})
        title = f"{kind.section} {values.get('name') or ''}".strip()
        for single in self._unroll(kind, values, placed, title):
            if kind.of_machines:
                self._add_to_machines(kind, single)
            else:
                self._add_with_attachments(kind, single)

    # -- one entry, many objects ----------------------------------------------------------------------------------------

    def _unroll(self, kind: Kind, values: dict[str, Any], placed: Placed, title: str) -> Iterator[_Object]:
        place, before = placed.part.place, len(self._problems.found)
        all_fields = rounds(values, title, place, self._problems)
        where = list(self._choose_hypervisors(kind, values, placed, len(all_fields), title))
        if len(self._problems.found) > before:
            return
        for fields, names in zip(all_fields, where, strict=True):
            for name in names:
                looped = {**fields, HYPERVISOR: name} if fields or len(where) > 1 or len(names) > 1 else {}
                try:
                    yield _Object(fill_in(values, looped), name, title, place)
                except ValueError as error:
                    self._problems.add(place, f"{title}: {error}")

    def _choose_hypervisors(self, kind: Kind, values: dict[str, Any], placed: Placed, count: int, title: str) -> Iterator[list[str]]:
        """Take the hypervisors out of an entry and yield those of each round."""
        place, known = placed.part.place, self.declaration.hypervisors
        named, spread = values.pop(HYPERVISOR, None), values.pop(SPREAD, None)
        if kind.of_server:
            if named is not None or spread is not None:
                self._problems.add(place, f"{title}: is the server's, and names no hypervisor")
            yield from ([SERVER] for _round in range(count))
        elif placed.hypervisor is not None:
            if named is not None and known.find(str(named)) != placed.hypervisor:
                self._problems.add(place, f"{title}: stands below hypervisor {placed.hypervisor} and names another, {named}")
            yield from ([placed.hypervisor] for _round in range(count))
        elif spread is not None and named is not None:
            self._problems.add(place, f"{title}: hypervisor is one or each of several, hypervisors are taken in turn: give one of them")
        elif spread is not None:
            names = known.resolve(spread, title, place, self._problems)
            yield from ([names[index % len(names)]] for index in range(count) if names)
        else:
            names = self._names_or_only(kind, values, named, title, place)
            yield from (names for _round in range(count))

    def _names_or_only(self, kind: Kind, values: Mapping[str, Any], named: Any, title: str, place: Place) -> list[str]:
        known = self.declaration.hypervisors
        if named is not None:
            return known.resolve(named, title, place, self._problems)
        if len(known.names) == 1:
            return known.names
        if kind.of_machines and (there := self._hypervisors_of(values)):
            return there
        hint = f"name one of {', '.join(known.names)}, or all" if known.names else "declare hypervisors, or give the option hypervisor"
        self._problems.add(place, f"{title}: says no hypervisor: {hint}")
        return []

    def _hypervisors_of(self, values: Mapping[str, Any]) -> list[str]:
        """Return the hypervisors on which the machines of an entry are declared."""
        references = _as_list(values.get(MACHINES, values.get(MACHINE)))
        keys = [key for key in self.declaration.items if key.kind == MACHINE and any(_is_like(key.name, str(name)) for name in references)]
        return list(dict.fromkeys(key.hypervisor for key in keys))

    # -- objects of their own, and what stands inline in them ----------------------------------------------------------

    def _add_with_attachments(self, kind: Kind, single: _Object) -> None:
        attached = {word: single.values.pop(word) for word in self._attached if word in single.values} if kind.name == MACHINE else {}
        item = self._add(kind, single)
        if item is None or item.arguments.get("state") == ABSENT:
            return
        for word, value in attached.items():
            inner = self._attached[word]
            for entry in () if value is None else inner.read_inline(value):
                if not isinstance(entry, Mapping):
                    self._problems.add(single.place, f"{item.key}: {word}: an entry is a mapping of options")
                    continue
                place = place_of(entry, single.place)
                title = f"{item.key}: {word}"
                self._add(inner, _Object(inner.canonical(entry), single.hypervisor, title, place), machine=item.key.name)

    def _add_to_machines(self, kind: Kind, single: _Object) -> None:
        """Add what names machines, once for each; without any it is the hypervisor's."""
        named = [*_as_list(single.values.pop(MACHINE, None)), *_as_list(single.values.pop(MACHINES, None))]
        if not named:
            self._add(kind, single)
        for reference in map(str, named):
            for name in self._matching(reference, single.hypervisor) or [reference]:
                if any(sign in name for sign in "*?["):
                    self._problems.add(single.place, f"{single.title}: no declared machine is like {name}{nearest(name, ())}")
                else:
                    self._add(kind, single, machine=name)

    def _matching(self, pattern: str, hypervisor: str) -> list[str]:
        machines = (key.name for key in self.declaration.items if key.kind == MACHINE and key.hypervisor == hypervisor)
        return [name for name in machines if _is_like(name, pattern)]

    def _add(self, kind: Kind, single: _Object, machine: str | None = None) -> Item | None:
        arguments = validate(kind, single.values, single.title, single.place, self._problems)
        if arguments is None:
            return None
        name = kind.identify(arguments)
        if not name or not is_printable(name):
            fault = f"{name!r} is no name: it has control characters" if name else "needs a name"
            self._problems.add(single.place, f"{kind.section}: {fault}" if name else f"{single.title}: {fault}")
            return None
        if kind.of_machines:
            name = f"{machine or single.hypervisor}: {name}"
        key = Key(kind.name, single.hypervisor, name)
        there = self.declaration.items.get(key)
        if there is not None:
            again = "; in a loop a name needs a field such as {n}" if there.place == single.place else ""
            self._problems.add(single.place, f"{key}: is declared at {there.place} already{again}")
            return None
        container = (MACHINE, machine) if machine else kind.container(arguments)
        within = None if container is None else Key(container[0], single.hypervisor, container[1])
        item = Item(key, arguments, single.place, machine, within)
        self.declaration.items[key] = item
        return item


def _is_like(name: str, pattern: str) -> bool:
    return name == pattern or fnmatchcase(name, pattern)


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str | Mapping) else [value]
