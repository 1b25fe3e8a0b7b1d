# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from archipel.agent.hypervisor import Hypervisor
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol.errors import CommandError, Condition, PermissionDenied
from tests.unit.agent.conftest import ask
from tests.unit.agent.fakes import ADMIN, STRANGER, STUDENT, VM

NUAGE = "archipel:hypervisor:nuage:network"


@pytest.mark.parametrize("action", ["create", "delete", "update", "get", "getnames"])
async def test_who_is_known_is_told_that_it_is_not_here_any_more(hypervisor: Hypervisor, machine: VirtualMachine, action: str) -> None:
    await machine.services.rights.grant(VM, STUDENT.bare, "info", granted_by=ADMIN.bare)
    for entity, caller in ((hypervisor, ADMIN), (machine, ADMIN), (machine, STUDENT)):
        with pytest.raises(CommandError) as caught:
            await ask(entity, NUAGE, f"<archipel action='{action}' name='a'/>", caller)
        assert (caught.value.code, caught.value.condition) == (501, Condition.FEATURE_NOT_IMPLEMENTED)


async def test_a_stranger_learns_nothing_of_it(machine: VirtualMachine) -> None:
    with pytest.raises(PermissionDenied):
        await ask(machine, NUAGE, "<archipel action='get'/>", STRANGER)
