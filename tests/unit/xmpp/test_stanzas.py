# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stanzas as they are built and as they are on the wire."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.protocol import namespaces as ns
from archipel.protocol.errors import PermissionDenied
from archipel.protocol.hypervisor import Alloc
from archipel.protocol.virtual_machine import Create
from archipel.protocol.xml import child_named
from archipel.xmpp import stanzas
from archipel.xmpp.serial import serialize
from tests.unit.protocol.golden import canonical, xml
from tests.unit.protocol.hostile import TEXTS, trees

VM = "web@lab.example/hyp"


def off_the_wire(text: str) -> ET.Element:
    return xml(f"<stream xmlns='{ns.CLIENT}'>{text}</stream>")[0]


REQUEST = off_the_wire(f"<iq type='set' id='7' from='bob@lab.example/x' to='{VM}'><query xmlns='{ns.VM_CONTROL}'/></iq>")


@pytest.mark.parametrize(
    "stanza,text",
    [
        (
            stanzas.command(Create(), VM),
            f"<iq type='set' to='{VM}'><query xmlns='archipel:vm:control'><archipel action='create'/></query></iq>",
        ),
        (
            stanzas.command(Create(), VM, "get"),
            f"<iq type='get' to='{VM}'><query xmlns='archipel:vm:control'><archipel action='create'/></query></iq>",
        ),
        (
            stanzas.result_of(REQUEST, stanzas.query(ns.VM_CONTROL, ET.Element("domain", {"id": "1"}))),
            "<iq type='result' to='bob@lab.example/x' id='7'><query xmlns='archipel:vm:control'><domain id='1'/></query></iq>",
        ),
        (
            stanzas.error_of(REQUEST, PermissionDenied("no", "create"), ns.VM_CONTROL, "create", stanzas.query(ns.VM_CONTROL)),
            "<iq type='error' to='bob@lab.example/x' id='7'><query xmlns='archipel:vm:control'/><error code='-1' type='cancel'>"
            f"<forbidden xmlns='{ns.STANZAS}'/><text xmlns='{ns.STANZAS}'>no\n\narchipel:vm:control\ncreate</text>"
            "<archipel-error-permission xmlns='archipel:error:permission' right='create'/></error></iq>",
        ),
        (stanzas.chat("a@b/c", "hi"), "<message type='chat' to='a@b/c'><body>hi</body></message>"),
        (stanzas.chat("a@b/c", "hi", "t1"), "<message type='chat' to='a@b/c'><body>hi</body><thread>t1</thread></message>"),
        (stanzas.headline("a@b", "news"), "<message type='headline' to='a@b'><body>news</body></message>"),
        (stanzas.presence(), "<presence/>"),
        (stanzas.presence("subscribe", "a@b"), "<presence type='subscribe' to='a@b'/>"),
        (stanzas.presence(None, None, stanzas.text_element("show", "xa")), "<presence><show>xa</show></presence>"),
        (stanzas.iq("get", None, stanzas.query(ns.IQ_ROSTER)), "<iq type='get'><query xmlns='jabber:iq:roster'/></iq>"),
    ],
)
def test_a_stanza_is_on_the_wire_as_it_was_meant(stanza: ET.Element, text: str) -> None:
    assert ET.canonicalize(serialize(stanza)) == ET.canonicalize(text)


def test_an_answer_to_the_server_itself_has_no_addressee() -> None:
    request = off_the_wire("<iq type='set' id='7'/>")
    assert canonical(stanzas.result_of(request)) == canonical(off_the_wire("<iq type='result' id='7'/>"))


@given(name=TEXTS, orgname=TEXTS)
def test_any_text_of_a_request_arrives_as_it_was_sent(name: str, orgname: str) -> None:
    request = Alloc(name=name, orgname=orgname)
    query = child_named(off_the_wire(serialize(stanzas.command(request, VM))), "query")
    assert query is not None
    assert Alloc.read(query[0]) == request


@given(TEXTS)
def test_any_text_of_a_message_arrives_as_it_was_sent(body: str) -> None:
    message = off_the_wire(serialize(stanzas.chat("a@b", body)))
    assert message.findtext(f"{{{ns.CLIENT}}}body") == body


@given(trees(st.just(f"{{{ns.CLIENT}}}iq")))
def test_any_tree_is_well_formed_on_the_wire_and_has_no_prefixes(tree: ET.Element) -> None:
    text = serialize(tree)
    read = off_the_wire(text)
    assert [node.tag.rpartition("}")[2] for node in read.iter()] == [node.tag.rpartition("}")[2] for node in tree.iter()]
    assert [node.attrib for node in read.iter()] == [node.attrib for node in tree.iter()]
    assert "xmlns:" not in text


@pytest.mark.parametrize("character", ["\x00", "\x08", "\x0b", "\x1f", "\ud800", "\uffff"])
def test_what_xml_cannot_hold_does_not_end_the_stream(character: str) -> None:
    """It comes from names of files and from messages of libvirt."""
    message = off_the_wire(serialize(stanzas.chat("a@b", f"a{character}b")))
    assert message.findtext(f"{{{ns.CLIENT}}}body") == "a\ufffdb"
    request = off_the_wire(serialize(stanzas.command(Alloc(name=f"a{character}b"), VM)))
    assert request[0][0].get("name") == "a\ufffdb"


def test_elements_without_a_namespace_inherit_that_of_the_payload() -> None:
    domain = xml("<domain><devices><q:x xmlns:q='urn:q'><inner/></q:x></devices></domain>")
    text = serialize(stanzas.iq("set", VM, stanzas.query(ns.VM_DEFINITION, domain)))
    assert [node.tag for node in off_the_wire(text).iter()] == [
        f"{{{ns.CLIENT}}}iq",
        f"{{{ns.VM_DEFINITION}}}query",
        f"{{{ns.VM_DEFINITION}}}domain",
        f"{{{ns.VM_DEFINITION}}}devices",
        "{urn:q}x",
        f"{{{ns.VM_DEFINITION}}}inner",
    ]


def test_attributes_with_namespaces_keep_them() -> None:
    stanza = stanzas.iq("set", VM, ET.Element("{urn:x}x", {"{http://www.w3.org/XML/1998/namespace}lang": "fr", "{urn:a}b": "'<&>\n\""}))
    assert off_the_wire(serialize(stanza))[0].attrib == stanza[0].attrib
