# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which object comes after which others: those that it names, and what it is in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from ansible_collections.archipel.platform.plugins.module_utils.fleet.item import SERVER, Item, Key, Kind
from ansible_collections.archipel.platform.plugins.module_utils.fleet.problems import DeclarationProblems

Graph = Mapping[Key, tuple[Key, ...]]


def build_graph(items: Mapping[Key, Item], kinds: Iterable[Kind]) -> Graph:
    """Return what each object needs, of what is declared, in an order in which each comes after its needs.

    Raises :class:`DeclarationProblems` for objects that need one another in a circle.
    """
    by_name = {kind.name: kind for kind in kinds}
    needs = {key: tuple(dict.fromkeys(_needs(item, by_name, items))) for key, item in items.items()}
    try:
        order = list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        circle = list(reversed(error.args[1]))
        places = ", ".join(dict.fromkeys(str(items[key].place) for key in circle))
        raise DeclarationProblems([f"{places}: these need one another: {' -> '.join(map(str, circle))}"]) from None
    return {key: needs[key] for key in order}


def _needs(item: Item, kinds: Mapping[str, Kind], items: Mapping[Key, Item]) -> Iterable[Key]:
    if item.within is not None and item.within in items:
        yield item.within
    for kind, name in kinds[item.key.kind].refer(item):
        if kind in kinds:
            key = Key(kind, SERVER if kinds[kind].of_server else item.key.hypervisor, name)
            if key in items and key != item.key:
                yield key


def with_needs(wanted: Iterable[Key], graph: Graph) -> set[Key]:
    """Return these objects and what is in them (rights on a machine, a pool's volumes)."""
    chosen = set(wanted)
    return chosen | {key for key, needs in graph.items() if chosen & set(needs)}
