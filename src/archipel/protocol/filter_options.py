# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people declare of a libvirt network filter, and where it stands in its XML (libvirt, "Network Filters")."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final
from xml.etree import ElementTree as ET

from archipel.protocol.declared_xml import Listing, Option, Record, Single, Whole
from archipel.protocol.domain.options import DeclarationError, Problem, boolean, choice, matching, whole
from archipel.protocol.domain.xml_values import INTEGER, words

ACTIONS: Final = ("drop", "reject", "accept", "return", "continue")
DIRECTIONS: Final = ("in", "out", "inout")
_IPV6: Final = ("tcp", "udp", "udplite", "esp", "ah", "sctp", "all")
PROTOCOLS: Final = (
    "mac", "vlan", "stp", "arp", "rarp", "ip", "ipv6", *_IPV6, "icmp", "igmp", "icmpv6", *(f"{name}-ipv6" for name in _IPV6),
)  # fmt: skip
"""Elements that say what a rule is about."""

_NAME: Final = matching(r"[A-Za-z0-9][A-Za-z0-9_.:+-]*", "a name of letters, digits and . _ + : -")
_VALUE: Final = matching(r"[^\x00-\x1f\x7f<>&\"']{0,512}", "a value without control characters, quotes and < > &")
_MOST: Final = 2**32  # larger numbers are none of libvirt's fields, but addresses that YAML has read as numbers in base 60
_NUMBERS: Final = {
    "protocolid": {"ipv4": 0x800, "arp": 0x806, "vlan": 0x8100, "rarp": 0x8035, "ipv6": 0x86DD},
    "protocol": {"icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "esp": 50, "ah": 51, "icmpv6": 58, "sctp": 132, "udplite": 136},
}
"""Names that libvirt writes in the place of numbers, by field."""
_TRUTHS: Final = {True: "yes", False: "no"}


class _Protocol(Option):
    """What a rule is about: the one element in it."""

    def check(self, value: Any, place: str) -> str:
        """Take one of libvirt's protocols."""
        if value not in PROTOCOLS:
            raise DeclarationError([Problem(place, f"{value!r} is not one of {', '.join(PROTOCOLS)}")])
        return str(value)

    def read(self, element: ET.Element) -> str | None:
        """Return the protocol, ``None`` for a rule about everything."""
        found = _protocol_of(element)
        return None if found is None else found.tag

    def read_like(self, element: ET.Element, declared: Any) -> str:
        """Return the same, empty for a rule about everything."""
        return self.read(element) or ""

    def write(self, element: ET.Element, value: Any) -> None:
        """Make it the rule's only element; what another protocol had goes."""
        if value != self.read_like(element, value):
            element[:] = [ET.Element(value)]


class _Fields(Option):
    """The attributes of that element, in libvirt's words; all of them are declared together."""

    def check(self, value: Any, place: str) -> dict[str, str]:
        """Take a mapping of texts, numbers and truths."""
        if not isinstance(value, Mapping):
            raise DeclarationError([Problem(place, f"write a mapping such as dstportstart: 25, not {value!r}")])
        return {_checked(_NAME, name, place): _value(entry, f"{place}.{name}") for name, entry in value.items()}

    def read(self, element: ET.Element) -> dict[str, str] | None:
        """Return all attributes."""
        found = _protocol_of(element)
        return None if found is None else dict(found.attrib) or None

    def read_like(self, element: ET.Element, declared: Any) -> dict[str, str]:
        """Return all attributes; equal numbers and addresses in the spelling of the declaration."""
        present, wanted = self.read(element) or {}, declared or {}
        names = [*(name for name in wanted if name in present), *(name for name in present if name not in wanted)]
        return {name: wanted[name] if name in wanted and _means(name, wanted[name], present[name]) else present[name] for name in names}

    def write(self, element: ET.Element, value: Any) -> None:
        """Replace all of them."""
        found = _protocol_of(element)
        if found is not None and self.read_like(element, value) != value:
            found.attrib = dict(value)


class _Parameters(Option):
    """What a filter is told by the one that refers to it: one value of a name, or several."""

    def check(self, value: Any, place: str) -> dict[str, list[str]]:
        """Take a mapping of names to values or lists of values."""
        if not isinstance(value, Mapping):
            raise DeclarationError([Problem(place, f"write a mapping such as IP: 10.0.0.1, not {value!r}")])
        listed = {name: entry if isinstance(entry, list) else [entry] for name, entry in value.items()}
        return {_checked(_NAME, name, place): [_value(entry, f"{place}.{name}") for entry in entries] for name, entries in listed.items()}

    def read(self, element: ET.Element) -> dict[str, list[str]] | None:
        """Return all parameters."""
        found: dict[str, list[str]] = {}
        for parameter in element.findall("parameter"):
            found.setdefault(parameter.get("name", ""), []).append(parameter.get("value", ""))
        return found or None

    def read_like(self, element: ET.Element, declared: Any) -> dict[str, list[str]]:
        """Return all parameters, in the order of the declaration."""
        found, wanted = self.read(element) or {}, declared or {}
        return {
            name: found[name] for name in [*(name for name in wanted if name in found), *(name for name in found if name not in wanted)]
        }

    def write(self, element: ET.Element, value: Any) -> None:
        """Replace all of them."""
        for old in element.findall("parameter"):
            element.remove(old)
        for name, entries in value.items():
            for entry in entries:
                ET.SubElement(element, "parameter", name=name, value=entry)


def _protocol_of(rule: ET.Element) -> ET.Element | None:
    return next(iter(rule), None)


def _value(value: Any, place: str) -> str:
    if isinstance(value, int) and abs(value) >= _MOST:
        text = f"{value} is too large; write an address in quotes: YAML reads one such as 52:54:00:11:22:33 as a number"
        raise DeclarationError([Problem(place, text)])
    return _checked(_VALUE, _TRUTHS[value] if isinstance(value, bool) else str(value), place)


def _checked(check: Any, value: Any, place: str) -> str:
    try:
        return str(check(value))
    except ValueError as error:
        raise DeclarationError([Problem(place, str(error))]) from None


def _means(field: str, declared: str, found: str) -> bool:
    """Whether two values of a field are the same: 0x806 is arp, and the case of addresses does not matter."""
    return _number_in(field, declared) == _number_in(field, found)


def _number_in(field: str, value: str) -> int | str:
    try:
        return int(value, 0)
    except ValueError:
        return _NUMBERS.get(field, {}).get(value.lower(), value.lower())


FILTER: Final = Record(
    chain=Single("@chain", check=_NAME),
    priority=Single("@priority", INTEGER, check=whole(-1000, 1000)),
    rules=Listing(
        "rule",
        Whole(
            action=Single("@action", check=choice(*ACTIONS)),
            direction=Single("@direction", check=choice(*DIRECTIONS)),
            priority=Single("@priority", INTEGER, check=whole(-1000, 1000), default=500),
            statematch=Single("@statematch", words("true", "false"), check=boolean, default=True),
            protocol=_Protocol(),
            fields=_Fields(),
        ),
    ),
    filterrefs=Listing("filterref", Whole(filter=Single("@filter", check=_NAME), parameters=_Parameters())),
)
"""All options by name; rules and references are known by their order."""


def read_declaration(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is declared of a filter, in its normal form; raises :class:`DeclarationError`, which names every wrong option."""
    declared = FILTER.check(options, "")
    for index, rule in enumerate(declared.get("rules", ())):
        missing = [name for name in ("action", "direction") if name not in rule]
        if missing or ("fields" in rule and "protocol" not in rule):
            raise DeclarationError([Problem(f"rules[{index}].{(*missing, 'protocol')[0]}", "is missing")])
    return declared


def make_filter(declared: Mapping[str, Any], name: str, uuid: str | None) -> ET.Element:
    """Return the definition of a new filter."""
    element = ET.Element("filter", name=name)
    if uuid is not None:
        ET.SubElement(element, "uuid").text = uuid
    FILTER.write(element, declared)
    return element


def change_filter(declared: Mapping[str, Any], present: ET.Element) -> ET.Element:
    """Return a definition that says what is declared, and all else as before."""
    changed = copy.deepcopy(present)
    FILTER.write(changed, declared)
    return changed


def describe_filter(element: ET.Element) -> dict[str, Any]:
    """Return what a definition says, in the words of a declaration."""
    return dict(FILTER.read(element) or {})
