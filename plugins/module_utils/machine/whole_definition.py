# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A whole definition compared with what libvirt made of it: only what was written counts.

libvirt fills in addresses, controllers, defaults and units. :func:`project` returns what a present definition says about
everything that a written one states, in the written one's form; the two are equal exactly when nothing is to be done.
Devices that libvirt never adds by itself (disks, network cards, displays ...) are governed by the written definition: one that
is there beyond them is part of the difference.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from xml.etree import ElementTree as ET

GOVERNED = frozenset(
    {"disk", "interface", "graphics", "hostdev", "filesystem", "channel", "sound", "tpm", "rng", "redirdev", "shmem", "vsock"},
)
# The same for networks and filters, by the element that they stand in.
GOVERNED_IN = {
    "network": ("forward", "ip", "portgroup", "route", "vlan", "virtualport", "bandwidth", "mtu"),
    "dhcp": ("range", "host", "bootp"),
    "dns": ("forwarder", "host", "txt", "srv"),
    "vlan": ("tag",),
    "filter": ("rule", "filterref"),
    "filterref": ("parameter",),
}
# Not the definition's matter: identity, and what libvirt itself writes at each start.
_NOT_STATED = ("name", "uuid", "seclabel")
_SECRETS = ("passwd", "passwdValidTo")
_PLACES = ("address", "alias")
# Units of libvirt's memory sizes, in bytes (libvirt's documentation, "Memory Allocation"); KiB where none is written.
_UNITS = {
    "b": 1, "bytes": 1, "KB": 10**3, "k": 2**10, "KiB": 2**10, "MB": 10**6, "M": 2**20, "MiB": 2**20,
    "GB": 10**9, "G": 2**30, "GiB": 2**30, "TB": 10**12, "T": 2**40, "TiB": 2**40,
}  # fmt: skip
_MEMORIES = frozenset({"memory", "currentMemory", "maxMemory"})
_FAMILIES = {"pc": "pc-i440fx", "q35": "pc-q35"}


def statement(written: ET.Element, *, without: tuple[str, ...] = ()) -> ET.Element:
    """Return what a definition states, rid of identity, secrets and blanks; ``without`` names further children to leave out."""
    stated = copy.deepcopy(written)
    stated.attrib.pop("id", None)
    for child in [child for child in stated if child.tag in (*_NOT_STATED, *without)]:
        stated.remove(child)
    for element in stated.iter():
        element.text = (element.text or "").strip() or None
        element.tail = None
        for secret in _SECRETS:
            element.attrib.pop(secret, None)
    return stated


def project(stated: ET.Element, present: ET.Element) -> ET.Element:
    """Return what ``present`` says about everything that ``stated`` states; equal values in the spelling of ``stated``."""
    found = ET.Element(stated.tag)
    if stated.tag in _MEMORIES:
        same = stated if _bytes_of(stated) == _bytes_of(present) else present
        found.attrib, found.text = dict(same.attrib), same.text
        return found
    for name, value in stated.attrib.items():
        if name in present.attrib:
            found.set(name, value if _same(stated, name, value, present.attrib[name]) else present.attrib[name])
    before = (present.text or "").strip() or None
    found.text = stated.text if before and stated.text and _same_number(before, stated.text) else before
    for tag in dict.fromkeys(child.tag for child in stated):
        for child, match in _pair(stated.findall(tag), present.findall(tag)):
            if match is not None:
                found.append(project(child, match))
    found.extend(_ungoverned(stated, present))
    return _in_order_of(stated, found)


def to_text(element: ET.Element) -> str:
    """Return the element as people read it."""
    shown = copy.deepcopy(element)
    ET.indent(shown)
    return ET.tostring(shown, encoding="unicode") + "\n"


def keep_card_addresses(written: ET.Element, present: ET.Element) -> None:
    """Give network cards without MAC address those of the cards they stand for: libvirt would make up others each time."""
    for card, match in _pair(written.findall("devices/interface"), present.findall("devices/interface")):
        mac = None if match is None else match.find("mac")
        if mac is not None and card.find("mac") is None:
            card.insert(0, copy.deepcopy(mac))


def differing_parts(stated: ET.Element, found: ET.Element) -> list[str]:
    """Return the tags of those children, and of those devices, in which two projections differ."""
    parts = []
    for child in dict.fromkeys(element.tag for element in (*stated, *found)):
        if child == "devices":
            parts += differing_parts(_child(stated, child), _child(found, child))
        elif _texts(stated, child) != _texts(found, child):
            parts.append(child)
    return parts


def _child(parent: ET.Element, tag: str) -> ET.Element:
    child = parent.find(tag)
    return ET.Element(tag) if child is None else child


def _texts(parent: ET.Element, tag: str) -> list[str]:
    return [ET.tostring(child, encoding="unicode") for child in parent.findall(tag)]


# -- which element is which ---------------------------------------------------------------------------------------------

_IDENTITY: dict[str, Callable[[ET.Element], str | None]] = {
    "disk": lambda element: _at(element, "target", "dev"),
    "interface": lambda element: (_at(element, "mac", "address") or "").lower() or None,
    "graphics": lambda element: element.get("type"),
    "controller": lambda element: f"{element.get('type')} {element.get('index', '0')}",
    "channel": lambda element: _at(element, "target", "name"),
    "ip": lambda element: element.get("address"),
    "portgroup": lambda element: element.get("name"),
    "range": lambda element: f"{element.get('start')} {element.get('end')}",
    "host": lambda element: (element.get("mac") or element.get("ip") or "").lower() or None,
}


def _at(element: ET.Element, tag: str, attribute: str) -> str | None:
    child = element.find(tag)
    return None if child is None else child.get(attribute)


def _pair(stated: list[ET.Element], present: list[ET.Element]) -> Iterator[tuple[ET.Element, ET.Element | None]]:
    """Yield each stated element with its present one: by identity where it states one, the others in order."""
    free, matches = list(present), dict[int, ET.Element]()
    for place, child in enumerate(stated):
        identity = _identity(child)
        match = next((other for other in free if identity is not None and _identity(other) == identity), None)
        if match is not None:
            matches[place] = match
            free.remove(match)
    for place, child in enumerate(stated):
        if place not in matches and free and _identity(child) is None:
            matches[place] = free.pop(0)
    yield from ((child, matches.get(place)) for place, child in enumerate(stated))


def _identity(element: ET.Element) -> str | None:
    identify = _IDENTITY.get(element.tag)
    return identify(element) if identify else None


def _ungoverned(stated: ET.Element, present: ET.Element) -> Iterator[ET.Element]:
    """Yield what is there beyond the statement although the statement governs it."""
    boot = {"boot"} if stated.tag == "os" and stated.find("boot") is not None else ()
    tags = GOVERNED if stated.tag == "devices" else GOVERNED_IN.get(stated.tag, boot)
    for tag in sorted(tags):
        matched = [match for _child, match in _pair(stated.findall(tag), present.findall(tag))]
        for extra in present.findall(tag):
            if extra not in matched:
                shown = statement(extra)
                for place in [child for child in shown if child.tag in _PLACES]:
                    shown.remove(place)
                yield shown


def _in_order_of(stated: ET.Element, found: ET.Element) -> ET.Element:
    order = list(dict.fromkeys(child.tag for child in stated))
    found[:] = sorted(found, key=lambda child: order.index(child.tag) if child.tag in order else len(order))
    return found


# -- which values are the same ------------------------------------------------------------------------------------------


def _same(stated: ET.Element, name: str, value: str, other: str) -> bool:
    if stated.tag == "type" and name == "machine" and other.startswith(f"{_FAMILIES.get(value, value)}-"):
        return True
    return value == other or _same_number(value, other) or (name == "address" and stated.tag == "mac" and value.lower() == other.lower())


def _same_number(one: str, other: str) -> bool:
    """Whether two texts are the same number in decimal or hexadecimal: 0x01 is 1."""
    try:
        return one == other or int(one, 0) == int(other, 0)
    except ValueError:
        return one == other


def _bytes_of(element: ET.Element) -> int | None:
    """Return an amount of memory in bytes, rounded up to whole KiB as libvirt does."""
    try:
        amount = int(element.text or "") * _UNITS[element.get("unit", "KiB")]
    except (ValueError, KeyError):
        return None
    return -(-amount // 1024) * 1024
