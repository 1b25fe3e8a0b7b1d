# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A plan carried out: every object as soon as those that it needs are there, as many at once as a hypervisor bears."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ansible_collections.archipel.platform.plugins.module_utils.fleet.item import Key
from ansible_collections.archipel.platform.plugins.module_utils.fleet.plan import Steps, leave_if_needs_failed
from ansible_collections.archipel.platform.plugins.module_utils.progress import Crowd, waiting

try:
    from archipel.client.failures import EXPECTED
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.fleet.step import Step

AT_ONCE = 24
"""Objects of one hypervisor that are changed at the same time: more only wait in its agent, until their requests time out."""
Tell = Callable[["Step"], None]


async def carry_out(steps: Steps, tell: Tell) -> None:
    """Do what the plan says; ``steps`` come after what they need. What fails is noted in the step; the others go on."""
    lanes: dict[tuple[str, str], asyncio.Semaphore] = {}
    under_way: dict[Key, asyncio.Task[None]] = {}
    crowd = Crowd()
    async with waiting(crowd):
        for key, step in steps.items():
            needs = [under_way[need] for need in step.needs if need in under_way]
            alone = step.kind.one_by_one
            lane = lanes.setdefault((key.hypervisor, key.kind if alone else ""), asyncio.Semaphore(1 if alone else AT_ONCE))
            if (step.changes and not step.stopped) or needs:
                under_way[key] = asyncio.create_task(_take(step, needs, _Lane(lane, crowd), steps, tell))
        await asyncio.gather(*under_way.values())


@dataclass(frozen=True)
class _Lane:
    """As many at once as a hypervisor bears, and who is at work."""

    places: asyncio.Semaphore
    crowd: Crowd

    @contextlib.asynccontextmanager
    async def enter(self, title: str) -> AsyncIterator[None]:
        async with self.places:
            with self.crowd.at_work(title):
                yield


async def _take(step: Step, needs: list[asyncio.Task[None]], lane: _Lane, steps: Steps, tell: Tell) -> None:
    for need in needs:
        await need
    leave_if_needs_failed(step, steps)
    if step.stopped or not (step.changes or step.foreseen):
        return
    async with lane.enter(str(step.key)):
        try:
            await _apply(step)
        except (*EXPECTED, ValueError) as error:
            step.error = error
        else:
            step.done = True
            tell(step)


async def _apply(step: Step) -> None:
    """Bring one object to its declared state, and read it again; the plan's ``before`` stays what was before the run."""
    current, desired = step.before, step.after
    if step.foreseen and step.ground is not None:
        step.resource = step.kind.declare(step.ground, step.item)
        current = await step.resource.read()
        desired = step.resource.desired(current)
    resource = step.resource
    if resource is not None and current != desired:
        await resource.apply(current, desired)
        step.after = await resource.read()
