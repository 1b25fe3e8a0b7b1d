# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever strangers send, reading it ends in a value or in the one error that is made for it."""

from __future__ import annotations

import contextlib
from typing import Any
from xml.etree import ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from archipel.protocol import namespaces as ns
from archipel.protocol.errors import BadRequest, CommandError, PermissionDenied, error_element, read_error
from archipel.protocol.events import Push, owner_of_events_node
from archipel.protocol.payload import Payload, Request
from archipel.protocol.vcard import VCard
from tests.unit.protocol.golden import off_the_wire
from tests.unit.protocol.hostile import TEXTS, trees
from tests.unit.protocol.test_command_shapes import SHAPES

REQUESTS = st.sampled_from(sorted({type(shape.request) for shape in SHAPES}, key=lambda found: found.__name__))
ROOTS = st.sampled_from(["archipel", f"{{{ns.VM_CONTROL}}}archipel"])


@settings(max_examples=200)
@given(request_type=REQUESTS, element=trees(ROOTS))
def test_a_hostile_request_raises_nothing_but_bad_request(request_type: type[Request[Any]], element: ET.Element) -> None:
    with contextlib.suppress(BadRequest):
        assert isinstance(request_type.read(element), request_type)


@settings(max_examples=200)
@given(request_type=REQUESTS, query=trees())
def test_a_hostile_answer_raises_nothing_but_bad_request(request_type: type[Request[Any]], query: ET.Element) -> None:
    with contextlib.suppress(BadRequest):
        assert isinstance(request_type.read_answer(query), None | Payload | tuple | ET.Element)


@settings(max_examples=60)
@given(trees(st.sampled_from(["error", f"{{{ns.CLIENT}}}error"])))
def test_any_error_stanza_is_some_error(error: ET.Element) -> None:
    iq = ET.Element(f"{{{ns.CLIENT}}}iq")
    iq.append(error)
    assert isinstance(read_error(iq), CommandError)


@settings(max_examples=60)
@given(trees(st.just(f"{{{ns.PUSH_PREFIX}hypervisor}}push")))
def test_a_hostile_push_is_none_at_most(element: ET.Element) -> None:
    found = Push.read(element)
    assert found is None or found.sequence >= 0


@settings(max_examples=60)
@given(trees(st.just(f"{{{ns.VCARD}}}vCard")))
def test_a_hostile_vcard_raises_nothing_but_value_errors(card: ET.Element) -> None:
    with contextlib.suppress(ValueError):
        assert isinstance(VCard.read(card), VCard)


@given(TEXTS)
def test_any_name_of_a_node_has_an_owner_or_none(node: str) -> None:
    owner = owner_of_events_node(node)
    assert owner is None or node == f"/archipel/{owner}/events"


@given(text=TEXTS, right=TEXTS | st.none())
def test_an_error_text_of_any_kind_survives_the_wire(text: str, right: str | None) -> None:
    """As XML has it: a carriage return inside an element becomes a line feed."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    stanza = ET.Element(f"{{{ns.CLIENT}}}iq")
    stanza.append(error_element(PermissionDenied(text, right), "ns", "act"))
    found = read_error(off_the_wire(stanza))
    assert isinstance(found, PermissionDenied)
    assert (found.text, found.right) == (text or "forbidden", right or None)
