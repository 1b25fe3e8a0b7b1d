# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builders of stanzas: ElementTree elements in the stream's namespace."""

from __future__ import annotations

from typing import Any, Literal
from xml.etree import ElementTree as ET

from archipel.protocol import namespaces as ns
from archipel.protocol.errors import CommandError, Condition, error_element
from archipel.protocol.payload import Request
from archipel.xmpp.serial import escape

IqType = Literal["get", "set", "result", "error"]
IQ = f"{{{ns.CLIENT}}}iq"
MESSAGE = f"{{{ns.CLIENT}}}message"
PRESENCE = f"{{{ns.CLIENT}}}presence"


def iq(kind: IqType, to: str | None = None, *children: ET.Element) -> ET.Element:
    """Return an IQ; the stream gives it its id."""
    return _stanza(IQ, kind, to, children)


def query(namespace: str, *children: ET.Element) -> ET.Element:
    """Return ``<query/>`` in ``namespace``; children without a namespace inherit it on the wire."""
    element = ET.Element(f"{{{namespace}}}query")
    element.extend(children)
    return element


def command(request: Request[Any], to: str, kind: IqType = "set") -> ET.Element:
    """Return the IQ that asks ``to`` for ``request``."""
    return iq(kind, to, query(request.namespace, request.write()))


def result_of(request: ET.Element, *children: ET.Element) -> ET.Element:
    """Return the result that answers the IQ ``request``."""
    return _answer(request, "result", children)


def error_of(request: ET.Element, error: CommandError, namespace: str, action: str, *echo: ET.Element) -> ET.Element:
    """Return the error that answers the IQ ``request``, with what it asked (``echo``) in front."""
    return _answer(request, "error", (*echo, error_element(error, namespace, action)))


def chat(to: str, body: str, thread: str | None = None, failure: Condition | None = None) -> ET.Element:
    """Return a chat message, in the same thread as the one it answers; ``failure`` tells programs that what was asked is not done."""
    element = _message("chat", to, body)
    if thread:
        ET.SubElement(element, f"{{{ns.CLIENT}}}thread").text = thread
    if failure is not None:
        ET.SubElement(element, f"{{{ns.CHAT}}}failure", {"condition": str(failure)})
    return element


def failure_of(message: ET.Element) -> Condition | None:
    """Return why the sender of a chat message did not do what it was asked; ``None`` where it does not say so."""
    found = message.find(f"{{{ns.CHAT}}}failure")
    if found is None:
        return None
    word = found.get("condition", "")
    return Condition(word) if word in set(Condition) else Condition.UNDEFINED_CONDITION


def headline(to: str, body: str) -> ET.Element:
    """Return a headline: a message that is shown or lost, never kept."""
    return _message("headline", to, body)


def presence(kind: str | None = None, to: str | None = None, *children: ET.Element) -> ET.Element:
    """Return a presence; without a kind it says "available"."""
    return _stanza(PRESENCE, kind, to, children)


def size_of(value: str) -> int:
    """Return how many bytes an attribute's value takes on the wire."""
    return len(escape(value).encode("utf-8", "replace"))


def text_element(name: str, value: str) -> ET.Element:
    """Return an element of the stream's namespace that holds a text (``show``, ``status``)."""
    element = ET.Element(f"{{{ns.CLIENT}}}{name}")
    element.text = value
    return element


def _message(kind: str, to: str, body: str) -> ET.Element:
    return _stanza(MESSAGE, kind, to, (text_element("body", body),))


def _answer(request: ET.Element, kind: str, children: tuple[ET.Element, ...]) -> ET.Element:
    element = _stanza(IQ, kind, request.get("from"), children)
    element.set("id", request.get("id", ""))
    return element


def _stanza(tag: str, kind: str | None, to: str | None, children: tuple[ET.Element, ...]) -> ET.Element:
    element = ET.Element(tag)
    if kind is not None:
        element.set("type", kind)
    if to is not None:
        element.set("to", to)
    element.extend(children)
    return element
