# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan: what each object is and shall be, read from all hypervisors at once, before anything is changed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ansible_collections.archipel.platform.plugins.module_utils.fleet.item import Key
from ansible_collections.archipel.platform.plugins.module_utils.fleet.step import Step
from ansible_collections.archipel.platform.plugins.module_utils.machine.declared_machine import DeclaredMachine

try:
    from archipel.client.failures import EXPECTED
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from collections.abc import Iterable

Steps = Mapping[Key, Step]


async def make_plan(steps: Steps) -> None:
    """Read what each object is, and decide what is to be done; ``steps`` come after what they need."""
    for step in steps.values():
        _declare(step, steps)
    await _preload(steps.values())
    reading: dict[Key, asyncio.Task[None]] = {}
    for key, step in steps.items():
        within = reading.get(step.item.within) if step.item.within is not None else None
        reading[key] = asyncio.create_task(_read_after(step, within, steps))
    await asyncio.gather(*reading.values())
    for step in steps.values():
        leave_if_needs_failed(step, steps)


def _declare(step: Step, steps: Steps) -> None:
    leave_if_needs_failed(step, steps)
    if step.stopped or step.ground is None:
        return
    try:
        step.resource = step.kind.declare(step.ground, step.item)
    except (*EXPECTED, ValueError) as error:
        step.error = error


async def _preload(steps: Iterable[Step]) -> None:
    """Let each hypervisor tell of its declared machines in one answer."""
    machines: dict[str, list[DeclaredMachine]] = {}
    for step in steps:
        if isinstance(step.resource, DeclaredMachine):
            machines.setdefault(step.key.hypervisor, []).append(step.resource)
    # What a hypervisor does not tell at once is asked of the machines one by one, and fails there in words.
    await asyncio.gather(*(DeclaredMachine.preload(some) for some in machines.values()), return_exceptions=True)


async def _read_after(step: Step, within: asyncio.Task[None] | None, steps: Steps) -> None:
    if within is not None:
        await within
        leave_if_needs_failed(step, steps)
    if step.stopped or step.resource is None:
        return
    holder = steps.get(step.item.within) if step.item.within is not None else None
    step.foreseen = holder is not None and holder.appears
    try:
        if step.foreseen and step.kind.absent is not None:
            step.before = step.kind.absent
        else:
            step.before = await step.resource.read()
        step.after = step.resource.desired(step.before)
    except (*EXPECTED, ValueError) as error:
        step.error = error


def leave_if_needs_failed(step: Step, steps: Steps) -> None:
    """Leave an object if one that it needs failed or was left, and say because of which."""
    if step.stopped:
        return
    for need in step.needs:
        found = steps.get(need)
        if found is not None and found.stopped:
            step.because = found.because or f"{found.key} failed"
            return
