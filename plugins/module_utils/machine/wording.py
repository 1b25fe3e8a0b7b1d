# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A definition in the words of module ``vm``: by single options where they say all of it, else whole.

Options say all of a definition if a machine made of them would have the same, but for what libvirt fills in.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from ansible_collections.archipel.platform.plugins.module_utils.machine.arguments import MACHINE, MachineWish
from ansible_collections.archipel.platform.plugins.module_utils.machine.specification import read_specification
from ansible_collections.archipel.platform.plugins.module_utils.machine.whole_definition import project, statement, to_text

try:
    from archipel.protocol.domain.declaration import CHANNELS
    from archipel.protocol.domain.devices import Disk, Graphics, Interface
    from archipel.protocol.domain.disk_sources import describe_source
    from archipel.protocol.domain.single_options import SINGLE_OPTIONS
    from archipel.protocol.domain.xml_values import DomainXmlError
except ImportError:
    pass  # library.require_library tells the user

if TYPE_CHECKING:
    from archipel.protocol.domain.domain import Domain

_FAMILIES = {"pc-q35-": "q35", "pc-i440fx-": "pc"}
# What a new machine gets besides what is declared, and what libvirt puts in.
_FILLED_IN = {
    "devices": ("controller", "emulator", "input", "memballoon", "rng", "console", "audio"),
    "disk": ("address", "alias", "backingStore"),
    "interface": ("address", "alias", "target"),
    "serial": ("address", "alias", "target"),
    "channel": ("address", "alias"),
    "video": ("address", "alias"),
}
_FILLED_IN_ATTRIBUTES = {
    "vcpu": ("placement",),
    "cpu": ("check", "migratable"),
    "driver": ("name",),
    "graphics": ("tlsPort", "websocket"),
    "channel": ("mode",),
}
_USUAL_MODEL = {"heads": {"1"}, "primary": {"yes"}, "vram": {"16384", "65536"}, "ram": {"65536"}, "vgamem": {"16384"}}


def describe_definition(name: str, stored: Domain) -> dict[str, Any]:
    """Return what declares a machine with this definition, and changes nothing of it."""
    options = options_of(stored)
    return options if says_all(name, options, stored) else {"definition": to_text(statement(stored.element))}


def options_of(stored: Domain) -> dict[str, Any]:
    """Return a definition by single options, as far as they go."""
    found = {option: single.read(stored, list(CHANNELS) if option == "channels" else "") for option, single in SINGLE_OPTIONS.items()}
    found["domain_type"] = found.pop("type")
    found["machine"] = _family(found["machine"])
    found["memory"], found["max_memory"] = str(found["memory"]), str(found["max_memory"])
    for maximum, value in (("max_memory", "memory"), ("max_vcpus", "vcpus")):
        if found[maximum] == found[value]:
            del found[maximum]
    if found["firmware"] == "bios":
        del found["firmware"]
    options = {option: value for option, value in found.items() if value not in (None, "")}
    for option, said in (("boot", bool(options["boot"])), ("video", any(True for _video in stored.videos))):
        if not said:
            options.pop(option, None)
    return {
        **options,
        "disks": [_given(_read_disk(disk)) for disk in stored.disks],
        "networks": [_given(_read_card(card)) for card in stored.interfaces],
        "graphics": [_given(_read_display(display)) for display in stored.graphics],
    }


def _family(machine: str | None) -> str | None:
    return next((family for start, family in _FAMILIES.items() if machine and machine.startswith(start)), machine)


def _read_disk(disk: Disk) -> dict[str, Any]:
    kind = {} if disk.device == "disk" else {"device": disk.device}
    cache = None if disk.cache == "default" else disk.cache
    readonly = True if disk.readonly and disk.device == "disk" else None
    return {
        **kind, **describe_source(disk), "bus": disk.bus, "target": disk.target, "format": disk.format, "readonly": readonly,
        "shareable": disk.shareable or None, "cache": cache, "serial": disk.serial, "boot_order": disk.boot_order,
    }  # fmt: skip


def _read_card(card: Interface) -> dict[str, Any]:
    sides = {"network": card.network, "bridge": card.bridge, "user": True}
    return {
        card.type: sides.get(card.type, card.host_device), "model": card.model, "mac": card.mac, "vlan": card.vlan,
        "filter": card.filter, "boot_order": card.boot_order,
    }  # fmt: skip


def _read_display(display: Graphics) -> dict[str, Any]:
    chosen = display.autoport is True or display.port in {None, -1}
    port = {"autoport": True} if chosen else {"port": display.port}
    return {"type": display.type, "listen": display.listen_address or display.listen_attribute, **port}


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def says_all(name: str, options: Mapping[str, Any], stored: Domain) -> bool:
    """Whether a machine made of these options would be the same, and declaring them of this one would change nothing."""
    try:
        wish = MachineWish.of({**dict.fromkeys(MACHINE), "name": name, **options})
        specification = read_specification(wish)
        made = specification.make(name, stored.uuid, options["domain_type"])
        unchanged = not specification.plan(stored, specification.change(stored), running=False).changed
    except (DomainXmlError, ValueError):
        return False
    if not unchanged:
        return False
    stated, present = _essence(stored.element), _essence(made.element)
    return _text(project(stated, present)) == _text(stated)


def _text(element: ET.Element) -> str:
    return ET.tostring(element, encoding="unicode")


def _essence(definition: ET.Element) -> ET.Element:
    """Return what a definition states, without what libvirt fills in."""
    stated = statement(copy.deepcopy(definition))
    for element in list(stated.iter()):
        for child in list(_superfluous(element)):
            element.remove(child)
        for attribute in _FILLED_IN_ATTRIBUTES.get(element.tag, ()):
            element.attrib.pop(attribute, None)
    for kind in stated.iterfind("os/type"):
        kind.attrib |= {"machine": _family(kind.get("machine")) or ""} if kind.get("machine") else {}
    for model in stated.iterfind("devices/video/model"):
        for attribute in [name for name, value in model.attrib.items() if value in _USUAL_MODEL.get(name, ())]:
            del model.attrib[attribute]
    for display in stated.iterfind("devices/graphics"):
        _settle_display(display)
    return stated


def _superfluous(element: ET.Element) -> Iterator[ET.Element]:
    yield from (child for child in element if child.tag in _FILLED_IN.get(element.tag, ()))
    if element.tag == "os" and element.get("firmware") is not None:
        yield from (child for child in element if child.tag in {"loader", "nvram", "firmware"})


def _settle_display(display: ET.Element) -> None:
    """Write a display's address and automatic port in one way of several."""
    listen = display.find("listen[@type='address']")
    if listen is not None and listen.get("address", display.get("listen")) is not None:
        display.set("listen", listen.get("address", display.get("listen", "")))
        display.remove(listen)
    if display.get("autoport") == "yes" or display.get("port") == "-1":
        display.attrib.pop("port", None)
        display.set("autoport", "yes")
    elif display.get("autoport") == "no":
        del display.attrib["autoport"]
