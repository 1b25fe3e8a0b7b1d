# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people write into the larger boxes of a form: XML, and lists with an item on each line.

A line is words as a shell reads them: ``permission_target=ada@example.org permission_name=info``, or just the values of what an item
must have, in order. An item with one value is that value, however it is written.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
from typing import Final
from xml.etree import ElementTree as ET

from archipel.protocol.errors import BadRequest, shorten
from archipel.protocol.payload import Payload, _Field, fields_of
from archipel.protocol.xml import local_name

LONGEST_LIST: Final = 20_000  # characters
_DECLARATION: Final = re.compile(r"^\s*<\?xml[^>]*\?>")
_IN_TEXT: Final = frozenset({"attribute", "text", "text_child"})


def is_text(field: _Field) -> bool:
    """Whether a value of one line stands for the field."""
    return field.place in _IN_TEXT


def put_text(element: ET.Element, field: _Field, value: str) -> None:
    """Write the value of a field of one line where it belongs."""
    if field.place == "attribute":
        element.set(field.xml_name, value)
    elif field.place == "text":
        element.text = value
    else:
        ET.SubElement(element, field.xml_name).text = value


def describe_syntax(field: _Field) -> str:
    """Return in one line how the text of a field of XML or of a list is written."""
    if field.place == "child":
        return f"XML: <{field.xml_name}>, or what stands in it."
    if not _has_lines(field.type):
        return f"XML: any number of <{field.type.tag}>."
    parts = fields_of(field.type)
    if len(parts) == 1:
        return f"Any number, each on its own line: {parts[0].xml_name}."
    return f"Any number, each on its own line: {_syntax(field.type)}. What has blanks in it stands in quotation marks."


def read_text(field: _Field, text: str) -> list[ET.Element]:
    """Return the elements that the text of such a field stands for; :class:`BadRequest` names what is wrong."""
    if field.place == "child":
        return [_read_xml(field.xml_name, text)]
    if not _has_lines(field.type):
        return _read_items(field.name, field.type.tag, text)
    if len(text) > LONGEST_LIST:
        raise BadRequest(f"{field.name}: must have {LONGEST_LIST} characters at most, not {len(text)}")
    return [_read_line(field, line.strip()) for line in text.split("\n") if line.strip()]


def _has_lines(item: type[Payload]) -> bool:
    return all(map(is_text, fields_of(item)))


def _syntax(item: type[Payload]) -> str:
    return " ".join(
        part.xml_name if part.default is dataclasses.MISSING else f"[{part.xml_name}={part.default or ''}]" for part in fields_of(item)
    )


# -- XML ----------------------------------------------------------------------------------------------------------------


def _read_xml(name: str, text: str) -> ET.Element:
    holder = _parse(name, text)
    return holder[0] if len(holder) == 1 and local_name(holder[0].tag) == name else holder


def _read_items(name: str, tag: str, text: str) -> list[ET.Element]:
    holder = _parse(name, text)
    for found in holder:
        if local_name(found.tag) != tag:
            raise BadRequest(f"{name}: must hold <{tag}>, not <{shorten(local_name(found.tag))}>")
    return list(holder)


def _parse(name: str, text: str) -> ET.Element:
    """Return an element of this name around what is written; inside of one nothing can be declared that would expand."""
    try:
        return ET.fromstring(f"<{name}>{_DECLARATION.sub('', text)}</{name}>")  # noqa: S314 - see above
    except (ET.ParseError, ValueError) as error:
        raise BadRequest(f"{name}: is not well-formed XML: {error}") from None


# -- lines --------------------------------------------------------------------------------------------------------------


def _read_line(field: _Field, line: str) -> ET.Element:
    element, parts = ET.Element(field.type.tag), fields_of(field.type)
    values = {parts[0].xml_name: line} if len(parts) == 1 else _read_words(field, line)
    for part in parts:
        if part.xml_name in values:
            put_text(element, part, values[part.xml_name])
    return element


def _read_words(field: _Field, line: str) -> dict[str, str]:
    """Return the values of a line by their names; the words without a name are what an item must have, in order."""
    parts, values = fields_of(field.type), dict[str, str]()
    for word in _split(field, line):
        name, equals, value = word.partition("=")
        if equals and any(part.xml_name == name for part in parts):
            values[name] = value
            continue
        missing = (part.xml_name for part in parts if part.default is dataclasses.MISSING and part.xml_name not in values)
        if (wanted := next(missing, None)) is None:
            raise BadRequest(f"{field.name}: {shorten(word)!r} is too much: a line is {_syntax(field.type)}")
        values[wanted] = word
    return values


def _split(field: _Field, line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        raise BadRequest(f"{field.name}: {shorten(line)!r}: {error}") from None
