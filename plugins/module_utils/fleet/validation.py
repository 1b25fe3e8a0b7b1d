# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The values of one entry against the options of its kind, as Ansible checks those of a module, told with the place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ansible.module_utils.errors import (
    RequiredByError,
    RequiredError,
    RequiredIfError,
    RequiredOneOfError,
    RequiredTogetherError,
)
from ansible_collections.archipel.platform.plugins.module_utils.fleet.document import place_of
from ansible_collections.archipel.platform.plugins.module_utils.fleet.item import Kind
from ansible_collections.archipel.platform.plugins.module_utils.fleet.problems import Place, Problems, nearest
from ansible_collections.archipel.platform.plugins.module_utils.shapes import find_wrong_forms

Options = Mapping[str, Mapping[str, Any]]
_MISSING = (RequiredByError, RequiredError, RequiredIfError, RequiredOneOfError, RequiredTogetherError)


def validate(kind: Kind, values: Mapping[str, Any], title: str, place: Place, problems: Problems) -> dict[str, Any] | None:
    """Return the arguments that values stand for: converted, with defaults, ``None`` where nothing is said.

    What is wrong is noted; then there are none.
    """
    before = len(problems.found)
    for path, known, where in unknown_options(values, kind.options, place):
        problems.add(where, f"{title}: {path} is no option{nearest(path.rpartition('.')[2], known)}")
    misspelt = len(problems.found) > before
    wrong = [*find_wrong_forms(values, kind.options)]
    for text in wrong:
        problems.add(place, f"{title}: {text}")
    if wrong:
        return None
    result = kind.validator.validate(known_options(values, kind.options))
    # What seems to be missing may be what was misspelt.
    errors = [error for error in result.errors if not (misspelt and isinstance(error, _MISSING))]
    for error in errors:
        problems.add(place, f"{title}: {error.msg}")
    found = result.validated_parameters
    arguments = {name: found.get(name) for name in kind.options}
    if not errors and not misspelt:
        try:
            kind.refuse(arguments)
        except ValueError as error:
            problems.add(place, f"{title}: {error}")
    return arguments if len(problems.found) == before else None


def unknown_options(values: Mapping[str, Any], options: Options, place: Place, prefix: str = "") -> Iterator[tuple[str, list[str], Place]]:
    """Yield the options, also those of inner entries, that there are not, each with those that there are, and where."""
    names = {alias: name for name, option in options.items() for alias in (name, *option.get("aliases", ()))}
    for given, value in values.items():
        if given not in names:
            yield f"{prefix}{given}", list(names), place
            continue
        inner: Options = options[names[given]].get("options") or {}
        entries = value if isinstance(value, list | tuple) else [value]
        for entry in entries if inner else ():
            if isinstance(entry, Mapping):
                yield from unknown_options(entry, inner, place_of(entry, place), f"{prefix}{given}.")


def known_options(values: Mapping[str, Any], options: Options) -> dict[str, Any]:
    """Return values without the options, also those of inner entries, that there are not."""
    named = {alias: option for name, option in options.items() for alias in (name, *option.get("aliases", ()))}
    return {given: _without_unknown(value, named[given].get("options")) for given, value in values.items() if given in named}


def _without_unknown(value: Any, inner: Options | None) -> Any:
    if inner and isinstance(value, Mapping):
        return known_options(value, inner)
    return [_without_unknown(entry, inner) for entry in value] if inner and isinstance(value, list | tuple) else value
