# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of a declaration that stand for one place of a definition: how each is read from it and written to it.

``read`` gives the value in the form in which it is declared, whatever libvirt made of it; ``write`` is only called where
that differs from what is declared, so that everything else keeps its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from archipel.protocol.domain.declaration import CHANNELS
from archipel.protocol.domain.devices import Channel, Cpu, Serial, Video, VideoModel
from archipel.protocol.domain.domain import Domain

# Short names that libvirt replaces by the newest version of the machine; others are their own prefix (virt-9.0).
_MACHINE_FAMILIES: Final = {"pc": "pc-i440fx", "q35": "pc-q35"}
# What a processor keeps when its model changes: what concerns its shape, not its features.
_SHAPE_OF_CPU: Final = ("topology", "cache", "maxphysaddr", "numa")
_KIB: Final = 1024


@dataclass(frozen=True)
class SingleOption:
    """How an option is read (given what was declared, to answer in the same words) and written."""

    read: Callable[[Domain, Any], Any]
    write: Callable[[Domain, Any], None]


def text_option(name: str) -> SingleOption:
    """Return the option for a text of the operating system; empty text and absence are the same."""
    return SingleOption(
        lambda domain, _: getattr(domain.operating_system, name) or "",
        lambda domain, value: setattr(domain.operating_system, name, value or None),
    )


def write_type(domain: Domain, value: str) -> None:
    """Set who runs the machine: kvm, qemu or test."""
    domain.type = value


def read_machine(domain: Domain, declared: str) -> str | None:
    """Return the machine, by its short name where that is what was declared."""
    machine = domain.operating_system.machine
    family = _MACHINE_FAMILIES.get(declared, declared)
    return declared if machine and machine.startswith(f"{family}-") else machine


def write_machine(domain: Domain, value: str) -> None:
    """Set the machine; another family has other PCI places, which libvirt finds anew, and not the watchdog built into q35."""
    former = _family(domain.operating_system.machine or "")
    domain.operating_system.machine = value
    devices = domain.element.find("devices")
    if devices is None or former == _family(value):
        return
    for controller in [controller for controller in domain.controllers if controller.type in {"pci", "ide"}]:
        domain.controllers.remove(controller)
    for watchdog in [watchdog for watchdog in domain.watchdogs if watchdog.model == "itco"]:
        domain.watchdogs.remove(watchdog)
    for device in devices:
        for address in device.findall("address[@type='pci']"):
            device.remove(address)


def _family(machine: str) -> str:
    families = [family for family in _MACHINE_FAMILIES.values() if machine.startswith(family)]
    return families[0] if families else _MACHINE_FAMILIES.get(machine, machine.partition("-")[0])


def read_firmware(domain: Domain, _: str) -> str:
    """Return ``uefi`` where libvirt is asked for it or a flash image holds it."""
    os = domain.operating_system
    return "uefi" if os.firmware == "efi" or os.loader_type == "pflash" else "bios"


def write_firmware(domain: Domain, value: str) -> None:
    """Let libvirt choose the firmware's files; those of the former one go."""
    os = domain.operating_system
    for tag in ("loader", "nvram", "firmware"):
        for child in os.element.findall(tag):
            os.element.remove(child)
    os.firmware = "efi" if value == "uefi" else None


def in_mebibytes(kib: int | None) -> int | str | None:
    """Return KiB as a number of MiB, or as text where it is no whole number of them."""
    if kib is None:
        return None
    return f"{kib} KiB" if kib % _KIB else kib // _KIB


def current_memory(domain: Domain) -> int | None:
    """Return the memory that the guest starts with, in KiB."""
    return domain.memory if domain.current_memory is None else domain.current_memory


def write_max_memory(domain: Domain, mebibytes: int) -> None:
    """Set what the machine can have at most; what it has stays, if it can."""
    domain.current_memory = min(current_memory(domain) or mebibytes * _KIB, mebibytes * _KIB)
    domain.memory = mebibytes * _KIB


def write_memory(domain: Domain, mebibytes: int) -> None:
    """Set what the machine has; the maximum follows where it is too small."""
    domain.memory = max(domain.memory or 0, mebibytes * _KIB)
    domain.current_memory = mebibytes * _KIB


def write_max_vcpus(domain: Domain, count: int) -> None:
    """Set how many processors there can be; a topology and per-processor settings that no longer fit go."""
    current = min(domain.vcpus, count)
    domain.max_vcpus = count
    domain.vcpus = current
    for single in domain.element.findall("vcpus"):
        domain.element.remove(single)
    topology = domain.element.find("cpu/topology")
    if domain.cpu and topology is not None:
        domain.cpu.element.remove(topology)


def write_vcpus(domain: Domain, count: int) -> None:
    """Set with how many processors the machine starts; the maximum follows where it is too small."""
    if count > domain.max_vcpus:
        write_max_vcpus(domain, count)
    domain.vcpus = count


def read_cpu(domain: Domain, _: str) -> str | None:
    """Return the mode of the processor, or the model where one is named."""
    if domain.cpu is None:
        return None
    return domain.cpu.model if domain.cpu.mode == "custom" else domain.cpu.mode


def write_cpu(domain: Domain, value: str) -> None:
    """Replace mode and model; the processor's shape stays."""
    named = not value.startswith(("host-", "maximum"))
    cpu = Cpu.build(mode="custom", match="exact", model=value, fallback="forbid") if named else Cpu.build(mode=value)
    if domain.cpu:
        cpu.element.extend(child for child in domain.cpu.element if child.tag in _SHAPE_OF_CPU)
    domain.cpu = cpu


def write_boot(domain: Domain, devices: Sequence[str]) -> None:
    """Set the order by kinds of devices; libvirt does not take it beside an order of single devices."""
    domain.operating_system.boot = tuple(devices)
    for device in (*domain.disks, *domain.interfaces):
        device.boot_order = None


def read_video(domain: Domain, _: str) -> str:
    """Return the model of the first graphics card, ``none`` without one."""
    model = next((video.model for video in domain.videos), None)
    return model.type or "none" if model else "none"


def write_video(domain: Domain, value: str) -> None:
    """Replace the model of the first graphics card; its memory sizes were those of the former one."""
    video = next(iter(domain.videos), None) or domain.videos.add(Video())
    video.model = VideoModel.build(type=value)


def read_serial(domain: Domain, _: Sequence[str]) -> list[str]:
    """Return the kinds of the serial ports."""
    return [serial.type for serial in domain.serials]


def write_serial(domain: Domain, kinds: Sequence[str]) -> None:
    """Make these the serial ports; consoles that stand for one go with the last, or libvirt would bring it back."""
    for serial in list(domain.serials)[len(kinds) :]:
        domain.serials.remove(serial)
    for serial, kind in zip(list(domain.serials), kinds, strict=False):
        if serial.type != kind:
            serial.element.clear()
            serial.type = kind
    for kind in kinds[len(domain.serials) :]:
        domain.serials.add(Serial.build(type=kind))
    for console in [console for console in domain.consoles if console.target_type == "serial"]:
        if not kinds or ((console.port or 0) == 0 and console.type != kinds[0]):
            domain.consoles.remove(console)


def read_channels(domain: Domain, declared: Sequence[str]) -> list[str]:
    """Return which of the channels that can be declared are there, in the order declared."""
    names = {channel.name for channel in domain.channels}
    there = [option for option, name in CHANNELS.items() if name in names]
    return [option for option in declared if option in there] + [option for option in there if option not in declared]


def write_channels(domain: Domain, options: Sequence[str]) -> None:
    """Add and take away those channels that can be declared; others stay."""
    unwanted = {name for option, name in CHANNELS.items() if option not in options}
    for channel in [channel for channel in domain.channels if channel.name in unwanted]:
        domain.channels.remove(channel)
    present = {channel.name for channel in domain.channels}
    for option in [option for option in options if CHANNELS[option] not in present]:
        kind = "spicevmc" if option == "spice" else "unix"
        domain.channels.add(Channel.build(type=kind, target_type="virtio", name=CHANNELS[option]))


SINGLE_OPTIONS: Final[Mapping[str, SingleOption]] = {
    "type": SingleOption(lambda domain, _: domain.type, write_type),
    "arch": text_option("arch"),
    "machine": SingleOption(read_machine, write_machine),
    "firmware": SingleOption(read_firmware, write_firmware),
    "max_memory": SingleOption(lambda domain, _: in_mebibytes(domain.memory), write_max_memory),
    "memory": SingleOption(lambda domain, _: in_mebibytes(current_memory(domain)), write_memory),
    "max_vcpus": SingleOption(lambda domain, _: domain.max_vcpus, write_max_vcpus),
    "vcpus": SingleOption(lambda domain, _: domain.vcpus, write_vcpus),
    "cpu": SingleOption(read_cpu, write_cpu),
    "boot": SingleOption(lambda domain, _: list(domain.operating_system.boot), write_boot),
    "kernel": text_option("kernel"),
    "initrd": text_option("initrd"),
    "cmdline": text_option("cmdline"),
    "video": SingleOption(read_video, write_video),
    "serial": SingleOption(read_serial, write_serial),
    "channels": SingleOption(read_channels, write_channels),
}
"""By the name of the option, in the order in which they are written: limits before what they limit."""
