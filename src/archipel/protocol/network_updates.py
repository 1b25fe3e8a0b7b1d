# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a network can change while it runs (libvirt, virNetworkUpdate): DHCP, DNS records, groups of ports.

All else takes effect when the network is started anew.
"""

from __future__ import annotations

import copy
import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

from archipel.protocol.declared_xml import prune
from archipel.protocol.domain.xml_path import Path, content


class Section(enum.IntEnum):
    """Part of a network (virNetworkUpdateSection)."""

    DHCP_HOST = 4
    DHCP_RANGE = 5
    PORTGROUP = 9
    DNS_HOST = 10
    DNS_TXT = 11
    DNS_SRV = 12


class Command(enum.IntEnum):
    """What happens to an entry (virNetworkUpdateCommand)."""

    MODIFY = 1
    DELETE = 2
    ADD = 3  # behind the others


NOT_IN_AN_ADDRESS: Final = -1


@dataclass(frozen=True)
class Update:
    """One call of libvirt; ``address`` is the number of the ``<ip>`` that the entry belongs to."""

    command: Command
    section: Section
    xml: str
    address: int = NOT_IN_AN_ADDRESS

    def __str__(self) -> str:
        return f"{self.command.name.lower()} {self.section.name.lower().replace('_', ' ')} {self.xml}"


_DNS: Final = {"host": Section.DNS_HOST, "txt": Section.DNS_TXT, "srv": Section.DNS_SRV}
_DHCP: Final = {"host": Section.DHCP_HOST, "range": Section.DHCP_RANGE}


def plan_updates(running: ET.Element, wanted: ET.Element) -> list[Update]:
    """Return the calls that bring a network that runs as near to a definition as libvirt can."""
    updates = list(_change_portgroups(running, wanted))
    updates += _change_lists(_find(running, "dns"), _find(wanted, "dns"), _DNS, NOT_IN_AN_ADDRESS)
    for number, address in enumerate(running.findall("ip")):
        same = _same_address(address, wanted)
        if same is not None:
            updates += _change_lists(_find(address, "dhcp"), _find(same, "dhcp"), _DHCP, number)
    return sorted(updates, key=lambda update: update.command is Command.ADD)  # a new entry may stand in the place of an old one


def carry_over(running: ET.Element, wanted: ET.Element) -> ET.Element:
    """Return the network as it is when all of :func:`plan_updates` is done."""
    result = copy.deepcopy(running)
    _replace(result, Path((), None), wanted, ("portgroup",))
    _replace(result, Path(("dns",), None), wanted, tuple(_DNS))
    for address in result.findall("ip"):
        same = _same_address(address, wanted)
        if same is not None:
            _replace(address, Path(("dhcp",), None), same, tuple(_DHCP))
    return result


def _find(parent: ET.Element, tag: str) -> ET.Element:
    found = parent.find(tag)
    return ET.Element(tag) if found is None else found


def _same_address(address: ET.Element, network: ET.Element) -> ET.Element | None:
    return next((other for other in network.findall("ip") if other.get("address") == address.get("address")), None)


def _change_lists(running: ET.Element, wanted: ET.Element, sections: dict[str, Section], address: int) -> Iterator[Update]:
    for tag, section in sections.items():
        present, future = _entries(running, tag), _entries(wanted, tag)
        for entry in present:
            if content(entry) not in map(content, future):
                yield Update(Command.DELETE, section, _text(entry), address)
        for entry in future:
            if content(entry) not in map(content, present):
                yield Update(Command.ADD, section, _text(entry), address)


def _change_portgroups(running: ET.Element, wanted: ET.Element) -> Iterator[Update]:
    present = {group.get("name"): group for group in _entries(running, "portgroup")}
    future = {group.get("name"): group for group in _entries(wanted, "portgroup")}
    for name, group in present.items():
        if name not in future:
            yield Update(Command.DELETE, Section.PORTGROUP, _text(group))
    for name, group in future.items():
        if name not in present:
            yield Update(Command.ADD, Section.PORTGROUP, _text(group))
        elif content(group) != content(present[name]):
            yield Update(Command.MODIFY, Section.PORTGROUP, _text(group))


def _entries(parent: ET.Element, tag: str) -> list[ET.Element]:
    """Return the entries without what libvirt counts in a network that runs."""
    entries = [copy.deepcopy(entry) for entry in parent.findall(tag)]
    for entry in entries:
        entry.attrib.pop("connections", None)
    return entries


def _replace(root: ET.Element, way: Path, wanted: ET.Element, tags: tuple[str, ...]) -> None:
    parent, source = way.make(root), way.find(wanted)
    for tag in tags:
        for old in parent.findall(tag):
            parent.remove(old)
        parent.extend([] if source is None else copy.deepcopy(source.findall(tag)))
    prune(root, way)


def _text(element: ET.Element) -> str:
    bare = copy.deepcopy(element)
    bare.tail = None
    return ET.tostring(bare, encoding="unicode")
