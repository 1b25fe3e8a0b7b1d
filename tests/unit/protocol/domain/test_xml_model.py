# SPDX-FileCopyrightText: 2026 Archipel for Ansible contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Typed views: the same line reads and writes, and what no line names survives."""

from __future__ import annotations

import enum
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel.protocol.domain.xml_model import Attribute, Child, Children, Element, Memory, Presence, Text, Values
from archipel.protocol.domain.xml_values import INTEGER, YES_NO, DomainXmlError, enumeration


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


class Wheel(Element, tag="wheel"):
    size = Attribute("size", INTEGER)
    spokes = Attribute("hub/@spokes", INTEGER, default=32)


class Bicycle(Element, tag="bicycle"):
    kind = Attribute("kind", default="city")
    owner = Text("papers/owner")
    colour = Attribute("paint/@colour", enumeration(Colour))
    sold = Attribute("sold", YES_NO)
    load = Memory("load")
    bell = Presence("bell")
    gears = Values("gearing/gear/@teeth")
    wheels = Children("frame/wheel", Wheel)
    front = Child("front/wheel", Wheel)


def xml(text: str) -> ET.Element:
    return ET.fromstring(text)


def view(text: str) -> Bicycle:
    return Bicycle(xml(text))


def test_properties_read_what_the_element_says() -> None:
    bicycle = view(
        "<bicycle kind='race' sold='yes'><papers><owner> Ann </owner></papers><paint colour='blue'/><bell/>"
        "<frame><wheel size='28'/><wheel size='26'><hub spokes='36'/></wheel></frame></bicycle>"
    )
    assert (bicycle.kind, bicycle.owner, bicycle.colour, bicycle.sold, bicycle.bell) == ("race", "Ann", Colour.BLUE, True, True)
    assert [(wheel.size, wheel.spokes) for wheel in bicycle.wheels] == [(28, 32), (26, 36)]


def test_absent_values_are_none_or_the_default() -> None:
    bicycle = Bicycle()
    assert (bicycle.kind, bicycle.owner, bicycle.colour, bicycle.sold, bicycle.load, bicycle.bell) == (
        "city",
        None,
        None,
        None,
        None,
        False,
    )
    assert bicycle.gears == ()
    assert bicycle.front is None
    assert len(bicycle.wheels) == 0


def test_what_is_built_is_read_back() -> None:
    bicycle = Bicycle.build(kind="race", owner="Ann", colour=Colour.RED, sold=False, load=2048, bell=True, gears=("11", "13"))
    assert bicycle.to_text() == "\n".join(
        [
            '<bicycle kind="race" sold="no">',
            "  <papers>",
            "    <owner>Ann</owner>",
            "  </papers>",
            '  <paint colour="red" />',
            '  <load unit="KiB">2048</load>',
            "  <bell />",
            "  <gearing>",
            '    <gear teeth="11" />',
            '    <gear teeth="13" />',
            "  </gearing>",
            "</bicycle>",
        ]
    )
    assert Bicycle(xml(bicycle.to_text())) == bicycle


def test_building_refuses_a_property_that_is_not_there() -> None:
    with pytest.raises(TypeError, match="no property 'wings'"):
        Bicycle.build(wings=2)


def test_setting_none_takes_the_value_away_and_what_its_way_leaves_empty() -> None:
    bicycle = view("<bicycle sold='no'><papers><owner>Ann</owner></papers><paint colour='red' gloss='high'/><bell/></bicycle>")
    bicycle.sold = bicycle.owner = bicycle.colour = None
    bicycle.bell = False
    assert ET.tostring(bicycle.element, encoding="unicode") == '<bicycle><paint gloss="high" /></bicycle>'


def test_taking_away_what_is_not_there_changes_nothing() -> None:
    bicycle = view("<bicycle><papers lost='yes'/></bicycle>")
    bicycle.owner = bicycle.colour = bicycle.load = bicycle.front = None
    assert bicycle == view("<bicycle><papers lost='yes'/></bicycle>")


def test_unknown_xml_survives_a_change() -> None:
    bicycle = view("<bicycle extra='1'><basket full='yes'>eggs</basket><x:y xmlns:x='urn:x' z='1'/><papers stamp='2'/></bicycle>")
    bicycle.owner = "Bob"
    unknown = "<basket full='yes'>eggs</basket><x:y xmlns:x='urn:x' z='1'/>"
    assert bicycle == view(f"<bicycle extra='1'>{unknown}<papers stamp='2'><owner>Bob</owner></papers></bicycle>")


@pytest.mark.parametrize(
    "unit, kib", [("", 3), (" unit='b'", 1), (" unit='KB'", 3), (" unit='MiB'", 3072), (" unit='GB'", 2929688), (" unit='T'", 3 * 2**30)]
)
def test_memory_is_read_in_kib_whatever_its_unit(unit: str, kib: int) -> None:
    assert view(f"<bicycle><load{unit}>3</load></bicycle>").load == kib


def test_memory_is_written_in_kib() -> None:
    bicycle = view("<bicycle><load unit='GiB' dumpCore='off'>3</load></bicycle>")
    bicycle.load = 5
    assert bicycle == view("<bicycle><load unit='KiB' dumpCore='off'>5</load></bicycle>")


@pytest.mark.parametrize(
    "text, message",
    [
        ("<bicycle sold='maybe'/>", "bicycle/@sold: 'maybe' is not 'yes' or 'no'"),
        ("<bicycle><paint colour='green'/></bicycle>", "bicycle/paint/@colour: 'green' is not one of red, blue"),
        ("<bicycle><load>much</load></bicycle>", "bicycle/load: 'much' is not a whole number"),
        ("<bicycle><load>1_0</load></bicycle>", "bicycle/load: '1_0' is not a whole number"),
        ("<bicycle><load unit='stone'>1</load></bicycle>", "bicycle/load: unit 'stone' is not one of"),
    ],
)
def test_a_wrong_value_names_its_place_and_what_is_wanted(text: str, message: str) -> None:
    bicycle = view(text)
    with pytest.raises(DomainXmlError) as caught:
        _ = (bicycle.sold, bicycle.colour, bicycle.load)
    assert str(caught.value).startswith(message)


def test_a_number_too_long_to_read_is_an_error_of_its_own() -> None:
    with pytest.raises(DomainXmlError, match="is not a whole number"):
        _ = view(f"<bicycle><load>{'9' * 5000}</load></bicycle>").load


def test_characters_that_xml_cannot_carry_are_refused() -> None:
    with pytest.raises(DomainXmlError, match=r"bicycle/papers/owner: the character '\\x00' cannot stand in XML"):
        Bicycle().owner = "a\0b"


def test_a_view_is_only_of_its_own_element() -> None:
    with pytest.raises(DomainXmlError, match="expected <bicycle>, found <wheel>"):
        Bicycle(ET.Element("wheel"))


def test_children_are_added_behind_the_last_of_their_kind_and_taken_away_one_by_one() -> None:
    bicycle = view("<bicycle><frame><wheel size='1'/><lamp/></frame></bicycle>")
    added = bicycle.wheels.add(Wheel.build(size=1))
    assert [child.tag for child in bicycle.element[0]] == ["wheel", "wheel", "lamp"]
    bicycle.wheels.remove(added)
    assert bicycle == view("<bicycle><frame><wheel size='1'/><lamp/></frame></bicycle>")


def test_a_child_is_replaced_in_its_place() -> None:
    bicycle = view("<bicycle><front><wheel size='1'/><fork/></front></bicycle>")
    bicycle.front = Wheel.build(size=2)
    assert bicycle == view("<bicycle><front><wheel size='2'/><fork/></front></bicycle>")
    bicycle.front = None
    assert bicycle == view("<bicycle><front><fork/></front></bicycle>")


def test_values_are_replaced_as_a_whole() -> None:
    bicycle = view("<bicycle><gearing><gear teeth='11'/><chain/></gearing></bicycle>")
    bicycle.gears = ("12", "14")
    assert bicycle.gears == ("12", "14")
    bicycle.gears = ()
    assert bicycle == view("<bicycle><gearing><chain/></gearing></bicycle>")


def test_a_copy_is_independent() -> None:
    bicycle = Bicycle.build(owner="Ann")
    bicycle.copy().owner = "Bob"
    assert bicycle.owner == "Ann"


def test_views_are_equal_by_content_without_order_of_attributes_and_indentation() -> None:
    assert view("<bicycle a='1' b='2'>\n  <bell/>\n</bicycle>") == view("<bicycle b='2' a='1'><bell/></bicycle>")
    assert view("<bicycle><bell/><basket/></bicycle>") != view("<bicycle><basket/><bell/></bicycle>")


xml_texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1)


@given(kind=xml_texts, owner=xml_texts, load=st.integers(0, 2**50))
def test_every_text_and_number_comes_back(kind: str, owner: str, load: int) -> None:
    try:
        bicycle = Bicycle.build(kind=kind, owner=owner, load=load)
    except DomainXmlError:
        assert any(ord(character) in {0xFFFE, 0xFFFF} for character in kind + owner)
        return
    read = Bicycle(xml(bicycle.to_text()))
    assert (read.kind, read.owner, read.load) == (kind, owner.strip(), load)
