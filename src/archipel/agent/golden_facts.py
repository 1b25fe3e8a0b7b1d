# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which machines stand on which golden images, for the rules that go by them; read when it may have changed, kept in memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from archipel.agent import following
from archipel.agent.rule_changes import RuleChanges
from archipel.agent.rules import Reach
from archipel.agent.virt.errors import DomainNotFound, VirtError
from archipel.agent.virt.golden_images import find_goldens
from archipel.agent.virt.lifecycle import LifecycleEvent

if TYPE_CHECKING:
    from archipel.agent.hypervisor import Hypervisor
    from archipel.agent.virtual_machine import VirtualMachine

CHANGES: Final = frozenset({LifecycleEvent.DEFINED, LifecycleEvent.UNDEFINED, LifecycleEvent.STARTED, LifecycleEvent.STOPPED})
"""Events after which a machine may stand on other images."""


async def refresh(hypervisor: Hypervisor, machines: Iterable[VirtualMachine]) -> None:
    """Read on which golden images machines stand, if any rule goes by that, and let everything follow that changed."""
    rights = hypervisor.services.rights
    if not any(rule.scope.reach is Reach.GOLDEN for rule in rights.book.lasting()):
        return
    for machine in list(machines):
        changes = RuleChanges(rights)
        before = changes.concerns_of(machine.bare, Reach.GOLDEN)
        with contextlib.suppress(VirtError):  # what is not known stays as it was; the next event, or start, reads again
            if rights.note_goldens(machine.bare, await _read(machine)):
                await following.follow(hypervisor, {*before, *changes.concerns_of(machine.bare, Reach.GOLDEN)})


async def _read(machine: VirtualMachine) -> frozenset[str]:
    try:
        domain = ET.fromstring(await machine.domain.xml(inactive=True))  # noqa: S314 - libvirt's own
    except DomainNotFound:
        return frozenset()
    folders = machine.services.settings.machines
    return await asyncio.to_thread(find_goldens, domain, folders.golden_folders, [machine.folder, *folders.iso_folders])
