# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A libvirt domain definition: read from hostile text or stanzas, seen through typed properties, written as text.

Whoever checks a definition must hand on what :meth:`Domain.to_text` of the *checked* object says, never the text it was
read from: comments, processing instructions and the stanza's namespaces are gone by then.
"""

from __future__ import annotations

import copy
import enum
import re
from typing import Final
from xml.etree import ElementTree as ET

from archipel.protocol import namespaces as ns
from archipel.protocol.domain.devices import (
    Channel,
    Console,
    Controller,
    Cpu,
    Disk,
    Features,
    Filesystem,
    Graphics,
    Hostdev,
    Input,
    Interface,
    Memballoon,
    OperatingSystem,
    Rng,
    Serial,
    Sound,
    Tpm,
    Video,
    Watchdog,
)
from archipel.protocol.domain.xml_model import Attribute, Child, Children, Element, Memory, Presence, Text
from archipel.protocol.domain.xml_values import INTEGER, DomainXmlError, enumeration
from archipel.protocol.xml import local_name, namespace_of

MOST_CHARACTERS: Final = 1 << 20
"""Longest definition that is read; libvirt's own are some ten thousand characters."""
MOST_ELEMENTS: Final = 20_000
DEEPEST: Final = 100
"""Deepest nesting; backing chains are what nests, and ``qemu-img`` itself gives up at 200 images."""

QEMU: Final = "http://libvirt.org/schemas/domain/qemu/1.0"
LIBOSINFO: Final = "http://libosinfo.org/xmlns/libvirt/domain/1.0"
# Prefixes as virsh shows them; what reads XML does not mind, but people do.
ET.register_namespace("qemu", QEMU)
ET.register_namespace("libosinfo", LIBOSINFO)

# Every declaration (DTD, entity) begins so; comments and CDATA sections are not meant.
_DECLARATION: Final = re.compile(r"<!(?!--|\[CDATA\[)")


class LifecycleAction(enum.StrEnum):
    """What libvirt does when the guest powers off, reboots or crashes."""

    DESTROY = "destroy"
    RESTART = "restart"
    PRESERVE = "preserve"
    RENAME_RESTART = "rename-restart"
    COREDUMP_DESTROY = "coredump-destroy"
    COREDUMP_RESTART = "coredump-restart"


_LIFECYCLE_ACTION: Final = enumeration(LifecycleAction)


class Metadata(Element, tag="metadata"):
    """What applications keep in a definition, each in a namespace of its own; libvirt does not look inside."""


class Domain(Element, tag="domain"):
    """A domain definition; memory is in KiB.

    Raises:
        DomainXmlError: on reading a property whose text is none of the wanted kind.
    """

    type = Attribute("type")
    id = Attribute("id", INTEGER)
    name = Text("name")
    uuid = Text("uuid")
    title = Text("title")
    description = Text("description")
    metadata = Child("metadata", Metadata)
    memory = Memory("memory")
    current_memory = Memory("currentMemory")
    hugepages = Presence("memoryBacking/hugepages")
    max_vcpus = Text("vcpu", INTEGER, default=1)
    _current_vcpus = Attribute("vcpu/@current", INTEGER)
    os = Child("os", OperatingSystem)
    features = Child("features", Features)
    cpu = Child("cpu", Cpu)
    clock_offset = Attribute("clock/@offset")
    timezone = Attribute("clock/@timezone")
    on_poweroff = Text("on_poweroff", _LIFECYCLE_ACTION, default=LifecycleAction.DESTROY)
    on_reboot = Text("on_reboot", _LIFECYCLE_ACTION, default=LifecycleAction.RESTART)
    on_crash = Text("on_crash", _LIFECYCLE_ACTION, default=LifecycleAction.DESTROY)
    emulator = Text("devices/emulator")
    disks = Children("devices/disk", Disk)
    controllers = Children("devices/controller", Controller)
    interfaces = Children("devices/interface", Interface)
    serials = Children("devices/serial", Serial)
    consoles = Children("devices/console", Console)
    channels = Children("devices/channel", Channel)
    inputs = Children("devices/input", Input)
    tpms = Children("devices/tpm", Tpm)
    graphics = Children("devices/graphics", Graphics)
    sounds = Children("devices/sound", Sound)
    videos = Children("devices/video", Video)
    hostdevs = Children("devices/hostdev", Hostdev)
    filesystems = Children("devices/filesystem", Filesystem)
    watchdogs = Children("devices/watchdog", Watchdog)
    memballoon = Child("devices/memballoon", Memballoon)
    rngs = Children("devices/rng", Rng)

    @property
    def vcpus(self) -> int:
        """How many processors the machine starts with; at most ``max_vcpus``."""
        current = self._current_vcpus
        return self.max_vcpus if current is None else current

    @vcpus.setter
    def vcpus(self, count: int) -> None:
        self._current_vcpus = None if count == self.max_vcpus else count

    @property
    def operating_system(self) -> OperatingSystem:
        """The ``<os>`` element; an empty one, which changes nothing, where it is missing."""
        return self.os or OperatingSystem()

    @classmethod
    def from_element(cls, element: ET.Element) -> Domain:
        """Return the definition inside a stanza: a copy, rid of the stanza's namespaces.

        Elements of other namespaces, such as libvirt's for QEMU options, stay as they are: a policy must see them.

        Raises:
            DomainXmlError: the element is no domain, or it is too big.
        """
        _check_size(element)
        own = copy.deepcopy(element)
        own.tail = None
        for node in list(own.iter()):
            for remark in [child for child in node if not isinstance(child.tag, str)]:
                node.remove(remark)
            if isinstance(node.tag, str) and _is_of_stanza(namespace_of(node.tag)):
                node.tag = local_name(node.tag)
        return cls(own)


def parse(text: str) -> Domain:
    """Return the definition that ``text`` holds.

    Raises:
        DomainXmlError: the text is too long, declares a document type or entities, is not XML, or is no domain.
    """
    if len(text) > MOST_CHARACTERS:
        raise DomainXmlError(f"the definition has {len(text)} characters; at most {MOST_CHARACTERS} are read")
    if _DECLARATION.search(text):
        raise DomainXmlError("the definition declares a document type or entities; leave out <!DOCTYPE ...> and <!ENTITY ...>")
    try:
        element = ET.fromstring(text)  # noqa: S314 - the size is limited, and without declarations there is nothing to expand
    except (ET.ParseError, ValueError) as error:
        raise DomainXmlError(f"the definition is not well-formed XML: {error}") from None
    return Domain.from_element(element)


def _is_of_stanza(namespace: str) -> bool:
    return namespace.startswith("archipel:") or namespace in {ns.CLIENT, ns.UNDECLARED}


def _check_size(root: ET.Element) -> None:
    """Refuse what would exhaust whoever walks through it; without recursion, which is what it guards."""
    level, count = [root], 0
    for _ in range(DEEPEST):
        count += len(level)
        level = [child for parent in level for child in parent]
        if count > MOST_ELEMENTS:
            raise DomainXmlError(f"the definition has more than {MOST_ELEMENTS} elements")
        if not level:
            return
    raise DomainXmlError(f"the definition nests more than {DEEPEST} elements")
