# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this protocol needs of XML beyond :mod:`xml.etree.ElementTree`: names without their namespaces.

The founders looked elements up by local name only, and so must everybody who speaks with their clients.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from xml.etree import ElementTree as ET


def local_name(tag: str) -> str:
    """Return ``tag`` without its namespace."""
    return tag.rpartition("}")[2]


def namespace_of(tag: str) -> str:
    """Return the namespace of ``tag``, empty if it has none."""
    return tag[1:].partition("}")[0] if tag.startswith("{") else ""


def children_named(parent: ET.Element, name: str) -> Iterator[ET.Element]:
    """Yield the direct children of ``parent`` whose local name is ``name``, whatever their namespace."""
    return (child for child in parent if isinstance(child.tag, str) and local_name(child.tag) == name)


def child_named(parent: ET.Element, name: str) -> ET.Element | None:
    """Return the first direct child whose local name is ``name``, or ``None``."""
    return next(children_named(parent, name), None)


def nests_deeper(element: ET.Element, limit: int) -> bool:
    """Whether elements stand in each other more than ``limit`` deep; without recursion, which is what it guards."""
    level = [element]
    for _ in range(limit):
        level = [child for parent in level for child in parent]
        if not level:
            return False
    return True


def without_namespaces(element: ET.Element, *, only: frozenset[str]) -> ET.Element:
    """Return a copy of ``element`` whose tags have lost the namespaces named in ``only``."""
    result = copy.deepcopy(element)
    for node in result.iter():
        if isinstance(node.tag, str) and namespace_of(node.tag) in only:
            node.tag = local_name(node.tag)
    return result
