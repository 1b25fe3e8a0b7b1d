# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Several things of one kind in one task: a list whose entries take what they leave out from the options beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Options = Mapping[str, Mapping[str, Any]]


def with_list(kind: Options, several: str) -> dict[str, Any]:
    """Return the options that declare one thing, and besides a list of such things."""
    return {**kind, several: {"type": "list", "elements": "dict", "options": dict(kind)}}


def read_entries(arguments: Mapping[str, Any], kind: Options, several: str, named: str = "name") -> list[dict[str, Any]]:
    """Return the declarations, each with all options of its kind. Raises :class:`ValueError` for two of one name."""
    entries = list(_merge(arguments, kind, several))
    names = [entry[named] for entry in entries]
    doubles = sorted({str(name) for name in names if names.count(name) > 1})
    if doubles:
        raise ValueError(f"{several}: {named} {', '.join(doubles)} is there twice; give each one entry")
    if None in names:
        raise ValueError(f"{named}: say which one")
    return entries


def _merge(arguments: Mapping[str, Any], kind: Options, several: str) -> Iterator[dict[str, Any]]:
    beside = {name: arguments.get(name) for name in kind}
    if arguments.get(several) is None:
        yield beside
    for entry in arguments.get(several) or ():
        yield beside | {name: value for name, value in entry.items() if value is not None}


def is_present(arguments: Mapping[str, Any]) -> bool:
    """Whether what is declared shall be there; it shall unless the state says otherwise."""
    return arguments.get("state") != "absent"
