# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""vCards: complete, in the nesting that servers keep, readable in the founders' too."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.protocol.vcard import Organisation, VCard
from tests.unit.protocol.golden import canonical, normal, off_the_wire, xml
from tests.unit.protocol.hostile import LINES

LAB = Organisation("Lab", "It", "Here", "bob@d.example", "test")
CARD = VCard("virtualmachine", "Virtual machine (QEMU)", "web", LAB, b"png")
NESTED = (
    "<vCard xmlns='vcard-temp'><FN>web</FN><ROLE>virtualmachine</ROLE><TITLE>Virtual machine (QEMU)</TITLE>"
    "<ORG><ORGNAME>Lab</ORGNAME><ORGUNIT>It</ORGUNIT></ORG><ADR><LOCALITY>Here</LOCALITY></ADR>"
    "<EMAIL><USERID>bob@d.example</USERID></EMAIL><CATEGORIES><KEYWORD>test</KEYWORD></CATEGORIES>"
    "<PHOTO><TYPE>image/png</TYPE><BINVAL>cG5n</BINVAL></PHOTO></vCard>"
)
FLAT = (
    "<vCard xmlns='vcard-temp'><ROLE>virtualmachine</ROLE><TITLE>Virtual machine (QEMU)</TITLE><ORGNAME>Lab</ORGNAME>"
    "<ORGUNIT>It</ORGUNIT><LOCALITY>Here</LOCALITY><USERID>bob@d.example</USERID><CATEGORIES>test</CATEGORIES><FN>web</FN>"
    "<PHOTO><TYPE>image/png</TYPE><BINVAL>cG5n</BINVAL></PHOTO></vCard>"
)


def test_a_vcard_is_written_in_the_standard_nesting() -> None:
    assert canonical(CARD.write()) == normal(NESTED)


@pytest.mark.parametrize("text", [NESTED, FLAT], ids=["nested", "flat"])
def test_both_nestings_are_readable(text: str) -> None:
    assert VCard.read(xml(text)) == CARD


def test_empty_fields_leave_no_trace() -> None:
    assert canonical(VCard("hypervisor", "", "host").write()) == normal(
        "<vCard xmlns='vcard-temp'><FN>host</FN><ROLE>hypervisor</ROLE></vCard>"
    )


def test_an_empty_vcard_says_nothing() -> None:
    assert VCard.read(xml("<vCard xmlns='vcard-temp'/>")) == VCard("", "", "")


@given(st.builds(VCard, LINES, LINES, LINES, st.builds(Organisation, LINES, LINES, LINES, LINES, LINES), st.binary(max_size=200)))
def test_every_vcard_survives_the_wire(card: VCard) -> None:
    assert VCard.read(off_the_wire(card.write())) == card


def test_the_picture_may_be_broken_into_lines() -> None:
    assert VCard.read(xml("<vCard xmlns='vcard-temp'><PHOTO><BINVAL>\n cG\n 5n\n</BINVAL></PHOTO></vCard>")).photo == b"png"


@pytest.mark.parametrize("picture", ["a", "cG5", "ü"])
def test_a_picture_that_is_none_is_a_value_error(picture: str) -> None:
    with pytest.raises(ValueError, match=r"base64|padding|ASCII"):
        VCard.read(xml(f"<vCard xmlns='vcard-temp'><PHOTO><BINVAL>{picture}</BINVAL></PHOTO></vCard>"))


def test_presences_carry_the_hash_of_the_picture() -> None:
    digest = hashlib.sha1(b"png", usedforsecurity=False).hexdigest()
    assert canonical(CARD.update()) == normal(f"<x xmlns='vcard-temp:x:update'><photo>{digest}</photo></x>")


def test_presences_tell_that_there_is_no_picture() -> None:
    assert canonical(VCard("", "", "").update()) == normal("<x xmlns='vcard-temp:x:update'><photo/></x>")
