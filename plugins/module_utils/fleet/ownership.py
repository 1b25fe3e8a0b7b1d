# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who owns what: claims of a declaration on hypervisors, under its label, and what they are worth when something goes.

What a declaration makes is claimed before it is made, so that a run that is killed leaves nothing without owner. What was there
before is claimed under another label, C(LABEL/adopted): it is not removed with the rest.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ansible_collections.archipel.platform.plugins.module_utils.fleet.pieces import HYPERVISOR, split
from ansible_collections.archipel.platform.plugins.module_utils.fleet.problems import is_printable
from ansible_collections.archipel.platform.plugins.module_utils.fleet.step import ABSENT, STATE, Step
from ansible_collections.archipel.platform.plugins.module_utils.machine.declared_machine import DeclaredMachine

try:
    from archipel.protocol.declaration import LONGEST_KEY
    from archipel.protocol.errors import CommandError, Condition, PermissionDenied
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.fleet.ground import Ground
    from ansible_collections.archipel.platform.plugins.module_utils.fleet.item import Item
    from ansible_collections.archipel.platform.plugins.module_utils.fleet.pieces import Pieces

ADOPTED = "/adopted"
LONGEST = 100 - len(ADOPTED)
"""Characters of a label; agents take 100, with what is behind it."""
Claim = tuple[str, str]
_ADOPTS = "it was there before; the declaration has it from now on"


def proper_label(label: str | None) -> str | None:
    """Return a label as agents keep it. Raises :class:`ValueError` for one that could be taken for another's."""
    found = None if label is None else label.strip()
    if found is not None and (not found or not is_printable(found) or len(found) > LONGEST):
        raise ValueError(f"label: {found[:LONGEST]!r} is none: a line of up to {LONGEST} characters")
    if found is not None and found.endswith(ADOPTED):
        raise ValueError(f"label: {found!r} stands for what the declaration {found.removesuffix(ADOPTED)!r} adopted; choose another")
    return found


class OwnedByAnother(ValueError):
    """Another declaration has this object."""


@dataclass
class Ownership:
    """The claims on one hypervisor: by kind and key, the label; ``unsupported`` says why there are none."""

    ground: Ground
    label: str
    owners: dict[Claim, str] = field(default_factory=dict)
    unsupported: str | None = None
    new: set[Claim] = field(default_factory=set)
    adopted: set[Claim] = field(default_factory=set)
    ended: set[Claim] = field(default_factory=set)
    declared: set[Claim] = field(default_factory=set)
    _pieces: dict[Claim, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for (kind, key), owner in self.owners.items():
            if owner in self.labels:
                head, slash, tail = key.partition("/")
                self._pieces.setdefault((kind, head), []).extend([tail] if slash else [])

    @classmethod
    async def read(cls, ground: Ground, label: str) -> Ownership:
        """Ask who owns what; an agent that is older than that keeps no owners."""
        try:
            owned = await ground.hypervisor.owned()
        except CommandError as error:
            older = isinstance(error, PermissionDenied) and error.right is None
            if not older and error.condition != Condition.FEATURE_NOT_IMPLEMENTED:
                raise
            return cls(ground, label, unsupported=f"{ground.hypervisor.bare} is older than owners of declared things")
        return cls(ground, label, {(item.kind, item.key): item.label for item in owned})

    def claim(self, step: Step) -> None:
        """Claim what a step declares; raises :class:`OwnedByAnother`."""
        if not step.kind.prunable or self.unsupported or step.stopped:
            return
        if step.kind.pieces is not None:
            self._claim_pieces(step, step.kind.pieces)
            return
        key = self._key_of(step)
        owner = self.owners.get(key)
        if step.after.get(STATE) == ABSENT:
            self.ended |= {key} if owner in self.labels else set()
        elif owner not in {None, *self.labels}:
            raise OwnedByAnother(f"{step.key} belongs to the declaration {owner!r}: take it out there first")
        elif owner is None and step.is_there:
            step.adopts, step.reason = self.label, _ADOPTS
            self.adopted.add(key)
        elif owner is None:
            self.new.add(key)

    def _claim_pieces(self, step: Step, pieces: Pieces) -> None:
        head, arguments = self.head_of(step.item), step.item.arguments
        there = set[str]() if step.resource is None else pieces.there(step.resource, step.before)
        keys, new, adopted = set[Claim](), set[Claim](), set[Claim]()
        for tail in sorted(pieces.declared(arguments)) if head is not None else ():
            key = (step.kind.name, f"{head}/{tail}")
            keys.add(key)
            owner = self.owners.get(key)
            if owner not in {None, *self.labels}:
                raise OwnedByAnother(f"{step.key}: {' '.join(split(tail))} belongs to the declaration {owner!r}: take it out there first")
            if len(key[1]) > LONGEST_KEY:
                raise ValueError(f"{step.key}: its name is too long for a thing that a declaration owns: {LONGEST_KEY} characters")
            if owner is None:
                (adopted if tail in there else new).add(key)
        if adopted:
            step.adopts, step.reason = self.label, _ADOPTS
        self.declared |= keys
        self.new |= new
        self.adopted |= adopted
        self.ended |= {(step.kind.name, f"{head}/{tail}") for tail in self.ended_by(step)}

    def has(self, kind: str, key: str) -> bool:
        """Whether anybody owns something."""
        claim = kind, key
        return claim in self.owners or claim in self.new or claim in self.adopted

    def ended_by(self, step: Step) -> list[str]:
        """Return the tails of those owned pieces that a step's entry takes away itself."""
        pieces, head = step.kind.pieces, self.head_of(step.item)
        owned = self._pieces.get((step.kind.name, head or ""), ())
        return [tail for tail in owned if pieces is not None and pieces.ends(step.item.arguments, tail)]

    def head_of(self, item: Item) -> str | None:
        """Return what the keys of an item's pieces begin with; ``None`` for those of a machine that nobody knows."""
        if item.machine is None:
            return HYPERVISOR
        entry, machine = self.ground.find(item.machine), self.ground.machines.get(item.machine)
        if entry is not None:
            return entry.uuid.lower()
        uuid = None if machine is None else machine.wish.uuid or self.ground.host.new_uuids.get(item.machine)
        return None if uuid is None else uuid.lower()

    @property
    def labels(self) -> tuple[str, str]:
        """What is owned under: made by the declaration, and adopted."""
        return self.label, self.label + ADOPTED

    def _key_of(self, step: Step) -> Claim:
        """Return the claim for an object; a machine that is to be made gets its UUID here."""
        name = step.key.name
        if not isinstance(step.resource, DeclaredMachine):
            return step.kind.name, name
        if step.resource.entry is not None:
            return step.kind.name, step.resource.entry.uuid
        wish = step.resource.wish
        return step.kind.name, wish.uuid or self.ground.host.new_uuids.setdefault(name, str(uuid.uuid4()))

    async def settle(self, ended: Iterable[Claim] = ()) -> None:
        """Write the claims: new ones before anything is made, ``ended`` ones when it is gone."""
        gone = sorted(claim for claim in {*ended} - self.declared if self.owners.get(claim) in self.labels)
        made, adopted = self.labels
        changes = [
            (made, sorted(self.new), [claim for claim in gone if self.owners[claim] == made]),
            (adopted, sorted(self.adopted), [claim for claim in gone if self.owners[claim] == adopted]),
        ]
        for label, add, remove in changes:
            if add or remove:
                await self.ground.hypervisor.own(label, add, remove)
        self.new, self.adopted = set(), set()

    def owned_by_label(self, *, adopted: bool) -> list[Claim]:
        """Return what the declaration owns, with what it adopted if told."""
        labels = self.labels if adopted else self.labels[:1]
        return sorted(claim for claim, owner in self.owners.items() if owner in labels)


async def read_owners(grounds: Mapping[str, Ground], label: str | None) -> dict[str, Ownership | BaseException]:
    """Return the owners on all hypervisors, or why they cannot be told."""
    if label is None:
        return {}
    found = await asyncio.gather(*(Ownership.read(ground, label) for ground in grounds.values()), return_exceptions=True)
    return dict(zip(grounds, found, strict=True))


def refuse_doubles(step: Step, owners: Mapping[str, Ownership]) -> None:
    """Raise :class:`ValueError` if a machine that is to be made is there already, on another hypervisor of the declaration."""
    if not isinstance(step.resource, DeclaredMachine):
        return
    for name, ownership in owners.items():
        entry = ownership.ground.host.directory.find(step.key.name) if name != step.key.hypervisor else None
        if entry is not None and ownership.owners.get((step.kind.name, entry.uuid)) in ownership.labels:
            raise ValueError(
                f"{step.key.name} is on {name} and declared on {step.key.hypervisor}: move it there with archipel.platform.vm_migrate, "
                "or free it first"
            )
