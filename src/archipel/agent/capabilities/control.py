# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting, stopping and watching a machine (namespace ``archipel:vm:control``)."""

from __future__ import annotations

import dataclasses
import itertools
import re
import time
from collections.abc import Iterable
from typing import Final
from xml.etree import ElementTree as ET

from archipel.agent import allocation, definition
from archipel.agent.dispatch import Caller, Chat, command
from archipel.agent.domain_rules import refuse_changed_images
from archipel.agent.events import EPOCH
from archipel.agent.guest_facts import LONGEST, read_address
from archipel.agent.virt.domain import DomainInfo
from archipel.agent.virt.errors import DomainNotFound, TooManyVcpus
from archipel.agent.virt.guest_agent import clean
from archipel.agent.virt.interfaces import InterfaceAddresses, InterfaceStats
from archipel.agent.virt.lifecycle import DomainState
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import presence
from archipel.protocol import virtual_machine as wire
from archipel.protocol.changes import ControlChange, DefinitionChange
from archipel.protocol.errors import CommandError, Condition, ErrorCode
from archipel.protocol.events import Topic
from archipel.protocol.rights import EntityKind

VM = EntityKind.VIRTUAL_MACHINE
MOST_TOLD: Final = 256
"""Addresses of one machine: an answer holds no more of the longest."""
_MAC: Final = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")


def _done(_answer: object) -> str:
    return "Done."


def _say_info(info: wire.Info | None) -> str:
    if info is None:
        return "I have no definition yet."
    status = presence.status_of_state(info.state)
    what = status.text if status else "in no state that libvirt can name"
    return (
        f"I am {what.lower()}, with {info.memory // 1024} of {info.max_memory // 1024} MiB and {info.vcpus} CPUs at {info.cpu_percent} %."
    )


def _say_counters(interfaces: tuple[wire.Interface, ...]) -> str:
    lines = [f"{card.name}: {card.rx_bytes} bytes in, {card.tx_bytes} bytes out" for card in interfaces]
    return "\n".join(lines) or "I have no network interface."


def _say_addresses(addresses: tuple[wire.GuestAddress, ...]) -> str:
    lines = [f"{found.interface}: {found.address}/{found.prefix}" for found in addresses]
    return "\n".join(lines) or "Nobody knows an address of mine."


@command(wire.GetInfo, on=VM, right="info", failure=ErrorCode.INFO, chat=Chat(("info", "how are you", "and you"), _say_info))
async def get_info(vm: VirtualMachine, _request: wire.GetInfo, _caller: Caller) -> wire.Info | None:
    """State, memory and CPUs of this machine."""
    sequence = vm.events.sequence
    try:
        return tell_info(vm, await vm.domain.info(), sequence)
    except DomainNotFound:
        return None


def tell_info(vm: VirtualMachine, info: DomainInfo, sequence: int) -> wire.Info:
    """Return what is answered for what libvirt said; ``sequence`` is that of the last push before it was asked."""
    used = vm.cpu.sample(info.cpu_time, time.monotonic())
    return wire.Info(
        state=int(info.state),
        max_memory=info.max_memory,
        memory=info.memory,
        vcpus=info.vcpus,
        cpu_percent=0 if info.state is DomainState.SHUTOFF else round(used),
        hypervisor=vm.hypervisor.full,
        autostart=info.autostart,
        sequence=sequence,
        epoch=EPOCH,
    )


@command(
    wire.Create,
    on=VM,
    right="create",
    failure=ErrorCode.CREATE,
    chat=Chat(("start", "create", "boot", "play", "run"), lambda _: "I am starting."),
)
async def create(vm: VirtualMachine, _request: wire.Create, _caller: Caller) -> wire.Started:
    """Start this machine."""
    async with vm.changing:
        vm.refuse_copied()
        current = await definition.read_current(vm)
        if current is None:
            raise CommandError(f"{vm.name} has no definition: define it first", condition=Condition.ITEM_NOT_FOUND)
        await refuse_changed_images(vm, current)
        return wire.Started(id=await vm.domain.create())


@command(
    wire.Shutdown, on=VM, right="shutdown", failure=ErrorCode.SHUTDOWN, chat=Chat(("shutdown", "stop"), lambda _: "I am shutting down.")
)
async def shutdown(vm: VirtualMachine, _request: wire.Shutdown, _caller: Caller) -> None:
    """Ask the guest system to shut down."""
    await vm.domain.shutdown()
    if await vm.domain.is_active():
        vm.show(presence.Status(vm.status.show, presence.SHUTTING_DOWN.text))


@command(
    wire.Destroy,
    on=VM,
    right="destroy",
    failure=ErrorCode.DESTROY,
    chat=Chat(
        ("destroy",), lambda _: "I am off.", confirm="This switches me off as by pulling the plug: what my guest has not saved is lost."
    ),
)
async def destroy(vm: VirtualMachine, _request: wire.Destroy, _caller: Caller) -> None:
    """Switch this machine off, as by pulling the plug."""
    async with vm.changing:
        if await vm.domain.is_active():
            await vm.domain.destroy()


@command(wire.Reboot, on=VM, right="reboot", failure=ErrorCode.REBOOT, chat=Chat(("reboot", "restart"), lambda _: "I am rebooting."))
async def reboot(vm: VirtualMachine, _request: wire.Reboot, _caller: Caller) -> None:
    """Ask the guest system to reboot."""
    await vm.domain.reboot()


@command(wire.Suspend, on=VM, right="suspend", failure=ErrorCode.SUSPEND, chat=Chat(("pause", "suspend"), lambda _: "I am paused."))
async def suspend(vm: VirtualMachine, _request: wire.Suspend, _caller: Caller) -> None:
    """Pause this machine."""
    await vm.domain.suspend()


@command(wire.Resume, on=VM, right="resume", failure=ErrorCode.RESUME, chat=Chat(("resume", "unpause"), lambda _: "I am running again."))
async def resume(vm: VirtualMachine, _request: wire.Resume, _caller: Caller) -> None:
    """Let this machine run on after a pause."""
    await vm.domain.resume()


@command(
    wire.GetDescription,
    on=VM,
    right="xmldesc",
    failure=ErrorCode.XML_DESC,
    chat=Chat(("desc", "xml"), lambda xml: ET.tostring(xml, "unicode")),
)
async def get_description(vm: VirtualMachine, request: wire.GetDescription, _caller: Caller) -> ET.Element:
    """The definition of this machine, without passwords."""
    try:
        return definition.describe(await vm.domain.xml(inactive=request.inactive))
    except DomainNotFound:
        return ET.Element("not-defined")


@command(
    wire.SetAutostart,
    on=VM,
    right="autostart",
    failure=ErrorCode.AUTOSTART,
    chat=Chat(("autostart {value}",), _done, questions={"value": "Shall I start with my host (1) or not (0)?"}),
)
async def set_autostart(vm: VirtualMachine, request: wire.SetAutostart, _caller: Caller) -> None:
    """Whether this machine starts with its host (1) or not (0)."""
    await vm.domain.set_autostart(request.value)


@command(
    wire.SetMemory,
    on=VM,
    right="memory",
    failure=ErrorCode.MEMORY,
    chat=Chat(("memory {value}",), _done, questions={"value": "How much memory, in KiB?"}),
)
async def set_memory(vm: VirtualMachine, request: wire.SetMemory, _caller: Caller) -> None:
    """Set the memory in use, in KiB."""
    most = (await vm.domain.info()).max_memory
    if request.value > most:
        text = f"value: {vm.name} can have {most} KiB ({most // 1024} MiB) at most, as it is defined, not {request.value} KiB"
        raise CommandError(text, condition=Condition.NOT_ACCEPTABLE)
    await vm.domain.set_memory(request.value)
    vm.push(Topic.VM_CONTROL, ControlChange.MEMORY)


@command(
    wire.SetVcpus,
    on=VM,
    right="setvcpus",
    failure=ErrorCode.MEMORY,
    chat=Chat(("vcpus {value}",), _done, questions={"value": "How many CPUs?"}),
)
async def set_vcpus(vm: VirtualMachine, request: wire.SetVcpus, _caller: Caller) -> None:
    """Set the number of CPUs in use."""
    try:
        await vm.domain.set_vcpus(request.value)
    except TooManyVcpus as error:
        raise CommandError(f"value: {error}", condition=Condition.NOT_ACCEPTABLE) from error
    vm.push(Topic.VM_CONTROL, ControlChange.NVCPU)
    vm.push(Topic.VM_DEFINITION, DefinitionChange.NVCPU)


@command(wire.GetNetworkInfo, on=VM, right="networkinfo", failure=ErrorCode.NETWORK_INFO, chat=Chat(("net", "stat"), _say_counters))
async def get_network_info(vm: VirtualMachine, _request: wire.GetNetworkInfo, _caller: Caller) -> tuple[wire.Interface, ...]:
    """Network counters of this machine, while it runs."""
    try:
        if not await vm.domain.is_active():
            raise CommandError(f"{vm.name} is not running: it counts nothing", condition=Condition.UNEXPECTED_REQUEST)
        return tuple(_counters(card) for card in await vm.domain.interface_stats())
    except DomainNotFound:
        return ()


@command(wire.GetAddresses, on=VM, right="networkinfo", failure=ErrorCode.NETWORK_INFO, chat=Chat(("addresses",), _say_addresses))
async def get_addresses(vm: VirtualMachine, _request: wire.GetAddresses, _caller: Caller) -> tuple[wire.GuestAddress, ...]:
    """Network addresses of this machine, as far as anybody knows them."""
    try:
        return tell_addresses(await vm.domain.interface_addresses())
    except DomainNotFound:
        return ()


def tell_addresses(cards: Iterable[InterfaceAddresses]) -> tuple[wire.GuestAddress, ...]:
    """Return addresses in the protocol's words: a guest may have told them, so that only those are taken that are some, and fit."""
    told = (
        wire.GuestAddress(
            interface=clean(card.name[:LONGEST]),
            mac=card.mac if card.mac and _MAC.fullmatch(card.mac) else "",
            address=address.address,
            prefix=address.prefix,
            source=card.source.name.lower(),
        )
        for card in cards
        for found in card.addresses
        if (address := read_address(found.address, found.prefix)) is not None
    )
    return tuple(itertools.islice(told, MOST_TOLD))


def _counters(card: InterfaceStats) -> wire.Interface:
    counters = {name: value for name, value in dataclasses.asdict(card).items() if name[:3] in {"rx_", "tx_"}}
    return wire.Interface(name=card.alias or card.device, **counters)


@command(
    wire.FreeMachine,
    on=VM,
    right="free",
    failure=ErrorCode.VM_FREE,
    chat=Chat(("free",), lambda _: "Goodbye.", confirm="This removes me, with my disks, for ever."),
)
async def free(vm: VirtualMachine, request: wire.FreeMachine, caller: Caller) -> None:
    """Destroy this machine, with its disks."""
    await allocation.destroy(vm, keep_disks=allocation.keeps_disks(request.keep))
    # The answer still goes out through this entity: what ends it comes after.
    vm.hypervisor.spawn(allocation.finish_free(vm.hypervisor, vm, caller.bare))
