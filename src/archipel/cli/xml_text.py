# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""XML that people hand over: as an argument, in a file, on standard input."""

from __future__ import annotations

from typing import IO, Final
from xml.etree import ElementTree as ET

import click

from archipel.protocol.payload import DEEPEST
from archipel.protocol.xml import local_name, namespace_of, nests_deeper

MOST_CHARACTERS: Final = 1_000_000  # no server takes a stanza of that size
XML_FILE: Final = click.File("r", encoding="utf-8")


def read_xml(text: str) -> ET.Element:
    """Return the element that a text holds; raises :class:`click.UsageError` that says what is wrong."""
    if len(text) > MOST_CHARACTERS:
        raise click.UsageError(f"the XML has {len(text)} characters; at most {MOST_CHARACTERS} are read")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise click.UsageError("the XML declares a document type or entities: leave that out")
    try:
        element = ET.fromstring(text)  # noqa: S314 - the size is limited, and without declarations there is nothing to expand
    except (ET.ParseError, ValueError) as error:
        raise click.UsageError(f"this is no well-formed XML: {error}") from None
    if nests_deeper(element, DEEPEST):
        raise click.UsageError(f"the XML nests more than {DEEPEST} elements")
    return element


def read_xml_file(file: IO[str]) -> ET.Element:
    """Return the element in a file; raises :class:`click.UsageError`."""
    try:
        return read_xml(file.read(MOST_CHARACTERS + 1))
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{file.name}: byte {error.start} is not UTF-8") from None


def write_xml(element: ET.Element) -> str:
    """Return an element as indented text; namespaces stand where they change, without prefixes."""
    plain = _plain(element, "")
    ET.indent(plain)
    return ET.tostring(plain, "unicode")


def _plain(element: ET.Element, inherited: str) -> ET.Element:
    namespace = namespace_of(element.tag)
    plain = ET.Element(local_name(element.tag), ({} if namespace == inherited else {"xmlns": namespace}) | element.attrib)
    plain.text, plain.tail = element.text, element.tail
    plain.extend([_plain(child, namespace) for child in element])
    return plain
