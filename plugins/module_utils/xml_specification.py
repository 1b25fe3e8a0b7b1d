# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is declared of something that libvirt has XML for: by single options, or by a whole definition."""

from __future__ import annotations

import copy
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from ansible_collections.archipel.platform.plugins.module_utils.machine import whole_definition

if TYPE_CHECKING:
    from archipel.protocol.declared_xml import Record

_DECLARATION = re.compile("<!(DOCTYPE|ENTITY)", re.IGNORECASE)
Values = Mapping[str, Any]


class Specification(ABC):
    """What is declared."""

    @abstractmethod
    def describe(self, element: ET.Element | None) -> dict[str, Any]:
        """Return what a definition says about everything that is declared."""

    @abstractmethod
    def make(self, name: str, uuid: str | None) -> ET.Element:
        """Return the definition of something new."""

    @abstractmethod
    def change(self, present: ET.Element) -> ET.Element:
        """Return a definition that says what is declared, and the rest as it is."""

    @abstractmethod
    def differences(self, present: ET.Element, wanted: ET.Element) -> list[str]:
        """Return the options, or the parts of the definition, in which two definitions differ as far as declared."""


@dataclass(frozen=True)
class SingleOptions(Specification):
    """Options of a table; the functions are the table's."""

    table: Record
    declared: Values
    make_new: Callable[[Values, str, str | None], ET.Element]
    change_old: Callable[[Values, ET.Element], ET.Element]

    def describe(self, element: ET.Element | None) -> dict[str, Any]:
        """Return the values by the names of the module's options."""
        if element is None:
            return dict.fromkeys(self.declared)
        return dict(self.table.read_like(element, self.declared))

    def make(self, name: str, uuid: str | None) -> ET.Element:
        """Return a definition of what is declared, and nothing else."""
        return self.make_new(self.declared, name, uuid)

    def change(self, present: ET.Element) -> ET.Element:
        """Return the present definition with the options in it."""
        return self.change_old(self.declared, present)

    def differences(self, present: ET.Element, wanted: ET.Element) -> list[str]:
        """Return the names of the options."""
        then = self.describe(wanted)
        return [name for name, value in self.describe(present).items() if value != then[name]]


@dataclass(frozen=True)
class WholeDefinition(Specification):
    """A definition written out by somebody, such as a template; ``keep`` names parts that stay where it does not say them."""

    written: ET.Element
    keep: Mapping[str, tuple[str, ...]]
    name_path: str | None

    def describe(self, element: ET.Element | None) -> dict[str, Any]:
        """Return the text of what is stated, as it stands in a definition."""
        found = None if element is None else whole_definition.project(self._stated, element)
        return {"definition": None if found is None else whole_definition.to_text(found)}

    @property
    def _stated(self) -> ET.Element:
        stated = whole_definition.statement(self.written)
        if self.name_path is None:
            stated.attrib.pop("name", None)
        return stated

    def make(self, name: str, uuid: str | None) -> ET.Element:
        """Return the definition as it was written, under the declared name."""
        element = copy.deepcopy(self.written)
        if self.name_path is None:
            element.set("name", name)
        else:
            _set_text(element, self.name_path, name)
        if uuid is not None:
            _set_text(element, "uuid", uuid)
        return element

    def change(self, present: ET.Element) -> ET.Element:
        """Return the definition as it was written, with the UUID and the kept parts of the present one."""
        if self.describe(present) == self.describe(self.written):
            return copy.deepcopy(present)
        name = present.get("name") if self.name_path is None else present.findtext(self.name_path)
        element = self.make(name or "", present.findtext("uuid"))
        for tag, attributes in self.keep.items():
            _keep(element, present.find(tag), tag, attributes)
        return element

    def differences(self, present: ET.Element, wanted: ET.Element) -> list[str]:
        """Return the tags of the parts."""
        one, other = (whole_definition.project(self._stated, element) for element in (present, wanted))
        return whole_definition.differing_parts(one, other)


def parse_definition(text: str, tag: str) -> ET.Element:
    """Return the element that a text holds; raises :class:`ValueError`, which names the option."""
    if _DECLARATION.search(text):
        raise ValueError("definition: declares a document type or entities; leave out <!DOCTYPE ...> and <!ENTITY ...>")
    try:
        element = ET.fromstring(text)  # noqa: S314 - without declarations there is nothing to expand
    except (ET.ParseError, ValueError) as error:
        raise ValueError(f"definition: is not well-formed XML: {error}") from None
    if element.tag != tag:
        raise ValueError(f"definition: must be a <{tag}>, not a <{element.tag}>")
    return element


def _set_text(element: ET.Element, tag: str, text: str) -> None:
    found = element.find(tag)
    if found is None:
        found = ET.Element(tag)
        element.insert(0, found)
    found.text = text


def _keep(element: ET.Element, old: ET.Element | None, tag: str, attributes: tuple[str, ...]) -> None:
    """Take over attributes that libvirt chose and the written definition leaves to it."""
    if old is None:
        return
    found = element.find(tag)
    if found is None:
        found = ET.SubElement(element, tag)
    for name in attributes:
        if name not in found.attrib and name in old.attrib:
            found.set(name, old.attrib[name])
