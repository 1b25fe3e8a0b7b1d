# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people declare of a libvirt storage pool, and where it stands in its XML (libvirt, "Storage pool and volume XML format")."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final
from xml.etree import ElementTree as ET

from archipel.protocol.declared_xml import Listing, Record, Single
from archipel.protocol.domain.options import WORD, DeclarationError, Problem, choice, matching, path, whole
from archipel.protocol.domain.xml_values import INTEGER

TYPES: Final = ("dir", "fs", "netfs", "logical")
"""Kinds of pools that agents define."""


def file_mode(value: Any) -> str:
    """Take permissions as an octal text such as ``0711``; return them with four digits."""
    if not isinstance(value, str):
        raise ValueError(f"write the octal number in quotes, such as '0711', not {value!r}")
    return str(matching(r"0?[0-7]{3}", "an octal mode such as '0711'")(value)).zfill(4)


POOL: Final = Record(
    type=Single("@type", check=choice(*TYPES)),
    source=Record(
        "source",
        devices=Listing("device", Single("@path", check=path)),
        host=Single("host/@name"),
        dir=Single("dir/@path", check=path),
        name=Single("name", check=WORD),
        format=Single("format/@type", check=WORD),
    ),
    path=Single("target/path", check=path),
    permissions=Record(
        "target/permissions",
        mode=Single("mode", check=file_mode),
        owner=Single("owner", INTEGER, check=whole(0, 2**31)),
        group=Single("group", INTEGER, check=whole(0, 2**31)),
    ),
)
"""All options by name."""


def read_declaration(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is declared of a pool, in its normal form; raises :class:`DeclarationError`, which names every wrong option."""
    return POOL.check(options, "")


def make_pool(declared: Mapping[str, Any], name: str, uuid: str | None) -> ET.Element:
    """Return the definition of a new pool; raises :class:`DeclarationError` where that takes more."""
    kind = declared.get("type")
    if kind is None:
        raise DeclarationError([Problem("type", f"say what the new pool is: {', '.join(TYPES)}")])
    if kind != "logical" and not declared.get("path"):
        raise DeclarationError([Problem("path", "say in which folder of the host the new pool's volumes appear")])
    element = ET.Element("pool", type=kind)
    ET.SubElement(element, "name").text = name
    if uuid is not None:
        ET.SubElement(element, "uuid").text = uuid
    POOL.write(element, declared)
    return element


def change_pool(declared: Mapping[str, Any], present: ET.Element) -> ET.Element:
    """Return a definition that says what is declared, and all else as before."""
    changed = copy.deepcopy(present)
    for figure in ("capacity", "allocation", "available"):
        for found in changed.findall(figure):
            changed.remove(found)
    POOL.write(changed, declared)
    return changed


def describe_pool(element: ET.Element) -> dict[str, Any]:
    """Return what a definition says, in the words of a declaration."""
    return dict(POOL.read(element) or {})
