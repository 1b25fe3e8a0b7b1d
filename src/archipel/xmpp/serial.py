# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stanzas as text: what goes over the wire.

Elements without a namespace inherit that of the payload they stand in, as the founding protocol has it (slixmpp would write
``xmlns=""``, and drop attributes of foreign namespaces). No element gets a prefix: founding clients look for names with none.
"""

from __future__ import annotations

import re
from typing import Final
from xml.etree import ElementTree as ET

from archipel.protocol import namespaces as ns

_XML: Final = "http://www.w3.org/XML/1998/namespace"
_SPECIAL: Final = re.compile("[&<>\"'\t\n\r]")
_ESCAPES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
# What XML 1.0 cannot hold (2.2) would make the server end the stream; it can come from file names and libvirt's messages.
_ILLEGAL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def serialize(stanza: ET.Element) -> str:
    """Return a stanza of the stream's namespace as text."""
    parts: list[str] = []
    _write(stanza, ns.CLIENT, ns.CLIENT, parts)
    return "".join(parts)


def _write(element: ET.Element, around: str, payload: str, parts: list[str]) -> None:
    """Append ``element``; ``around`` is the default namespace where it stands, ``payload`` that of the payload it is part of."""
    tag = element.tag
    namespace, name = tag[1:].split("}", 1) if tag[0] == "{" else (payload, tag)
    parts.append(f"<{name}" if namespace == around else f'<{name} xmlns="{escape(namespace)}"')
    for key, value in element.attrib.items():
        parts.append(_attribute(key, value))
    text = element.text
    if not text and not len(element):
        parts.append("/>")
        return
    parts.append(f">{_escape_text(text)}" if text else ">")
    inner = namespace if payload == ns.CLIENT else payload
    for child in element:
        _write(child, namespace, inner, parts)
        if child.tail:
            parts.append(_escape_text(child.tail))
    parts.append(f"</{name}>")


def _attribute(key: str, value: str) -> str:
    if key[0] != "{":
        return f' {key}="{escape(value)}"'
    namespace, name = key[1:].split("}", 1)
    if namespace == _XML:
        return f' xml:{name}="{escape(value)}"'
    return f' xmlns:a="{escape(namespace)}" a:{name}="{escape(value)}"'


def escape(value: str) -> str:
    """Return an attribute's value as it stands between quotation marks."""
    if _SPECIAL.search(value):
        value = _SPECIAL.sub(lambda found: _ESCAPES[found[0]], value)
    return _ILLEGAL.sub("\ufffd", value) if _ILLEGAL.search(value) else value


def _escape_text(value: str) -> str:
    """Escape what an element holds; line ends and tabs stay as they are there."""
    value = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")
    return _ILLEGAL.sub("\ufffd", value) if _ILLEGAL.search(value) else value
