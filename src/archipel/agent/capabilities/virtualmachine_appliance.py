# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines made from appliances, and appliances made from machines (namespace ``archipel:virtualmachine:vmcasting``)."""

from __future__ import annotations

from archipel.agent import appliances, packaging
from archipel.agent.dispatch import Caller, Chat, command
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import appliances as wire
from archipel.protocol.appliances import TOPIC, ApplianceChange, ApplianceCode
from archipel.protocol.rights import ON_VIRTUAL_MACHINE, EntityKind, Token

VM = EntityKind.VIRTUAL_MACHINE

TOKENS = (
    Token("appliance_get", "See which appliances can be installed", ON_VIRTUAL_MACHINE),
    Token("appliance_attach", "Install an appliance", ON_VIRTUAL_MACHINE),
    Token("appliance_detach", "Let go of the installed appliance", ON_VIRTUAL_MACHINE),
    Token("appliance_package", "Make an appliance of the machine", ON_VIRTUAL_MACHINE),
)


def _say(found: tuple[wire.InstallableAppliance, ...]) -> str:
    return "\n".join(f"{one.name}: {one.status} - {one.uuid}" for one in found) or "No appliance is downloaded on my host."


@command(wire.GetInstallable, on=VM, right="appliance_get", failure=ApplianceCode.GET, chat=Chat(("list appliances",), _say))
async def get(vm: VirtualMachine, _request: wire.GetInstallable, _caller: Caller) -> tuple[wire.InstallableAppliance, ...]:
    """The appliances that this machine can be made of."""
    return await appliances.list_installable(vm)


@command(
    wire.AttachAppliance,
    on=VM,
    right="appliance_attach",
    failure=ApplianceCode.ATTACH,
    chat=Chat(("attach appliance {uuid}",), lambda _: "I have begun.", confirm="This replaces my definition."),
)
async def attach(vm: VirtualMachine, request: wire.AttachAppliance, caller: Caller) -> None:
    """Make this machine from an appliance: its drives and its definition."""
    await appliances.attach(vm, str(request.uuid), caller)


@command(
    wire.DetachAppliance,
    on=VM,
    right="appliance_detach",
    failure=ApplianceCode.DETACH,
    chat=Chat(("detach appliance",), lambda _: "I have forgotten which it was."),
)
async def detach(vm: VirtualMachine, _request: wire.DetachAppliance, caller: Caller) -> None:
    """Forget which appliance this machine was made of; it stays as it is."""
    await appliances.detach(vm)
    vm.push(TOPIC, ApplianceChange.DETACHED)
    vm.shout(f"{caller.bare} detached the appliance of {vm.name}")


@command(
    wire.PackageMachine,
    on=VM,
    right="appliance_package",
    failure=ApplianceCode.PACKAGE,
    chat=Chat(("package appliance {name}",), lambda _: "I have begun."),
)
async def package(vm: VirtualMachine, request: wire.PackageMachine, caller: Caller) -> None:
    """Make an appliance of this machine, in the own feed of its host."""
    await packaging.package(vm, request, caller)
