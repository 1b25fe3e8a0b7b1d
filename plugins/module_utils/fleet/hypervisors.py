# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The hypervisors of a declaration: their short names, their accounts, and what is declared below them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.archipel.platform.plugins.module_utils.fleet.document import HYPERVISORS, Document, Part, parts_of, place_of
from ansible_collections.archipel.platform.plugins.module_utils.fleet.item import Kind
from ansible_collections.archipel.platform.plugins.module_utils.fleet.problems import Place, Problems, is_printable, nearest

try:
    from archipel.client.addresses import bare_address
except ImportError:
    pass  # library.require_library tells the user

ALL = "all"


@dataclass(frozen=True)
class Placed:
    """An entry of a section, and the hypervisor below which it stands, if it does."""

    part: Part
    hypervisor: str | None = None


class Hypervisors:
    """Accounts by short name; one may have its resource, where that is known."""

    def __init__(self, accounts: Mapping[str, str], places: Mapping[str, Place]) -> None:
        self.accounts = dict(accounts)
        self._places = places

    @property
    def names(self) -> list[str]:
        """The short names, in the order in which they are declared."""
        return list(self.accounts)

    def resolve(self, named: Any, title: str, place: Place, problems: Problems) -> list[str]:
        """Return the short names that a value stands for: a name, an account, a list of those, or ``all``."""
        if named == ALL:
            return self.names
        found = []
        for reference in named if isinstance(named, list | tuple) else [named]:
            name = self.find(str(reference))
            if name is None:
                problems.add(place, f"{title}: there is no hypervisor {reference!r}{nearest(reference, [*self.accounts, ALL])}")
            else:
                found.append(name)
        return list(dict.fromkeys(found))

    def find(self, reference: str) -> str | None:
        """Return the short name of a hypervisor that is called so or has this account."""
        if reference in self.accounts:
            return reference
        return next((name for name, jid in self.accounts.items() if jid.partition("/")[0] == reference.partition("/")[0]), None)


def read_hypervisors(
    document: Document, kinds: Iterable[Kind], aliases: Mapping[str, str], otherwise: str | None, problems: Problems
) -> tuple[Hypervisors, dict[str, list[Placed]]]:
    """Return the hypervisors, and by section what stands below one of them.

    ``aliases`` rule over the accounts of the declaration; ``otherwise`` is the account of the only one if none is named anywhere.
    """
    sections = {word: kind for kind in kinds if not kind.of_server for word in (kind.section, kind.inline) if word}
    accounts, places, below = dict[str, str](), dict[str, Place](), dict[str, list[Placed]]()
    for part in document.parts(HYPERVISORS):
        entry = {"jid": part.values} if isinstance(part.values, str) else part.values
        if not isinstance(entry, Mapping):
            problems.add(part.place, f"hypervisors: {part.name or ''}: is an account, or a mapping with jid")
            continue
        name = str(part.name or entry.get("name") or "")
        if name in accounts or not name or name == ALL or not is_printable(name):
            there = f"is declared at {places[name]} already" if name in accounts else "needs a name of its own"
            problems.add(part.place, f"hypervisor {name!r}: {there}")
            continue
        places[name] = part.place
        accounts[name] = _account(name, aliases.get(name) or entry.get("jid"), part.place, problems)
        for word, value in entry.items():
            if word in sections:
                below.setdefault(sections[word].section, []).extend(_below(name, sections[word], word, value, part.place, problems))
            elif word not in {"jid", "name"}:
                problems.add(part.place, f"hypervisor {name}: {word} is no part of a hypervisor{nearest(word, [*sections, 'jid'])}")
    for name, jid in aliases.items():
        accounts.setdefault(name, _account(name, jid, Place("hypervisors"), problems))
    if not accounts and otherwise is not None:
        accounts[otherwise.partition("@")[0]] = otherwise
    return Hypervisors(accounts, places), below


def _account(name: str, jid: Any, place: Place, problems: Problems) -> str:
    try:
        bare_address(str(jid or ""))
    except ValueError as error:
        problems.add(place, f"hypervisor {name}: jid: {jid!r} is no account such as hypervisor@example.org ({error})")
        return ""
    return str(jid)


def _below(name: str, kind: Kind, word: str, value: Any, place: Place, problems: Problems) -> Iterator[Placed]:
    if word == kind.inline:
        yield from (Placed(Part(None, entry, place_of(entry, place)), name) for entry in kind.read_inline(value))
    else:
        yield from (Placed(part, name) for part in parts_of(value, place, word, problems))
