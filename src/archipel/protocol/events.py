# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pushes: what an entity announces on its events node when something changed (docs/events.md is the contract)."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field
from datetime import datetime
from xml.etree import ElementTree as ET

from archipel.protocol import namespaces as ns
from archipel.protocol.xml import namespace_of

ADMIN_ACCOUNTS_NODE = "/archipel/adminaccounts"
RULES_NODE = "/archipel/rules"
TAGS_NODE = "/archipel/tags"
ROLES_NODE = "/archipel/roles"
_DATE_FORMAT = "%Y-%m-%d %H:%M:%S.%f"  # the founders': local time without a zone


class Topic(enum.StrEnum):
    """What a push is about; with :data:`~archipel.protocol.namespaces.PUSH_PREFIX` in front it is the push's namespace."""

    HEALTH = "health"
    HYPERVISOR = "hypervisor"
    PERMISSIONS = "permissions"
    SNAPSHOTS = "snapshoting"
    SCHEDULER = "scheduler"
    SUBSCRIPTION = "subscription"
    VM_CONTROL = "virtualmachine:control"
    VM_DEFINITION = "virtualmachine:definition"


def events_node(jid: str) -> str:
    """Return the name of the events node of the entity with the bare JID ``jid``."""
    return f"/archipel/{jid}/events"


def owner_of_events_node(node: str) -> str | None:
    """Return whose events node ``node`` is, or ``None`` if it is none."""
    parts = node.split("/")
    return parts[2] if len(parts) == 4 and parts[:2] == ["", "archipel"] and parts[3] == "events" else None


@dataclass(frozen=True)
class Push:
    """One announcement.

    ``sequence`` counts the pushes of one entity within one ``epoch`` (a life of its agent), from 1 and without gaps: both
    are new here, founding clients ignore them. ``date`` is the hypervisor's local time. ``by`` is whose doing it was (bare JID),
    as far as the agent is certain; it is new here, too.
    """

    topic: str
    change: str
    sequence: int = 0
    epoch: str = ""
    date: datetime = field(default_factory=datetime.now)
    by: str = ""

    def write(self, *details: ET.Element) -> ET.Element:
        """Return the ``<push/>`` element, with ``details`` in it, which take its namespace."""
        attributes = {"date": self.date.strftime(_DATE_FORMAT), "change": self.change}
        if self.epoch:
            attributes |= {"sequence": str(self.sequence), "epoch": self.epoch}
        if self.by:
            attributes["by"] = self.by
        namespace = f"{ns.PUSH_PREFIX}{self.topic}"
        element = ET.Element(f"{{{namespace}}}push", attributes)
        for detail in details:
            ET.SubElement(element, f"{{{namespace}}}{detail.tag}", detail.attrib).text = detail.text
        return element

    @classmethod
    def read(cls, element: ET.Element) -> Push | None:
        """Return the push that ``element`` holds; ``None`` if it is none, or not as a push must be."""
        namespace = namespace_of(element.tag)
        if not namespace.startswith(ns.PUSH_PREFIX) or not element.tag.endswith("}push"):
            return None
        try:
            date = datetime.strptime(element.get("date", ""), _DATE_FORMAT)
            sequence = _read_sequence(element.get("sequence", "0"))
        except ValueError:
            return None
        topic, change = namespace.removeprefix(ns.PUSH_PREFIX), element.get("change", "")
        return cls(topic, change, sequence, element.get("epoch", ""), date, element.get("by", ""))


def _read_sequence(text: str) -> int:
    if not re.fullmatch("[0-9]{1,18}", text):
        raise ValueError(f"{text[:20]!r} is not a count of pushes")
    return int(text)
