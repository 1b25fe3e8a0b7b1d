# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which definitions a machine's people may make: the domain policy, with this host's settings."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from archipel.agent.dispatch import Caller
from archipel.agent.virt.disk_policy import judge_own_images
from archipel.agent.virt.domain_policy import DomainPolicy, Violation, check_domain
from archipel.agent.virt.errors import DomainNotFound
from archipel.protocol.domain.domain import Domain, parse
from archipel.protocol.errors import PermissionDenied
from archipel.protocol.rights import DOMAIN_POLICY_BYPASS

if TYPE_CHECKING:
    from archipel.agent.virtual_machine import VirtualMachine

# Where Debian's packages have what machines boot from, and libvirt keeps what their firmware remembers.
FIRMWARE_FOLDERS: Final = (Path("/usr/share/OVMF"), Path("/usr/share/qemu"), Path("/usr/share/seabios"))
NVRAM_FOLDER: Final = Path("/var/lib/libvirt/qemu/nvram")
DOMAIN_TYPES: Final = {"QEMU": frozenset({"kvm", "qemu"}), "TEST": frozenset({"test"})}


async def refuse_forbidden(machine: VirtualMachine, wanted: Domain, current: Domain | None, caller: Caller) -> None:
    """Raise :class:`PermissionDenied` with all that the policy forbids, unless the caller may pass it.

    What stays exactly as it is in the present definition is not judged again: an adopted machine has what its administrator
    gave it, and its people may still change the rest.
    """
    if machine.decide(caller.bare, DOMAIN_POLICY_BYPASS).allowed:
        return
    policy = await policy_of(machine)
    running = parse(await machine.domain.xml()) if current is not None and await _runs(machine) else None
    _refuse(await asyncio.to_thread(check_domain, wanted, policy, current, running))


async def _runs(machine: VirtualMachine) -> bool:
    """Return whether the domain runs; that of a parked machine is not there."""
    try:
        return await machine.domain.is_active()
    except DomainNotFound:
        return False


async def refuse_changed_images(machine: VirtualMachine, current: Domain) -> None:
    """Raise :class:`PermissionDenied` if an image in the machine's own folder has come to stand on files outside.

    A guest can write into a raw disk what will be an image's header once the disk is declared otherwise: so whoever starts
    the machine, its images are read again.
    """
    if len(current.disks):
        policy = await policy_of(machine)
        _refuse(await asyncio.to_thread(judge_own_images, current, policy))


async def policy_of(machine: VirtualMachine) -> DomainPolicy:
    """Return the policy for this machine; libvirt's own emulators are no danger, and founding clients name them."""
    settings, host = machine.services.settings, machine.services.host
    capabilities = ET.fromstring(await host.capabilities())  # noqa: S314 - libvirt's own
    hardware = await host.node_info()
    return DomainPolicy(
        vm_folder=machine.folder,
        iso_folders=settings.machines.iso_folders,
        golden_folders=settings.machines.golden_folders,
        firmware_folders=FIRMWARE_FOLDERS,
        nvram_folder=NVRAM_FOLDER,
        networks=settings.policy.networks,
        bridges=settings.policy.bridges,
        pools=settings.policy.pools,
        emulators=frozenset(found.text or "" for found in capabilities.iter("emulator")),
        max_vcpus=settings.policy.max_vcpus or hardware.cpus,
        max_memory=(settings.policy.max_memory or hardware.memory) * 1024,
        domain_types=DOMAIN_TYPES.get(machine.services.driver, frozenset({machine.services.driver.lower()})),
    )


def _refuse(violations: list[Violation]) -> None:
    if violations:
        text = "the domain policy forbids: " + "; ".join(map(str, violations))
        raise PermissionDenied(text, DOMAIN_POLICY_BYPASS)
