# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made once for each hypervisor."""

from __future__ import annotations

from archipel.agent.hypervisor import Hypervisor
from archipel.agent.one_each import one_per_hypervisor
from archipel.agent.virtual_machine import VirtualMachine


async def test_it_is_made_once_for_a_hypervisor_and_all_its_entities(hypervisor: Hypervisor, machine: VirtualMachine):
    @one_per_hypervisor
    def names_of(hypervisor: Hypervisor) -> list[str]:
        return [hypervisor.name]

    found = names_of(hypervisor)

    found.append("another")
    assert names_of(machine.hypervisor) is found is names_of(hypervisor)
    assert found == [hypervisor.name, "another"]
