# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A host that is emptied for maintenance, and its machines that come back; tags remember which these are, whoever asks and whatever ended.

A machine that moved away has the tag ``evacuated-from:ACCOUNT``, which travels with it; one that was stopped instead has the tag
``stopped-for-maintenance``; the hypervisor has the tag ``maintenance`` meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.directory import Directory
from ansible_collections.archipel.platform.plugins.module_utils.machine.run_state import RUNNING, reach, stop
from ansible_collections.archipel.platform.plugins.module_utils.machine.snapshot import is_active
from ansible_collections.archipel.platform.plugins.module_utils.migrations import Way, move
from ansible_collections.archipel.platform.plugins.module_utils.reconciler import Values

try:
    from archipel.client import VirtualMachine
    from archipel.client.addresses import bare_address
    from archipel.client.failures import EXPECTED, describe
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from archipel.client import Hypervisor

ACTIVE, MAINTENANCE = "active", "maintenance"
FAIL, LEAVE, STOP = "fail", "leave", "stop"
STOPPED = "stopped"
FROM = "evacuated-from:"
STOPPED_FOR = "stopped-for-maintenance"


@dataclass
class Place:
    """A machine, and where it is: a hypervisor's account, or stopped at home."""

    machine: VirtualMachine
    at: str
    tags: tuple[str, ...]


class Evacuation:
    """What maintenance concerns of a hypervisor: its machines that run, and those that left or were stopped for it."""

    def __init__(self, hypervisor: Hypervisor, arguments: Mapping[str, Any], way: Way) -> None:
        self.hypervisor = hypervisor
        self.wanted: str = arguments["state"]
        self.destinations = [hypervisor.session.hypervisor(jid) for jid in arguments["destinations"] or ()]
        self.unmovable: str = arguments["unmovable"] or FAIL
        self.include_stopped = bool(arguments["include_stopped"])
        self.way = way
        self.warnings: list[str] = []
        self._turn = asyncio.Semaphore(arguments["at_once"] or 1)
        self._places: dict[str, Place] = {}
        self._moved: dict[str, Place] = {}
        self._load: dict[str, int] = {}
        self._own_tags: tuple[str, ...] = ()
        self._warned = False

    # -- what is --------------------------------------------------------------------------------------------------------

    async def read(self) -> Values:
        """Return the state, and where the machines are, by name."""
        hypervisor = self.hypervisor
        tags, directory = await asyncio.gather(hypervisor.session.tags(), Directory.load(hypervisor, ()))
        self._own_tags = tags.get(hypervisor.bare, ())
        here = [directory.open(entry) for entry in directory.entries if entry.managed]
        found = await asyncio.gather(*(self._look_here(machine, tags.get(machine.bare, ())) for machine in here))
        at_home = {machine.bare for machine in here}
        away = [jid for jid, words in tags.items() if FROM + hypervisor.bare in words and jid not in at_home and jid not in self._moved]
        found += await asyncio.gather(*(self._look_away(jid, tags[jid]) for jid in away))
        self._places = {place.machine.name: place for place in (*found, *self._moved.values()) if place is not None}
        if self.wanted == MAINTENANCE:
            await self._count_load()
            self._warn_of_others([entry.name for entry in directory.entries if not entry.managed])
        places = {name: place.at for name, place in sorted(self._places.items())}
        return {"state": MAINTENANCE if MAINTENANCE in self._own_tags else ACTIVE, "machines": places}

    async def _look_here(self, machine: VirtualMachine, tags: tuple[str, ...]) -> Place | None:
        if machine.bare in self._moved:  # gone, or back, a moment ago: this run knows better
            return None
        active = is_active(await machine.state())
        if STOPPED_FOR in tags:
            return Place(machine, self.hypervisor.bare if active else STOPPED, tags)
        leaves = self.wanted == MAINTENANCE and (active or self.include_stopped)
        if leaves or FROM + self.hypervisor.bare in tags:
            return Place(machine, self.hypervisor.bare, tags)
        return None

    async def _look_away(self, jid: str, tags: tuple[str, ...]) -> Place:
        """Ask a machine that left where it is; it answers itself, wherever that is."""
        machine = VirtualMachine(self.hypervisor.session, jid)
        card, info = await asyncio.gather(machine.vcard(), machine.info())
        machine.name = card.name or jid
        return Place(machine, bare_address(info.hypervisor) if info is not None else "nowhere", tags)

    async def _count_load(self) -> None:
        lists = await asyncio.gather(*(destination.machines() for destination in self.destinations))
        self._load = {destination.bare: len(found) for destination, found in zip(self.destinations, lists, strict=True)}

    def _warn_of_others(self, names: Sequence[str]) -> None:
        text = f"libvirt has {len(names)} domains that Archipel does not manage ({', '.join(names[:5])}): see to them"
        if names and not self._warned:
            self.warnings.append(f"{self.hypervisor.bare}: {text}")
        self._warned = True

    # -- what shall be --------------------------------------------------------------------------------------------------

    def desired(self, current: Values) -> Values:
        """Return where each machine shall be; destinations are taken in turn, the one with the fewest machines first."""
        if self.wanted == ACTIVE:
            return {"state": ACTIVE, "machines": dict.fromkeys(current["machines"], self.hypervisor.bare)}
        return {"state": MAINTENANCE, "machines": {name: self._choose(place) for name, place in current["machines"].items()}}

    def _choose(self, place: str) -> str:
        if place != self.hypervisor.bare:
            return place
        if not self._load:
            if self.unmovable == FAIL:
                raise ValueError(
                    "destinations: name hypervisors that take the machines, or say with unmovable: stop or leave what becomes of them"
                )
            return STOPPED if self.unmovable == STOP else place
        best = min(self._load, key=lambda jid: self._load[jid])
        self._load[best] += 1
        return best

    # -- from one to the other ------------------------------------------------------------------------------------------

    async def apply(self, current: Values, desired: Values) -> None:
        """Bring every machine to its place; raises :class:`ValueError` that names those which are not there, when all were tried."""
        if self.wanted == MAINTENANCE:
            await self._tag_host({*self._own_tags, MAINTENANCE})
        moves = [(self._places[name], place) for name, place in desired["machines"].items()]
        failures = [failure for failure in await asyncio.gather(*(self._bring(place, to) for place, to in moves)) if failure]
        if failures:
            raise ValueError(f"{len(failures)} of {len(moves)} machines are not where they shall be: {'; '.join(failures)}")
        if self.wanted == ACTIVE:
            await self._tag_host({*self._own_tags} - {MAINTENANCE})

    async def _tag_host(self, words: Collection[str]) -> None:
        if set(words) != set(self._own_tags):
            await self.hypervisor.set_tags(sorted(words))

    async def _bring(self, place: Place, to: str) -> str | None:
        """Bring one machine to its place; return, in words, why it is not there."""
        async with self._turn:
            try:
                await (self._bring_back(place) if self.wanted == ACTIVE else self._send_away(place, to))
            except EXPECTED as error:
                return f"{place.machine.name}: {describe(error)}"
        return None

    async def _send_away(self, place: Place, to: str) -> None:
        machine = place.machine
        if place.at == to:
            return
        if to == STOPPED:
            await self._stop(place)
            return
        remembered = (*place.tags, FROM + self.hypervisor.bare)
        await machine.set_tags(dict.fromkeys(remembered))
        try:
            moved = await move(machine, self.hypervisor.session.hypervisor(to), self.way)
        except EXPECTED as error:
            await machine.set_tags(place.tags)
            if self.unmovable == FAIL:
                raise
            self.warnings.append(f"{machine.name} cannot move and is {'stopped' if self.unmovable == STOP else 'left'}: {describe(error)}")
            if self.unmovable == STOP:
                await self._stop(place)
            return
        self._moved[machine.bare] = Place(moved, to, remembered)

    async def _stop(self, place: Place) -> None:
        await place.machine.set_tags((*place.tags, STOPPED_FOR))
        await stop(place.machine, self.way.shutdown_timeout, force=self.way.force)

    async def _bring_back(self, place: Place) -> None:
        machine, home = place.machine, self.hypervisor.bare
        if place.at == STOPPED:
            await reach(machine, RUNNING, self.way.shutdown_timeout, force=False)
        elif place.at != home:
            machine = await move(machine, self.hypervisor, self.way)
        self._moved[machine.bare] = Place(machine, home, place.tags)
        kept = tuple(tag for tag in place.tags if tag not in {FROM + home, STOPPED_FOR})
        if kept != place.tags:
            await machine.set_tags(kept)
