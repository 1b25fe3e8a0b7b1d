# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands next to the XML that they are on the wire, compared without regard to the order of attributes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

from archipel.protocol.payload import Answer, Request, write_answer
from archipel.protocol.xml import child_named


@dataclass(frozen=True)
class Shape:
    """A command and its answer; ``asked`` is the ``<archipel/>`` element, ``answered`` what the answer's query holds."""

    request: Request[Any]
    asked: str
    answer: Answer
    answered: str

    @property
    def name(self) -> str:
        return f"{self.request.namespace} {self.request.action}"

    def read_request(self) -> Request[Any]:
        return type(self.request).read(archipel_of(self.request.namespace, self.asked))

    def written_answer(self) -> str:
        return canonical(*write_answer(self.answer))

    def read_answer(self) -> Any:
        return type(self.request).read_answer(query(self.request.namespace, self.answered))

    def assert_on_the_wire(self) -> None:
        """Check that request and answer are written, and read, as they stand here."""
        assert canonical(self.request.write()) == normal(self.asked)
        assert canonical(self.read_request().write()) == normal(self.asked)
        assert self.written_answer() == normal(self.answered)
        assert rewritten(self.read_answer()) == normal(self.answered)


def xml(text: str) -> ET.Element:
    return ET.fromstring(text)


def query(namespace: str, content: str) -> ET.Element:
    """Return the query as it comes off the wire: what has no namespace of its own has the query's."""
    return xml(f"<query xmlns='{namespace}'>{content}</query>")


def archipel_of(namespace: str, asked: str) -> ET.Element:
    """Return the request element inside its query."""
    found = child_named(query(namespace, asked), "archipel")
    assert found is not None
    return found


def canonical(*elements: ET.Element) -> str:
    return "".join(ET.canonicalize(ET.tostring(element, "unicode")) for element in elements)


def normal(text: str) -> str:
    """Return literal XML, of any number of elements, as :func:`canonical` writes it."""
    return canonical(*xml(f"<x>{text}</x>"))


def off_the_wire(element: ET.Element) -> ET.Element:
    """Return an element as it is after it was written and parsed."""
    return xml(ET.tostring(element, "unicode"))


def rewritten(answer: Any) -> str:
    """Return an answer that was read, as it would be written."""
    return canonical(*write_answer(answer))
