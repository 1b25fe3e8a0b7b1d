# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One thing of a kind in a task, or a list of them whose entries take what they leave out from the options beside it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

DEFINITION = "definition"
_IDENTITIES = ("name", "uuid")


def definition_or(parts: Iterable[str]) -> list[tuple[str, str]]:
    """Return the pairs that exclude each other where a whole definition stands for its parts."""
    return [(DEFINITION, part) for part in parts]


@dataclass(frozen=True)
class EntryList:
    """What a module takes where it declares one thing, or several.

    Args:
        kind: the options of one.
        many: the name of the list.
        known_by: the options that together tell one from the others.
        what: what one is called where these are missing.
        parts: the options whose place a whole definition takes, and they that of a definition beside the list.
    """

    kind: Mapping[str, Mapping[str, Any]]
    many: str
    known_by: tuple[str, ...] = ("name",)
    what: str = "one"
    parts: Collection[str] = ()

    @property
    def options(self) -> dict[str, Any]:
        """The options of one, and the list."""
        exclusive = {"mutually_exclusive": definition_or(self.parts)} if self.parts else {}
        return {**self.kind, self.many: {"type": "list", "elements": "dict", "options": dict(self.kind), **exclusive}}

    @property
    def constraints(self) -> dict[str, Any]:
        """What Ansible shall check: one is named, or the list is there."""
        named = [(self.many, name) for name in _IDENTITIES if name in self.kind]
        return {"mutually_exclusive": [*definition_or(self.parts), *named], "required_one_of": [("name", self.many)]}

    def read(self, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return all options of each that is declared; raises :class:`ValueError`, which names the option."""
        entries = self.merge(arguments)
        for entry in entries:
            for name in self.known_by:
                if not entry[name]:
                    raise ValueError(f"{name}: say which {self.what}")
        refuse_doubles(self.many, (" ".join(f"{name} {entry[name]}" for name in self.known_by) for entry in entries))
        return entries

    def merge(self, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the options of each as they are given, whether they tell one from the others or not."""
        beside = {name: arguments.get(name) for name in self.kind}
        if arguments.get(self.many) is None:
            return [beside]
        return [self._put_over(beside, entry) for entry in arguments[self.many]]

    def _put_over(self, beside: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
        own = {name: value for name, value in entry.items() if value is not None}
        displaced = self.parts if DEFINITION in own else (DEFINITION,) if own.keys() & set(self.parts) else ()
        return {**beside, **dict.fromkeys(displaced), **own}


def refuse_doubles(many: str, names: Iterable[str], advice: str = "give each one entry") -> None:
    """Raise :class:`ValueError` if one of the names is there twice; ``many`` is the option that has them."""
    listed = list(names)
    if len(set(listed)) == len(listed):
        return
    doubles = sorted({name for name in listed if listed.count(name) > 1})
    raise ValueError(f"{many}: {', '.join(doubles)} is there twice; {advice}")


def is_present(arguments: Mapping[str, Any]) -> bool:
    """Whether what is declared shall be there; it shall unless the state says otherwise."""
    return arguments.get("state") != "absent"
