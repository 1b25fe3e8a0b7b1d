# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How commands are said in a conversation that nobody gave phrases: by their names, ``rights rules`` or ``subscription add ada@...``."""

from __future__ import annotations

import re
from typing import Any, Final
from xml.etree import ElementTree as ET

from archipel.protocol.forms import form_fields
from archipel.protocol.payload import Request, write_answer
from archipel.protocol.xml import local_name

MOST_LINES: Final = 50  # of an answer
LONGEST: Final = 200  # characters of a value
PICTURES: Final = frozenset({"screenshot"})  # actions whose answers are nothing to read
_UNSAYABLE: Final = re.compile(r"pass|secret|token|content", re.IGNORECASE)  # fields: what is said is kept by clients and servers


def phrase_of(request: type[Request[Any]]) -> str | None:
    """Return the phrase that asks for a request by its name; ``None`` for what takes XML, lists or secrets."""
    fields = form_fields(request)
    if request.action in PICTURES or any(not field.sayable or _UNSAYABLE.search(field.name) for field in fields):
        return None
    required = [f"{{{field.name}}}" for field in fields if field.required]
    optional = [f"[{field.name}]" for field in fields if not field.required]
    return " ".join([request.namespace.rpartition(":")[2].lower(), request.action.lower(), *required, *optional])


def tell_answer(answer: Any) -> str:
    """Return an answer in words: a line for each element, with its values."""
    lines = [line for element in write_answer(answer) for line in _lines(element, "")]
    more = len(lines) - MOST_LINES
    return "\n".join([*lines[:MOST_LINES], *([f"... and {more} more"] if more > 0 else [])]) or "Done."


def _lines(element: ET.Element, indent: str) -> list[str]:
    values = [f"{local_name(name)} {_shorten(value)}" for name, value in element.attrib.items() if value]
    text = _shorten((element.text or "").strip())
    told = ", ".join([*values, *([text] if text else [])])
    inner = [line for child in element for line in _lines(child, f"{indent}  ")]
    return [f"{indent}{local_name(element.tag)}{': ' if told else ''}{told}", *inner]


def _shorten(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
