# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the tables of all rights and roles at the end of a page (docs/rights.md), and the modules' option, from what the code declares.

Run ``python -m archipel.agent.rights_reference docs/rights.md plugins/doc_fragments/rights.py``; a test compares both with it.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

from archipel.agent.dispatch import Registry
from archipel.agent.plugins import GROUP
from archipel.protocol.founding_rights import CENTRAL_AGENT, DEAD, Standing, standing_of
from archipel.protocol.rights import ALL, DOMAIN_POLICY_BYPASS, EntityKind, Token, TokenCatalogue, core_catalogue
from archipel.protocol.roles import BUILT_IN

MARK: Final = "<!-- what follows is written by: python -m archipel.agent.rights_reference docs/rights.md -->\n"
FRAGMENT: Final = '''# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which rights and roles there are; written by: python -m archipel.agent.rights_reference plugins/doc_fragments/rights.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  rights:
    description:
{rights}
    type: list
    elements: str
  roles:
    description:
{roles}
    type: list
    elements: str
    aliases:
      - role
"""
'''
_BUILT_IN_CAPABILITIES: Final = "archipel.agent.capabilities."
_ASKED_FOR_ELSEWHERE: Final = frozenset({ALL, DOMAIN_POLICY_BYPASS, "presence", "message", "permission_getown"})
_ENTITIES: Final = {EntityKind.HYPERVISOR: "hypervisor", EntityKind.VIRTUAL_MACHINE: "machine"}


def _load() -> tuple[TokenCatalogue, Registry]:
    """Return what the built-in capabilities declare, whatever else is installed."""
    catalogue, registry = core_catalogue(), Registry()
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        if entry.value.startswith(_BUILT_IN_CAPABILITIES):
            module = entry.load()
            for token in getattr(module, "TOKENS", ()):
                catalogue.register(token)
            registry.add(module)
    return catalogue, registry


def render() -> str:
    """Return the tables."""
    return "\n".join([*_rights(*_load()), "", *_central_agent(), "", *_roles()]) + "\n"


def _rights(catalogue: TokenCatalogue, registry: Registry) -> Iterator[str]:
    yield "## All rights\n"
    yield "| right | on | by default | meaning | origin | asked for |"
    yield "|---|---|---|---|---|---|"
    asked = {(kind, command.right) for kind in EntityKind for found in registry.commands(kind) for command in (found, found.in_chat)}
    told: dict[tuple[str, str, str, bool], list[EntityKind]] = {}
    for kind in EntityKind:
        for token in catalogue.tokens(kind):
            served = (kind, token.name) in asked or token.name in _ASKED_FOR_ELSEWHERE
            told.setdefault((token.name, _describe(token), standing_of(kind, token.name), served), []).append(kind)
    for (name, meaning, origin, served), kinds in sorted(told.items(), key=lambda item: (item[0][0], item[1])):
        default = "yes" if any((found := catalogue.find(kind, name)) and found.default for kind in kinds) else ""
        places = ", ".join(map(_ENTITIES.__getitem__, kinds))
        yield f"| `{name}` | {places} | {default} | {meaning} | {origin} | {'yes' if served else 'no'} |"
    for name in sorted(DEAD.keys() - {name for name, *_rest in told}):
        yield f"| `{name}` | none | | {DEAD[name]} | {Standing.DEAD} | no |"


def _describe(token: Token) -> str:
    return f"{token.description}; **granted one by one, not covered by `all`**" if token.reserved else token.description


def _central_agent() -> Iterator[str]:
    yield "The founding central agent had these besides; no entity of this agent has them:\n"
    yield "| right | meaning |"
    yield "|---|---|"
    yield from (f"| `{name}` | {meaning} |" for name, meaning in sorted(CENTRAL_AGENT.items()))


def _roles() -> Iterator[str]:
    yield "## Built-in roles\n"
    yield "| role | meaning | rights |"
    yield "|---|---|---|"
    for role in BUILT_IN.values():
        yield f"| `{role.name}` | {role.description} | {' '.join(f'`{token}`' for token in sorted(role.tokens))} |"


def render_fragment() -> str:
    """Return the documentation of the options ``rights`` and ``roles``; as capabilities of others add rights, none is a choice."""
    catalogue, _registry = _load()
    rights = (
        "The rights, by the names that the agent lists (C(archipel rights) shows them). Those of installed capabilities come besides.",
        "V(all) stands for everything but the rights that are granted one by one.",
        *(f"Of {_ENTITIES[kind]}s - {_names(token.name for token in catalogue.tokens(kind))}." for kind in EntityKind),
        "O(rights) or O(roles) is needed with O(state=present). With O(state=absent) all rights of the subjects are revoked if "
        "neither is named.",
    )
    roles = (
        "Roles, which are named sets of rights (C(archipel rights roles) shows them), those made on the hypervisor besides.",
        f"Built in are {_names(BUILT_IN)}.",
    )
    return FRAGMENT.format(rights="\n".join(map(_item, rights)), roles="\n".join(map(_item, roles)))


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"V({name})" for name in sorted(names))


def _item(text: str) -> str:
    return textwrap.fill(text, 130, initial_indent="      - ", subsequent_indent="        ", break_on_hyphens=False)


def main() -> None:
    """Write what the code declares into the files that the command line names."""
    for file in map(Path, sys.argv[1:]):
        if file.suffix == ".py":
            file.write_text(render_fragment())
        else:
            file.write_text(file.read_text().partition(MARK)[0] + MARK + "\n" + render())


if __name__ == "__main__":
    main()
