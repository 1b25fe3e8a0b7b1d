# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests as a person fills them in: each field of a request is one of a form; single values are said in a conversation, too."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

from archipel.protocol.form_texts import describe_syntax, is_text, put_text, read_text
from archipel.protocol.payload import Request, _Field, fields_of


@dataclasses.dataclass(frozen=True)
class FormField:
    """A field of a request as a person fills it in.

    ``kind`` is the type of XEP-0004, 3.3: ``text-multi`` for XML and lists, of which ``description`` says how they are written.
    ``default`` is what counts when the field is left out, empty if that has no words; ``options`` what can be chosen, each with its
    label.
    """

    name: str
    type: type
    required: bool
    kind: str = "text-single"
    default: str = ""
    options: tuple[tuple[str, str], ...] = ()
    description: str = ""

    @property
    def sayable(self) -> bool:
        """Whether the value can be said in a conversation."""
        return self.kind != "text-multi"


def form_fields(request: type[Request[Any]]) -> tuple[FormField, ...]:
    """Return what a person says for a request."""
    return tuple(map(_describe, fields_of(request)))


def _describe(item: _Field) -> FormField:
    """Return the field of a form. A client sends a check mark that nobody touched as "no": no default is a choice of its own."""
    required = item.default is dataclasses.MISSING
    if not is_text(item):
        return FormField(item.xml_name, str, required, "text-multi", description=describe_syntax(item))
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
        if item.xml_name == name and is_text(item):
            item.convert(value)


def request_element(request: type[Request[Any]], values: Mapping[str, str]) -> ET.Element:
    """Return the ``<archipel/>`` element for the values of a form; names that the request does not have are left out.

    Raises :class:`BadRequest` for a text that is neither the XML nor the list that it should be.
    """
    element = ET.Element(request.tag, {"action": request.action})
    for item in fields_of(request):
        if item.xml_name not in values:
            continue
        if is_text(item):
            put_text(element, item, _say_yes(item, values[item.xml_name]))
        else:
            element.extend(read_text(item, values[item.xml_name]))
    return element


def _say_yes(item: _Field, value: str) -> str:
    """Return the value; who says the name of a check mark means it (``park force``)."""
    return "1" if item.type is bool and value.strip().lower() == item.xml_name else value
