# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is no longer declared, and goes: only what the declaration owns, and never more at once than was allowed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ansible_collections.archipel.platform.plugins.module_utils.fleet.item import Item, Key, Kind
from ansible_collections.archipel.platform.plugins.module_utils.fleet.problems import Place
from ansible_collections.archipel.platform.plugins.module_utils.fleet.step import ABSENT, STATE, Step

try:
    from archipel.client.failures import EXPECTED
    from archipel.protocol.errors import LibvirtFailed
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.fleet.ownership import Claim, Ownership

MACHINE = "machine"
REASON = "it is no longer declared"
GONE = (49, 50)
"""libvirt's VIR_ERR_NO_STORAGE_POOL and VIR_ERR_NO_STORAGE_VOL: a volume went with its pool."""
_NOWHERE = Place("prune")


def read_limit(text: str | None, owned: int) -> int | None:
    """Return how many objects may go, of so many that are owned; ``None`` for any number. Raises :class:`ValueError`."""
    if text is None:
        return None
    word = str(text).strip()
    number = word.removesuffix("%").strip()
    if not number.isdecimal() or (word.endswith("%") and int(number) > 100):
        raise ValueError(f"prune_limit: {text!r} is neither a number of objects nor a share such as 20%")
    return owned * int(number) // 100 if word.endswith("%") else int(number)


def count_owned(owners: Iterable[Ownership], gone: Iterable[Step], *, adopted: bool) -> int:
    """Return how many objects a declaration owns that are there: claims on what was never made, or is gone, are of no object."""
    claims = sum(len(ownership.owned_by_label(adopted=adopted)) for ownership in owners)
    return claims - sum(not step.stopped and not will_go(step) for step in gone)


def removals(ownership: Ownership, declared: Iterable[Step], kinds: Mapping[str, Kind], *, adopted: bool) -> list[Step]:
    """Return the steps that remove what a declaration owns on a hypervisor and no longer declares; not read yet."""
    kept = set(_claims(declared, ownership))
    gone = [claim for claim in ownership.owned_by_label(adopted=adopted) if claim not in kept and claim[0] in kinds]
    return [_removal(claim, kinds[claim[0]], ownership) for claim in gone]


def keep_moved(gone: Iterable[Step], declared: Mapping[Key, Item], steps: Mapping[Key, Step]) -> None:
    """Leave machines that are declared on another hypervisor now, unless they are there: who moves one does not mean to lose it."""
    moved = [key for key in declared if key.kind == MACHINE and (key not in steps or steps[key].stopped)]
    for step in gone:
        for key in moved if step.key.kind == MACHINE else ():
            if key.hypervisor != step.key.hypervisor and _names(declared[key], step):
                step.because = f"{key} is declared, and not there yet"


def _names(item: Item, step: Step) -> bool:
    return item.key.name == step.key.name or str(item.arguments.get("uuid")).lower() == step.item.arguments["uuid"]


def _claims(declared: Iterable[Step], ownership: Ownership) -> Iterable[Claim]:
    """Yield what is declared: a machine by its UUID, and by that of the one that bears its name."""
    for step in declared:
        yield step.kind.name, step.key.name
        if step.kind.name == MACHINE:
            for reference in (step.item.arguments.get("uuid"), step.key.name):
                entry = ownership.ground.host.directory.find(reference) if reference else None
                if entry is not None:
                    yield MACHINE, entry.uuid


def _removal(claim: Claim, kind: Kind, ownership: Ownership) -> Step:
    ground, (_word, name) = ownership.ground, claim
    arguments = {**dict.fromkeys(kind.options), **_defaults(kind), **kind.removal(name)}
    entry = ground.host.directory.find(name) if kind.name == MACHINE else None
    title = entry.name if entry is not None else name
    item = Item(Key(kind.name, ground.name, title), arguments, _NOWHERE)
    return Step(item, kind, ground, pruned=True, reason=REASON)


def _defaults(kind: Kind) -> dict[str, object]:
    return {name: option["default"] for name, option in kind.options.items() if "default" in option}


async def read_removals(steps: Iterable[Step]) -> None:
    """Read what is to go; what is gone already is no change."""
    removed = list(steps)
    emptied = {step.key.hypervisor for step in removed if step.key.kind == MACHINE}

    async def read(step: Step) -> None:
        try:
            step.resource = step.kind.declare(step.ground, step.item)
            step.before = await step.resource.read()
            step.after = step.resource.desired(step.before)
        except (*EXPECTED, ValueError) as error:
            if step.before and step.kind.freed_by_machines and step.key.hypervisor in emptied:
                step.after, step.foreseen = {STATE: ABSENT}, True  # who uses it may go before it: it is looked at again then
            elif not (isinstance(error, LibvirtFailed) and error.code in GONE):
                step.error = error

    await asyncio.gather(*(read(step) for step in removed))


def holds_back(failed: Step, step: Step) -> bool:
    """Whether a removal that failed keeps another one from being begun: what is left may stand on what would go."""
    container = failed.kind.container(failed.item.arguments)
    return failed.key.hypervisor == step.key.hypervisor and (failed.key.kind == MACHINE or container == (step.key.kind, step.key.name))


def order_removals(steps: list[Step], kinds: Iterable[Kind]) -> list[list[Step]]:
    """Return groups, one after the other: machines before what they stand on, the last kind of the registry first."""
    rank = {kind.name: place for place, kind in enumerate(kinds)}
    groups: dict[int, list[Step]] = {}
    for step in steps:
        groups.setdefault(rank[step.key.kind], []).append(step)
    return [groups[place] for place in sorted(groups, reverse=True)]


def will_go(step: Step) -> bool:
    """Whether a removal takes something away that is there."""
    return not step.stopped and step.before != step.after and step.after.get(STATE, ABSENT) == ABSENT
