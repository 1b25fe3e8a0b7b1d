# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields of payloads: each kind in each place, written and read, and what is refused."""

from __future__ import annotations

import contextlib
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.protocol.errors import BadRequest
from archipel.protocol.payload import Payload, attribute, child, children, foreign_xml, payload, text, text_child
from tests.unit.protocol.golden import canonical, normal, off_the_wire, xml
from tests.unit.protocol.hostile import LINES, TEXTS


@payload
class Part(Payload, tag="part"):
    """Something inside something."""

    label: str = attribute(default="")
    content: str = text(default="")


@payload
class Whole(Payload, tag="whole"):
    """One field of each kind."""

    word: str = attribute(default="")
    count: int = attribute(default=0)
    flag: bool = attribute(default=False)
    shout: bool = attribute(default=False, words=("False", "True"), name="SHOUT")
    maybe: str | None = attribute(default=None)
    note: str | None = text_child(name="NOTE", default=None)
    part: Part | None = child(default=None)
    any: ET.Element | None = child(default=None)


@payload
class Row(Payload, tag="row"):
    """Many of one kind."""

    parts: tuple[Part, ...] = children()


@given(
    st.builds(
        Whole,
        word=TEXTS,
        count=st.integers(-(10**18), 10**18),
        flag=st.booleans(),
        shout=st.booleans(),
        maybe=st.none() | TEXTS,
        note=st.none() | LINES,
        part=st.none() | st.builds(Part, label=TEXTS, content=LINES),
    )
)
def test_every_value_survives_the_wire(whole: Whole) -> None:
    assert Whole.read(off_the_wire(whole.write())) == whole


@given(st.lists(st.builds(Part, label=TEXTS, content=LINES)))
def test_children_keep_their_order(parts: list[Part]) -> None:
    row = Row(parts=tuple(parts))
    assert Row.read(off_the_wire(row.write())) == row


def test_what_is_none_is_not_written() -> None:
    assert canonical(Whole(word="a", count=-1, flag=True, shout=True).write()) == normal(
        "<whole word='a' count='-1' flag='1' SHOUT='True'/>"
    )


def test_children_of_other_names_are_passed_over() -> None:
    row = Row.read(xml("<row xmlns='urn:x'><other/><part xmlns='' label='a'/><part label='b'>c</part></row>"))
    assert row.parts == (Part(label="a"), Part(label="b", content="c"))


def count_of(raw: str) -> int:
    return Whole.read(ET.Element("whole", {"count": raw})).count


@pytest.mark.parametrize(
    "raw,value", [("0", 0), ("7", 7), ("-7", -7), ("+7", 7), ("007", 7), (" 7\t", 7), ("18446744073709551615", 2**64 - 1)]
)
def test_a_whole_number_has_digits_a_sign_and_blanks_around_it(raw: str, value: int) -> None:
    assert count_of(raw) == value


@pytest.mark.parametrize(
    "raw",
    ["", " ", "+", "-", "--7", "7-", "1 2", "1.0", "1e3", "0x10", "1_000", "٣", "\uff17", "²", "nan", "9" * 21, "9" * 100_000, "\u00a07"],
)
def test_nothing_else_is_a_whole_number(raw: str) -> None:
    with pytest.raises(BadRequest, match=r"^count: must be a whole number, not '") as refused:
        count_of(raw)
    assert len(refused.value.text) < 100, "a huge wrong value is not repeated"


@given(st.integers())
def test_every_number_is_read_or_refused_for_its_length(number: int) -> None:
    if abs(number) < 10**20:
        assert count_of(str(number)) == number
    else:
        with pytest.raises(BadRequest):
            count_of(str(number))


@given(TEXTS)
def test_any_text_is_a_number_a_truth_or_refused(raw: str) -> None:
    with contextlib.suppress(BadRequest):
        assert isinstance(count_of(raw), int)
    with contextlib.suppress(BadRequest):
        assert isinstance(Whole.read(ET.Element("whole", {"flag": raw})).flag, bool)


@pytest.mark.parametrize("word", ["1", "true", "True", "TRUE", "yes", "Y", "oui", "o", "on", " 1 "])
def test_the_words_for_yes(word: str) -> None:
    assert Whole.read(ET.Element("whole", {"flag": word})).flag


@pytest.mark.parametrize("word", ["0", "false", "False", "NO", "n", "non", "off", "", " "])
def test_the_words_for_no(word: str) -> None:
    assert not Whole.read(ET.Element("whole", {"flag": word})).flag


def test_the_first_of_two_children_counts() -> None:
    assert Whole.read(xml("<whole><NOTE>a</NOTE><NOTE>b</NOTE></whole>")).note == "a"


def test_a_wrong_field_inside_a_child_is_named() -> None:
    @payload
    class Box(Payload, tag="box"):
        whole: Whole = child()

    with pytest.raises(BadRequest, match="count: must be"):
        Box.read(xml("<box><whole count='x'/></box>"))


def test_xml_of_others_is_a_copy_without_the_namespaces_of_the_stanza() -> None:
    stanza = xml("<query xmlns='archipel:vm:definition'><domain><name xmlns='jabber:client'>a</name><q xmlns='urn:own'/></domain></query>")
    found = foreign_xml(stanza[0])
    found.set("changed", "1")
    assert canonical(found) == normal("<domain changed='1'><name>a</name><q xmlns='urn:own'/></domain>")
    assert stanza[0].get("changed") is None


def test_payloads_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        setattr(Part(), "label", "b")  # noqa: B010 - a plain assignment is refused by the type checker already
