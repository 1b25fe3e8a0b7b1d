# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The values of one entry against the options of its kind, as Ansible checks those of a module, told with the place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.fleet.item import Kind
from ansible_collections.archipel.platform.plugins.module_utils.fleet.problems import Place, Problems, nearest
from ansible_collections.archipel.platform.plugins.module_utils.shapes import find_wrong_forms

Options = Mapping[str, Mapping[str, Any]]


def validate(kind: Kind, values: Mapping[str, Any], title: str, place: Place, problems: Problems) -> dict[str, Any] | None:
    """Return the arguments that values stand for: converted, with defaults, ``None`` where nothing is said.

    What is wrong is noted; then there are none.
    """
    before = len(problems.found)
    for path, known in unknown_options(values, kind.options):
        problems.add(place, f"{title}: {path} is no option{nearest(path.rpartition('.')[2], known)}")
    for wrong in find_wrong_forms(values, kind.options):
        problems.add(place, f"{title}: {wrong}")
    if len(problems.found) > before:
        return None
    result = kind.validator.validate(dict(values))
    for message in result.error_messages:
        problems.add(place, f"{title}: {message}")
    found = result.validated_parameters
    arguments = {name: found.get(name) for name in kind.options}
    if not result.error_messages:
        try:
            kind.refuse(arguments)
        except ValueError as error:
            problems.add(place, f"{title}: {error}")
    return arguments if len(problems.found) == before else None


def unknown_options(values: Mapping[str, Any], options: Options, prefix: str = "") -> Iterator[tuple[str, list[str]]]:
    """Yield the options, also those of inner entries, that there are not, each with those that there are."""
    names = {alias: name for name, option in options.items() for alias in (name, *option.get("aliases", ()))}
    for given, value in values.items():
        if given not in names:
            yield f"{prefix}{given}", list(names)
            continue
        inner = options[names[given]].get("options")
        entries = value if isinstance(value, list | tuple) else [value]
        for entry in entries if inner else ():
            if isinstance(entry, Mapping):
                yield from unknown_options(entry, inner, f"{prefix}{given}.")
