# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A run for some hypervisors or machines alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from ansible_collections.archipel.platform.plugins.module_utils.fleet.problems import nearest

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.fleet.expand import Declaration
    from ansible_collections.archipel.platform.plugins.module_utils.fleet.graph import Graph
    from ansible_collections.archipel.platform.plugins.module_utils.fleet.ground import Ground
    from ansible_collections.archipel.platform.plugins.module_utils.fleet.item import Key

MACHINE = "machine"


class Limit:
    """What a run is limited to; without any words, to nothing."""

    def __init__(self, words: Iterable[str] | None, declaration: Declaration) -> None:
        self.words = list(dict.fromkeys(words or ()))
        self._hypervisors = declaration.hypervisors
        self.whole = {name for word in self.words for name in self._matching(word)}
        """Hypervisors that are named themselves."""

    def _matching(self, word: str) -> set[str]:
        found = self._hypervisors.find(word)
        return {name for name in self._hypervisors.names if fnmatchcase(name, word)} | ({found} if found else set())

    def may_concern(self, hypervisor: str) -> bool:
        """Whether a hypervisor has to be asked: a machine that is named may be on any."""
        return not self.words or hypervisor in self.whole or any(not self._matching(word) for word in self.words)

    def covers_all_of(self, hypervisor: str) -> bool:
        """Whether all that is declared on a hypervisor is dealt with."""
        return not self.words or hypervisor in self.whole

    def choose(self, graph: Graph, grounds: Mapping[str, Ground], declaration: Declaration) -> set[Key]:
        """Return the objects that the run is about; raises :class:`ValueError` for a word that is no declared thing's name."""
        if not self.words:
            return set(graph)
        chosen = {key for key in graph if key.hypervisor in self.whole}
        for word in self.words:
            machines = self._machines(word, graph, grounds)
            if not machines and not self._matching(word):
                names = [*self._hypervisors.names, *(key.name for key in graph if key.kind == MACHINE)]
                raise ValueError(f"limit: {word!r} is neither a hypervisor nor a machine of the declaration{nearest(word, names)}")
            chosen |= machines
        within = {key for key, item in declaration.items.items() if item.within in chosen}
        return chosen | within

    @staticmethod
    def _machines(word: str, graph: Graph, grounds: Mapping[str, Ground]) -> set[Key]:
        """Return the declared machines of a name or pattern, or with this UUID or account."""
        known = {
            (name, entry.name) for name, ground in grounds.items() for entry in ground.host.directory.entries if entry.answers_to(word)
        }
        machines = (key for key in graph if key.kind == MACHINE)
        return {key for key in machines if key.name == word or fnmatchcase(key.name, word) or (key.hypervisor, key.name) in known}
