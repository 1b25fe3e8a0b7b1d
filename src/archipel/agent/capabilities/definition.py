# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Defining a machine and changing its devices (namespace ``archipel:vm:definition``)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from xml.etree import ElementTree as ET

from archipel.agent import definition
from archipel.agent.dispatch import Caller, Chat, command
from archipel.agent.virt.domain import Affect
from archipel.agent.virt.errors import DomainNotFound
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import virtual_machine as wire
from archipel.protocol.changes import DefinitionChange
from archipel.protocol.errors import ErrorCode
from archipel.protocol.events import Topic
from archipel.protocol.rights import EntityKind

VM = EntityKind.VIRTUAL_MACHINE


async def _show_present(vm: VirtualMachine, caller: Caller) -> Mapping[str, str]:
    """The definition as it is, for who may read it: what was taken out of it stays when it is defined again."""
    if not vm.decide(caller.bare, "xmldesc").allowed:
        return {}
    present = definition.describe(await vm.domain.xml(inactive=True))
    ET.indent(present)
    return {"domain": ET.tostring(present, "unicode")}


@command(wire.Define, on=VM, right="define", failure=ErrorCode.DEFINE, prefill=_show_present)
async def define(vm: VirtualMachine, request: wire.Define, caller: Caller) -> None:
    """Define this machine anew."""
    await definition.define(vm, request.domain, caller)


@command(wire.Undefine, on=VM, right="undefine", failure=ErrorCode.UNDEFINE)
async def undefine(vm: VirtualMachine, _request: wire.Undefine, _caller: Caller) -> None:
    """Remove the definition of this machine."""
    async with vm.changing:
        try:
            await vm.domain.undefine()
        except DomainNotFound:
            return  # it has none, which is what was asked for


@command(
    wire.GetDomainCapabilities,
    on=VM,
    right="capabilities",
    failure=ErrorCode.VM_CAPABILITIES,
    chat=Chat(("capabilities",), lambda xml: ET.tostring(xml, "unicode")),
)
async def get_capabilities(vm: VirtualMachine, _request: wire.GetDomainCapabilities, _caller: Caller) -> ET.Element:
    """What libvirt can do on this machine's host."""
    return ET.fromstring(await vm.services.host.capabilities())  # noqa: S314 - libvirt's own


@command(wire.AttachDevice, on=VM, right="define", failure=ErrorCode.DEFINE)
async def attach_device(vm: VirtualMachine, request: wire.AttachDevice, caller: Caller) -> None:
    """Plug a device in."""
    await definition.change_device(vm, request.device, caller, partial(vm.domain.attach_device, affect=_reach(request.live)))


@command(wire.DetachDevice, on=VM, right="define", failure=ErrorCode.DEFINE)
async def detach_device(vm: VirtualMachine, request: wire.DetachDevice, _caller: Caller) -> None:
    """Unplug a device."""
    async with vm.changing:
        await vm.domain.detach_device(definition.read_device(request.device), _reach(request.live))
    vm.push(Topic.VM_DEFINITION, DefinitionChange.DEFINED)


@command(wire.UpdateDevice, on=VM, right="define", failure=ErrorCode.DEFINE)
async def update_device(vm: VirtualMachine, request: wire.UpdateDevice, caller: Caller) -> None:
    """Change a device in place."""
    await definition.change_device(vm, request.device, caller, partial(vm.domain.update_device, affect=_reach(request.live)))


def _reach(live: bool) -> Affect | None:
    """Return what a change reaches: the running machine alone, or all there is of it."""
    return Affect.LIVE if live else None
