# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests as an attacker writes them: the good one of an action, with values, elements and numbers that mean harm."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from xml.etree import ElementTree as ET

from hypothesis import strategies as st

from tests.unit.protocol.hostile import TEXTS, trees
from tests.wire.action import Action

PLACES = (
    "../../outside/evil",
    "/etc/passwd",
    "/proc/self/mem",
    "/dev/sda",
    "//etc//shadow",
    "a/../../../outside/evil",
    "/",
    ".",
    "..",
    "~root/x",
)
ADDRESSES = ("file:///etc/passwd", "https://[::1]:1/x", "http://169.254.169.254/", "gopher://a/", "https://a:b@c/", 'json:{"driver":"nbd"}')
NUMBERS = ("-1", "0", "00", "1e309", "NaN", "9" * 400, "\u0663\u0664", "0x7f", "1_0", "2147483648", "18446744073709551616", " 7 ", "1.5")
WORDS = (
    "",
    " ",
    "True",
    "None",
    "null",
    "'; DROP TABLE grants;--",
    "' OR '1'='1",
    "%s%n{0}{jid}",
    "$(id)`id`;id|id",
    "--help",
    "-o",
    "\u202etxt.exe",
)
NAMES = ("e\u0301" * 2000, "x" * 70_000, "\U0001f4a5" * 300, "a\nb: c", "<![CDATA[x]]>", "&lt;x&gt;", "../" * 400 + "etc/passwd")
PEOPLE = (
    "@",
    "a@b@c/d",
    "@lab.example",
    "admin@lab.example",
    "hyp@lab.example/x",
    "owner@lab.example\u0000".rstrip("\u0000"),
    "lab.example",
)
IDS = (
    "00000000-0000-0000-0000-000000000000",
    "{6f0c2a3e-1b7d-4c55-9a0e-3d2b1c4f5a69}",
    "6F0C2A3E-1B7D-4C55-9A0E-3D2B1C4F5A69",
    "urn:uuid:1",
)
VALUES = st.one_of(st.sampled_from(PLACES + ADDRESSES + NUMBERS + WORDS + NAMES + PEOPLE + IDS), TEXTS, st.integers().map(str))
DOMAIN = "<domain type='test'><name>{0}</name><memory>{1}</memory><os><type>hvm</type></os><devices><disk type='file'><source file='{2}'/></disk></devices></domain>"
BOMB = "<a b='c'>" * 60 + "</a>" * 60


def good_request(action: Action, words: Mapping[str, str]) -> ET.Element:
    """The request that an action's row has."""
    return ET.fromstring(f"<query xmlns='{action.namespace}'>{action.request(dict(words))}</query>")[0]


@st.composite
def requests(draw: st.DrawFn, action: Action, words: Mapping[str, str]) -> ET.Element:
    """A request for this action in which up to three things are made hostile."""
    request = good_request(action, words)
    names = sorted({name for node in request.iter() for name in node.attrib} - {"action"} | {wrong.field for wrong in action.malformed})
    for _ in range(draw(st.integers(1, 3))):
        spoil = draw(
            st.sampled_from((_set_attribute, _set_attribute, _set_attribute, _set_text, _add_tree, _repeat, _remove, _nest, _define))
        )
        spoil(draw, request, [name for name in names if name.isidentifier()])
    return request


def _some(draw: st.DrawFn, request: ET.Element) -> ET.Element:
    return draw(st.sampled_from(list(request.iter())))


def _set_attribute(draw: st.DrawFn, request: ET.Element, names: list[str]) -> None:
    node = _some(draw, request)
    own = [name for name in node.attrib if name != "action"]
    node.set(draw(st.sampled_from(own or names or ["name"])), draw(VALUES))


def _set_text(draw: st.DrawFn, request: ET.Element, _names: list[str]) -> None:
    _some(draw, request).text = draw(VALUES)


def _add_tree(draw: st.DrawFn, request: ET.Element, _names: list[str]) -> None:
    _some(draw, request).append(draw(trees()))


def _repeat(draw: st.DrawFn, request: ET.Element, _names: list[str]) -> None:
    node = _some(draw, request)
    node.extend(copy.deepcopy(child) for child in list(node) * draw(st.sampled_from((1, 40))))


def _remove(draw: st.DrawFn, request: ET.Element, names: list[str]) -> None:
    node = _some(draw, request)
    if names:
        node.attrib.pop(draw(st.sampled_from(names)), None)
    for child in list(node)[:1]:
        node.remove(child)


def _nest(draw: st.DrawFn, request: ET.Element, _names: list[str]) -> None:
    _some(draw, request).append(ET.fromstring(BOMB))


def _define(draw: st.DrawFn, request: ET.Element, _names: list[str]) -> None:
    """A definition in the place of whatever there is."""
    domain = ET.fromstring(DOMAIN.format("x", "1", "/etc/passwd"))
    for node in domain.iter():
        if not len(node) and draw(st.booleans()):
            node.text = draw(VALUES)
    _some(draw, request).append(domain)
