# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The definition of a copy: the same machine with an identity of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from xml.etree import ElementTree as ET

from archipel.protocol.domain.domain import Domain

# What libvirt makes anew for a domain that has none, and that two domains cannot both have.
_MADE_BY_LIBVIRT: Final = (
    ("devices/interface", "mac"),
    ("devices/interface", "target"),
    ("devices/channel[@type='unix']", "source"),
    (".", "id"),
)
_ORIGIN: Final = "{urn:archipel:copy}copy"  # in a definition's metadata: the UUID of what it was copied from, in ``of``
_AUTOMATIC_PORTS: Final = ("port", "tlsPort", "websocket")


def define_copy(source: Domain, uuid: str, name: str, moved: Mapping[str, str]) -> Domain:
    """Return what a copy of ``source`` is defined as.

    UUID, MAC addresses, host interfaces, sockets and ports of displays are its own; files in ``moved`` are those that they
    map to. All else, devices' addresses included, stays: the guest finds its hardware as it knows it. The metadata say of what it
    is a copy.
    """
    copy = Domain.from_element(source.element)
    copy.uuid, copy.name = uuid, name
    root = copy.element
    root.attrib.pop("id", None)
    for place, child in _MADE_BY_LIBVIRT:
        for parent in root.findall(place):
            _remove_all(parent, child)
    for genid in root.findall("genid"):
        genid.text = None
    for system in root.findall("sysinfo/system"):
        for entry in [entry for entry in system.findall("entry") if entry.get("name") in {"uuid", "serial"}]:
            system.remove(entry)
    for graphics in copy.graphics:
        _free_ports(graphics.element)
    _move_files(root, moved)
    _note_origin(root, source.uuid or "")
    return copy


def origin_of(domain: Domain) -> str | None:
    """Return the UUID of the machine that this one is a copy of; ``None`` if its definition does not say that it is one."""
    found = domain.element.find(f"metadata/{_ORIGIN}")
    return None if found is None else found.get("of")


def _note_origin(root: ET.Element, uuid: str) -> None:
    metadata = root.find("metadata")
    if metadata is None:
        metadata = ET.SubElement(root, "metadata")
    _remove_all(metadata, _ORIGIN)
    ET.SubElement(metadata, _ORIGIN, {"of": uuid})


def _remove_all(parent: ET.Element, name: str) -> None:
    for child in parent.findall(name):
        parent.remove(child)


def _free_ports(graphics: ET.Element) -> None:
    """Let libvirt choose the ports that were fixed."""
    if any(graphics.get(name, "-1") != "-1" for name in _AUTOMATIC_PORTS):
        for name in _AUTOMATIC_PORTS:
            graphics.attrib.pop(name, None)
        graphics.set("autoport", "yes")
    for listen in graphics.findall("listen[@type='socket']"):
        listen.attrib.pop("socket", None)
    graphics.attrib.pop("socket", None)


def _move_files(root: ET.Element, moved: Mapping[str, str]) -> None:
    for element in root.iter():
        for name, value in element.attrib.items():
            if value in moved:
                element.set(name, moved[value])
        if (text := (element.text or "").strip()) in moved:
            element.text = moved[text]
