# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Defaults by kind, and profiles: named sets of a machine's options, which may build on one another.

What an entry says rules over its profile, what a profile says over the defaults, each option as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.fleet.document import DEFAULTS, PROFILES, Document, Part
from ansible_collections.archipel.platform.plugins.module_utils.fleet.item import Kind
from ansible_collections.archipel.platform.plugins.module_utils.fleet.loops import WORDS
from ansible_collections.archipel.platform.plugins.module_utils.fleet.problems import Place, Problems, nearest
from ansible_collections.archipel.platform.plugins.module_utils.machine.arguments import HARDWARE

PROFILE, DEFINITION = "profile", "definition"
HYPERVISOR, SPREAD = "hypervisor", "hypervisors"
# Options of which one takes the place of the other.
_RIVALS = ({DEFINITION}, set(HARDWARE)), ({HYPERVISOR}, {SPREAD})


class Defaults:
    """What entries need not say."""

    def __init__(self, document: Document, kinds: Iterable[Kind], profiled: Kind, problems: Problems) -> None:
        self._problems = problems
        self._profiled = profiled
        sections = {kind.section: kind for kind in kinds}
        self._defaults = self._read(document, DEFAULTS, sections)
        self._profiles = self._read(document, PROFILES, None)
        self._places = {part.name: part.place for part in document.parts(PROFILES)}
        for name in self._profiles:
            self._chain(name, self._places[name], ())  # tells of profiles that go in a circle or are not there, used or not

    def _read(self, document: Document, word: str, sections: Mapping[str, Kind] | None) -> dict[str, dict[str, Any]]:
        found, places = dict[str, dict[str, Any]](), dict[str, Place]()
        for part in document.parts(word):
            name, kind = part.name or "", self._profiled if sections is None else sections.get(part.name or "")
            if kind is None:
                self._problems.add(part.place, f"{word}: {name} is no kind of object{nearest(name, sections or ())}")
            elif not isinstance(part.values, Mapping) or not name:
                self._problems.add(part.place, f"{word}: {name}: is a mapping of options")
            elif name in found:
                self._problems.add(part.place, f"{word}: {name} is declared at {places[name]} already")
            else:
                found[name], places[name] = kind.canonical(part.values), part.place
                for loop in found[name].keys() & set(WORDS) | found[name].keys() & {"name"}:
                    self._problems.add(part.place, f"{word}: {name}: {loop} belongs to an entry, not here")
        return found

    def merge(self, kind: Kind, part: Part, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return an entry with what its defaults and profiles say."""
        own = kind.canonical(values)
        merged = dict(self._defaults.get(kind.section, {}))
        if kind is self._profiled:
            named = own.pop(PROFILE, merged.get(PROFILE))
            merged.pop(PROFILE, None)
            for name in _names(named):
                overlay(merged, self._chain(name, part.place, ()))
        overlay(merged, own)
        return merged

    def _chain(self, name: str, place: Place, before: tuple[str, ...]) -> dict[str, Any]:
        """Return all that a profile says with those that it builds on."""
        if name in before:
            self._problems.add(place, f"profile {name}: builds on itself: {' -> '.join((*before, name))}")
            return {}
        if name not in self._profiles:
            self._problems.add(place, f"there is no profile {name!r}{nearest(name, self._profiles)}")
            return {}
        found: dict[str, Any] = {}
        for base in _names(self._profiles[name].get(PROFILE)):
            overlay(found, self._chain(base, self._places[name], (*before, name)))
        overlay(found, {key: value for key, value in self._profiles[name].items() if key != PROFILE})
        return found


def _names(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(name) for name in value] if isinstance(value, list | tuple) else [str(value)]


def overlay(onto: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Put values over others; a whole definition takes the place of single options, and they of it."""
    for one, other in _RIVALS:
        for given, displaced in ((one, other), (other, one)):
            if values.keys() & given and not values.keys() & displaced:
                for name in displaced:
                    onto.pop(name, None)
    onto.update(values)
