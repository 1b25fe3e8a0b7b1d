# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Snapshots of a machine, as module ``vm_snapshot`` declares them: taken, gone back to, deleted, pruned."""

from __future__ import annotations

import datetime
import fnmatch
import re
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.progress import Say, say_nothing, telling
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Change, Resource, Values

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.directory import NamedMachine

    from archipel.protocol.snapshots import Snapshot

PRESENT, ABSENT, REVERTED = "present", "absent", "reverted"

SNAPSHOT: Mapping[str, Mapping[str, Any]] = {
    "name": {"type": "str"},
    "state": {"type": "str", "choices": [PRESENT, ABSENT, REVERTED], "default": PRESENT},
    "description": {"type": "str"},
    "memory": {"type": "bool"},
    "external": {"type": "bool"},
    "quiesce": {"type": "bool"},
    "children": {"type": "bool"},
    "always": {"type": "bool"},
    "pattern": {"type": "str"},
    "keep": {"type": "int"},
    "older_than": {"type": "str"},
}
NAMELESS = "name: say which snapshot (state: absent takes a pattern too)"
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_AGE = re.compile(r"\s*(\d+)\s*([smhdw]?)\s*")


def read_age(text: str) -> int:
    """Return the seconds of a text such as ``30d``; raises :class:`ValueError`."""
    found = _AGE.fullmatch(text)
    if found is None:
        raise ValueError(f"older_than: {text!r} is no age: write a number and s, m, h, d or w, such as 30d")
    return int(found[1]) * _SECONDS[found[2]]


def refuse_contradictions(arguments: Mapping[str, Any]) -> None:
    """Raise :class:`ValueError` for options that do not go together."""
    prunes = [name for name in ("keep", "older_than") if arguments[name] is not None]
    if arguments["older_than"] is not None:
        read_age(arguments["older_than"])
    if arguments["keep"] is not None and arguments["keep"] < 0:
        raise ValueError("keep: must be 0 or more")
    if prunes and arguments["pattern"] is None:
        raise ValueError(f"{prunes[0]}: needs pattern, the names of the snapshots that may be deleted")
    if arguments["pattern"] is not None and arguments["state"] == REVERTED:
        raise ValueError("pattern: goes with state: present or absent")
    if arguments["name"] is None and (arguments["state"] != ABSENT or arguments["pattern"] is None):
        raise ValueError(NAMELESS)
    if arguments["state"] == PRESENT and arguments["pattern"] is not None and not prunes:
        raise ValueError("pattern: say with keep or older_than which of them to delete")


class DeclaredSnapshot(Resource):
    """A snapshot of one machine, and those that are pruned by name; the values are which of them are there."""

    def __init__(self, named: NamedMachine, arguments: Mapping[str, Any], *, tell: Say = say_nothing) -> None:
        self.title = named.name
        self.machine = named.entity
        self.arguments = arguments
        self.name: str | None = arguments["name"]
        self.state: str = arguments["state"]
        self.age = read_age(arguments["older_than"]) if arguments["older_than"] is not None else 0
        self._tell = tell
        self._found: tuple[Snapshot, ...] = ()
        self._reverted = False

    @property
    def _wanted(self) -> str:
        """The name of the one that is declared; raises :class:`ValueError` if none is."""
        if self.name is None:
            raise ValueError(NAMELESS)
        return self.name

    # -- what is --------------------------------------------------------------------------------------------------------

    async def read(self) -> Values:
        """Return the snapshots that are declared or may be pruned, or which is the current one."""
        self._found = await self.machine.snapshots.list()
        if self.state == REVERTED:
            return self._describe_current()
        return {"snapshots": [found.name for found in self._found if found.name == self.name or self._matches(found)]}

    def _describe_current(self) -> Values:
        if all(found.name != self.name for found in self._found):
            there = ", ".join(found.name for found in self._found) or "none"
            raise ValueError(f"name: {self.title} has no snapshot {self.name!r} to go back to; there are: {there}")
        current = next((found.name for found in self._found if found.current), None)
        return {"current": current, **({"reverted": self._reverted} if self.arguments["always"] else {})}

    def _matches(self, found: Snapshot) -> bool:
        pattern = self.arguments["pattern"]
        return pattern is not None and fnmatch.fnmatchcase(found.name, pattern)

    # -- what shall be --------------------------------------------------------------------------------------------------

    def desired(self, current: Values) -> Values:
        """Return those that shall be there."""
        if self.state == REVERTED:
            return {**current, "current": self.name, **({"reverted": True} if self.arguments["always"] else {})}
        gone = {name for root in self._to_delete() for name in self._with_children(root)}
        kept = [name for name in current["snapshots"] if name not in gone]
        return {"snapshots": [*kept, self.name] if self._is_to_be_taken() else kept}

    def _is_to_be_taken(self) -> bool:
        return self.state == PRESENT and all(found.name != self.name for found in self._found)

    def _to_delete(self) -> list[str]:
        """Return the names to delete, oldest first."""
        named = [found.name for found in self._found if self.state == ABSENT and found.name == self.name]
        return [*named, *(found.name for found in self._pruned() if found.name not in named)]

    def _pruned(self) -> Sequence[Snapshot]:
        """Return what the pattern lets go: neither among the newest that are kept, nor too young."""
        newest_first = sorted((found for found in self._found if self._matches(found)), key=lambda found: found.created, reverse=True)
        spared = {self.name} if self.state == PRESENT else set()
        keep = max((self.arguments["keep"] or 0) - self._counts_itself(), 0)
        latest = time.time() - self.age
        candidates = [found for found in newest_first if found.name not in spared][keep:]
        return [found for found in reversed(candidates) if not self.age or found.created <= latest]

    def _counts_itself(self) -> bool:
        """Whether the snapshot that is declared is one of those that are kept."""
        return self.state == PRESENT and self.name is not None and fnmatch.fnmatchcase(self.name, self.arguments["pattern"] or "")

    def _with_children(self, name: str) -> set[str]:
        """Return a snapshot, and what goes with it."""
        gone = {name}
        if self.arguments["children"]:
            for found in self._found:  # parents come before their children
                if found.parent is not None and found.parent.name in gone:
                    gone.add(found.name)
        return gone

    # -- from one to the other ------------------------------------------------------------------------------------------

    async def apply(self, current: Values, desired: Values) -> None:
        """Take, go back or delete, one after the other."""
        if self.state == REVERTED:
            async with telling(self._tell, f"{self.title}: going back to {self.name}"):
                await self.machine.snapshots.revert(self._wanted)
            self._reverted = True
            return
        if self._is_to_be_taken():
            await self._take()
        deleted: set[str] = set()
        for name in self._to_delete():
            if name not in deleted:
                async with telling(self._tell, f"{self.title}: deleting the snapshot {name}"):
                    await self.machine.snapshots.delete(name, children=bool(self.arguments["children"]))
                deleted |= self._with_children(name)

    async def _take(self) -> None:
        wanted = self.arguments
        async with telling(self._tell, f"{self.title}: taking the snapshot {self.name}"):
            await self.machine.snapshots.take(
                self._wanted,
                description=wanted["description"] or "",
                memory=wanted["memory"],
                external=bool(wanted["external"]),
                quiesce=wanted["quiesce"],
            )

    # -- what is told ---------------------------------------------------------------------------------------------------

    def report(self, change: Change) -> dict[str, Any]:
        """Return the machine, and its snapshots as they were read last."""
        current = next((found.name for found in self._found if found.current), None)
        snapshots = [_describe(found) for found in self._found]
        return {"name": self.title, "jid": self.machine.bare, "current": current, "snapshots": snapshots}


def _describe(found: Snapshot) -> dict[str, Any]:
    created = datetime.datetime.fromtimestamp(found.created, datetime.UTC)
    return {
        "name": found.name,
        "description": found.description,
        "state": found.state,
        "created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "parent": None if found.parent is None else found.parent.name,
        "current": found.current,
        "external": found.external,
        "memory": found.memory,
    }
