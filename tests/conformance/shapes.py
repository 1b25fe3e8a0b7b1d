# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Payload classes in words: which fields a request has, what an answer looks like."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import re
import types
import typing
import uuid
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

from archipel.protocol.payload import Check, Payload, Request, _Field, fields_of

VALUES = {str: "text", int: "whole number", float: "number", bool: "0 or 1", uuid.UUID: "UUID", ET.Element: "XML"}
# What checks are asked, so that they say themselves what they demand.
PROBES: dict[Any, tuple[Any, ...]] = {
    str: ("", "   ", "\u0000", "x" * 10**5, "../..", "no such word"),
    int: (-(10**18), 10**18),
    float: (-1e18, 1e18, float("nan")),
}


def describe_fields(request: type[Request[Any]]) -> list[tuple[str, str, str, str]]:
    """Return name, place, value and default of each field of a request."""
    return [
        (f"`{item.xml_name}`" if item.place != "children" else _shape(item.type), _place(item), _value(item), _default(item))
        for item in fields_of(request)
    ]


def describe_answer(answer: Any) -> str:
    """Return what an answer holds, in XML as far as it is this protocol's."""
    if answer is None or answer is type(None):
        return "empty."
    if answer is ET.Element:
        return "XML of libvirt's, or the element that the request names."
    if typing.get_origin(answer) is tuple:
        return _with_meaning(typing.get_args(answer)[0], ", any number of them")
    if typing.get_origin(answer) in (typing.Union, types.UnionType):
        return _with_meaning(next(found for found in typing.get_args(answer) if found is not type(None)), " or empty")
    return _with_meaning(answer, "")


def _with_meaning(payload: type[Payload], how_many: str) -> str:
    if payload is Payload:
        return "elements of several kinds."
    return f"{_shape(payload)}{how_many}. {plain(payload)}"


def plain(documented: type[Any]) -> str:
    """Return the docstring of a class as a line of Markdown."""
    text = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"`\1`", inspect.getdoc(documented) or "")
    return " ".join(text.replace("``", "`").split())


def _shape(payload: type[Payload]) -> str:
    return f"`{_element(payload)}`"


def _element(payload: type[Payload]) -> str:
    if not _is_declared(payload):
        return f"<{payload.tag}>...</{payload.tag}>"
    attributes = "".join(f" {item.xml_name}='{_word(item)}'" for item in fields_of(payload) if item.place == "attribute")
    inner = "".join(_inner(item) for item in fields_of(payload) if item.place != "attribute")
    return f"<{payload.tag}{attributes}>{inner}</{payload.tag}>" if inner else f"<{payload.tag}{attributes}/>"


def _is_declared(payload: type[Payload]) -> bool:
    """Whether the fields say where they stand; a payload that reads and writes itself tells that in its docstring."""
    return all(item.metadata for item in dataclasses.fields(typing.cast(Any, payload)))


def _inner(item: _Field) -> str:
    if item.place == "text":
        return _word(item).upper()
    if item.place == "text_child":
        return f"<{item.xml_name}>{_word(item).upper()}</{item.xml_name}>"
    if isinstance(item.type, type) and issubclass(item.type, Payload):
        return _element(item.type) + ("*" if item.place == "children" else "")
    return f"<{item.xml_name}>...</{item.xml_name}>"


def _word(item: _Field) -> str:
    return {str: "text", int: "N", float: "X", bool: "/".join(item.words), uuid.UUID: "UUID"}.get(item.type, "...")


def _place(item: _Field) -> str:
    return {
        "attribute": "attribute",
        "text": "text",
        "text_child": f"text of `<{item.xml_name}>`",
        "child": "child element",
        "children": "child elements",
    }[item.place]


def _value(item: _Field) -> str:
    """Return type and limits of a field, as its checks tell them."""
    if isinstance(item.type, type) and issubclass(item.type, Payload):
        return _shape(item.type) if item.place == "child" else "any number of them"
    return "; ".join([VALUES[item.type], *dict.fromkeys(limit for check in item.checks for limit in _ask(check, item.type))])


def _ask(check: Check, kind: Any) -> Iterator[str]:
    for probe in PROBES.get(kind, ()):
        with contextlib.suppress(Exception):
            told = check(probe)
            if told:
                yield told.partition(", not ")[0]


def _default(item: _Field) -> str:
    if item.place == "children":
        return "none"
    if item.default is dataclasses.MISSING:
        return "error"
    return "nothing" if item.default in (None, "") else f"`{item.words[item.default] if isinstance(item.default, bool) else item.default}`"
