# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests without XML: what a person fills into a form, or says in a conversation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final
from xml.etree import ElementTree as ET

from archipel.protocol.payload import Request, _Field, fields_of

_SIMPLE: Final = frozenset({"attribute", "text_child"})


@dataclasses.dataclass(frozen=True)
class FormField:
    """A field of a request as a person fills it in.

    ``kind`` is the type of XEP-0004, 3.3; ``default`` what counts when the field is left out, empty if that has no words;
    ``options`` what can be chosen, each with its label.
    """

    name: str
    type: type
    required: bool
    kind: str = "text-single"
    default: str = ""
    options: tuple[tuple[str, str], ...] = ()


def form_fields(request: type[Request[Any]]) -> tuple[FormField, ...] | None:
    """Return what a person must say for a request; ``None`` if it takes XML or lists, which no form holds."""
    fields = fields_of(request)
    if any(item.place not in _SIMPLE for item in fields):
        return None
    return tuple(map(_describe, fields))


def _describe(item: _Field) -> FormField:
    """Return the field of a form. A client sends a check mark that nobody touched as "no": no default is a choice of its own."""
    required = item.default is dataclasses.MISSING
    default = "" if required or item.default is None else str(int(item.default) if item.type is bool else item.default)
    if item.type is not bool:
        kind = "text-private" if "password" in item.xml_name else "text-single"
        return FormField(item.xml_name, item.type, required, kind, default)
    if required or default:
        return FormField(item.xml_name, bool, required, "boolean", default)
    return FormField(item.xml_name, bool, required, "list-single", options=(("1", "yes"), ("0", "no")))


def check_value(request: type[Request[Any]], name: str, value: str) -> None:
    """Raise the :class:`BadRequest` that says what is wrong with the value of one field of a form."""
    for item in fields_of(request):
        if item.xml_name == name:
            item.convert(value)


def request_element(request: type[Request[Any]], values: Mapping[str, str]) -> ET.Element:
    """Return the ``<archipel/>`` element for the values of a form; names that the request does not have are left out."""
    element = ET.Element(request.tag, {"action": request.action})
    for item in fields_of(request):
        if item.xml_name not in values:
            continue
        value = _say_yes(item, values[item.xml_name])
        if item.place == "attribute":
            element.set(item.xml_name, value)
        else:
            ET.SubElement(element, item.xml_name).text = value
    return element


def _say_yes(item: _Field, value: str) -> str:
    """Return the value; who says the name of a check mark means it (``park force``)."""
    return "1" if item.type is bool and value.strip().lower() == item.xml_name else value
