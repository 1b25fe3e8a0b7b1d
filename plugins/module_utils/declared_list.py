# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One thing of a kind, or a list of them for which the other options are defaults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def list_arguments(kind: Mapping[str, Any], many: str, constraints: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the options of one of a kind, and the list ``many`` of such; ``constraints`` hold for each in it."""
    return {**kind, many: {"type": "list", "elements": "dict", "options": dict(kind), **(constraints or {})}}


def read_entries(
    arguments: Mapping[str, Any], kind: Mapping[str, Any], many: str, known_by: Sequence[str], instead: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """Return the options of each that is declared: one, or those of the list.

    ``known_by`` together tell one from the others. An option of ``instead`` in an entry takes the place of the common ones that
    it names. Raises :class:`ValueError`, which names the option.
    """
    if arguments.get(many) is None:
        return [_require({name: arguments.get(name) for name in kind}, known_by)]
    entries = [_require(entry, known_by) for entry in _merge(arguments, kind, many, instead)]
    names = [tuple(entry[name] for name in known_by) for entry in entries]
    doubles = sorted({" ".join(name) for name in names if names.count(name) > 1})
    if doubles:
        raise ValueError(f"{many}: {', '.join(doubles)}: is there twice")
    return entries


def _merge(
    arguments: Mapping[str, Any], kind: Mapping[str, Any], many: str, instead: Mapping[str, Sequence[str]]
) -> Iterator[dict[str, Any]]:
    common = {name: arguments.get(name) for name in kind}
    for entry in arguments[many]:
        own = {name: value for name, value in entry.items() if value is not None}
        replaced = dict.fromkeys(other for name in own for other in instead.get(name, ()))
        yield {**common, **replaced, **own}


def _require(entry: dict[str, Any], known_by: Sequence[str]) -> dict[str, Any]:
    for name in known_by:
        if not entry.get(name):
            raise ValueError(f"{name}: is missing")
    return entry


def either_or(definition: str, others: Sequence[str]) -> tuple[list[tuple[str, str]], dict[str, list[str]]]:
    """Return what to give to Ansible and to :func:`read_entries` where a whole definition excludes single options."""
    return [(definition, name) for name in others], {definition: list(others), **{name: [definition] for name in others}}
