# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Entries that stand for several objects: by count, by a list, by hypervisors; and the fields in their texts.

Fields are ``{n}`` (``{n:02}`` with leading zeros), ``{item}`` (``{item.mac}`` of a mapping) and ``{hypervisor}``. Other braces
are left as they are, so that a definition or a script may hold some.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.fleet.document import Located
from ansible_collections.archipel.platform.plugins.module_utils.fleet.problems import Place, Problems

COUNT, START, FOREACH = "count", "start", "foreach"
WORDS = (COUNT, START, FOREACH)
MOST = 100_000  # objects of one entry: more is a slip
_FIELD = re.compile(r"\{(n|item|hypervisor)((?:\.\w+)*)(?::(0?\d{1,2}))?\}")
Fields = Mapping[str, Any]


def rounds(entry: dict[str, Any], title: str, place: Place, problems: Problems) -> list[dict[str, Any]]:
    """Take count, start and foreach out of an entry and return the fields of each object that it stands for."""
    words = {word: entry.pop(word) for word in WORDS if entry.get(word) is not None}
    if COUNT in words and FOREACH in words:
        problems.add(place, f"{title}: count and foreach: give one of them")
    start, count, each = words.get(START, 1), words.get(COUNT), words.get(FOREACH)
    for word in (COUNT, START):
        if word in words and (isinstance(words[word], bool) or not isinstance(words[word], int) or not 0 <= words[word] <= MOST):
            problems.add(place, f"{title}: {word}: {words[word]!r} is no number from 0 to {MOST}")
            return []
    if each is not None and not isinstance(each, list | tuple):
        problems.add(place, f"{title}: foreach: is a list, not {type(each).__name__}")
        return []
    if each is not None:
        return [{"n": start + index, "item": item} for index, item in enumerate(each)]
    return [{}] if count is None else [{"n": start + index} for index in range(count)]


def fill_in(value: Any, fields: Fields) -> Any:
    """Return a value with the fields of all texts in it filled in; a text that is nothing but a field becomes its value.

    Raises :class:`ValueError` for a field of something that has none of that name.
    """
    if not fields:
        return value
    if isinstance(value, str):
        return _fill_in_text(value, fields)
    if isinstance(value, Mapping):
        filled = Located({key: fill_in(inner, fields) for key, inner in value.items()})
        filled.place = getattr(value, "place", None)
        return filled
    return [fill_in(inner, fields) for inner in value] if isinstance(value, list | tuple) else value


def _fill_in_text(text: str, fields: Fields) -> Any:
    if "{" not in text:
        return text
    whole = _FIELD.fullmatch(text)
    if whole and whole[1] in fields and not whole[3]:
        return _value_of(whole, fields)
    return _FIELD.sub(lambda match: _write(match, fields) if match[1] in fields else match[0], text)


def _write(match: re.Match[str], fields: Fields) -> str:
    value = _value_of(match, fields)
    if not match[3]:
        return str(value)
    return format(value, match[3]) if isinstance(value, int) else format(str(value), match[3].lstrip("0"))


def _value_of(match: re.Match[str], fields: Fields) -> Any:
    value = fields[match[1]]
    for name in match[2].split(".")[1:]:
        if not isinstance(value, Mapping) or name not in value:
            known = (
                f"; there are {', '.join(map(str, value))}" if isinstance(value, Mapping) else f", as {type(value).__name__} has no parts"
            )
            raise ValueError(f"{match[0]}: there is no {name!r} in it{known}")
        value = value[name]
    return value
