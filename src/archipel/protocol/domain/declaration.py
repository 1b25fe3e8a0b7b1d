# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person says a machine should be. What is not said is left as it is, or gets a sensible value in a new machine.

A declared list stands for all of its kind: entries that the machine has beyond it are taken away. How the entries find
their devices:

- ``disks``: by ``target`` where one is declared, else by ``path`` (or ``pool`` and ``volume``); a drive for CDs or floppies
  without ``target`` is the next one of its kind, because its medium changes. Hard disks are governed by every such list,
  CD and floppy drives only by one that names a drive of that kind (or, for the first CD drive, by ``cdrom``).
- ``networks``: by ``mac`` where one is declared, the others in order.
- ``graphics``: by ``type``. ``serial``: in order. ``channels``: by name, the two that can be declared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from archipel.protocol.domain.options import (
    LINE,
    WORD,
    Declared,
    Problem,
    boolean,
    choice,
    doubles,
    entry,
    list_of,
    matching,
    mebibytes,
    option,
    path,
    path_or_nothing,
    whole,
)

BUSES: Final = ("virtio", "sata", "scsi", "ide", "usb", "fdc")
CHANNELS: Final = {"guest_agent": "org.qemu.guest_agent.0", "spice": "com.redhat.spice.0"}
VIDEO_MODELS: Final = ("none", "virtio", "qxl", "vga", "cirrus", "bochs", "ramfb")

_NAME: Final = matching(r"(?!\.{1,2}$)(?!\s)[^/\x00-\x1f\x7f]{1,255}(?<!\s)", "a machine's name: no slash, no blank at either end")
_MAC: Final = matching(r"[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5}", "the MAC address of one card, such as 52:54:00:12:34:56")
_TARGET: Final = matching(r"(vd|sd|hd|fd)[a-z]{1,2}", "a target such as vda, sda, hda or fda")
_SERIAL_NUMBER: Final = matching(r"[A-Za-z0-9_.+ -]{1,36}", "a serial number of letters, digits and _ . + -, at most 36")
_ADDRESS: Final = matching(r"[A-Za-z0-9_.:%-]+", "an address or host name to listen at, such as 127.0.0.1")
_VOLUME: Final = matching(r"(?!\.{1,2}$)[^/\x00-\x1f\x7f]+", "the name of a volume, without slash")


def mac_address(value: Any) -> str:
    """Take a MAC address; return it in small letters, as libvirt writes it."""
    return str(_MAC(value)).lower()


def serial_ports(value: Any) -> tuple[str, ...]:
    """Take true for one terminal, false for none, ``pty``, or a list of kinds."""
    if isinstance(value, bool):
        return ("pty",) if value else ()
    kinds: tuple[str, ...] = list_of(choice("pty", "null"))([value] if isinstance(value, str) else value)
    return kinds


def medium(value: Any) -> str:
    """Take the path of an image, or ``none`` (or nothing) for an empty drive."""
    return "" if value in ("", "none") else path(value)


@dataclass(frozen=True, kw_only=True)
class DiskDeclaration(Declared):
    """A hard disk, or a drive; a drive without ``path`` and ``volume`` is empty."""

    device: str = option(choice("disk", "cdrom", "floppy"), "disk")
    path: str | None = option(path_or_nothing)
    pool: str | None = option(WORD)
    volume: str | None = option(_VOLUME)
    bus: str | None = option(choice(*BUSES))
    target: str | None = option(_TARGET)
    format: str | None = option(choice("raw", "qcow2", "qed", "vdi", "vmdk", "vpc", "vhdx"))
    readonly: bool | None = option(boolean)
    shareable: bool | None = option(boolean)
    cache: str | None = option(choice("default", "none", "writethrough", "writeback", "directsync", "unsafe"))
    serial: str | None = option(_SERIAL_NUMBER)
    boot_order: int | None = option(whole(1, 100))

    def conflicts(self) -> Iterator[Problem]:
        """Yield what is wrong with the source and its drive."""
        if (self.pool is None) != (self.volume is None):
            yield Problem("pool" if self.pool is None else "volume", "a volume is named by pool and volume together")
        if self.path is not None and self.volume is not None:
            yield Problem("path", "give a path or a volume, not both")
        if self.device == "disk" and not self.path and self.volume is None and self.pool is None:
            yield Problem("path", "a hard disk needs a path, or a pool and a volume")
        if self.device == "cdrom" and self.readonly is False:
            yield Problem("readonly", "a CD drive is always read-only; leave it out")
        if self.device == "disk" and self.readonly and self.bus in {"ide", "sata"}:
            yield Problem("readonly", f"no hard disk on {self.bus} is read-only; use bus virtio or scsi")
        if (self.bus == "fdc") != (self.device == "floppy") and self.bus is not None:
            yield Problem("bus", "fdc is the bus of floppy drives, and their only one")

    @property
    def source(self) -> tuple[str, ...]:
        """What the disk is: a path, or a pool and a volume; empty for an empty drive."""
        return (self.pool, self.volume) if self.pool and self.volume else (self.path,) if self.path else ()


@dataclass(frozen=True, kw_only=True)
class NetworkDeclaration(Declared):
    """A network card on a libvirt network, a bridge of the host, or QEMU's own user network."""

    network: str | None = option(LINE)
    bridge: str | None = option(WORD)
    user: bool | None = option(boolean)
    model: str | None = option(WORD)
    mac: str | None = option(mac_address)
    vlan: int | None = option(whole(1, 4094))
    filter: str | None = option(WORD)
    boot_order: int | None = option(whole(1, 100))

    def conflicts(self) -> Iterator[Problem]:
        """Yield a problem unless exactly one side is named."""
        if sum((bool(self.network), bool(self.bridge), bool(self.user))) != 1:
            yield Problem("network", "say where the card is plugged: one of network, bridge or user: true")


@dataclass(frozen=True, kw_only=True)
class GraphicsDeclaration(Declared):
    """A display; without ``port`` libvirt chooses a free one at each start."""

    type: str = option(choice("vnc", "spice"), "vnc")
    listen: str | None = option(_ADDRESS)
    port: int | None = option(whole(1, 65535))
    autoport: bool | None = option(boolean)

    def conflicts(self) -> Iterator[Problem]:
        """Yield a problem where the port is both chosen and left open, or neither."""
        if self.port and self.autoport:
            yield Problem("port", "give a port or autoport: true, not both")
        if self.autoport is False and not self.port:
            yield Problem("port", "autoport: false needs a port")


@dataclass(frozen=True, kw_only=True)
class DomainDeclaration(Declared):
    """A machine as declared; see the module on how lists find their devices.

    Args:
        name: the machine; its identity, never changed by a declaration.
        type: who runs it.
        arch: the guest's architecture, such as ``x86_64``.
        machine: the board, by its short name (``q35``, ``pc``) or a version of it.
        firmware: ``uefi`` lets libvirt choose the files.
        memory: what it has, in MiB or as text with a unit; raises ``max_memory`` where that is too small.
        max_memory: what it can have without a restart, in the same words.
        vcpus: how many processors it has; raises ``max_vcpus`` where that is too small.
        max_vcpus: how many it can have without a restart.
        cpu: ``host-model``, ``host-passthrough``, ``maximum``, or the name of a model.
        boot: kinds of devices, in the order in which they are tried.
        kernel: path on the hypervisor; an empty text for none, as for the next two.
        initrd: path on the hypervisor.
        cmdline: the kernel's command line.
        disks: hard disks, and drives.
        cdrom: the medium in the first CD drive, ``none`` for no medium.
        networks: network cards.
        graphics: displays; an empty list for none.
        video: the graphics card.
        serial: true for one terminal, false for none, or a list of ``pty`` and ``null``.
        channels: ``guest_agent``, ``spice``.
    """

    name: str = option(_NAME)
    type: str | None = option(choice("kvm", "qemu", "test"))
    arch: str | None = option(WORD)
    machine: str | None = option(WORD)
    firmware: str | None = option(choice("bios", "uefi"))
    memory: int | None = option(mebibytes)
    max_memory: int | None = option(mebibytes)
    vcpus: int | None = option(whole(1, 4096))
    max_vcpus: int | None = option(whole(1, 4096))
    cpu: str | None = option(WORD)
    boot: tuple[str, ...] | None = option(list_of(choice("hd", "cdrom", "network", "fd")))
    kernel: str | None = option(path_or_nothing)
    initrd: str | None = option(path_or_nothing)
    cmdline: str | None = option(LINE)
    disks: tuple[DiskDeclaration, ...] | None = option(list_of(entry(DiskDeclaration)))
    cdrom: str | None = option(medium)
    networks: tuple[NetworkDeclaration, ...] | None = option(list_of(entry(NetworkDeclaration)))
    graphics: tuple[GraphicsDeclaration, ...] | None = option(list_of(entry(GraphicsDeclaration)))
    video: str | None = option(choice(*VIDEO_MODELS))
    serial: tuple[str, ...] | None = option(serial_ports)
    channels: tuple[str, ...] | None = option(list_of(choice(*CHANNELS)))

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", "" if self.name is None else self.name)
        super().__post_init__()

    def conflicts(self) -> Iterable[Problem]:
        """Yield what is wrong between options."""
        disks = self.disks or ()
        if self.memory and self.max_memory and self.memory > self.max_memory:
            yield Problem("memory", f"{self.memory} MiB is more than max_memory, {self.max_memory} MiB; raise max_memory")
        if self.vcpus and self.max_vcpus and self.vcpus > self.max_vcpus:
            yield Problem("vcpus", f"{self.vcpus} is more than max_vcpus, {self.max_vcpus}; raise max_vcpus")
        if self.cdrom is not None and any(disk.device == "cdrom" for disk in disks):
            yield Problem("cdrom", "the CD drive is in disks already; give it there or here, not both")
        if (self.initrd or self.cmdline) and self.kernel == "":
            yield Problem("kernel", "initrd and cmdline need a kernel")
        if self.boot == ():
            yield Problem("boot", "name at least one device, such as hd; libvirt boots from the hard disk anyway")
        if self.boot and any(self.boot_orders):
            yield Problem("boot", "libvirt takes boot or the boot_order of devices, not both")
        if self.channels and "spice" in self.channels and self.graphics is not None and "spice" not in self.displays:
            yield Problem("channels", "the spice channel needs graphics of type spice")
        yield from doubles((disk.target for disk in disks), "disks", "target")
        yield from doubles(("/".join(disk.source) or None for disk in disks), "disks", "source")
        yield from doubles(self.boot_orders, "boot_order", "place")
        yield from doubles((card.mac for card in self.networks or ()), "networks", "MAC address")
        yield from doubles(self.displays, "graphics", "type")
        yield from doubles(self.channels or (), "channels", "channel")

    @property
    def displays(self) -> tuple[str, ...]:
        """The kinds of graphics declared."""
        return tuple(display.type for display in self.graphics or ())

    @property
    def boot_orders(self) -> tuple[int | None, ...]:
        """The places of single devices in the order of booting."""
        return (*(disk.boot_order for disk in self.disks or ()), *(card.boot_order for card in self.networks or ()))
