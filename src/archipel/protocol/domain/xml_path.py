# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Places in an XML element: finding them, making the way to them, taking them away."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final
from xml.etree import ElementTree as ET

from archipel.protocol.domain.xml_values import DomainXmlError

# What XML 1.0 (section 2.2) cannot carry, and serialisers write nevertheless.
_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Path:
    """Where a value stands: the elements on the way, and the attribute, if it is one."""

    steps: tuple[str, ...]
    attribute: str | None

    @classmethod
    def of(cls, text: str) -> Path:
        """Read ``a/b/@c`` or ``a/b``."""
        *steps, last = text.split("/")
        return cls(tuple(steps), last[1:]) if last.startswith("@") else cls((*steps, last), None)

    def __str__(self) -> str:
        return "/".join((*self.steps, *([f"@{self.attribute}"] if self.attribute else [])))

    def find(self, root: ET.Element) -> ET.Element | None:
        """Return the element that has the value, or ``None`` where the way is not there."""
        here: ET.Element | None = root
        for step in self.steps:
            here = here.find(step) if here is not None else None
        return here

    def make(self, root: ET.Element) -> ET.Element:
        """Return the element that has the value; what is missing on the way is made."""
        for step in self.steps:
            below = root.find(step)
            root = ET.SubElement(root, step) if below is None else below
        return root

    def read(self, root: ET.Element) -> str | None:
        """Return the value, ``None`` where it is absent."""
        found = self.find(root)
        if found is None:
            return None
        return found.get(self.attribute) if self.attribute else (found.text or "").strip()

    def write(self, root: ET.Element, text: str) -> None:
        """Set the value, making the way to it."""
        wrong = _NOT_XML.search(text)
        if wrong:
            raise DomainXmlError(f"{root.tag}/{self}: the character {wrong.group()!r} cannot stand in XML")
        if self.attribute:
            self.make(root).set(self.attribute, text)
        else:
            self.make(root).text = text

    def remove(self, root: ET.Element) -> None:
        """Take the value away, and what its way leaves empty."""
        found = self.find(root)
        if found is None:
            return
        if self.attribute:
            found.attrib.pop(self.attribute, None)
            self._prune(root)
        else:
            Path(self.steps[:-1], None).find(root).remove(found)  # type: ignore[union-attr]  # the child was found, so is its parent
            Path(self.steps[:-1], None)._prune(root)

    def _prune(self, root: ET.Element) -> None:
        for depth in range(len(self.steps), 0, -1):
            parent, below = Path(self.steps[: depth - 1], None).find(root), Path(self.steps[:depth], None).find(root)
            if parent is None or below is None or len(below) or below.attrib or (below.text or "").strip():
                return
            parent.remove(below)


def insert(parent: ET.Element, child: ET.Element) -> ET.Element:
    """Put ``child`` behind the last of its kind, at the end where it is the first; return it."""
    same = [index for index, other in enumerate(parent) if other.tag == child.tag]
    parent.insert(same[-1] + 1 if same else len(parent), child)
    return child


def content(element: ET.Element) -> tuple[Any, ...]:
    """Return what an element says, comparable: attributes without order, text without the blanks of indentation."""
    return (element.tag, tuple(sorted(element.attrib.items())), (element.text or "").strip(), tuple(content(child) for child in element))
