# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps by which a machine goes, whether it is freed, let go, or was not made after all."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from archipel.agent.slow_work import in_slow_thread
from archipel.agent.virt.errors import DomainNotFound, LibvirtError
from archipel.protocol.errors import CommandError
from archipel.xmpp.errors import WireError

if TYPE_CHECKING:
    from archipel.agent.hypervisor import Hypervisor
    from archipel.agent.virtual_machine import VirtualMachine


async def remove_domain(machine: VirtualMachine) -> None:
    """Stop a machine's domain and undefine it; one that is not there is removed already."""
    with contextlib.suppress(DomainNotFound):
        async with machine.changing:
            if await machine.domain.is_active():
                await machine.domain.destroy()
            if await machine.domain.is_persistent():
                await machine.domain.undefine()


async def stop_domain(machine: VirtualMachine) -> None:
    """Stop a machine's domain if it runs; one that is not there does not."""
    with contextlib.suppress(DomainNotFound):
        if await machine.domain.is_active():
            await machine.domain.destroy()


async def remove_new_domain(machine: VirtualMachine) -> None:
    """Remove the domain of a machine that was not made after all, although nobody may know whether it was defined.

    A definition that libvirt has not answered may still take effect. To undefine waits for its end, as changes of a domain
    do; to ask whether there is a domain would not, and be told that there is none.
    """
    with contextlib.suppress(LibvirtError):  # there is none, or what is the matter with it is found out below
        await machine.domain.undefine()
    await remove_domain(machine)


async def remove_folder(folder: Path) -> None:
    """Remove a machine's folder with all that it holds."""
    await in_slow_thread(shutil.rmtree, folder, ignore_errors=True)


async def leave_server(hypervisor: Hypervisor, machine: VirtualMachine) -> None:
    """Remove nodes, roster items and the account; the last makes the server forget the rest too."""
    if machine.online.is_set():
        with contextlib.suppress(CommandError, WireError):
            await machine.events.remove()
            for contact in list(machine.contacts):
                await machine.contacts.remove(contact)
    with contextlib.suppress(CommandError, WireError):
        await hypervisor.retract_tags(machine.bare)
    await machine.close()
    await hypervisor.remove_account(machine.uuid, machine.password)


async def remove_record(machine: VirtualMachine) -> None:
    """Forget a machine and the rights on it; if its folder stays it is noted whose it is."""
    await machine.services.registry.hooks.leave(machine)
    keeps_folder = await asyncio.to_thread(machine.folder.exists)
    await machine.services.store.remove_machine(machine.uuid, machine.bare, keeps_folder=keeps_folder)
