# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an entity says of itself to any XMPP client: XEP-0030 (disco), XEP-0092 (version)."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from archipel.agent import adhoc
from archipel.agent.dispatch import Caller
from archipel.protocol import namespaces as ns
from archipel.protocol.errors import CommandError, Condition, ErrorCode, PermissionDenied, shorten
from archipel.xmpp import stanzas

if TYPE_CHECKING:
    from archipel.agent.entity import Entity

NAMESPACES: Final = frozenset({ns.DISCO_INFO, ns.DISCO_ITEMS, ns.VERSION})


def answer(entity: Entity, iq: ET.Element, namespace: str, caller: Caller) -> ET.Element:
    """Return the answer to a question about the entity; strangers are told nothing."""
    if not entity.knows(caller.bare):
        return stanzas.error_of(iq, PermissionDenied(f"{caller.bare} is not known here"), namespace, "")
    try:
        return stanzas.result_of(iq, _ANSWERS[namespace](entity, caller, iq[0].get("node", "")))
    except CommandError as error:
        return stanzas.error_of(iq, error, namespace, "")


def _name(entity: Entity, caller: Caller, node: str) -> str:
    """Return what a node is called: the list of commands, or one of them that this caller may use.

    Raises :class:`CommandError` (item-not-found, XEP-0030, 3.1) for any other.
    """
    names = {adhoc.node_of(found): found.help for found in adhoc.list_commands(entity, caller)} | {ns.COMMANDS: "Commands"}
    if node not in names:
        raise CommandError(f"there is no node {shorten(node)!r}", ErrorCode.NOT_IMPLEMENTED, Condition.ITEM_NOT_FOUND)
    return names[node]


def _describe(entity: Entity, caller: Caller, node: str) -> ET.Element:
    name = _name(entity, caller, node) if node else entity.name
    query = ET.Element(f"{{{ns.DISCO_INFO}}}query", {"node": node} if node else {})
    if node == ns.COMMANDS:
        identity = {"category": "automation", "type": "command-list", "name": name}
    elif node:
        identity = {"category": "automation", "type": "command-node", "name": name}
    else:
        identity = {"category": "automation", "type": "bot", "name": name}
    ET.SubElement(query, f"{{{ns.DISCO_INFO}}}identity", identity)
    served = {found.request.namespace for found in entity.services.registry.commands(entity.kind)}
    for feature in sorted({ns.COMMANDS, ns.DATA_FORMS} if node else served | NAMESPACES | {ns.PING, ns.COMMANDS}):
        ET.SubElement(query, f"{{{ns.DISCO_INFO}}}feature", {"var": feature})
    return query


def _list_items(entity: Entity, caller: Caller, node: str) -> ET.Element:
    if node:
        _name(entity, caller, node)
    query = ET.Element(f"{{{ns.DISCO_ITEMS}}}query", {"node": node} if node else {})
    for command in adhoc.list_commands(entity, caller) if node == ns.COMMANDS else ():
        item = {"jid": entity.full, "node": adhoc.node_of(command), "name": command.help}
        ET.SubElement(query, f"{{{ns.DISCO_ITEMS}}}item", item)
    return query


def _tell_version(_entity: Entity, _caller: Caller, _node: str) -> ET.Element:
    query = ET.Element(f"{{{ns.VERSION}}}query")
    for name, value in (("name", "archipel-agent"), ("version", version("archipel"))):
        ET.SubElement(query, f"{{{ns.VERSION}}}{name}").text = value
    return query


_ANSWERS = {ns.DISCO_INFO: _describe, ns.DISCO_ITEMS: _list_items, ns.VERSION: _tell_version}
