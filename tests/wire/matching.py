# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What came over the wire, compared with what should have come, written as XML."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree as ET

CLIENT = "jabber:client"
ANYTHING = "*"


def name_of(element: ET.Element) -> str:
    """The local name."""
    return element.tag.rpartition("}")[2]


def namespace_of(element: ET.Element) -> str:
    return element.tag[1:].partition("}")[0] if element.tag[0] == "{" else ""


def child(element: ET.Element, name: str) -> ET.Element:
    """The one child of that local name."""
    [found] = [part for part in element if name_of(part) == name]
    return found


def text_of(element: ET.Element, name: str) -> str | None:
    """The text of the first descendant of that local name, at any depth, as founding clients look names up."""
    return next((part.text or "" for part in element.iter() if name_of(part) == name), None)


def read(text: str, namespace: str) -> ET.Element:
    """The element that ``text`` is when it stands in a query of that namespace."""
    return ET.fromstring(f"<around xmlns='{namespace}'>{text}</around>")


def assert_payload(answer: ET.Element, namespace: str, expected: str) -> None:
    """Check that an answer is a result whose query holds exactly the elements written in ``expected`` (``*``: any value)."""
    assert answer.get("type") == "result", show(answer)
    assert [name_of(part) for part in answer] == ["query"], show(answer)
    assert namespace_of(answer[0]) == namespace, show(answer)
    assert_same(answer[0], read(expected, namespace), show(answer))


def assert_same(found: ET.Element, expected: ET.Element, context: str) -> None:
    """Check that two elements hold the same: texts, and children with their names, namespaces and attributes."""
    assert _same(found.text or "", expected.text or ""), f"text {found.text!r} is not {expected.text!r} in {context}"
    assert [part.tag for part in found] == [part.tag for part in expected], context
    for mine, wanted in zip(found, expected, strict=True):
        assert mine.attrib.keys() == wanted.attrib.keys(), f"attributes {sorted(mine.attrib)} of {mine.tag} in {context}"
        wrong = {key: value for key, value in mine.attrib.items() if not _same(value, wanted.attrib[key])}
        assert not wrong, f"{wrong} are not {wanted.attrib} in {context}"
        assert_same(mine, wanted, context)


def _same(found: str, expected: str) -> bool:
    return expected == ANYTHING or found.strip() == expected.strip()


def show(elements: ET.Element | Iterable[ET.Element]) -> str:
    """What came, to read in a failure."""
    return ET.tostring(elements, "unicode") if isinstance(elements, ET.Element) else "\n".join(map(show, elements))


STANZA_ERRORS = "urn:ietf:params:xml:ns:xmpp-stanzas"
GENERIC, PERMISSION, LIBVIRT = "archipel:error:generic", "archipel:error:permission", "libvirt:error:generic"


def assert_error(
    answer: ET.Element, *, code: int, condition: str, mentions: str = "", namespace: str = GENERIC, action: str | None = None
) -> None:
    """Check an error in all its parts: what founding clients read (code, type, text, element) and what RFC 6120 asks for."""
    assert answer.get("type") == "error", show(answer)
    error = child(answer, "error")
    assert (error.get("code"), error.get("type")) == (str(code), "cancel"), show(answer)
    tags = [part.tag for part in error]
    assert tags == [f"{{{STANZA_ERRORS}}}{condition}", f"{{{STANZA_ERRORS}}}text", f"{{{namespace}}}{namespace.replace(':', '-')}"], show(
        error
    )
    text = error[1].text or ""
    assert mentions in text, f"{mentions!r} is not in {text!r}"
    if action is not None:
        asked = namespace_of(child(answer, "query"))
        assert text.endswith(f"\n\n{asked}\n{action}"), text


def assert_unsupported(answer: ET.Element, action: str) -> None:
    """Check the error for a change of devices, which libvirt's test driver cannot do, or since libvirt 10 only while a machine runs."""
    # VIR_ERR_NO_SUPPORT, VIR_ERR_INVALID_ARG, VIR_ERR_OPERATION_UNSUPPORTED
    words = {"3": "not supported", "8": "unsupported flags", "84": "not supported"}
    code = child(answer, "error").get("code") or ""
    assert code in words, show(answer)
    assert_error(answer, code=int(code), condition="internal-server-error", mentions=words[code], namespace=LIBVIRT, action=action)


def assert_refused(answer: ET.Element, right: str) -> None:
    """Check that somebody known was told which right he lacks."""
    assert_error(answer, code=-1, condition="forbidden", mentions=f"'{right}'", namespace=PERMISSION)
    assert child(answer, "error")[2].get("right") == right


def assert_stranger_refused(answer: ET.Element) -> None:
    """Check that a stranger was refused, whatever he asked."""
    assert_error(answer, code=-1, condition="forbidden", namespace=PERMISSION)


def find_words(texts: Iterable[str], words: Iterable[str]) -> set[str]:
    """Which of some words of letters and digits, all of one length, stand anywhere in the texts; thousands of words take no longer."""
    wanted, found = frozenset(words), set[str]()
    size = len(next(iter(wanted), "-"))
    assert all(len(word) == size and word.isalnum() for word in wanted)
    runs = re.compile(rf"[A-Za-z0-9]{{{size},}}")
    for text in texts:
        for run in runs.findall(text):
            found |= wanted & {run[at : at + size] for at in range(len(run) - size + 1)}
    return found
