# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From one definition to another, step by step: what a running machine can take on at once, and what waits for a restart.

Pure planning. Whoever carries a plan out stores the new definition first (:class:`Redefine`), so that a definition libvirt
refuses changes nothing, then makes the live steps on the running machine only (``VIR_DOMAIN_AFFECT_LIVE``). Steps that are not
live are there to be told: they are part of the stored definition, and take effect at the next start.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar
from xml.etree import ElementTree as ET

from archipel.protocol.domain.devices import Disk, Interface
from archipel.protocol.domain.domain import Domain
from archipel.protocol.domain.single_options import current_memory
from archipel.protocol.domain.xml_model import Element, Elements
from archipel.protocol.domain.xml_path import content

DeviceT = TypeVar("DeviceT", bound=Element)

# Compared one by one; everything else in a definition is compared as a whole.
_PLANNED: Final = ("memory", "currentMemory", "vcpu", "devices")
_PLANNED_DEVICES: Final = ("disk", "interface", "channel")
# What libvirt changes in a card of a running machine (virDomainUpdateDeviceFlags); model and MAC address are not among it.
_LIVE_OF_CARD: Final = ("source", "filterref", "link", "vlan")
_MEDIUM: Final = ("source", "driver", "backingStore")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One change: why, and whether a running machine takes it on at once."""

    reason: str
    live: bool = True


@dataclass(frozen=True, kw_only=True)
class Redefine(Step):
    """Store this definition."""

    xml: str


@dataclass(frozen=True, kw_only=True)
class SetMemory(Step):
    """Set the balloon, in KiB."""

    kib: int


@dataclass(frozen=True, kw_only=True)
class SetVcpus(Step):
    """Set the number of processors."""

    count: int


@dataclass(frozen=True, kw_only=True)
class DeviceStep(Step):
    """A step with one device; ``xml`` is its description."""

    xml: str


@dataclass(frozen=True, kw_only=True)
class AttachDevice(DeviceStep):
    """Plug a device in."""


@dataclass(frozen=True, kw_only=True)
class DetachDevice(DeviceStep):
    """Unplug a device; a running guest has to let go of it, which it may refuse or do later."""


@dataclass(frozen=True, kw_only=True)
class UpdateDevice(DeviceStep):
    """Change a device in its place."""


@dataclass(frozen=True, kw_only=True)
class ChangeMedia(DeviceStep):
    """Put another medium in the drive ``target``, or take it out."""

    target: str


@dataclass(frozen=True, kw_only=True)
class Restart(Step):
    """A difference that no live step makes; ``place`` is where it stands in the definition."""

    place: str
    live: bool = False


@dataclass(frozen=True)
class Plan:
    """What leads from the current definition to the desired one, in order."""

    steps: tuple[Step, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.steps)

    @property
    def live_steps(self) -> tuple[Step, ...]:
        """What is done to the running machine, after the definition is stored."""
        return tuple(step for step in self.steps if step.live and not isinstance(step, Redefine))

    @property
    def needs_restart(self) -> bool:
        """Whether something takes effect only at the next start."""
        return bool(self.restart_reasons)

    @property
    def restart_reasons(self) -> tuple[str, ...]:
        """What takes effect only at the next start, in words."""
        return tuple(step.reason for step in self.steps if not step.live)


def plan(current: Domain, desired: Domain, running: bool) -> Plan:
    """Return the steps from ``current`` to ``desired``; the latter is best made by applying a declaration to the former."""
    if current == desired:
        return Plan()
    store = Redefine(xml=desired.to_text(), reason="the definition changes")
    if not running:
        return Plan((store,))
    planners = (_memory, _vcpus, _disks, _interfaces, _channels, _rest)
    return Plan((store, *(step for planner in planners for step in planner(current, desired))))


def _memory(current: Domain, desired: Domain) -> Iterator[Step]:
    before, after = current_memory(current), current_memory(desired)
    if current.memory != desired.memory:
        yield Restart(place="memory", reason="the most memory a machine can have is fixed while it runs")
    if after is None or before == after:
        return
    balloon = current.memballoon is None or current.memballoon.model != "none"
    live = balloon and after <= (current.memory or 0)
    reason = f"memory becomes {after // 1024} MiB"
    if not balloon:
        reason += "; without a memory balloon it cannot change while the machine runs"
    yield SetMemory(kib=after, live=live, reason=reason if live or not balloon else f"{reason}, more than the running machine can have")


def _vcpus(current: Domain, desired: Domain) -> Iterator[Step]:
    if current.max_vcpus != desired.max_vcpus:
        yield Restart(place="vcpu", reason="the most processors a machine can have is fixed while it runs")
    if current.vcpus == desired.vcpus:
        return
    reason = f"the machine gets {desired.vcpus} processors"
    if desired.vcpus > current.max_vcpus:
        reason += ", more than the running machine can have"
    elif desired.vcpus < current.vcpus:
        reason += ", and those it was started with cannot be taken away while it runs"
    yield SetVcpus(count=desired.vcpus, live=current.vcpus < desired.vcpus <= current.max_vcpus, reason=reason)


# -- devices -------------------------------------------------------------------------------------------------------------


class _Sockets:
    """Where devices can be plugged into a running machine; each that is used up is gone for the next."""

    def __init__(self, domain: Domain) -> None:
        self._can_plug = domain.type != "test"  # libvirt's test driver has no hot-plug
        self._controllers = {controller.type for controller in domain.controllers}
        self._ports = _free_ports(domain)

    def obstacle(self, bus: str, *, is_new: bool) -> str | None:
        """Say why nothing can be plugged into the bus (or out of it) now, ``None`` where it can."""
        if not self._can_plug:
            return "libvirt's test driver plugs nothing in or out"
        if bus in {"scsi", "usb", "virtio-serial"}:
            return None if bus in self._controllers else f"the running machine has no {bus} controller"
        if bus != "virtio":
            return f"{bus} takes nothing in or out while the machine runs"
        if is_new and self._ports == 0:
            return "no PCI Express port is free in the running machine"
        self._ports -= is_new
        return None


def _free_ports(domain: Domain) -> int:
    """Return how many devices can be plugged in; on classic PCI there is room for some thirty."""
    models = {controller.index: controller.model for controller in domain.controllers if controller.type == "pci"}
    if "pcie-root" not in models.values():
        return 30
    taken = {int(address.get("bus", "0"), 0) for address in domain.element.iter("address") if address.get("type") == "pci"}
    return sum(1 for index, model in models.items() if model == "pcie-root-port" and index not in taken)


def _differences(
    current: Elements[DeviceT], desired: Elements[DeviceT], key: Callable[[int, DeviceT], Hashable]
) -> Iterator[tuple[DeviceT | None, DeviceT | None]]:
    """Yield each device that differs, before and after; ``None`` stands for one that is not there."""
    before = {key(place, device): device for place, device in enumerate(current)}
    after = {key(place, device): device for place, device in enumerate(desired)}
    for name in [*before, *(name for name in after if name not in before)]:
        if before.get(name) != after.get(name):
            yield before.get(name), after.get(name)


def _disks(current: Domain, desired: Domain) -> Iterator[Step]:
    sockets = _Sockets(current)
    for before, after in _differences(current.disks, desired.disks, lambda _, disk: (disk.device, disk.target)):
        if before and after:
            yield _change_disk(before, after, current.type != "test")
        elif found := before or after:
            yield _plug(found, f"{found.device} {found.target}", found.bus or "virtio", sockets, is_new=before is None)


def _change_disk(before: Disk, after: Disk, can_change: bool) -> Step:
    name = f"{after.device} {after.target}"
    if after.device != "disk" and _without(before, _MEDIUM, ("type",)) == _without(after, _MEDIUM, ("type",)):
        reason = f"{name} gets another medium" if after.element.find("source") is not None else f"{name} is emptied"
        return ChangeMedia(target=after.target or "", xml=_placeless(after), reason=reason, live=can_change)
    return Restart(place=f"devices/disk[{after.target}]", reason=f"{name} changes in a way that a running guest does not see")


def _interfaces(current: Domain, desired: Domain) -> Iterator[Step]:
    sockets = _Sockets(current)
    for before, after in _differences(current.interfaces, desired.interfaces, lambda place, card: card.mac or place):
        if before and after:
            yield _change_card(before, after, current.type != "test")
        elif found := before or after:
            yield _plug(found, f"network card {found.mac or found.model or ''}".rstrip(), "virtio", sockets, is_new=before is None)


def _change_card(before: Interface, after: Interface, can_change: bool) -> Step:
    name = f"network card {after.mac or ''}".rstrip()
    if {before.type, after.type} <= {"network", "bridge"} and _without(before, _LIVE_OF_CARD, ("type",)) == _without(
        after, _LIVE_OF_CARD, ("type",)
    ):
        return UpdateDevice(xml=_placeless(after), reason=f"{name} is plugged elsewhere or filtered otherwise", live=can_change)
    return Restart(place="devices/interface", reason=f"{name} changes in a way that a running guest does not see")


def _channels(current: Domain, desired: Domain) -> Iterator[Step]:
    sockets = _Sockets(current)

    for before, after in _differences(current.channels, desired.channels, lambda place, channel: channel.name or place):
        if after and before is None:
            yield _plug(after, f"channel {after.name}", "virtio-serial", sockets, is_new=True)
        elif found := before or after:
            # libvirt finds a channel to unplug by its socket on the host, which stored definitions do not tell
            yield Restart(place="devices/channel", reason=f"channel {found.name} stays as it is while the machine runs")


def _plug(device: Element, name: str, bus: str, sockets: _Sockets, *, is_new: bool) -> Step:
    obstacle = sockets.obstacle(bus, is_new=is_new)
    kind = AttachDevice if is_new else DetachDevice
    reason = f"{name} is plugged {'in' if is_new else 'out'}"
    return kind(
        xml=device.to_text() if is_new else _placeless(device),
        reason=f"{reason}; {obstacle}" if obstacle else reason,
        live=obstacle is None,
    )


def _placeless(device: Element) -> str:
    """Return the description of a device without its address: what was plugged in has another one than the stored definition says."""
    return _without(device, ("address", "alias"), ()).to_text()


# -- the rest ------------------------------------------------------------------------------------------------------------


def _rest(current: Domain, desired: Domain) -> Iterator[Step]:
    """Yield a step for each other part of the definition that differs."""
    places = (("", current.element, desired.element, _PLANNED), ("devices/", *_devices(current, desired), _PLANNED_DEVICES))
    for prefix, before, after, planned in places:
        tags = dict.fromkeys(child.tag for child in (*before, *after) if child.tag not in planned)
        for tag in tags:
            if _contents(before.iterfind(tag)) != _contents(after.iterfind(tag)):
                yield Restart(place=prefix + tag, reason=f"{prefix}{tag} of a running machine cannot change")
    if current.type != desired.type:
        yield Restart(place="@type", reason="the hypervisor under a running machine cannot change")


def _devices(current: Domain, desired: Domain) -> tuple[ET.Element, ET.Element]:
    before, after = current.element.find("devices"), desired.element.find("devices")
    return (ET.Element("devices") if before is None else before, ET.Element("devices") if after is None else after)


def _contents(elements: Iterable[ET.Element]) -> list[object]:
    return [content(element) for element in elements]


def _without(device: Element, tags: tuple[str, ...], attributes: tuple[str, ...]) -> Element:
    """Return a copy without these children and attributes, to compare what is left."""
    left = device.copy()
    for child in [child for child in left.element if child.tag in tags]:
        left.element.remove(child)
    for name in attributes:
        left.element.attrib.pop(name, None)
    return left
