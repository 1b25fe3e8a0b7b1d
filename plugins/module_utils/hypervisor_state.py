# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A hypervisor, as module ``hypervisor`` declares it: which of its domains are managed, whether it is in service, its tags."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.directory import Directory
from ansible_collections.archipel.platform.plugins.module_utils.evacuation import (
    ACTIVE,
    FAIL,
    LEAVE,
    MAINTENANCE,
    STOP,
    Evacuation,
)
from ansible_collections.archipel.platform.plugins.module_utils.migrations import Way
from ansible_collections.archipel.platform.plugins.module_utils.progress import Say, say_nothing, telling
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Change, Resource, Values

if TYPE_CHECKING:
    from archipel.client import Hypervisor, MachineEntry

PRESENT, ADOPTED, UNMANAGED = "present", "adopted", "unmanaged"

HYPERVISOR: Mapping[str, Mapping[str, Any]] = {
    "state": {"type": "str", "choices": [PRESENT, ADOPTED, UNMANAGED, MAINTENANCE, ACTIVE]},
    "machines": {"type": "list", "elements": "str", "aliases": ["machine"]},
    "exclude": {"type": "list", "elements": "str"},
    "tags": {"type": "list", "elements": "str"},
    "destinations": {"type": "list", "elements": "str"},
    "unmovable": {"type": "str", "choices": [FAIL, LEAVE, STOP]},
    "include_stopped": {"type": "bool"},
    "offline": {"type": "bool"},
    "at_once": {"type": "int"},
    "migration_timeout": {"type": "float"},
    "shutdown_timeout": {"type": "float"},
    "force": {"type": "bool"},
}
_CHOOSES = {ADOPTED, UNMANAGED}
_MOVES = {"destinations", "unmovable", "include_stopped"}


def refuse_contradictions(arguments: Mapping[str, Any]) -> None:
    """Raise :class:`ValueError` for options that do not go together."""
    state = arguments["state"] or PRESENT
    for name in ("machines", "exclude"):
        if arguments[name] is not None and state not in _CHOOSES:
            raise ValueError(f"{name}: goes with state: adopted or unmanaged")
    for name in sorted(_MOVES):
        if arguments[name] is not None and state != MAINTENANCE:
            raise ValueError(f"{name}: goes with state: maintenance")
    if state == UNMANAGED and arguments["machines"] is None:
        raise ValueError("machines: say which machines Archipel shall let go; '*' stands for all")
    if arguments["at_once"] is not None and arguments["at_once"] < 1:
        raise ValueError("at_once: must be 1 or more")


async def describe_all(hypervisor: Hypervisor) -> list[dict[str, Any]]:
    """Return the hypervisor as it is declared: its tags, if it has any."""
    tags = [tag for tag in await hypervisor.tags() if tag != MAINTENANCE]
    return [{"tags": sorted(tags)}] if tags else []


class _Management:
    """Which of the chosen domains are managed."""

    def __init__(self, hypervisor: Hypervisor, arguments: Mapping[str, Any], tell: Say) -> None:
        self.hypervisor = hypervisor
        self.patterns = ["*"] if arguments["machines"] is None else list(arguments["machines"])
        self.exclude = arguments["exclude"] or []
        self.adopts = arguments["state"] == ADOPTED
        self.found: list[MachineEntry] = []
        self._tell = tell

    async def read(self) -> Values:
        directory = await Directory.load(self.hypervisor, ())
        for pattern in self.patterns:
            if not any(_answers(entry, pattern) for entry in directory.entries) and not set(pattern) & set("*?["):
                raise ValueError(f"machines: {self.hypervisor.bare} has no machine or domain {pattern!r}")
        self.found = sorted((entry for entry in directory.entries if self._is_chosen(entry)), key=lambda entry: (entry.name, entry.uuid))
        return {"managed": [entry.name for entry in self.found if entry.managed]}

    def _is_chosen(self, entry: MachineEntry) -> bool:
        chosen = any(_answers(entry, pattern) for pattern in self.patterns)
        return chosen and not any(_answers(entry, pattern) for pattern in self.exclude)

    def desired(self, _current: Values) -> Values:
        return {"managed": [entry.name for entry in self.found] if self.adopts else []}

    async def apply(self, _current: Values, _desired: Values) -> None:
        uuids = [entry.uuid for entry in self.found if entry.managed != self.adopts]
        if uuids:
            async with telling(self._tell, f"{len(uuids)} machines are {'taken in' if self.adopts else 'let go'}"):
                await (self.hypervisor.manage if self.adopts else self.hypervisor.unmanage)(*uuids)


class _Tags:
    """The hypervisor's own tags; what maintenance says by one is not looked at."""

    def __init__(self, hypervisor: Hypervisor, tags: list[str]) -> None:
        self.hypervisor = hypervisor
        self.tags = sorted(set(tags) - {MAINTENANCE})
        self._kept: set[str] = set()

    async def read(self) -> Values:
        found = set(await self.hypervisor.tags())
        self._kept = found & {MAINTENANCE}
        return {"tags": sorted(found - {MAINTENANCE})}

    def desired(self, _current: Values) -> Values:
        return {"tags": self.tags}

    async def apply(self, current: Values, desired: Values) -> None:
        if current["tags"] != desired["tags"]:
            await self.hypervisor.set_tags([*self.tags, *self._kept])


class DeclaredHypervisor(Resource):
    """One hypervisor; the values are those of what is declared of it."""

    def __init__(self, hypervisor: Hypervisor, arguments: Mapping[str, Any], *, check_mode: bool = False, tell: Say = say_nothing) -> None:
        self.title = hypervisor.bare
        self.hypervisor = hypervisor
        self.arguments = arguments
        state = arguments["state"] or PRESENT
        self.evacuation = Evacuation(hypervisor, arguments, Way.of(arguments, tell)) if state in {ACTIVE, MAINTENANCE} else None
        self._management = _Management(hypervisor, arguments, tell) if state in _CHOOSES else None
        self._tags = _Tags(hypervisor, arguments["tags"]) if arguments["tags"] is not None else None
        # Tags last: what maintenance says by one is read anew then.
        self._parts = [part for part in (self._management, self.evacuation, self._tags) if part is not None]

    async def read(self) -> Values:
        """Return what each part is."""
        values: dict[str, Any] = {}
        for part in self._parts:
            values |= await part.read()
        return values

    def desired(self, current: Values) -> Values:
        """Return what each part shall be."""
        values: dict[str, Any] = {}
        for part in self._parts:
            values |= part.desired(current)
        return values

    async def apply(self, current: Values, desired: Values) -> None:
        """Lead there, one part after the other."""
        for part in self._parts:
            if part is self._tags and self.evacuation is not None:
                await part.read()
            await part.apply(current, desired)

    def report(self, change: Change) -> dict[str, Any]:
        """Return the hypervisor's account and what is declared of it."""
        return {"jid": self.title, **dict.fromkeys(("managed", "state", "machines", "tags")), **change.after}


def _answers(entry: MachineEntry, pattern: str) -> bool:
    return entry.answers_to(pattern) or fnmatch.fnmatchcase(entry.name, pattern)
