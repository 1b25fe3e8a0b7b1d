# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One object on its way: planned, then carried out, failed or left; and how plans tell it to people and to programs."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.fleet.item import Item, Key, Kind
from ansible_collections.archipel.platform.plugins.module_utils.machine.declared_machine import NEEDS_RESTART, DeclaredMachine
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Change, Resource, Values

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.fleet.ground import Ground, ServerGround

OWNER = "owner"
STATE, PRESENT, ABSENT, UNMANAGED = "state", "present", "absent", "unmanaged"


class Action(enum.StrEnum):
    """What a plan says of an object."""

    CREATE = "create"
    CHANGE = "change"
    RESTART = "restart"
    REMOVE = "remove"
    FORGET = "forget"
    NONE = "none"


@dataclass
class Step:
    """An object of the declaration, or one that is no longer in it (``pruned``).

    ``foreseen``: it cannot be read before what it is in is made, or was read of a machine that is not made yet.
    ``adopts``: it was there before the declaration, which has it from now on. ``releases``: it is gone, and the declaration, which
    had it, owns it no more. ``owner`` and ``claims``: who owns what is to go, and by what keys; ``carries``: how
    much that is owned goes with it.
    """

    item: Item
    kind: Kind
    ground: Ground | ServerGround | None = None
    needs: tuple[Key, ...] = ()
    pruned: bool = False
    resource: Resource | None = None
    before: Values = field(default_factory=dict)
    after: Values = field(default_factory=dict)
    foreseen: bool = False
    adopts: str | None = None
    releases: str | None = None
    owner: str | None = None
    claims: tuple[tuple[str, str], ...] = ()
    carries: int = 0
    reason: str = ""
    error: BaseException | None = None
    because: str | None = None
    done: bool = False

    @property
    def key(self) -> Key:
        """What names the object."""
        return self.item.key

    @property
    def stopped(self) -> bool:
        """Whether it failed, or was left because something else did."""
        return self.error is not None or self.because is not None

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        return self.before != self.after or self.adopts is not None or self.releases is not None

    @property
    def appears(self) -> bool:
        """Whether it is not at hand before it was dealt with: made, or taken in by its hypervisor."""
        return self.before != self.after and (not self.before or self.before.get(STATE) in {ABSENT, UNMANAGED})

    @property
    def is_there(self) -> bool:
        """Whether the object was there when the plan was made."""
        return bool(self.before) and self.before.get(STATE) != ABSENT

    @property
    def action(self) -> Action:
        """What is, or would be, done."""
        if self.before == self.after:
            return Action.CHANGE if self.adopts else Action.FORGET if self.releases else Action.NONE
        if self.pruned:
            return Action.REMOVE
        if self.before.get(STATE) == ABSENT or (not self.before and self.after):
            return Action.CREATE
        if self.after.get(STATE) == ABSENT or not self.after:
            return Action.REMOVE
        machine = self.resource
        restarts = isinstance(machine, DeclaredMachine) and machine.stops
        return Action.RESTART if restarts or self.after.get(NEEDS_RESTART) else Action.CHANGE

    @property
    def restart_reasons(self) -> tuple[str, ...]:
        """Why a machine should be restarted, or is."""
        if isinstance(self.resource, DeclaredMachine):
            return self.resource.reasons
        return ("what changed takes effect when it is started anew",) if self.after.get(NEEDS_RESTART) else ()

    def change(self) -> Change:
        """Return the difference, with the owner if that is part of it."""
        if self.adopts is None and self.releases is None:
            return Change(str(self.key), self.before, self.after)
        return Change(str(self.key), {**self.before, OWNER: self.releases}, {**self.after, OWNER: self.adopts})

    def row(self) -> dict[str, Any]:
        """Return what the plan says of the object, with the values that differ."""
        change = self.change()
        keys = differing(change.before, change.after)
        reason = "; ".join([*([self.reason] if self.reason else []), *self.restart_reasons])
        return {
            "action": str(self.action),
            **self.name(),
            "keys": keys,
            "before": plain({key: change.before[key] for key in keys if key in change.before}),
            "after": plain({key: change.after[key] for key in keys if key in change.after}),
            "reason": reason,
        }

    def name(self) -> dict[str, str]:
        """Return kind, name and hypervisor."""
        return {"kind": self.key.kind, "name": self.key.name, "hypervisor": self.key.hypervisor}


def differing(before: Values, after: Values) -> list[str]:
    """Return the keys whose values differ."""
    return [str(key) for key in dict.fromkeys([*after, *before]) if before.get(key) != after.get(key)]


def plain(value: Any) -> Any:
    """Return a value made of nothing but what JSON knows."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in value]
    return str(value) if isinstance(value, enum.Enum) else value


def count_actions(steps: Iterable[Step]) -> dict[str, int]:
    """Return how many objects there are of each action."""
    counted = [step.action for step in steps]
    return {str(action): counted.count(action) for action in Action}
