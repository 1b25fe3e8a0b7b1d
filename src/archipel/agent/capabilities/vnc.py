# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Screens and serial consoles (namespaces ``archipel:virtualmachine:vnc`` and ``archipel:vm:console``)."""

from __future__ import annotations

import contextlib

from archipel.agent.addresses import find_address
from archipel.agent.console.consoles import NoConsole, check_console
from archipel.agent.console.displays import Displays
from archipel.agent.console.proxy import RIGHT, proxy_of
from archipel.agent.console.settings import ConsoleSettings
from archipel.agent.dispatch import Caller, Chat, command
from archipel.agent.hooks import after_event, in_background, when_leaving, when_parked
from archipel.agent.hypervisor import Hypervisor
from archipel.agent.one_each import one_per_hypervisor
from archipel.agent.virt.errors import DomainNotFound
from archipel.agent.virt.graphics import read_graphics
from archipel.agent.virt.lifecycle import DomainEvent
from archipel.agent.virtual_machine import VirtualMachine
from archipel.protocol import console as wire
from archipel.protocol.errors import CommandError, Condition
from archipel.protocol.rights import ON_VIRTUAL_MACHINE, EntityKind, Token

TOKENS = (Token(RIGHT, "See and use the screen and the serial console", ON_VIRTUAL_MACHINE),)
SETTINGS = ConsoleSettings


@one_per_hypervisor
def displays_of(hypervisor: Hypervisor) -> Displays:
    """Return what is known of the displays of this hypervisor's machines."""
    return Displays(hypervisor, proxy_of(hypervisor))


def _say_display(display: wire.Display) -> str:
    if display.type is None:
        return "I have no display."
    if display.port == wire.NO_PORT:
        return f"I have a {display.type} display, which is not there now."
    through = f"; WebSocket: {display.host}:{display.proxy}" if display.proxy != wire.NO_PORT else ""
    return f"My {display.type} display has port {display.port} of {display.host}{through}, TLS: {'yes' if display.supports_tls else 'no'}."


def _say_link(link: wire.ConsoleLink) -> str:
    return f"Within {link.lifetime} seconds and once, this opens my console: {link.url}"


@command(
    wire.GetDisplay,
    on=EntityKind.VIRTUAL_MACHINE,
    right=RIGHT,
    failure=wire.FAILURE,
    chat=Chat(("vnc", "screen"), _say_display),
)
async def get_display(vm: VirtualMachine, _request: wire.GetDisplay, _caller: Caller) -> wire.Display:
    """Where the display of this machine is."""
    try:
        running = await vm.domain.is_active()
        graphics = read_graphics(await vm.domain.xml())
    except DomainNotFound:
        return wire.Display()
    if graphics is None:
        return wire.Display()
    tls = proxy_of(vm.hypervisor).tls is not None
    return wire.Display(
        type=graphics.type,
        port=graphics.port if running and graphics.port is not None else wire.NO_PORT,
        proxy=displays_of(vm.hypervisor).port_of(vm) if running else wire.NO_PORT,
        host=await find_address(vm.services.settings),
        only_tls=tls,
        supports_tls=tls,
    )


@command(
    wire.OpenConsole,
    on=EntityKind.VIRTUAL_MACHINE,
    right=RIGHT,
    failure=wire.FAILURE,
    chat=Chat(("console [kind]",), _say_link),
)
async def open_console(vm: VirtualMachine, request: wire.OpenConsole, caller: Caller) -> wire.ConsoleLink:
    """A link that opens the screen (vnc) or the serial console (text) once, within a minute."""
    kind = wire.ConsoleKind(request.kind)
    try:
        await check_console(vm, kind)
    except NoConsole as error:
        raise CommandError(str(error), condition=Condition.ITEM_NOT_FOUND) from error
    return proxy_of(vm.hypervisor).make_link(vm, caller.bare, kind)


@in_background
async def serve(hypervisor: Hypervisor) -> None:
    """Listen for viewers."""
    proxy, displays = proxy_of(hypervisor), displays_of(hypervisor)
    try:
        await proxy.open()
        await displays.watch()
    finally:
        with contextlib.suppress(OSError):
            await displays.close()
            await proxy.close()


@after_event
async def follow(vm: VirtualMachine, _event: DomainEvent) -> None:
    """See whether the display came or went."""
    await displays_of(vm.hypervisor).follow(vm)


@when_leaving
async def leave(vm: VirtualMachine) -> None:
    """End what is open to a machine that leaves."""
    await displays_of(vm.hypervisor).forget(vm)


@when_parked
async def pause(vm: VirtualMachine) -> None:
    """End what is open to a machine that is parked."""
    await displays_of(vm.hypervisor).forget(vm)
