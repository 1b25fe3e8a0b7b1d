# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A whole run: read the declaration, open the hypervisors, plan, refuse what goes too far, carry out, tell."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.archipel.platform.plugins.module_utils.connection import find_hypervisor
from ansible_collections.archipel.platform.plugins.module_utils.execution import PartlyFailed
from ansible_collections.archipel.platform.plugins.module_utils.fleet import prune
from ansible_collections.archipel.platform.plugins.module_utils.fleet.carry_out import carry_out
from ansible_collections.archipel.platform.plugins.module_utils.fleet.document import read_document
from ansible_collections.archipel.platform.plugins.module_utils.fleet.expand import Declaration, expand
from ansible_collections.archipel.platform.plugins.module_utils.fleet.graph import Graph, build_graph
from ansible_collections.archipel.platform.plugins.module_utils.fleet.ground import Ground, ServerGround
from ansible_collections.archipel.platform.plugins.module_utils.fleet.item import SERVER, Item, Key
from ansible_collections.archipel.platform.plugins.module_utils.fleet.kinds import KINDS
from ansible_collections.archipel.platform.plugins.module_utils.fleet.limit import Limit
from ansible_collections.archipel.platform.plugins.module_utils.fleet.outcome import tell_outcome
from ansible_collections.archipel.platform.plugins.module_utils.fleet.ownership import (
    ADOPTED,
    Ownership,
    proper_label,
    read_owners,
    refuse_doubles,
)
from ansible_collections.archipel.platform.plugins.module_utils.fleet.plan import leave_if_needs_failed, make_plan
from ansible_collections.archipel.platform.plugins.module_utils.fleet.problems import Place, Problems
from ansible_collections.archipel.platform.plugins.module_utils.fleet.pruned_machine import tell_drives
from ansible_collections.archipel.platform.plugins.module_utils.fleet.step import Action, Step
from ansible_collections.archipel.platform.plugins.module_utils.secrecy import find_secrets

try:
    from archipel.client.failures import EXPECTED
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.execution import Run

PATIENCE = 2.0
"""Seconds between two words about how far the work has come."""
_KINDS = {kind.name: kind for kind in KINDS}


def read_declaration(run: Run) -> tuple[Declaration, Graph]:
    """Return what is declared, and what of it needs what; raises :class:`ValueError` with all that is wrong with it."""
    arguments, problems = run.arguments, Problems()
    source = None if arguments["src"] is None else Path(arguments["src"])
    document = read_document(source, arguments["document"], [kind.section for kind in KINDS], problems)
    run.secrets.update(find_secrets([part.values for parts in document.sections.values() for part in parts]))
    otherwise = None
    with contextlib.suppress(ValueError):  # it may be that the declaration names its own
        otherwise = str(find_hypervisor(run.session, arguments).jid)
    declaration = expand(document, KINDS, arguments["hypervisors"] or {}, otherwise, problems)
    run.secrets.update(find_secrets([item.arguments for item in declaration.items.values()]))  # with the fields of loops filled in
    graph: Graph = {}
    with problems.noting():
        graph = build_graph(declaration.items, KINDS)
    with problems.noting():
        declaration.label = proper_label(arguments["label"] or declaration.label)
        if arguments["prune"] and declaration.label is None:
            raise ValueError("prune: needs to know what this declaration owns: give label, or say fleet: LABEL in the declaration")
    with problems.noting():
        prune.read_limit(arguments["prune_limit"], 0)
    problems.stop()
    return declaration, graph


class FleetRun:
    """One run of module ``fleet``."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.declaration, self.graph = read_declaration(run)
        self.limit = Limit(run.arguments["limit"], self.declaration)
        self.grounds: dict[str, Ground] = {}
        self.steps: dict[Key, Step] = {}
        self.removals: list[Step] = []
        self.owners: dict[str, Ownership] = {}
        self._told = time.monotonic()
        self._finished = 0

    async def work(self) -> Mapping[str, Any]:
        """Do all of it; raises :class:`PartlyFailed` with what was done, failed and left."""
        await self._open()
        await make_plan(self.steps)
        await self._claim()
        await self._plan_removals()
        self._refuse_too_many_removals()
        if not self.run.check_mode:
            await self._carry_out()
        return self._tell_outcome()

    # -- plan -----------------------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        """Open the hypervisors, and make a step of each object that the run is about; one that fails keeps those on it back."""
        accounts, boots = self.declaration.hypervisors.accounts, self._boots()
        below: dict[str, list[Item]] = {name: [] for name in accounts}
        for key, item in self.declaration.items.items():
            below.setdefault(key.hypervisor, []).append(item)
        used = (name for name, items in below.items() if name != SERVER and (items or self.declaration.label))
        names = [name for name in used if self.limit.may_concern(name)]
        opened = await asyncio.gather(
            *(Ground.open(name, self.run.session.hypervisor(accounts[name]), below[name], boots) for name in names),
            return_exceptions=True,
        )
        failed: dict[str, Step] = {}
        for name, ground in zip(names, opened, strict=True):
            if isinstance(ground, Ground):
                self.grounds[name] = ground
            elif isinstance(ground, (*EXPECTED, ValueError)):
                failed[name] = _failed_hypervisor(name, accounts[name], ground)
            else:
                raise ground
        self._make_steps(failed)

    def _boots(self) -> contextlib.AbstractAsyncContextManager[Any]:
        most = self.run.arguments["boots_at_once"]
        return contextlib.nullcontext() if most is None else asyncio.Semaphore(most)

    def _make_steps(self, failed: Mapping[str, Step]) -> None:
        chosen = self.limit.choose(self.graph, self.grounds, self.declaration)
        self.steps = {step.key: step for step in failed.values()}
        server = ServerGround(self.run.session, tuple(item for item in self.declaration.items.values() if _KINDS[item.key.kind].of_server))
        for key, needs in self.graph.items():
            if key not in chosen:
                continue
            held_up = (failed[key.hypervisor].key,) if key.hypervisor in failed else ()
            item, kind = self.declaration.items[key], _KINDS[key.kind]
            ground = server if kind.of_server else self.grounds.get(key.hypervisor)
            self.steps[key] = Step(item, kind, ground, (*held_up, *needs))

    async def _claim(self) -> None:
        """Claim what is declared, in mind: it is written when the plan is carried out."""
        for name, found in (await read_owners(self.grounds, self.declaration.label)).items():
            if isinstance(found, Ownership):
                self.owners[name] = found
                if found.unsupported:
                    self.run.warn(f"{found.unsupported}; nothing there is ever pruned")
            elif isinstance(found, (*EXPECTED, ValueError)):
                failed = _failed_hypervisor(name, self.declaration.hypervisors.accounts[name], found)
                self.steps = {failed.key: failed, **self.steps}
                for step in self.steps.values():
                    if step.key.hypervisor == name and not step.stopped:
                        step.because = f"{failed.key} failed"
            else:
                raise found
        for step in self.steps.values():
            leave_if_needs_failed(step, self.steps)
            self._claim_one(step)
        for step in self.steps.values():
            leave_if_needs_failed(step, self.steps)

    def _claim_one(self, step: Step) -> None:
        ownership = self.owners.get(step.key.hypervisor)
        if ownership is None or step.stopped:
            return
        try:
            if step.action is Action.CREATE:
                refuse_doubles(step, self.owners)
            ownership.claim(step)
        except ValueError as error:
            step.error = error

    # -- what goes ------------------------------------------------------------------------------------------------------

    async def _plan_removals(self) -> None:
        """Find what is no longer declared: what may be pruned goes, and what is gone already is let go of in any case."""
        declared = [Step(item, _KINDS[key.kind]) for key, item in self.declaration.items.items()]
        disks, found = self.run.arguments["prune"] and self.run.arguments["prune_disks"], list[Step]()
        for name, ownership in self.owners.items():
            if self.limit.covers_all_of(name):
                here = [step for step in declared if step.key.hypervisor == name]
                found += prune.removals(ownership, here, _KINDS, disks=disks)
        prune.keep_moved(found, self.declaration.items, self.steps)
        await prune.read_removals(found)
        await prune.keep_last_rights(found)
        self.removals = [step for step in found if step.releases or self._prunes(step)]

    def _prunes(self, step: Step) -> bool:
        """Whether something that is there, and no longer declared, is to go."""
        adopted = step.owner is not None and step.owner.endswith(ADOPTED)
        return bool(self.run.arguments["prune"]) and (not adopted or self.run.arguments["prune_adopted"])

    def _refuse_too_many_removals(self) -> None:
        """Raise :class:`PartlyFailed`, with the plan, before anything is done."""
        owned = prune.count_owned(self.owners.values(), self.removals, _KINDS, adopted=self.run.arguments["prune_adopted"])
        limit = self.run.arguments["prune_limit"]
        going = [step for step in self.removals if prune.will_go(step)]
        if prune.exceeds(going, limit, owned):
            names = ", ".join(str(step.key) for step in going[:10]) + (" ..." if len(going) > 10 else "")
            allowed = prune.read_limit(limit, owned)
            text = (
                f"prune: {len(going)} objects would be removed ({names}){tell_drives(going)}, and prune_limit allows {allowed}: "
                "nothing was done; raise prune_limit if all of that shall go"
            )
            raise PartlyFailed(text, {**self._outcome().result, "changed": False})

    # -- work -----------------------------------------------------------------------------------------------------------

    async def _carry_out(self) -> None:
        await self._write_claims()
        await carry_out(self.steps, self._note_progress)
        for group in prune.order_removals(self.removals, KINDS):
            for step in group:
                if (because := self._failure_before(step)) is not None and step.error is None and not step.releases:
                    step.because = because
            await carry_out({step.key: step for step in group}, self._note_progress)
        await self._end_claims()

    async def _write_claims(self) -> None:
        for name, ownership in self.owners.items():
            try:
                await ownership.settle()
            except (*EXPECTED, ValueError) as error:
                for step in self.steps.values():
                    if step.key.hypervisor == name and step.changes and not step.stopped:
                        step.error = error

    async def _end_claims(self) -> None:
        """Give up what is gone: an owner of nothing would stand in the way of whoever makes a thing of that name."""
        for name, ownership in self.owners.items():
            gone = {claim for step in self.removals if step.key.hypervisor == name and not step.stopped for claim in step.claims}
            with contextlib.suppress(*EXPECTED):  # it is tried again by the next run
                await ownership.settle(gone | ownership.ended)

    def _failure_before(self, removal: Step) -> str | None:
        """Return why something is not removed: what failed on its hypervisor may still stand on it."""
        declared = (step for step in self.steps.values() if step.stopped and step.key.hypervisor == removal.key.hypervisor)
        others = (step for step in self.removals if step.stopped and prune.holds_back(step, removal))
        failed = next(itertools.chain(declared, others), None)
        return None if failed is None else failed.because or f"{failed.key} failed"

    def _note_progress(self, step: Step) -> None:
        self._finished += 1
        if time.monotonic() - self._told > PATIENCE:
            self._told = time.monotonic()
            wanted = sum(other.changes for other in (*self.steps.values(), *self.removals))
            self.run.tell(f"{self._finished} of {wanted} done, the last {step.key}")

    # -- what is told ---------------------------------------------------------------------------------------------------

    def _outcome(self) -> Any:
        return tell_outcome([*self.steps.values(), *self.removals], check_mode=self.run.check_mode, diff=self.run.diff_mode)

    def _tell_outcome(self) -> Mapping[str, Any]:
        outcome = self._outcome()
        for waiting in outcome.result["needs_restart"]:
            self.run.warn(f"{waiting['name']} on {waiting['hypervisor']}: needs a restart: {'; '.join(waiting['reasons'])}")
        if outcome.failure:
            raise PartlyFailed(outcome.failure, outcome.result)
        result: Mapping[str, Any] = outcome.result
        return result


def _failed_hypervisor(name: str, account: str, error: BaseException) -> Step:
    """Return a step for a hypervisor that cannot be asked: what is declared there waits for it."""
    item = Item(Key("hypervisor", name, name), {}, Place(account))
    return Step(item, _KINDS["machine"], error=error)
