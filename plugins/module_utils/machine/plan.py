# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is to be done to a managed machine: decided from its snapshot alone, so that check mode and the run decide alike."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from ansible_collections.archipel.platform.plugins.module_utils.machine.run_state import PAUSED, RUN_STATES, RUNNING, STOPPED, run_state

try:
    from archipel.protocol.domain import changes
    from archipel.protocol.errors import LibvirtFailed
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from ansible_collections.archipel.platform.plugins.module_utils.machine.arguments import MachineWish
    from ansible_collections.archipel.platform.plugins.module_utils.machine.snapshot import Snapshot
    from ansible_collections.archipel.platform.plugins.module_utils.machine.specification import Specification

    from archipel.client import VirtualMachine
    from archipel.protocol.domain.domain import Domain


@dataclass(frozen=True)
class MachinePlan:
    """The way of one machine to what is declared of it.

    ``definition`` is what will be stored (``None``: it stays); ``stops`` whether the machine is shut down first; ``ends_in`` the run
    state that it is brought to at the end (``None``: it stays in whatever it is). ``blocked`` are declared values that cannot
    change because the machine runs and stays so; ``waiting`` says, in words, what of the definition waits for a restart.
    """

    definition: Domain | None = None
    steps: tuple[changes.Step, ...] = ()
    stops: bool = False
    ends_in: str | None = None
    blocked: frozenset[str] = frozenset()
    waiting: tuple[str, ...] = ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the machine should be restarted, in words."""
        return (*self.waiting, *blocked_reasons(self.blocked))


def blocked_reasons(names: Collection[str]) -> tuple[str, ...]:
    """Return the words for declared values that wait for the machine to be off."""
    return tuple(f"{name} can only change while the machine is off" for name in sorted(names))


def make_plan(wish: MachineWish, specification: Specification, snapshot: Snapshot, blocked: frozenset[str]) -> MachinePlan:
    """Decide what is to be done; ``blocked`` are declared values that differ, and can only change while a machine is off."""
    ends_in = wish.state if wish.state in RUN_STATES else None
    if not snapshot.active:
        return replace(_change_definition(specification, snapshot, running=False), ends_in=ends_in)
    plan = replace(_change_definition(specification, snapshot, running=True), ends_in=ends_in, blocked=blocked)
    if wish.state == STOPPED or (wish.restart and plan.reasons):
        before = PAUSED if run_state(snapshot.state) == PAUSED else RUNNING
        return replace(_change_definition(specification, snapshot, running=False), stops=True, ends_in=ends_in or before)
    return plan


def _change_definition(specification: Specification, snapshot: Snapshot, *, running: bool) -> MachinePlan:
    """Plan the definition alone: what to store, which steps to take at once, what waits, from now or from earlier."""
    stored = snapshot.stored
    if stored is None or not specification.declares:
        return MachinePlan()
    desired = specification.change(stored)
    plan = specification.plan(stored, desired, running=running)
    waiting = list(plan.restart_reasons)
    if running and snapshot.running is not None:
        earlier = specification.pending(snapshot.running, stored)
        waiting += [reason for reason in specification.pending(snapshot.running, desired) if reason in earlier]
    return MachinePlan(desired if plan.changed else None, plan.live_steps, waiting=tuple(dict.fromkeys(waiting)))


async def change_while_running(machine: VirtualMachine, steps: tuple[changes.Step, ...]) -> list[str]:
    """Take the live steps, after the definition was stored; return, in words, which of them libvirt refused."""
    refused = []
    for step in steps:
        try:
            await _take(machine, step)
        except LibvirtFailed as error:
            refused.append(f"{step.reason}: libvirt refuses it while the machine runs ({error.text})")
    return refused


async def _take(machine: VirtualMachine, step: changes.Step) -> None:
    match step:
        case changes.SetMemory(kib=kib):
            await machine.set_memory(kib)
        case changes.SetVcpus(count=count):
            await machine.set_vcpus(count)
        case changes.AttachDevice(xml=xml):
            await machine.attach_device(_parse(xml), live=True)
        case changes.DetachDevice(xml=xml):
            await machine.detach_device(_parse(xml), live=True)
        case changes.UpdateDevice(xml=xml) | changes.ChangeMedia(xml=xml):
            await machine.update_device(_parse(xml), live=True)
        case _:
            raise TypeError(f"no way is known to make {step} on a running machine")


def _parse(xml: str) -> ET.Element:
    return ET.fromstring(xml)  # noqa: S314 - the plan wrote it
