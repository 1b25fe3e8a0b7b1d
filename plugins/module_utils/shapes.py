# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Arguments whose form is another than their option's, each by the path of its key.

Ansible makes a text of whatever is given where a text is wanted, a list of names too; a network of that name there is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Options = Mapping[str, Mapping[str, Any]]
_SINGLE = {"str": "a text", "path": "a path", "int": "a whole number", "float": "a number", "bool": "true or false"}


def find_wrong_forms(values: Mapping[str, Any], options: Options, within: str = "") -> Iterator[str]:
    """Yield, in words, each list or mapping that stands where one value is wanted, or one in the place of the other."""
    names = {alias: name for name, option in options.items() for alias in (name, *option.get("aliases", ()))}
    for given, value in values.items():
        if given in names:
            yield from _look_at(value, options[names[given]], f"{within}{given}")


def _look_at(value: Any, option: Mapping[str, Any], path: str) -> Iterator[str]:
    kind, inner = option.get("type", "str"), option.get("options")
    if kind == "list":
        if isinstance(value, Mapping):
            yield f"{path}: must be a list, not a mapping"
            return
        element = {"type": option.get("elements", "raw"), **({"options": inner} if inner else {})}
        for number, entry in enumerate(_entries(value)):
            yield from _look_at(entry, element, f"{path}[{number}]")
    elif kind == "dict":
        if isinstance(value, list | tuple):
            yield f"{path}: must be a mapping, not a list"
        elif inner and isinstance(value, Mapping):
            yield from find_wrong_forms(value, inner, f"{path}.")
    elif kind in _SINGLE and isinstance(value, Mapping | list | tuple):
        yield f"{path}: must be {_SINGLE[kind]}, not a {'mapping' if isinstance(value, Mapping) else 'list'}"


def _entries(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list | tuple) else ()
