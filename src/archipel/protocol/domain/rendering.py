# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a declaration to a definition and back: a new one, one changed, and what is declared as it stands in one.

The three agree: whatever ``render`` or ``apply`` writes, ``describe`` reads in the words of the declaration, before and
after libvirt has filled in its own defaults (addresses, MAC addresses, machine versions, controllers, units).
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from archipel.protocol.domain.declaration import DiskDeclaration, DomainDeclaration, GraphicsDeclaration
from archipel.protocol.domain.device_lists import DEVICE_LISTS
from archipel.protocol.domain.devices import Controller, Disk, Features, Input, Memballoon, OperatingSystem, Rng
from archipel.protocol.domain.disk_sources import source_of, write_source
from archipel.protocol.domain.domain import Domain, LifecycleAction
from archipel.protocol.domain.single_options import SINGLE_OPTIONS

DEFAULT_MEMORY: Final = 512  # MiB
SPARE_PORTS: Final = 10
"""PCI Express ports of a new q35 machine; libvirt makes as many as there are devices, and none for those plugged in later."""

_MACHINES: Final = {"x86_64": "q35", "aarch64": "virt", "riscv64": "virt"}
# The order in which libvirt shows a definition; what is not named comes behind, as it was.
_ORDER: Final = (
    "name", "uuid", "metadata", "memory", "currentMemory", "vcpu", "os", "features", "cpu", "clock",
    "on_poweroff", "on_reboot", "on_crash", "devices",
)  # fmt: skip
_DEVICE_ORDER: Final = (
    "emulator", "disk", "controller", "interface", "serial", "console", "channel", "input", "graphics", "video", "memballoon", "rng",
)  # fmt: skip


def render(declaration: DomainDeclaration, uuid: str | None = None, *, type: str = "kvm") -> Domain:  # noqa: A002 - libvirt's word
    """Return a complete definition of a new machine; the same declaration gives the same text.

    Args:
        declaration: what the machine should be.
        uuid: its identity; libvirt makes one up where it is missing.
        type: who runs it (``kvm``, ``qemu``, ``test``) where the declaration does not say.
    """
    filled = fill_in(declaration, type)
    domain = apply(filled, onto=Domain.build(type=filled.type, name=declaration.name, uuid=uuid, max_vcpus=1))
    domain.features = Features.build(acpi=True, apic=True if filled.arch in {None, "x86_64", "i686"} else None)
    domain.clock_offset = "utc"
    domain.on_poweroff, domain.on_reboot, domain.on_crash = LifecycleAction.DESTROY, LifecycleAction.RESTART, LifecycleAction.DESTROY
    if filled.type != "test" and (domain.operating_system.machine or "").startswith(("q35", "pc-q35")):
        domain.controllers.add(Controller.build(type="pci", index=0, model="pcie-root"))
        for _ in range(SPARE_PORTS):
            domain.controllers.add(Controller.build(type="pci", model="pcie-root-port"))
    if filled.graphics:
        domain.inputs.add(Input.build(type="tablet", bus="usb"))
    domain.memballoon = Memballoon.build(model="virtio")
    domain.rngs.add(Rng.build(model="virtio", backend="random", source="/dev/urandom"))
    return _in_order(domain)


def fill_in(declaration: DomainDeclaration, type: str) -> DomainDeclaration:  # noqa: A002 - libvirt's word
    """Return the declaration with sensible values for a new machine where it says nothing."""
    runner = declaration.type or type
    arch = declaration.arch or (None if runner == "test" else "x86_64")
    disks = declaration.disks or ()
    if declaration.cdrom is not None:
        disks = (*disks, DiskDeclaration(device="cdrom", path=declaration.cdrom))
    graphics = (GraphicsDeclaration(),) if declaration.graphics is None else declaration.graphics
    vcpus = declaration.vcpus or 1
    memory = declaration.memory or min(DEFAULT_MEMORY, declaration.max_memory or DEFAULT_MEMORY)
    defaults: dict[str, Any] = {
        "type": runner,
        "arch": arch,
        "machine": _MACHINES.get(arch or ""),
        "memory": memory,
        "max_memory": memory,
        "vcpus": vcpus,
        "max_vcpus": vcpus,
        "cpu": "host-model" if runner == "kvm" else None,
        "boot": None if any(declaration.boot_orders) else ("hd", "cdrom") if any(disk.device == "cdrom" for disk in disks) else ("hd",),
        "graphics": graphics,
        "video": "vga" if graphics else None,
        "serial": ("pty",),
        "channels": ("guest_agent",),
    }
    return dataclasses.replace(declaration, **{**defaults, **declaration.declared(), "disks": disks, "cdrom": None})


def apply(declaration: DomainDeclaration, *, onto: Domain) -> Domain:
    """Return a copy of ``onto`` with everything declared in it; whatever was not declared stays as it is.

    Name and UUID are the machine's identity, and stay as well.
    """
    domain = onto.copy()
    if domain.os is None:
        domain.os = OperatingSystem.build(type="hvm")
    declared = declaration.declared()
    for name, single in SINGLE_OPTIONS.items():
        if name in declared and single.read(domain, declared[name]) != _plain(declared[name]):
            single.write(domain, declared[name])
    for name, devices in DEVICE_LISTS.items():
        if name in declared:
            devices.write(domain, declared[name])
    if declaration.cdrom is not None:
        _insert_medium(domain, declaration.cdrom)
    if any(device.boot_order for device in (*domain.disks, *domain.interfaces)):
        domain.operating_system.boot = ()
    return domain


def describe(domain: Domain, *, like: DomainDeclaration) -> dict[str, Any]:
    """Return what a definition says about everything that is declared, in the words and the order of the declaration.

    Two definitions describe alike exactly when the declaration cannot tell them apart; the result is plain
    dictionaries, lists, texts and numbers, ready to be shown as a difference.
    """
    described: dict[str, Any] = {}
    for name, value in like.declared().items():
        if name in SINGLE_OPTIONS:
            described[name] = SINGLE_OPTIONS[name].read(domain, value)
        elif name in DEVICE_LISTS:
            described[name] = DEVICE_LISTS[name].describe(domain, value)
        elif name == "cdrom":
            described[name] = _read_medium(domain)
    return described


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _drive(domain: Domain) -> Disk | None:
    return next((disk for disk in domain.disks if disk.device == "cdrom"), None)


def _read_medium(domain: Domain) -> str:
    drive = _drive(domain)
    return "/".join(source_of(drive)) if drive else ""


def _insert_medium(domain: Domain, path: str) -> None:
    if _read_medium(domain) == path:
        return
    drive = _drive(domain)
    entry = DiskDeclaration(device="cdrom", path=path)
    write_source(drive or domain.disks.add(DEVICE_LISTS["disks"].make(domain, (), entry)), entry.source)


def _in_order(domain: Domain) -> Domain:
    for parent, order in ((domain.element, _ORDER), (domain.element.find("devices"), _DEVICE_ORDER)):
        if parent is not None:
            parent[:] = sorted(parent, key=lambda child: order.index(child.tag) if child.tag in order else len(order))
    return domain
