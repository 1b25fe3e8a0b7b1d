# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is no longer declared, and goes: only what the declaration owns, and never more at once than was allowed.

What of it is gone already is let go of, also where nothing is pruned: an owner of nothing would stand in the way of others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ansible_collections.archipel.platform.plugins.module_utils.directory import read_accounts
from ansible_collections.archipel.platform.plugins.module_utils.fleet.item import Item, Key, Kind
from ansible_collections.archipel.platform.plugins.module_utils.fleet.ownership import Claim
from ansible_collections.archipel.platform.plugins.module_utils.fleet.pieces import GRANTS, HYPERVISOR, WithdrawnRules
from ansible_collections.archipel.platform.plugins.module_utils.fleet.problems import Place
from ansible_collections.archipel.platform.plugins.module_utils.fleet.pruned_machine import declare_pruned, tell_drives
from ansible_collections.archipel.platform.plugins.module_utils.fleet.step import ABSENT, PRESENT, STATE, Step

try:
    from archipel.client import MachineNotFound
    from archipel.client.failures import EXPECTED
    from archipel.protocol.errors import LibvirtFailed
    from archipel.protocol.rules import ALLOW, DENY
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.fleet.ownership import Ownership
    from ansible_collections.archipel.platform.plugins.module_utils.fleet.pieces import Pieces

MACHINE = "machine"
GRANT, ALL_RIGHTS = "grant", "all"
REASON = "it is no longer declared"
IS_GONE = "it is gone; the declaration owns it no more"
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


def count_owned(owners: Iterable[Ownership], gone: Iterable[Step], kinds: Mapping[str, Kind], *, adopted: bool) -> int:
    """Return how many objects a declaration owns that are there: claims on what was never made, or is gone, are of no object."""
    objects = 0
    claims = set[tuple[str, Claim]]()
    for ownership in owners:
        owned = ownership.owned_by_label(adopted=adopted)
        claims |= {(ownership.ground.name, claim) for claim in owned}
        objects += len({_object_of(claim, kinds) for claim in owned})
    counted = (step for step in gone if not claims.isdisjoint((step.key.hypervisor, claim) for claim in step.claims))
    return objects - sum(not step.stopped and not will_go(step) for step in counted)


def _object_of(claim: Claim, kinds: Mapping[str, Kind]) -> tuple[str, str, str]:
    """Return what is the same for claims on one object: the rights of somebody on a machine are one."""
    (word, key), kind = claim, kinds.get(claim[0])
    if kind is None or kind.pieces is None:
        return word, key, ""
    head, _slash, tail = key.partition("/")
    return word, head, kind.pieces.together(tail)


def removals(
    ownership: Ownership, declared: Iterable[Step], kinds: Mapping[str, Kind], *, adopted: bool = True, disks: bool = False
) -> list[Step]:
    """Return the steps that remove what a declaration owns on a hypervisor and no longer declares; not read yet.

    With ``disks`` the drives of machines go with them.
    """
    steps = list(declared)
    kept = set(_claims(steps, ownership))
    gone = [claim for claim in ownership.owned_by_label(adopted=adopted) if claim not in kept and claim[0] in kinds]
    going = {key for word, key in gone if word == MACHINE} | set(_uuids_of_absent(steps, ownership))
    objects: dict[tuple[str, tuple[str, str, str]], list[Claim]] = {}
    carried: dict[str, set[tuple[str, str, str]]] = {}
    for claim in gone:
        found, head = _object_of(claim, kinds), claim[1].partition("/")[0]
        if kinds[claim[0]].pieces is None or head not in going:
            objects.setdefault((ownership.owners[claim], found), []).append(claim)
        else:
            carried.setdefault(head, set()).add(found)  # what is on a machine goes with it
    found_steps = [_removal(claims, kinds[word], ownership, disks=disks) for (_owner, (word, *_rest)), claims in objects.items()]
    for step in found_steps:
        step.carries = len(carried.get(step.claims[0][1], ()))
    return found_steps


def exceeds(going: Iterable[Step], text: str | None, owned: int) -> bool:
    """Whether more would go than a limit allows: of a share, machines count with all that is owned on them, as in what it is one of."""
    most, steps = read_limit(text, owned), list(going)
    count = len(steps) + (sum(step.carries for step in steps) if "%" in str(text) else 0)
    return most is not None and count > most


def keep_moved(gone: Iterable[Step], declared: Mapping[Key, Item], steps: Mapping[Key, Step]) -> None:
    """Leave machines that are declared on another hypervisor now, unless they are there: who moves one does not mean to lose it."""
    moved = [key for key in declared if key.kind == MACHINE and (key not in steps or steps[key].stopped)]
    for step in gone:
        for key in moved if step.key.kind == MACHINE or step.item.machine else ():
            if key.hypervisor != step.key.hypervisor and _names(declared[key], step):
                step.because = f"{key} is declared, and not there yet"


def _names(item: Item, step: Step) -> bool:
    if step.item.machine is not None:
        return step.key.name.startswith(f"{item.key.name}: ") or str(item.arguments.get("uuid")).lower() == step.item.machine
    return item.key.name == step.key.name or str(item.arguments.get("uuid")).lower() == step.item.arguments["uuid"]


def _claims(declared: Iterable[Step], ownership: Ownership) -> Iterable[Claim]:
    """Yield what is declared: a machine by its UUID, and by that of the one that bears its name."""
    for step in declared:
        yield step.kind.name, step.key.name
        if step.kind.name == MACHINE:
            yield from ((MACHINE, uuid) for uuid in _uuids(step, ownership))
        if step.kind.pieces is not None:
            tails = {*step.kind.pieces.declared(step.item.arguments), *ownership.ended_by(step)}
            head = ownership.head_of(step.item) if tails else None
            yield from ((step.kind.name, f"{head}/{tail}") for tail in tails)


def _uuids(step: Step, ownership: Ownership) -> Iterator[str]:
    for reference in (step.item.arguments.get("uuid"), step.key.name):
        entry = ownership.ground.host.directory.find(reference) if reference else None
        if entry is not None:
            yield entry.uuid


def _uuids_of_absent(declared: Iterable[Step], ownership: Ownership) -> Iterator[str]:
    for step in declared:
        if step.kind.name == MACHINE and step.item.arguments.get("state") == ABSENT:
            yield from _uuids(step, ownership)


def _removal(claims: list[Claim], kind: Kind, ownership: Ownership, *, disks: bool) -> Step:
    ground, (_word, name) = ownership.ground, claims[0]
    if kind.pieces is not None:
        item, kind = _piece(claims, kind, kind.pieces, ownership)
    else:
        arguments = {**dict.fromkeys(kind.options), **_defaults(kind), **kind.removal(name)}
        entry = ground.host.directory.find(name) if kind.name == MACHINE else None
        item = Item(Key(kind.name, ground.name, name if entry is None else entry.name), arguments, _NOWHERE)
        if disks and kind.name == MACHINE:
            kind = replace(kind, declare=declare_pruned)
    return Step(item, kind, ground, pruned=True, reason=REASON, owner=ownership.owners[claims[0]], claims=tuple(claims))


def _piece(claims: list[Claim], kind: Kind, pieces: Pieces, ownership: Ownership) -> tuple[Item, Kind]:
    """Return what takes these pieces away, which are of one object."""
    ground, head = ownership.ground, claims[0][1].partition("/")[0]
    named = pieces.removal([key.partition("/")[2] for _word, key in claims], lambda tail: ownership.has(GRANT, f"{head}/{tail}"))
    arguments = {**dict.fromkeys(kind.options), **_defaults(kind), **named}
    machine = None if head == HYPERVISOR else head
    entry = None if machine is None else ground.host.directory.find(machine)
    place = ground.name if machine is None else machine if entry is None else entry.name
    title = kind.identify({**arguments, STATE: "denied" if named.get("effect") == DENY else PRESENT})
    item = Item(Key(kind.name, ground.name, f"{place}: {title}"), arguments, _NOWHERE, machine)
    return item, kind if pieces.declare is None else replace(kind, declare=pieces.declare)


def _defaults(kind: Kind) -> dict[str, object]:
    return {name: option["default"] for name, option in kind.options.items() if "default" in option}


async def read_removals(steps: Iterable[Step]) -> None:
    """Read what is to go; what is gone already is let go of, and no change besides."""
    removed = list(steps)
    refused = await asyncio.gather(*(_read(step) for step in removed))
    machines = [step for step in removed if step.key.kind == MACHINE]
    for step, error in zip(removed, refused, strict=True):
        here = [machine for machine in machines if machine.key.hypervisor == step.key.hypervisor and machine.because is None]
        if error is None or _is_gone(error):
            step.releases = step.owner if step.before == step.after and not step.stopped else None
        elif step.before and step.kind.freed_by is not None and step.resource is not None and step.kind.freed_by(step.resource, here):
            step.after, step.foreseen = {STATE: ABSENT}, True  # who uses it may go before it: it is looked at again then
        else:
            step.error = error
        step.reason = IS_GONE if step.releases else f"{step.reason}{tell_drives([step])}"


async def _read(step: Step) -> BaseException | None:
    """Read one, and return why it cannot go."""
    try:
        step.resource = step.kind.declare(step.ground, step.item)
        step.before = await step.resource.read()
        step.after = step.resource.desired(step.before)
    except (*EXPECTED, ValueError) as error:
        return error
    return None


def _is_gone(error: BaseException) -> bool:
    return isinstance(error, MachineNotFound) or (isinstance(error, LibvirtFailed) and error.code in GONE)


async def keep_last_rights(gone: Iterable[Step]) -> None:
    """Leave rights of who asks for it, and all rights of the last one who has them somewhere: nobody could give them back."""
    grants = [step for step in gone if step.kind.pieces is GRANTS and will_go(step)]
    for step in grants:
        if step.ground is not None and step.ground.session.jid in read_accounts(step.item.arguments["subjects"] or (), "subjects"):
            step.because = "they are rights of the account that prunes"
    takers = [step for step in grants if not step.stopped and _takes_all(step)]
    losing = {(step.key.hypervisor, step.item.machine, who) for step in takers for who in step.item.arguments["subjects"]}
    for step in takers:
        if isinstance(step.resource, WithdrawnRules):
            others = await step.resource.subjects_of(ALL_RIGHTS)
            if all((step.key.hypervisor, step.item.machine, who) in losing for who in others):
                step.because = "nobody else would have all rights there"


def _takes_all(step: Step) -> bool:
    arguments = step.item.arguments
    return ALL_RIGHTS in (arguments["rights"] or ()) and bool(arguments["subjects"]) and arguments["effect"] == ALLOW


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
