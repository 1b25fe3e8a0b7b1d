# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an entity says of itself to any XMPP client: XEP-0030 (disco), XEP-0092 (version)."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from archipel.agent.dispatch import Caller
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import PermissionDenied
from archipel.xmpp import stanzas

if TYPE_CHECKING:
    from archipel.agent.entity import Entity

NAMESPACES: Final = frozenset({ns.DISCO_INFO, ns.DISCO_ITEMS, ns.VERSION})


def answer(entity: Entity, iq: ET.Element, namespace: str, caller: Caller) -> ET.Element:
    """Return the answer to a question about the entity; strangers are told nothing."""
    if not entity.knows(caller.bare):
        return stanzas.error_of(iq, PermissionDenied(f"{caller.bare} is not known here"), namespace, "")
    return stanzas.result_of(iq, _ANSWERS[namespace](entity))


def _describe(entity: Entity) -> ET.Element:
    query = ET.Element(f"{{{ns.DISCO_INFO}}}query")
    ET.SubElement(query, f"{{{ns.DISCO_INFO}}}identity", {"category": "automation", "type": "bot", "name": entity.name})
    served = {found.request.namespace for found in entity.services.registry.commands(entity.kind)}
    for feature in sorted(served | NAMESPACES | {ns.PING}):
        ET.SubElement(query, f"{{{ns.DISCO_INFO}}}feature", {"var": feature})
    return query


def _list_items(_entity: Entity) -> ET.Element:
    return ET.Element(f"{{{ns.DISCO_ITEMS}}}query")


def _tell_version(_entity: Entity) -> ET.Element:
    query = ET.Element(f"{{{ns.VERSION}}}query")
    for name, value in (("name", "archipel-agent"), ("version", version("archipel"))):
        ET.SubElement(query, f"{{{ns.VERSION}}}{name}").text = value
    return query


_ANSWERS = {ns.DISCO_INFO: _describe, ns.DISCO_ITEMS: _list_items, ns.VERSION: _tell_version}
