# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be asked of a machine while copies of it are made."""

from __future__ import annotations

import pytest

from archipel.agent.dispatch import Registry
from archipel.agent.virtual_machine import BESIDE_THE_DOMAIN, VirtualMachine
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import CommandError, Unavailable
from archipel.protocol.rights import EntityKind, TokenCatalogue
from tests.unit.agent.conftest import ask
from tests.unit.agent.fakes import OWNER, STUDENT

TOUCHING = {
    ns.VM_CONTROL,
    ns.VM_DEFINITION,
    ns.VM_DISK,
    ns.VM_GUEST,
    ns.VM_OOM,
    ns.VM_PARKING,
    ns.VM_SNAPSHOTS,
    ns.VM_VMCASTING,
    ns.VM_CONSOLE,
}


def test_it_is_decided_for_each_namespace_whether_it_touches_the_machine(capabilities: tuple[TokenCatalogue, Registry]) -> None:
    commands = capabilities[1].commands(EntityKind.VIRTUAL_MACHINE)
    changing = {command.request.namespace for command in commands if not command.request.reads}
    assert changing - BESIDE_THE_DOMAIN == TOUCHING
    assert not BESIDE_THE_DOMAIN & TOUCHING


async def test_rights_are_changed_while_the_machine_is_copied(machine: VirtualMachine) -> None:
    machine.copies = 1
    await ask(machine, ns.RIGHTS, f"<archipel action='grant'><rule subject='{STUDENT.bare}' right='info'/></archipel>", OWNER)
    assert machine.decide(STUDENT.bare, "info").allowed


@pytest.mark.parametrize("namespace,action", [(ns.VM_CONTROL, "create"), (ns.VM_DISK, "delete"), (ns.VM_VMCASTING, "detach")])
async def test_disks_and_domain_are_left_alone_while_the_machine_is_copied(machine: VirtualMachine, namespace: str, action: str) -> None:
    machine.copies = 1
    with pytest.raises((Unavailable, CommandError), match="is being cloned: wait"):
        await ask(machine, namespace, f"<archipel action='{action}' name='a' undefine='0'/>", OWNER)
