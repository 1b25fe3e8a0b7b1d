# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Descriptors of the Open Virtualization Format (DMTF DSP0243, versions 1 and 2), read from hostile text: one machine, typed.

What is not taken over into a machine here is named in :attr:`OvfMachine.left_out`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

from archipel.protocol.xml import child_named, children_named, local_name, nests_deeper

MOST_BYTES: Final = 1 << 20
DEEPEST: Final = 30
MOST_DEVICES: Final = 200
MOST_VCPUS: Final = 1024
MOST_MEMORY: Final = 1 << 44  # bytes
LONGEST_TEXT: Final = 100  # characters of a name that are shown

_DECLARATION: Final = re.compile(r"<!(?!--|\[CDATA\[)")
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_UNIT: Final = re.compile(r"byte(?:\*(2|10)\^([0-9]{1,2}))?")
_OLD_UNITS: Final = {"kilobytes": 10, "kb": 10, "megabytes": 20, "mb": 20, "gigabytes": 30, "gb": 30}
_DISK: Final = re.compile(r"(?:ovf:)?/(disk|file)/(.+)")
_NOT_SHOWN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_ITEMS: Final = frozenset({"Item", "StorageItem", "EthernetPortItem"})
# CIM_ResourceAllocationSettingData.ResourceType (DMTF DSP0004): how this names what a device is
_PROCESSOR, _MEMORY, _IDE, _SCSI, _NETWORK, _CD, _DVD, _HARD_DISK, _SATA = "3", "4", "5", "6", "10", "15", "16", "17", "20"
_EVERY_MACHINE_HAS: Final = frozenset({_IDE, _SCSI, _SATA, "23", "24"})  # controllers of disks and of USB, a screen
_CARDS: Final = {"e1000": "e1000", "e1000e": "e1000e", "vmxnet3": "vmxnet3", "virtio": "virtio", "virtionet": "virtio", "pcnet32": "pcnet"}


class OvfUnreadable(ValueError):
    """A text that is no descriptor of one machine; says why."""


@dataclass(frozen=True, kw_only=True)
class OvfDisk:
    """A disk: ``file`` is the name of the file that it is in, ``None`` if it is empty; ``capacity`` in bytes."""

    file: str | None
    capacity: int


@dataclass(frozen=True, kw_only=True)
class OvfMachine:
    """The machine of a descriptor: ``memory`` in KiB, disks in their order, one model for each network card.

    ``files`` is what it refers to (``None``: the size is not told); ``left_out`` names hardware and settings that have no counterpart.
    """

    name: str
    memory: int
    vcpus: int
    efi: bool
    disks: tuple[OvfDisk, ...]
    optical_drives: int
    cards: tuple[str, ...]
    files: dict[str, int | None]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class _Item:
    """A line of the virtual hardware, by the local names of its elements."""

    told: dict[str, str]

    @property
    def type(self) -> str:
        return self.told.get("ResourceType", "")

    @property
    def subtype(self) -> str:
        return self.told.get("ResourceSubType", "").lower().rpartition(".")[2]

    def __str__(self) -> str:
        named = self.told.get("ElementName") or self.told.get("Caption") or self.told.get("Description") or "a device"
        return f"{_show(named)} (type {_show(self.type) or 'not told'})"


def parse_ovf(content: bytes) -> OvfMachine:
    """Return the machine that a descriptor describes. Raises :class:`OvfUnreadable`."""
    envelope = _read_envelope(content)
    systems = [node for node in envelope.iter() if isinstance(node.tag, str) and local_name(node.tag) == "VirtualSystem"]
    if len(systems) != 1:
        raise OvfUnreadable(f"it describes {len(systems)} machines: export one machine by itself")
    (system,) = systems
    hardware = child_named(system, "VirtualHardwareSection")
    if hardware is None:
        raise OvfUnreadable("there is no VirtualHardwareSection in it")
    items = [_read_item(node) for node in hardware if isinstance(node.tag, str) and local_name(node.tag) in _ITEMS]
    if len(items) > MOST_DEVICES:
        raise OvfUnreadable(f"it describes more than {MOST_DEVICES} devices")
    files = _read_files(envelope)
    cards, odd_cards = _read_cards(items)
    return OvfMachine(
        name=_show(_text(system, "Name") or _attribute(system, "id")),
        memory=_sum(items, _MEMORY, "memory", MOST_MEMORY) // 1024,
        vcpus=_sum(items, _PROCESSOR, "processors", MOST_VCPUS),
        efi=any(_attribute(node, "key") == "firmware" and _attribute(node, "value") == "efi" for node in hardware),
        disks=_read_disks(envelope, items, {identity: name for identity, (name, _size) in files.items()}),
        optical_drives=sum(item.type in {_CD, _DVD} for item in items),
        cards=cards,
        files=dict(files.values()),
        left_out=(*_unknown_hardware(items), *odd_cards, *_unknown_sections(envelope, system)),
    )


def _read_envelope(content: bytes) -> ET.Element:
    if len(content) > MOST_BYTES:
        raise OvfUnreadable(f"it has more than {MOST_BYTES} bytes")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise OvfUnreadable("it is not UTF-8") from None
    if _DECLARATION.search(text):
        raise OvfUnreadable("it declares a document type or entities")
    try:
        root = ET.fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", text))  # noqa: S314 - limited, and nothing is declared that could expand
    except (ET.ParseError, ValueError) as error:
        raise OvfUnreadable(f"it is no well-formed XML: {error}") from None
    if nests_deeper(root, DEEPEST):
        raise OvfUnreadable(f"it nests more than {DEEPEST} elements")
    if not isinstance(root.tag, str) or local_name(root.tag) != "Envelope":
        raise OvfUnreadable("it is no OVF: there is no <Envelope>")
    return root


def _read_item(node: ET.Element) -> _Item:
    return _Item({local_name(child.tag): (child.text or "").strip() for child in node if isinstance(child.tag, str)})


def _read_files(envelope: ET.Element) -> dict[str, tuple[str, int | None]]:
    """Return name and size of each file by its identity."""
    found: dict[str, tuple[str, int | None]] = {}
    for node in _in_section(envelope, "References", "File"):
        identity, name, size = _attribute(node, "id"), _attribute(node, "href"), _attribute(node, "size")
        if identity in found or any(name == other for other, _ in found.values()):
            raise OvfUnreadable(f"the file {_show(name)!r} is named twice")
        if _attribute(node, "compression") not in {"", "identity"} or _attribute(node, "chunkSize"):
            raise OvfUnreadable(f"the file {_show(name)!r} is compressed or in pieces: that is not read here")
        found[identity] = (name, _read_number(size, f"the size of {_show(name)!r}") if size else None)
    return found


def _read_disks(envelope: ET.Element, items: list[_Item], files: dict[str, str]) -> tuple[OvfDisk, ...]:
    described: dict[str, OvfDisk] = {}
    for node in _in_section(envelope, "DiskSection", "Disk"):
        identity = _attribute(node, "diskId")
        if identity in described:
            raise OvfUnreadable(f"the disk {_show(identity)!r} is described twice")
        described[identity] = _read_disk(node, files)
    found = [_find_disk(item, described, files) for item in sorted(filter(_is_disk, items), key=_place(items))]
    used = [disk.file for disk in found if disk.file is not None]
    if len(set(used)) < len(used):
        raise OvfUnreadable("two disks are in one file")
    return tuple(found)


def _read_disk(node: ET.Element, files: dict[str, str]) -> OvfDisk:
    if _attribute(node, "parentRef"):
        raise OvfUnreadable("a disk stands on another one: export the machine without snapshots")
    file, told = _attribute(node, "fileRef"), _attribute(node, "capacity")
    if file and file not in files:
        raise OvfUnreadable(f"a disk is in the file {_show(file)!r}, which is not listed")
    units = _attribute(node, "capacityAllocationUnits")
    return OvfDisk(file=files[file] if file else None, capacity=_read_number(told, "the capacity of a disk") * _read_unit(units))


def _find_disk(item: _Item, described: dict[str, OvfDisk], files: dict[str, str]) -> OvfDisk:
    resource = item.told.get("HostResource", "")
    found = _DISK.fullmatch(resource)
    if found and found[1] == "disk" and found[2] in described:
        return described[found[2]]
    if found and found[1] == "file" and found[2] in files:
        return OvfDisk(file=files[found[2]], capacity=0)
    raise OvfUnreadable(f"the disk {item} is {_show(resource)!r}, which is not described")


def _is_disk(item: _Item) -> bool:
    return item.type == _HARD_DISK


def _place(items: list[_Item]) -> Callable[[_Item], tuple[int, int]]:
    """Return what sorts disks by their controllers, as these are listed, and then by where they are there."""
    controllers = {item.told.get("InstanceID", ""): number for number, item in enumerate(items)}

    def place(item: _Item) -> tuple[int, int]:
        address = item.told.get("AddressOnParent", "")
        return controllers.get(item.told.get("Parent", ""), -1), int(address) if _NUMBER.fullmatch(address) else 0

    return place


def _read_cards(items: list[_Item]) -> tuple[tuple[str, ...], list[str]]:
    """Return the models of the network cards, and what is said of those that are of another one here."""
    cards = [item for item in items if item.type == _NETWORK]
    odd = [f"the model {_show(card.subtype) or 'not told'} of {card}: it is an e1000e" for card in cards if card.subtype not in _CARDS]
    return tuple(_CARDS.get(card.subtype, "e1000e") for card in cards), odd


def _unknown_hardware(items: list[_Item]) -> Iterator[str]:
    known = {_PROCESSOR, _MEMORY, _NETWORK, _CD, _DVD, _HARD_DISK} | _EVERY_MACHINE_HAS
    yield from (str(item) for item in items if item.type not in known)
    yield from (f"the medium of {item}" for item in items if item.type in {_CD, _DVD} and item.told.get("HostResource"))


def _unknown_sections(envelope: ET.Element, system: ET.Element) -> Iterator[str]:
    """Yield the sections that would change what the machine is or does."""
    known = {
        "References",
        "DiskSection",
        "NetworkSection",
        "VirtualSystem",
        "VirtualSystemCollection",
        "Strings",
        "StartupSection",
        "Machine",
    }
    silent = {"Info", "Name", "OperatingSystemSection", "VirtualHardwareSection", "ProductSection", "AnnotationSection", "EulaSection"}
    for node in (*envelope, *system):
        if isinstance(node.tag, str) and local_name(node.tag) not in known | silent:
            yield f"the section {_show(local_name(node.tag))}"


def _sum(items: list[_Item], kind: str, what: str, most: int) -> int:
    total = 0
    for item in (item for item in items if item.type == kind):
        units = item.told.get("AllocationUnits", "") if kind == _MEMORY else ""
        total += _read_number(item.told.get("VirtualQuantity", ""), f"the quantity of {what}") * _read_unit(units)
    least = 1 << 20 if kind == _MEMORY else 1
    if not least <= total <= most:
        raise OvfUnreadable(f"it has {total} ({what}), which is less than {least} or more than {most}")
    return total


def _read_number(told: str, what: str) -> int:
    if not _NUMBER.fullmatch(told):
        raise OvfUnreadable(f"{what} is {_show(told)!r}, which is no whole number")
    return int(told)


def _read_unit(told: str) -> int:
    """Return how many bytes a unit is (DSP0004, C.1): ``byte * 2^20``, or a word of the first drafts."""
    plain = "".join(told.split())
    if plain.lower() in _OLD_UNITS:
        return 1 << _OLD_UNITS[plain.lower()]
    found = _UNIT.fullmatch(plain or "byte")
    if not found:
        raise OvfUnreadable(f"the unit {_show(told)!r} is not known")
    base, exponent = int(found[1] or 1), int(found[2] or 1)
    size: int = base**exponent
    return size


def _in_section(envelope: ET.Element, section: str, name: str) -> Iterator[ET.Element]:
    for found in children_named(envelope, section):
        yield from children_named(found, name)


def _attribute(node: ET.Element, name: str) -> str:
    """Return an attribute by its local name."""
    return next((value.strip() for key, value in node.attrib.items() if local_name(key) == name), "")


def _text(element: ET.Element, name: str) -> str:
    found = child_named(element, name)
    return "" if found is None else (found.text or "").strip()


def _show(text: str) -> str:
    return _NOT_SHOWN.sub(" ", text).strip()[:LONGEST_TEXT]
