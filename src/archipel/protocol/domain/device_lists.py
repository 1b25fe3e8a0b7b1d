# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declared lists and the devices they stand for: which entry is which device, reading, changing, adding, taking away."""

from __future__ import annotations

import hashlib
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, Generic, TypeVar

from archipel.protocol.domain.declaration import DiskDeclaration, GraphicsDeclaration, NetworkDeclaration
from archipel.protocol.domain.devices import Controller, Disk, Graphics, Interface
from archipel.protocol.domain.disk_sources import default_bus, describe_source, fits_bus, free_target, source_of, write_source
from archipel.protocol.domain.domain import Domain
from archipel.protocol.domain.options import Declared
from archipel.protocol.domain.xml_model import Element, Elements

EntryT = TypeVar("EntryT", bound=Declared)
DeviceT = TypeVar("DeviceT", bound=Element)


class DeviceList(ABC, Generic[EntryT, DeviceT]):
    """How a list of entries and a domain's devices of that kind meet."""

    same: ClassVar[tuple[Callable[[Any, Any], bool], ...]]
    """When an entry is a device, the surest sign first; each device is taken once."""
    plain: ClassVar[tuple[str, ...]]
    """Options that are the device's property of the same name."""

    @abstractmethod
    def devices(self, domain: Domain) -> Elements[DeviceT]:
        """Return all devices of the kind."""

    @abstractmethod
    def identify(self, device: DeviceT) -> dict[str, Any]:
        """Return the options by which a person knows the device."""

    @abstractmethod
    def make(self, domain: Domain, entries: Sequence[EntryT], entry: EntryT) -> DeviceT:
        """Return a new device with sensible values for what the entry does not say."""

    def governed(self, domain: Domain, entries: Sequence[EntryT]) -> list[DeviceT]:
        """Return those devices that the list speaks of."""
        return list(self.devices(domain))

    def pair(self, domain: Domain, entries: Sequence[EntryT]) -> tuple[list[DeviceT | None], list[DeviceT]]:
        """Return the device of each entry, ``None`` where it is missing, and the devices beyond the list."""
        free, found = self.governed(domain, entries), dict[int, DeviceT]()
        for same in self.same:
            for index, entry in enumerate(entries):
                match = next((place for place, device in enumerate(free) if index not in found and same(entry, device)), None)
                if match is not None:
                    found[index] = free.pop(match)
        return [found.get(index) for index in range(len(entries))], free

    def describe(self, domain: Domain, entries: Sequence[EntryT]) -> list[dict[str, Any]]:
        """Return the declared options of the devices there are, entries first, then what identifies the others."""
        devices, others = self.pair(domain, entries)
        matched = [self.read(entry, device) for entry, device in zip(entries, devices, strict=True) if device is not None]
        return matched + [self.identify(device) for device in others]

    def write(self, domain: Domain, entries: Sequence[EntryT]) -> None:
        """Make the domain's devices those of the list."""
        devices, others = self.pair(domain, entries)
        for device in others:
            self.devices(domain).remove(device)
        for entry, found in zip(entries, devices, strict=True):
            self.change(entry, found or self.devices(domain).add(self.make(domain, entries, entry)), domain)

    def read(self, entry: EntryT, device: DeviceT) -> dict[str, Any]:
        """Return the entry's declared options as the device has them."""
        declared = entry.declared()
        return {name: getattr(device, name) for name in self.plain if name in declared}

    def change(self, entry: EntryT, device: DeviceT, domain: Domain) -> None:
        """Write what is declared and different."""
        for name, value in entry.declared().items():
            if name in self.plain and getattr(device, name) != value:
                setattr(device, name, value)


class DiskList(DeviceList[DiskDeclaration, Disk]):
    """Hard disks, and drives of the kinds that the list names."""

    same = (
        lambda entry, disk: entry.device == disk.device and entry.target is not None and entry.target == disk.target,
        lambda entry, disk: entry.device == disk.device and entry.target is None and bool(entry.source) and entry.source == source_of(disk),
        lambda entry, disk: entry.device == disk.device and entry.target is None and entry.device != "disk",
    )
    plain = ("bus", "target", "format", "readonly", "shareable", "cache", "serial", "boot_order")

    def devices(self, domain: Domain) -> Elements[Disk]:
        """Return all disks and drives."""
        return domain.disks

    def governed(self, domain: Domain, entries: Sequence[DiskDeclaration]) -> list[Disk]:
        """Return the hard disks, and the drives of kinds that the list names."""
        kinds = {"disk", *(entry.device for entry in entries)}
        return [disk for disk in domain.disks if disk.device in kinds or disk.device == "lun"]

    def read(self, entry: DiskDeclaration, device: Disk) -> dict[str, Any]:
        """Return the source and the declared options."""
        kind = {} if device.device == "disk" else {"device": device.device}
        return {**kind, **describe_source(device), **super().read(entry, device)}

    def identify(self, device: Disk) -> dict[str, Any]:
        """Return kind, source and target."""
        return {"device": device.device, **describe_source(device), "target": device.target}

    def make(self, domain: Domain, entries: Sequence[DiskDeclaration], entry: DiskDeclaration) -> Disk:
        """Return an empty drive on the bus and target declared, or the next free one."""
        disk = Disk.build(type="file", device=entry.device, driver="qemu", format="raw")
        bus = entry.bus or default_bus(entry.device, domain)
        disk.target = entry.target or free_target(bus, domain, {other.target for other in entries if other.target})
        disk.bus = bus
        disk.readonly = entry.device == "cdrom"
        if bus == "scsi" and not any(controller.type == "scsi" for controller in domain.controllers):
            # libvirt's own choice may be one that few guests have a driver for
            domain.controllers.add(Controller.build(type="scsi", model="virtio-scsi"))
        return disk

    def change(self, entry: DiskDeclaration, device: Disk, domain: Domain) -> None:
        """Write source and options; on another bus the disk has another place, and if need be another target."""
        if source_of(device) != entry.source:
            write_source(device, entry.source)
        if entry.bus and device.bus != entry.bus:
            for place in device.element.findall("address"):
                device.element.remove(place)
            if not entry.target and not fits_bus(device.target, entry.bus):
                device.target = free_target(entry.bus, domain, set())
        super().change(entry, device, domain)


class NetworkList(DeviceList[NetworkDeclaration, Interface]):
    """Network cards."""

    same = (
        lambda entry, card: entry.mac is not None and entry.mac == (card.mac or "").lower(),
        lambda entry, card: entry.mac is None,
    )
    plain = ("model", "mac", "vlan", "filter", "boot_order")

    def devices(self, domain: Domain) -> Elements[Interface]:
        """Return all network cards."""
        return domain.interfaces

    def read(self, entry: NetworkDeclaration, device: Interface) -> dict[str, Any]:
        """Return where the card is plugged, and the declared options."""
        values = super().read(entry, device)
        return {**self._side(device), **values, **({"mac": (device.mac or "").lower()} if entry.mac else {})}

    def identify(self, device: Interface) -> dict[str, Any]:
        """Return where the card is plugged, and its MAC address."""
        return {**self._side(device), "mac": device.mac}

    def make(self, domain: Domain, entries: Sequence[NetworkDeclaration], entry: NetworkDeclaration) -> Interface:
        """Return a virtio card that is plugged nowhere yet."""
        return Interface.build(type="user", mac=entry.mac or free_mac_address(domain), model=entry.model or "virtio")

    def change(self, entry: NetworkDeclaration, device: Interface, domain: Domain) -> None:
        """Plug the card where it is declared, and write the options."""
        if self._side(device) != self._declared_side(entry):
            for source in device.element.findall("source"):
                device.element.remove(source)
            device.type = "user" if entry.user else "bridge" if entry.bridge else "network"
            device.network, device.bridge = entry.network, entry.bridge
        if entry.mac and entry.mac == (device.mac or "").lower():
            device.mac = entry.mac
        super().change(entry, device, domain)

    @staticmethod
    def _side(card: Interface) -> dict[str, Any]:
        sides = {"network": card.network, "bridge": card.bridge, "user": True}
        return {card.type: sides.get(card.type, card.host_device)}

    @staticmethod
    def _declared_side(entry: NetworkDeclaration) -> dict[str, Any]:
        return {"user": True} if entry.user else {"bridge": entry.bridge} if entry.bridge else {"network": entry.network}


class GraphicsList(DeviceList[GraphicsDeclaration, Graphics]):
    """Displays."""

    same = (lambda entry, display: entry.type == display.type,)
    plain = ()

    def devices(self, domain: Domain) -> Elements[Graphics]:
        """Return all displays."""
        return domain.graphics

    def identify(self, device: Graphics) -> dict[str, Any]:
        """Return kind and address."""
        return {"type": device.type, "listen": self._listen(device)}

    def make(self, domain: Domain, entries: Sequence[GraphicsDeclaration], entry: GraphicsDeclaration) -> Graphics:
        """Return a display on a port that libvirt chooses, for this host only."""
        return Graphics.build(type=entry.type, autoport=True, listen_attribute=entry.listen or "127.0.0.1")

    def read(self, entry: GraphicsDeclaration, device: Graphics) -> dict[str, Any]:
        """Return the declared options; no port where libvirt chooses it."""
        values = {"listen": self._listen(device), "port": None if self._is_automatic(device) else device.port}
        values["autoport"] = self._is_automatic(device)
        declared = entry.declared()
        return {"type": device.type, **{name: value for name, value in values.items() if name in declared}}

    def change(self, entry: GraphicsDeclaration, device: Graphics, domain: Domain) -> None:
        """Write address and port where they differ."""
        if entry.listen and entry.listen != self._listen(device):
            for listen in device.element.findall("listen"):
                device.element.remove(listen)
            device.listen_attribute = entry.listen
        if entry.port and (self._is_automatic(device) or device.port != entry.port):
            device.port, device.autoport = entry.port, False
        if entry.autoport and not self._is_automatic(device):
            device.port, device.autoport = None, True

    @staticmethod
    def _listen(display: Graphics) -> str | None:
        return display.listen_address or display.listen_attribute

    @staticmethod
    def _is_automatic(display: Graphics) -> bool:
        return display.autoport is True or display.port in {None, -1}


def free_mac_address(domain: Domain) -> str | None:
    """Return a MAC address in QEMU's range that follows from the machine's UUID, ``None`` for a machine without one.

    Left to libvirt, a card plugged into a running machine would have one address there and another in the stored definition.
    """
    taken = {(card.mac or "").lower() for card in domain.interfaces}
    for place in itertools.count():
        digest = hashlib.sha256(f"{domain.uuid} {place}".encode()).hexdigest()
        address = f"52:54:00:{digest[:2]}:{digest[2:4]}:{digest[4:6]}"
        if address not in taken:
            break
    return address if domain.uuid else None


DEVICE_LISTS: Final[Mapping[str, DeviceList[Any, Any]]] = {
    "disks": DiskList(),
    "networks": NetworkList(),
    "graphics": GraphicsList(),
}
"""By the name of the option."""
